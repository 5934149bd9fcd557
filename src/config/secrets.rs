//! Files that the configuration names: certificates, keys and passwords. Where they are looked for, and who may read them.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{Fault, fault};

/// Larger than any system's list of authorities.
const MAX_OCTETS: u64 = 4 << 20;
/// What lets others than the owner read or change a file.
const OTHERS: u32 = 0o077;

/// Where files with relative names are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Folders {
    /// What systemd hands to the service (systemd.exec(5), LoadCredential=); first.
    pub credentials: Option<PathBuf>,
    /// The folder of the configuration file.
    pub beside: PathBuf,
}

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrecy {
    /// Everybody.
    Public,
    /// Its owner.
    Secret,
}

impl Folders {
    /// Those of this process, for this configuration file.
    pub(super) fn of_process(config: &Path) -> Self {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty());
        Self {
            credentials: credentials.map(PathBuf::from),
            beside: config.parent().map(Path::to_owned).unwrap_or_default(),
        }
    }

    /// The file of this name, and whether systemd guards it: then its mode is systemd's affair.
    fn find(&self, name: &Path) -> (PathBuf, bool) {
        let credential = self.credentials.as_ref().map(|folder| (folder, folder.join(name)));
        match credential {
            // An absolute name refolders the folder, and is a credential if it lies in it.
            Some((folder, path)) if path.starts_with(folder) && path.exists() => (path, true),
            _ => (self.beside.join(name), false),
        }
    }

    /// Reads the file that `key` names; `None`, and a fault, if that cannot be done or others may read a secret.
    pub(super) fn read(
        &self,
        key: &str,
        name: &Path,
        secrecy: Secrecy,
        faults: &mut Vec<Fault>,
    ) -> Option<Vec<u8>> {
        let (path, is_guarded) = self.find(name);
        let shown = path.display();
        if secrecy == Secrecy::Secret && !is_guarded {
            let mode = fs::metadata(&path).map_or(0, |found| found.permissions().mode());
            if mode & OTHERS != 0 {
                let problem =
                    format!("{shown} can be read by others than its owner (mode {:o})", mode & 0o7777);
                fault(faults, key, problem, &format!("let the service's user own it, and chmod 600 {shown}"));
            }
        }
        match read(&path) {
            Ok(octets) => Some(octets),
            Err(why) => {
                let fix = match self.credentials {
                    Some(_) => {
                        "name a file that is there and that the service may read: relative to its credentials \
                                (LoadCredential=) or to the configuration file"
                    }
                    None => {
                        "name a file that is there and that the service may read: relative to the configuration \
                             file, or in full"
                    }
                };
                fault(faults, key, format!("{shown} cannot be read: {why}"), fix);
                None
            }
        }
    }

    /// As [`Folders::read`], for one line of text such as a password.
    pub(super) fn read_line(
        &self,
        key: &str,
        name: &Path,
        secrecy: Secrecy,
        faults: &mut Vec<Fault>,
    ) -> Option<String> {
        let octets = self.read(key, name, secrecy, faults)?;
        let text = String::from_utf8(octets).ok();
        let line = text.as_deref().map(|text| text.strip_suffix('\n').unwrap_or(text));
        let line = line.map(|line| line.strip_suffix('\r').unwrap_or(line));
        match line {
            Some(line) if !line.is_empty() && !line.contains(['\n', '\0']) => Some(line.to_owned()),
            _ => {
                let problem = format!("{} does not hold one line of text", self.find(name).0.display());
                fault(faults, key, problem, "write it as one line of UTF-8");
                None
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut octets = vec![];
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_OCTETS + 1).read_to_end(&mut octets).map_err(|error| error.to_string())?;
    match u64::try_from(octets.len()) {
        Ok(length) if length <= MAX_OCTETS => Ok(octets),
        _ => Err(format!("it is larger than {MAX_OCTETS} octets")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, contents: &[u8], mode: u32) {
        let path = folder.join(name);
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn line(folders: &Folders, name: &str) -> (Option<String>, Vec<String>) {
        let mut faults = vec![];
        let line = folders.read_line("mqtt.password_file", Path::new(name), Secrecy::Secret, &mut faults);
        (line, faults.into_iter().map(|fault| format!("{}; {}", fault.problem, fault.fix)).collect())
    }

    #[test]
    fn a_password_is_one_line_without_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let folders = Folders { credentials: None, beside: folder.path().to_owned() };
        for (contents, expected) in [("s\n", Some("s")), ("s \r\n", Some("s ")), ("", None), ("a\nb", None)] {
            write(folder.path(), "password", contents.as_bytes(), 0o600);
            let (found, faults) = line(&folders, "password");
            assert_eq!(found.as_deref(), expected);
            assert_eq!(faults.is_empty(), expected.is_some(), "{faults:?}");
        }
    }

    #[test]
    fn a_secret_that_others_can_read_is_a_fault_that_names_the_command() {
        let folder = tempfile::tempdir().unwrap();
        let folders = Folders { credentials: None, beside: folder.path().to_owned() };
        write(folder.path(), "password", b"s", 0o640);
        let (_, faults) = line(&folders, "password");
        let fix = format!("chmod 600 {}", folder.path().join("password").display());
        assert!(
            matches!(&faults[..], [one] if one.ends_with(&fix) && one.contains("mode 640")),
            "{faults:?}"
        );
    }

    #[test]
    fn systemd_s_credentials_come_first_and_their_mode_is_not_judged() {
        let (credentials, beside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folders =
            Folders { credentials: Some(credentials.path().to_owned()), beside: beside.path().to_owned() };
        write(beside.path(), "password", b"beside", 0o600);
        assert_eq!(line(&folders, "password"), (Some("beside".to_owned()), vec![]));
        write(credentials.path(), "password", b"credential", 0o440);
        assert_eq!(line(&folders, "password"), (Some("credential".to_owned()), vec![]));
        // An absolute name outside of the folder is no credential.
        let (_, faults) = line(&folders, "/dev/null");
        assert_eq!(faults.len(), 2, "{faults:?}");
    }
}
