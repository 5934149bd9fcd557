//! Lines on the standard output.

use std::fmt::Display;
use std::io::Write as _;

/// Prints a line at once, also into a pipe. A reader that has gone does not end the program.
pub fn say(line: impl Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
