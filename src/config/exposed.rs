//! A password in the configuration itself must not be for everybody's eyes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::show::password;
use super::tree::{Node, Origin, Position};
use super::{Fault, fault};

/// Read by others than the owner and the group.
const FOR_ALL: u32 = 0o004;

/// Finds a password in `mqtt.url` in a file that everybody may read.
pub(super) fn check(tree: &Node, faults: &mut Vec<Fault>) {
    let Some(url) = tree.get("mqtt").and_then(|mqtt| mqtt.get("url")) else { return };
    if url.text().and_then(password).is_none() {
        return;
    }
    let Origin::File(Position { file: Some(file), .. }) = &url.origin else { return };
    // A file that has gone since it was read is exposed no more.
    let Ok(metadata) = fs::metadata(file) else { return };
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & FOR_ALL != 0 {
        let file = file.display();
        let fix = format!("chmod 640 {file}, or move the password into a file that mqtt.password_file names");
        fault(
            faults,
            "mqtt.url",
            format!("holds a password, and everybody may read {file} (mode {mode:o})"),
            &fix,
        );
    }
}
