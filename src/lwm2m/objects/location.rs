//! Object 6, Location: where the cabinet stands, as its operator wrote it down. A modem's own receiver is not asked.

use super::Fact;
use crate::clock::UnixTime;
use crate::lwm2m::path::Path;
use crate::lwm2m::value::{Content, Value};

/// Object ID.
pub const ID: u16 = 6;
/// Its only instance.
pub const INSTANCE: Path = Path::instance_of(ID, 0);

/// A place on earth (WGS 84).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Location {
    /// Degrees from -90 to 90, north positive.
    pub latitude: f64,
    /// Degrees from -180 to 180, east positive.
    pub longitude: f64,
    /// Metres above sea level.
    pub altitude: Option<f64>,
}

/// The resources of /6/0. The time is that of the place: when this program first could tell it (OBJ-15).
pub fn facts(place: Location, since: UnixTime) -> Vec<Fact> {
    let float = |number| Some(Content::Single(Value::Float(number)));
    vec![
        (0, float(place.latitude)),
        (1, float(place.longitude)),
        (2, place.altitude.and_then(float)),
        (5, Some(Content::Single(Value::Time(since.as_secs())))),
    ]
}
