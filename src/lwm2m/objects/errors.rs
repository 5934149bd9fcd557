//! What is wrong with the gateway, as codes of /3/0/11: low battery, external power off, weak signal, memory nearly full.
//!
//! An error is over only when things are clearly better than where it began: a signal on the edge must not cost a
//! notification a minute. Loss of the connection (code 7) is never told: while it lasts, nobody can be.

use std::collections::BTreeSet;

use super::device::{BatteryStatus, HostFacts};
use crate::net::LinkFacts;

/// An error code of resource 11; 0, for none, is not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Code {
    LowBattery = 1,
    ExternalPowerOff = 2,
    LowSignal = 4,
    OutOfMemory = 5,
}

/// Percent of the battery at which it is low, and above which it no longer is.
const BATTERY_PERCENT: (i64, i64) = (10, 15);
/// dBm of the reference signal at which it is weak, and above which it no longer is. NB-IoT's coverage without
/// repetitions ends at about -118 dBm.
const SIGNAL_DBM: (i64, i64) = (-120, -115);
/// Thousandths of the memory at which it is nearly full, and above which it no longer is.
const FREE_MEMORY_PER_MILLE: (i64, i64) = (20, 40);

/// The errors there are now.
#[derive(Debug, Clone, Default)]
pub struct Errors {
    present: BTreeSet<Code>,
}

impl Errors {
    /// Looks at the facts; an error that there was ends only when it is clearly over.
    pub fn evaluate(&mut self, link: &LinkFacts, host: &HostFacts) {
        // A battery that is being charged is on its way.
        let discharging = host.battery.filter(|battery| battery.status != BatteryStatus::Charging);
        let battery = discharging.map(|battery| i64::from(battery.percent));
        self.judge(Code::LowBattery, battery, BATTERY_PERCENT);
        let power = host.external_power.map(i64::from);
        self.judge(Code::ExternalPowerOff, power, (0, 0));
        self.judge(Code::LowSignal, link.signal.rsrp_dbm.map(i64::from), SIGNAL_DBM);
        let total = host.memory_total_kib.filter(|total| *total > 0);
        let free = host.memory_free_kib.zip(total);
        let per_mille = free.map(|(free, total)| i64::from(free) * 1000 / i64::from(total));
        self.judge(Code::OutOfMemory, per_mille, FREE_MEMORY_PER_MILLE);
    }

    /// Forgets what there was; what is still wrong is found anew (resource 12).
    pub fn reset(&mut self, link: &LinkFacts, host: &HostFacts) {
        self.present.clear();
        self.evaluate(link, host);
    }

    /// The codes, ascending; a single 0 if there is none.
    pub fn codes(&self) -> impl Iterator<Item = i64> + '_ {
        let none = self.present.is_empty().then_some(0);
        self.present.iter().map(|code| *code as i64).chain(none)
    }

    /// An error begins at `begins` or below and is over above `ends`; what is not known is no error.
    fn judge(&mut self, code: Code, level: Option<i64>, (begins, ends): (i64, i64)) {
        let limit = if self.present.contains(&code) { ends } else { begins };
        if level.is_some_and(|level| level <= limit) {
            self.present.insert(code);
        } else {
            self.present.remove(&code);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lwm2m::objects::device::Battery;
    use crate::net::Signal;

    fn link(rsrp_dbm: i16) -> LinkFacts {
        LinkFacts { signal: Signal { rsrp_dbm: Some(rsrp_dbm), ..Signal::default() }, ..LinkFacts::default() }
    }

    fn codes(errors: &Errors) -> Vec<i64> {
        errors.codes().collect()
    }

    #[test]
    fn an_error_ends_only_when_it_is_clearly_over_or_by_reset_obj_02() {
        let (mut errors, host) = (Errors::default(), HostFacts::default());
        assert_eq!(codes(&errors), [0]);
        for (dbm, expected) in [(-119, 0), (-120, 4), (-116, 4), (-114, 0), (-119, 0), (-125, 4)] {
            errors.evaluate(&link(dbm), &host);
            assert_eq!(codes(&errors), [expected], "{dbm}");
        }
        errors.evaluate(&link(-118), &host);
        assert_eq!(codes(&errors), [4]);
        errors.reset(&link(-118), &host);
        assert_eq!(codes(&errors), [0]);
        errors.reset(&link(-130), &host);
        assert_eq!(codes(&errors), [4]);
    }

    #[test]
    fn every_error_has_its_code_obj_02() {
        let mut errors = Errors::default();
        let mut host = HostFacts {
            memory_total_kib: Some(1_000_000),
            memory_free_kib: Some(15_000),
            external_power: Some(false),
            battery: Some(Battery { percent: 7, status: BatteryStatus::Normal }),
            ..HostFacts::default()
        };
        errors.evaluate(&link(-130), &host);
        assert_eq!(codes(&errors), [1, 2, 4, 5]);
        host.battery = Some(Battery { percent: 7, status: BatteryStatus::Charging });
        host.external_power = Some(true);
        host.memory_free_kib = Some(500_000);
        errors.evaluate(&link(-90), &host);
        assert_eq!(codes(&errors), [0]);
    }
}
