//! The one real clock: everything else is told the time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::clock::UnixTime;

/// Monotonic time, for every timer.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// Wall time, for dates on the wire and in logs; `None` when the clock stands before 1970.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn unix_time() -> Option<UnixTime> {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(UnixTime { millis: i64::try_from(elapsed.as_millis()).ok()? })
}
