//! Moving a database aside that cannot be used, so that a person can look at it, and keeping only the last few of these.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::clock::UnixTime;

/// Files of one kind that are kept.
const KEPT: usize = 3;
/// What SQLite has beside a database, under its name.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Why it is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nobody can read it.
    Corrupt,
    /// A newer version of this program wrote it.
    Newer,
}

/// Renames `file` and what is beside it to `file.corrupt-<date>`, and deletes the oldest of these beyond [`KEPT`].
///
/// # Errors
/// It stays where it was.
pub(super) fn move_aside(
    folder: &Path,
    file: &str,
    kind: Kind,
    time: Option<UnixTime>,
) -> io::Result<PathBuf> {
    let kind = match kind {
        Kind::Corrupt => "corrupt",
        Kind::Newer => "newer",
    };
    let stem = format!("{file}.{kind}-");
    let first = format!("{stem}{}", date(time.unwrap_or(UnixTime::from_secs(0))));
    let is_free = |name: &String| !folder.join(name).exists();
    let names = std::iter::once(first.clone()).chain((2..1000).map(|n| format!("{first}-{n}")));
    let name = names.into_iter().find(is_free).ok_or(io::ErrorKind::AlreadyExists)?;
    fs::rename(folder.join(file), folder.join(&name))?;
    for beside in BESIDE {
        let from = folder.join(format!("{file}{beside}"));
        // A new database must not meet the old one's log.
        if from.exists() && fs::rename(&from, folder.join(format!("{name}{beside}"))).is_err() {
            fs::remove_file(from)?;
        }
    }
    delete_oldest(folder, &stem, &name);
    Ok(folder.join(name))
}

/// `20260102-030405`
fn date(time: UnixTime) -> String {
    let since = Duration::from_secs(u64::try_from(time.as_secs()).unwrap_or_default());
    // Years that humantime cannot write are no years to care for.
    let time = SystemTime::UNIX_EPOCH.checked_add(since).filter(|_| since.as_secs() < 253_402_300_800);
    let text = humantime::format_rfc3339_seconds(time.unwrap_or(SystemTime::UNIX_EPOCH)).to_string();
    text.chars().filter_map(|c| if c == 'T' { Some('-') } else { c.is_ascii_digit().then_some(c) }).collect()
}

/// By name, which is by date; but the one that was moved just now stays whatever the clock says.
fn delete_oldest(folder: &Path, stem: &str, newest: &str) {
    let names = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let is_main = |name: &String| !BESIDE.iter().any(|beside| name.ends_with(beside));
    let mut others: Vec<_> =
        names.filter(|name| name.starts_with(stem) && name != newest && is_main(name)).collect();
    others.sort();
    let surplus = (others.len() + 1).saturating_sub(KEPT);
    for name in others.into_iter().take(surplus) {
        for beside in [""].iter().chain(&BESIDE) {
            // Nothing hangs on it; a file that stays takes room, no more.
            let _ = fs::remove_file(folder.join(format!("{name}{beside}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_last_three_are_kept_with_their_logs_whatever_the_clock_says() {
        let folder = tempfile::tempdir().unwrap();
        // The clock goes back to its beginning for the last one.
        for day in [3, 1, 2, 3, 0] {
            for name in ["db", "db-wal"] {
                fs::write(folder.path().join(name), [0; 8]).unwrap();
            }
            let time = (day > 0).then(|| UnixTime::from_secs(1_767_225_600 + day * 86_400));
            move_aside(folder.path(), "db", Kind::Corrupt, time).unwrap();
        }
        let expected = [
            "db.corrupt-19700101-000000",
            "db.corrupt-19700101-000000-wal",
            "db.corrupt-20260104-000000",
            "db.corrupt-20260104-000000-2",
            "db.corrupt-20260104-000000-2-wal",
            "db.corrupt-20260104-000000-wal",
        ];
        assert_eq!(names(folder.path()), expected);
    }

    #[test]
    fn kinds_do_not_push_each_other_out_and_dates_are_never_a_panic() {
        let folder = tempfile::tempdir().unwrap();
        for time in [None, Some(UnixTime { millis: i64::MAX }), Some(UnixTime { millis: i64::MIN })] {
            for kind in [Kind::Corrupt, Kind::Newer] {
                fs::write(folder.path().join("db"), "x").unwrap();
                move_aside(folder.path(), "db", kind, time).unwrap();
            }
        }
        assert_eq!(names(folder.path()).len(), 6);
    }
}
