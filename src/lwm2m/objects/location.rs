//! Object 6, Location: where the cabinet stands, as its operator wrote it down. A modem's own receiver is not asked.

use super::Fact;
use crate::clock::UnixTime;
use crate::lwm2m::path::Path;
use crate::lwm2m::value::{Content, Value};

/// Object ID.
pub const ID: u16 = 6;
/// Its only instance.
pub const INSTANCE: Path = Path::instance_of(ID, 0);

/// A place on Earth (WGS 84).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Position {
    /// Degrees north of the equator, -90..=90.
    pub latitude: f64,
    /// Degrees east of Greenwich, -180..=180.
    pub longitude: f64,
    /// Metres above sea level, where known.
    pub altitude: Option<f64>,
}

/// The resources of /6/0. The time is that of the position: when this program first could tell it (OBJ-15).
pub fn facts(position: Position, since: UnixTime) -> Vec<Fact> {
    let float = |number| Some(Content::Single(Value::Float(number)));
    vec![
        (0, float(position.latitude)),
        (1, float(position.longitude)),
        (2, position.altitude.and_then(float)),
        (5, Some(Content::Single(Value::Time(since.as_secs())))),
    ]
}
