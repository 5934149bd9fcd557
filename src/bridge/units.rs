//! Units of measurement: how payloads and the registry spell them, and how one converts to another.
//!
//! The first spelling is SenML's (RFC 8428, RFC 8798) where it has one, as in the registry. `µ` counts as `u`, `³` as
//! `3`; `^`, `·` and blanks do not count. Upper and lower case do: `mW` is not `MW`.

use crate::lwm2m::model::ResourceDef;

use super::exact::{Affine, Ratio};

/// What is measured; units convert within one quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantity {
    Acceleration,
    Acidity,
    Angle,
    ApparentEnergy,
    ApparentPower,
    Charge,
    Conductivity,
    Count,
    Current,
    Data,
    DataRate,
    Energy,
    Flow,
    Flux,
    Frequency,
    Illuminance,
    Irradiance,
    Length,
    Level,
    Mass,
    MassConcentration,
    Power,
    PowerLevel,
    Pressure,
    Ratio,
    ReactiveEnergy,
    ReactivePower,
    Resistance,
    Salinity,
    Speed,
    Temperature,
    Time,
    Turbidity,
    Voltage,
    Volume,
}

/// One unit.
#[derive(Debug, PartialEq)]
pub struct Unit {
    /// The first is the unit's name.
    spellings: &'static [&'static str],
    quantity: Quantity,
    /// To the unit of the quantity that all others are measured by.
    base: Affine,
}

const fn by(quantity: Quantity, spellings: &'static [&'static str], num: i128, den: i128) -> Unit {
    Unit { spellings, quantity, base: Affine::new(Ratio::new(num, den), Ratio::ZERO) }
}

const fn shifted(
    quantity: Quantity,
    spellings: &'static [&'static str],
    mul: (i128, i128),
    add: (i128, i128),
) -> Unit {
    let base = Affine::new(Ratio::new(mul.0, mul.1), Ratio::new(add.0, add.1));
    Unit { spellings, quantity, base }
}

const K: i128 = 1_000;
const M: i128 = 1_000_000;
const G: i128 = 1_000_000_000;
/// π with the digits that 128 bits leave room for.
const PI: (i128, i128) = (3_141_592_653_589_793_238, G * G);

#[rustfmt::skip]
static UNITS: &[Unit] = {
    use Quantity as Q;
    &[
        by(Q::Temperature, &["K", "kelvin"], 1, 1),
        shifted(Q::Temperature, &["Cel", "C", "°C", "℃", "degC", "celsius"], (1, 1), (27_315, 100)),
        shifted(Q::Temperature, &["degF", "F", "°F", "℉", "fahrenheit"], (5, 9), (45_967, 180)),
        by(Q::Ratio, &["/", "1"], 1, 1),
        by(Q::Ratio, &["%", "/100", "percent", "pct"], 1, 100),
        by(Q::Ratio, &["%RH", "%rh", "%rH", "%r.H.", "RH"], 1, 100),
        by(Q::Ratio, &["permille", "‰", "/1000"], 1, K),
        by(Q::Ratio, &["ppm"], 1, M),
        by(Q::Ratio, &["ppb"], 1, G),
        // Thousandths or billionths, by who writes it: nothing converts to it.
        by(Q::Salinity, &["ppt"], 1, 1),
        by(Q::Pressure, &["Pa"], 1, 1),
        by(Q::Pressure, &["hPa"], 100, 1),
        by(Q::Pressure, &["kPa"], K, 1),
        by(Q::Pressure, &["MPa"], M, 1),
        by(Q::Pressure, &["mbar"], 100, 1),
        by(Q::Pressure, &["bar"], 100_000, 1),
        by(Q::Pressure, &["psi", "PSI"], 44_482_216_152_605, 6_451_600_000),
        by(Q::Pressure, &["mmHg"], 133_322_387_415, G),
        by(Q::Pressure, &["inHg"], 3_386_389, K),
        by(Q::Pressure, &["atm"], 101_325, 1),
        by(Q::Energy, &["J", "Ws", "joule"], 1, 1),
        by(Q::Energy, &["kJ"], K, 1),
        by(Q::Energy, &["MJ"], M, 1),
        by(Q::Energy, &["GJ"], G, 1),
        by(Q::Energy, &["Wmin", "W-min", "W*min"], 60, 1),
        by(Q::Energy, &["Wh"], 3_600, 1),
        by(Q::Energy, &["kWh", "KWh"], 3_600 * K, 1),
        by(Q::Energy, &["MWh"], 3_600 * M, 1),
        by(Q::Energy, &["GWh"], 3_600 * G, 1),
        by(Q::ApparentEnergy, &["VAs"], 1, 1),
        by(Q::ApparentEnergy, &["VAh"], 3_600, 1),
        by(Q::ApparentEnergy, &["kVAh"], 3_600 * K, 1),
        by(Q::ReactiveEnergy, &["vars", "varSec"], 1, 1),
        by(Q::ReactiveEnergy, &["varh", "VArh", "VARh", "Varh"], 3_600, 1),
        by(Q::ReactiveEnergy, &["kvarh", "kVArh", "kVARh"], 3_600 * K, 1),
        by(Q::Power, &["W", "watt"], 1, 1),
        by(Q::Power, &["uW"], 1, M),
        by(Q::Power, &["mW"], 1, K),
        by(Q::Power, &["kW", "KW"], K, 1),
        by(Q::Power, &["MW"], M, 1),
        by(Q::ApparentPower, &["VA"], 1, 1),
        by(Q::ApparentPower, &["kVA"], K, 1),
        by(Q::ReactivePower, &["var", "VAr", "VAR", "Var"], 1, 1),
        by(Q::ReactivePower, &["kvar", "kVAr", "kVAR"], K, 1),
        by(Q::Voltage, &["V", "volt"], 1, 1),
        by(Q::Voltage, &["uV"], 1, M),
        by(Q::Voltage, &["mV"], 1, K),
        by(Q::Voltage, &["kV"], K, 1),
        by(Q::Current, &["A", "ampere"], 1, 1),
        by(Q::Current, &["uA"], 1, M),
        by(Q::Current, &["mA"], 1, K),
        by(Q::Current, &["kA"], K, 1),
        by(Q::Charge, &["Ah"], 1, 1),
        by(Q::Charge, &["mAh"], 1, K),
        by(Q::Resistance, &["Ohm", "ohm", "Ω"], 1, 1),
        by(Q::Resistance, &["kOhm", "kohm", "kΩ"], K, 1),
        by(Q::Frequency, &["Hz"], 1, 1),
        by(Q::Frequency, &["kHz"], K, 1),
        by(Q::Frequency, &["MHz"], M, 1),
        by(Q::Frequency, &["GHz"], G, 1),
        by(Q::Volume, &["m3", "cbm"], 1, 1),
        by(Q::Volume, &["l", "L", "dm3", "liter", "litre"], 1, K),
        by(Q::Volume, &["ml", "mL", "cm3"], 1, M),
        by(Q::Volume, &["gal"], 3_785_411_784, G * K),
        by(Q::Volume, &["ft3", "cf"], 28_316_846_592, G * K),
        by(Q::Flow, &["m3/s"], 1, 1),
        by(Q::Flow, &["m3/h"], 1, 3_600),
        by(Q::Flow, &["l/s", "L/s"], 1, K),
        by(Q::Flow, &["l/min", "L/min"], 1, 60 * K),
        by(Q::Flow, &["l/h", "L/h"], 1, 3_600 * K),
        by(Q::Length, &["m", "metre", "meter"], 1, 1),
        by(Q::Length, &["um"], 1, M),
        by(Q::Length, &["mm"], 1, K),
        by(Q::Length, &["cm"], 1, 100),
        by(Q::Length, &["dm"], 1, 10),
        by(Q::Length, &["km"], K, 1),
        by(Q::Length, &["in", "inch"], 254, 10_000),
        by(Q::Length, &["ft"], 3_048, 10_000),
        by(Q::Length, &["mi"], 1_609_344, K),
        by(Q::Speed, &["m/s", "m_s"], 1, 1),
        by(Q::Speed, &["km/h", "km_h", "kmh", "kph"], 10, 36),
        by(Q::Speed, &["mph", "mi/h", "mi_h"], 44_704, 100_000),
        by(Q::Speed, &["kn", "kt", "knots"], 1_852, 3_600),
        by(Q::Acceleration, &["m/s2"], 1, 1),
        by(Q::Angle, &["rad"], 1, 1),
        by(Q::Angle, &["mrad"], 1, K),
        by(Q::Angle, &["deg", "°", "degree", "degrees"], PI.0, 180 * PI.1),
        by(Q::Angle, &["lat"], PI.0, 180 * PI.1),
        by(Q::Angle, &["lon"], PI.0, 180 * PI.1),
        by(Q::Time, &["s", "sec"], 1, 1),
        by(Q::Time, &["us"], 1, M),
        by(Q::Time, &["ms", "msec"], 1, K),
        by(Q::Time, &["min"], 60, 1),
        by(Q::Time, &["h", "hr", "hours"], 3_600, 1),
        by(Q::Time, &["d", "day", "days"], 86_400, 1),
        by(Q::Illuminance, &["lx", "lux"], 1, 1),
        by(Q::Illuminance, &["klx"], K, 1),
        by(Q::Flux, &["lm", "lumen"], 1, 1),
        by(Q::Irradiance, &["W/m2"], 1, 1),
        by(Q::Level, &["dB", "dBA", "dB(A)"], 1, 1),
        by(Q::PowerLevel, &["dBm"], 1, 1),
        shifted(Q::PowerLevel, &["dBW"], (1, 1), (30, 1)),
        by(Q::Mass, &["kg"], 1, 1),
        by(Q::Mass, &["g"], 1, K),
        by(Q::Mass, &["mg"], 1, M),
        by(Q::Mass, &["t"], K, 1),
        by(Q::Mass, &["lb", "lbs"], 45_359_237, 100_000_000),
        by(Q::MassConcentration, &["kg/m3", "g/l"], 1, 1),
        by(Q::MassConcentration, &["mg/l", "mg/L", "g/m3"], 1, K),
        by(Q::MassConcentration, &["ug/l", "ug/L", "mg/m3"], 1, M),
        by(Q::MassConcentration, &["ug/m3"], 1, G),
        by(Q::Conductivity, &["S/m"], 1, 1),
        by(Q::Conductivity, &["mS/m"], 1, K),
        by(Q::Conductivity, &["mS/cm"], 1, 10),
        by(Q::Conductivity, &["uS/cm"], 1, 10 * K),
        by(Q::Turbidity, &["NTU"], 1, 1),
        by(Q::Acidity, &["pH"], 1, 1),
        by(Q::Count, &["units", "count"], 1, 1),
        by(Q::Data, &["B", "byte", "bytes"], 1, 1),
        by(Q::Data, &["KB", "kB"], K, 1),
        by(Q::Data, &["KiB"], 1_024, 1),
        by(Q::Data, &["MB"], M, 1),
        by(Q::Data, &["MiB"], 1_024 * 1_024, 1),
        by(Q::Data, &["GB"], G, 1),
        by(Q::DataRate, &["bit/s", "bps"], 1, 1),
        by(Q::DataRate, &["kbit/s", "kbps"], K, 1),
        by(Q::DataRate, &["Mbit/s", "Mbps"], M, 1),
        by(Q::DataRate, &["B/s"], 8, 1),
    ]
};

/// Where the registry names no unit: what the sensor objects of IPSO are measured in, by SenML's names.
const CUSTOMARY: &[(u16, &str)] = &[
    (3301, "lx"),
    (3303, "Cel"),
    (3304, "%RH"),
    (3315, "Pa"),
    (3316, "V"),
    (3317, "A"),
    (3318, "Hz"),
    (3319, "m"),
    (3320, "%"),
    (3321, "m"),
    (3322, "kg"),
    (3323, "Pa"),
    (3324, "dB"),
    (3326, "pH"),
    (3327, "S/m"),
    (3328, "W"),
    (3330, "m"),
    (3331, "Wh"),
    (3449, "m/s"),
];

impl Unit {
    /// The unit's name.
    pub fn name(&self) -> &'static str {
        self.spellings.first().copied().unwrap_or_default()
    }

    /// What turns a number of this unit into one of `other`; `None` if they measure different things.
    pub fn to(&self, other: &Self) -> Option<Affine> {
        if self.quantity != other.quantity {
            return None;
        }
        if self.base == other.base {
            return Some(Affine::IDENTITY);
        }
        self.base.then(other.base.inverse()?)
    }

    /// The names of all units that convert to this one.
    pub fn relatives(&self) -> impl Iterator<Item = &'static str> {
        UNITS.iter().filter(|unit| unit.quantity == self.quantity).map(Self::name)
    }
}

/// The unit that is spelled like this.
pub fn find(text: &str) -> Option<&'static Unit> {
    let is = |spelling: &&str| significant(text).eq(significant(spelling));
    UNITS.iter().find(|unit| unit.spellings.iter().any(is))
}

/// The unit of a resource: the registry's; of the sensor objects whose value has none there, the customary one.
pub fn of_resource(object: u16, resource: &ResourceDef) -> Option<&'static str> {
    // Sensor Value, and the least and greatest that was or can be measured.
    let is_measured = matches!(resource.id, 5700 | 5601..=5604);
    let customary = CUSTOMARY.iter().filter(|(id, _)| is_measured && *id == object);
    resource.units.or_else(|| customary.map(|(_, unit)| *unit).next())
}

/// What counts of a spelling.
fn significant(text: &str) -> impl Iterator<Item = char> + '_ {
    let counts = |character: &char| !character.is_whitespace() && !matches!(character, '^' | '·');
    text.chars().filter(counts).map(|character| match character {
        'µ' | 'μ' => 'u',
        '²' => '2',
        '³' => '3',
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::lwm2m::model::Model;

    fn convert(number: f64, from: &str, to: &str) -> f64 {
        let affine = find(from).unwrap().to(find(to).unwrap()).unwrap();
        affine.apply(Ratio::from_float(number).unwrap()).unwrap().to_float()
    }

    #[test]
    fn every_unit_of_the_registry_is_understood() {
        let model = Model::builtin();
        let resources = model.objects().flat_map(|object| object.resources());
        let units: BTreeSet<_> = resources.filter_map(|resource| resource.units).collect();
        let unknown: Vec<_> = units.iter().filter(|unit| find(unit).is_none()).collect();
        assert!(unknown.is_empty() && units.len() > 45, "{unknown:?} of {units:?}");
    }

    #[test]
    fn conversions_are_exact_to_the_last_digit() {
        for (number, from, to, result) in [
            (21.5, "°C", "K", 294.65),
            (294.65, "K", "Cel", 21.5),
            (70.7, "F", "C", 21.5),
            (1013.2, "hPa", "Pa", 101_320.0),
            (1.01325, "bar", "kPa", 101.325),
            (918.442, "kWh", "Wh", 918_442.0),
            (55_106.0, "W-min", "kWh", 0.918_433_333_333_333_3),
            (0.1, "Wh", "J", 360.0),
            (1_482_077.0, "l", "m³", 1482.077),
            (0.36, "m3/h", "m3/s", 0.0001),
            (410.0, "mm", "cm", 41.0),
            (36.0, "km/h", "m/s", 10.0),
            (3580.0, "mV", "V", 3.58),
            (0.98, "/", "/100", 98.0),
            (180.0, "deg", "rad", std::f64::consts::PI),
            (1.0, "dBW", "dBm", 31.0),
            (12.0, "µA", "mA", 0.012),
            (7.5, "mS / cm", "S/m", 0.75),
        ] {
            assert_eq!(convert(number, from, to), result, "{number} {from} to {to}");
        }
    }

    #[test]
    fn units_of_different_things_do_not_convert_and_case_counts() {
        assert!(find("kWh").unwrap().to(find("W").unwrap()).is_none());
        assert!(find("W").unwrap().to(find("VA").unwrap()).is_none());
        assert_ne!(find("mW"), find("MW"));
        for unknown in ["", "x", "celsius!", "KELVIN"] {
            assert_eq!(find(unknown), None, "{unknown}");
        }
        assert!(find("Pa").unwrap().relatives().any(|name| name == "psi"));
    }

    #[test]
    fn no_spelling_means_two_units() {
        let spellings: Vec<Vec<char>> =
            UNITS.iter().flat_map(|unit| unit.spellings).map(|text| significant(text).collect()).collect();
        let distinct: BTreeSet<_> = spellings.iter().collect();
        assert_eq!(distinct.len(), spellings.len());
    }

    #[test]
    fn sensor_objects_without_a_unit_have_the_customary_one() {
        let model = Model::builtin();
        let unit = |object, resource| of_resource(object, model.resource(object, resource).unwrap());
        assert_eq!((unit(3303, 5700), unit(3303, 5601)), (Some("Cel"), Some("Cel")));
        assert_eq!((unit(3303, 5701), unit(3300, 5700)), (None, None));
        assert_eq!(unit(3421, 25), Some("Wh"));
        assert!(
            CUSTOMARY.iter().all(|(object, unit)| model.object(*object).is_some() && find(unit).is_some())
        );
    }

    proptest! {
        #[test]
        fn conversions_invert(number in -1e6_f64..1e6, from in 0..UNITS.len(), to in 0..UNITS.len()) {
            let (from, to) = (&UNITS[from], &UNITS[to]);
            let Some(there) = from.to(to) else { return Ok(()) };
            let back = to.to(from).unwrap();
            let number = (number * 100.0).round() / 100.0;
            let exact = Ratio::from_float(number).unwrap();
            let returned = there.apply(exact).and_then(|there| back.apply(there.reduced()));
            // There and back, π twice is more than fits.
            prop_assert!(returned.is_some() || from.quantity == Quantity::Angle);
            prop_assert_eq!(returned.map_or(number, Ratio::to_float), number);
            let far = back.apply_float(there.apply_float(number));
            prop_assert!((far - number).abs() <= 1e-6 * number.abs().max(1.0), "{} {}", far, number);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,8}") {
            let _ = find(&text);
        }
    }
}
