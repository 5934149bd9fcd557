//! What the machine says about itself, from `/proc`, `/sys` and `/etc`: the edge behind [`Host`].
//!
//! Everything is optional: a file that is not there, or says something else, is a fact that is not known.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::clock::UnixTime;
use crate::link::clock;
use crate::lwm2m::client::{Battery, BatteryStatus, HostFacts, PowerSource};

use super::settings::Host;

/// Reads everything.
pub fn read() -> Host {
    Host {
        hostname: text("/proc/sys/kernel/hostname"),
        machine_id: text("/etc/machine-id"),
        facts: HostFacts {
            manufacturer: text("/sys/class/dmi/id/sys_vendor"),
            model: text("/sys/firmware/devicetree/base/model")
                .or_else(|| text("/sys/class/dmi/id/product_name")),
            serial: text("/sys/firmware/devicetree/base/serial-number"),
            software_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            timezone: text("/etc/timezone"),
            ..changing(HostFacts::default())
        },
    }
}

/// Reads anew what changes while the machine runs; the rest stays.
pub fn refresh(facts: &HostFacts) -> HostFacts {
    changing(facts.clone())
}

fn changing(facts: HostFacts) -> HostFacts {
    let memory = text("/proc/meminfo").unwrap_or_default();
    let power = Power::read(Path::new("/sys/class/power_supply"));
    HostFacts {
        memory_total_kib: memory_kib(&memory, "MemTotal:"),
        memory_free_kib: memory_kib(&memory, "MemAvailable:"),
        power_sources: power.sources,
        external_power: power.external,
        battery: power.battery,
        utc_offset: clock::unix_time().and_then(|time| utc_offset(&TimeZone::system(), time)),
        ..facts
    }
}

/// What a file of the system says, if it says something. Texts of a device tree end with a NUL.
fn text(path: impl AsRef<Path>) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

/// What the machine's time zone makes of this time, summer time included: `+01:30`.
fn utc_offset(zone: &TimeZone, time: UnixTime) -> Option<String> {
    let time = Timestamp::from_second(time.as_secs()).ok()?;
    let minutes = zone.to_offset(time).seconds() / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    Some(format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60))
}

/// `MemTotal:        3884360 kB`
fn memory_kib(meminfo: &str, name: &str) -> Option<u32> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What the kernel's power supplies tell together.
#[derive(Debug, Default, PartialEq, Eq)]
struct Power {
    sources: Vec<PowerSource>,
    external: Option<bool>,
    battery: Option<Battery>,
}

impl Power {
    /// One folder a supply, with a file for each property. The first battery that tells its charge counts.
    fn read(folder: &Path) -> Self {
        let mut power = Self::default();
        let supplies = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut supplies: Vec<_> = supplies.map(|supply| supply.path()).collect();
        supplies.sort();
        for supply in supplies {
            let says = |name: &str| text(supply.join(name));
            // A mouse's battery is not the machine's.
            if says("scope").as_deref() == Some("Device") {
                continue;
            }
            match says("type").as_deref() {
                Some("Battery") => {
                    power.sources.push(PowerSource::InternalBattery);
                    let percent = says("capacity").and_then(|text| text.parse().ok());
                    let battery = percent.map(|percent: u8| Battery {
                        percent: percent.min(100),
                        status: battery_status(says("status").as_deref()),
                    });
                    power.battery = power.battery.or(battery);
                }
                Some(kind @ ("Mains" | "USB")) => {
                    let usb = kind == "USB";
                    power.sources.push(if usb { PowerSource::Usb } else { PowerSource::Mains });
                    let online = says("online").map(|text| text != "0");
                    // One that is on will do; one that does not tell says nothing about the others.
                    power.external = online.max(power.external);
                }
                _ => {}
            }
        }
        power
    }
}

fn battery_status(word: Option<&str>) -> BatteryStatus {
    match word {
        Some("Discharging" | "Not charging") => BatteryStatus::Normal,
        Some("Charging") => BatteryStatus::Charging,
        Some("Full") => BatteryStatus::Charged,
        _ => BatteryStatus::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_tells_its_memory_and_this_programs_version() {
        assert_eq!(memory_kib("MemTotal:        3884360 kB\nMemFree: 1 kB\n", "MemTotal:"), Some(3_884_360));
        assert_eq!(memory_kib("MemFree: 1 kB\n", "MemTotal:"), None);
        let facts = read().facts;
        assert_eq!(facts.software_version.as_deref(), Some(env!("CARGO_PKG_VERSION")));
        assert!(facts.memory_total_kib.is_some_and(|total| total > 0));
        assert_eq!(refresh(&facts).software_version, facts.software_version);
    }

    #[test]
    fn an_offset_to_utc_is_told_as_iso_8601_with_summer_time() {
        let at = |zone: &str, time| utc_offset(&TimeZone::posix(zone).unwrap(), UnixTime::from_secs(time));
        let (january, july) = (1_767_225_600, 1_782_864_000);
        let berlin = "CET-1CEST,M3.5.0,M10.5.0/3";
        assert_eq!(at(berlin, january).as_deref(), Some("+01:00"));
        assert_eq!(at(berlin, july).as_deref(), Some("+02:00"));
        assert_eq!(at("NST3:30", july).as_deref(), Some("-03:30"));
        assert_eq!(at("UTC0", july).as_deref(), Some("+00:00"));
        assert!(refresh(&HostFacts::default()).utc_offset.is_some());
    }

    #[test]
    fn power_supplies_are_told_as_the_kernel_lists_them() {
        let folder = tempfile::tempdir().unwrap();
        let supply = |name: &str, properties: &[(&str, &str)]| {
            let supply = folder.path().join(name);
            fs::create_dir(&supply).unwrap();
            properties.iter().for_each(|(name, text)| fs::write(supply.join(name), text).unwrap());
        };
        assert_eq!(Power::read(folder.path()), Power::default());
        supply("AC", &[("type", "Mains\n"), ("online", "0\n")]);
        supply("BAT0", &[("type", "Battery\n"), ("capacity", "81\n"), ("status", "Discharging\n")]);
        supply("hidpp_battery_0", &[("type", "Battery\n"), ("scope", "Device\n"), ("capacity", "5\n")]);
        let expected = Power {
            sources: vec![PowerSource::Mains, PowerSource::InternalBattery],
            external: Some(false),
            battery: Some(Battery { percent: 81, status: BatteryStatus::Normal }),
        };
        assert_eq!(Power::read(folder.path()), expected);
        supply("ADP1", &[("type", "Mains\n"), ("online", "1\n")]);
        supply("ucsi", &[("type", "USB\n")]);
        assert_eq!(Power::read(folder.path()).external, Some(true));
    }
}
