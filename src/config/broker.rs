//! `[mqtt]`

use std::path::{Path, PathBuf};

use crate::mqtt::{self, Credentials, Identity, SettingsError, Tls, TlsError};

use super::file::{File, Mqtt};
use super::secrets::{Folders, Secrecy};
use super::{Fault, fault};

/// Debian's list of authorities (package ca-certificates).
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

pub(super) fn broker(file: &File, folders: &Folders, faults: &mut Vec<Fault>) -> Option<mqtt::Settings> {
    let keys = &file.mqtt;
    let before = faults.len();
    let tls = tls(keys, folders, faults);
    let credentials = credentials(keys, folders, faults);
    if faults.len() > before && mqtt::Settings::wants_tls(&keys.url) && tls.is_none() {
        return None;
    }
    let settings = mqtt::Settings::new(&keys.url, &keys.client_id, tls)
        .and_then(|settings| match credentials {
            Some(credentials) => settings.with_credentials(credentials),
            None => Ok(settings),
        })
        .and_then(|settings| settings.with_keep_alive(keys.keep_alive.0))
        .and_then(|settings| match keys.status_topic.as_str() {
            "" => Ok(settings),
            topic => settings.with_status_topic(topic),
        });
    match settings {
        Ok(settings) if keys.persistent_session => Some(settings),
        Ok(settings) => Some(settings.without_session()),
        Err(problem) => {
            let (key, fix) = key_and_remedy(&problem);
            fault(faults, key, problem.to_string(), fix);
            None
        }
    }
}

fn key_and_remedy(problem: &SettingsError) -> (&'static str, &'static str) {
    match problem {
        SettingsError::ClientId => ("mqtt.client_id", "give the gateway a name of its own at the broker"),
        SettingsError::KeepAlive => ("mqtt.keep_alive", "write \"30s\""),
        SettingsError::StatusTopic(_) => (
            "mqtt.status_topic",
            "write a topic without wildcards, such as \"nbgate/status\", or \"\" for none",
        ),
        SettingsError::TwoUsers => {
            ("mqtt.user", "take the user out of the URL; secrets belong in mqtt.password_file")
        }
        _ => {
            ("mqtt.url", "write mqtt://127.0.0.1:1883, or mqtts://broker.example for an encrypted connection")
        }
    }
}

/// What TLS needs, where the URL wants TLS.
fn tls(keys: &Mqtt, folders: &Folders, faults: &mut Vec<Fault>) -> Option<Tls> {
    let files = [
        ("mqtt.ca_file", &keys.ca_file),
        ("mqtt.client_cert_file", &keys.client_cert_file),
        ("mqtt.client_key_file", &keys.client_key_file),
    ];
    if !mqtt::Settings::wants_tls(&keys.url) {
        for (key, _) in files.into_iter().filter(|(_, file)| file.is_some()) {
            fault(
                faults,
                key,
                "has no meaning with mqtt://, which is not encrypted",
                "write mqtt.url with mqtts://",
            );
        }
        return None;
    }
    let system = PathBuf::from(SYSTEM_AUTHORITIES);
    let ca_file = keys.ca_file.as_ref().unwrap_or(&system);
    if keys.ca_file.is_none() && !system.exists() {
        let problem = format!("is not set, and this machine has no {SYSTEM_AUTHORITIES}");
        let fix = "name the PEM file of the authority that signed the broker's certificate, or install the package \
                   ca-certificates";
        fault(faults, "mqtt.ca_file", problem, fix);
        return None;
    }
    let authorities = folders.read("mqtt.ca_file", ca_file, Secrecy::Public, faults)?;
    let (certificates, key) = match (&keys.client_cert_file, &keys.client_key_file) {
        (None, None) => return checked(Tls::new(&authorities, None), ca_file, keys, faults),
        (Some(certificates), Some(key)) => (certificates, key),
        (cert, _) => {
            let missing = if cert.is_some() { "mqtt.client_key_file" } else { "mqtt.client_cert_file" };
            fault(
                faults,
                missing,
                "is missing: a client certificate and its key go together",
                "name the PEM file, or leave both out",
            );
            return None;
        }
    };
    let certificates = folders.read("mqtt.client_cert_file", certificates, Secrecy::Public, faults);
    let key = folders.read("mqtt.client_key_file", key, Secrecy::Secret, faults);
    let (certificates, key) = (certificates?, key?);
    let identity = Identity { certificates: &certificates, key: &key };
    checked(Tls::new(&authorities, Some(identity)), ca_file, keys, faults)
}

fn checked(tls: Result<Tls, TlsError>, ca_file: &Path, keys: &Mqtt, faults: &mut Vec<Fault>) -> Option<Tls> {
    let problem = match tls {
        Ok(tls) => return Some(tls),
        Err(problem) => problem,
    };
    let (key, name) = match problem {
        TlsError::Authorities(_) => ("mqtt.ca_file", Some(ca_file)),
        TlsError::Certificate(_) => ("mqtt.client_cert_file", keys.client_cert_file.as_deref()),
        TlsError::Key(_) | TlsError::Mismatch => ("mqtt.client_key_file", keys.client_key_file.as_deref()),
    };
    let name = name.map(|name| name.display().to_string()).unwrap_or_default();
    let fix = match problem {
        TlsError::Mismatch => "name the key that the certificate was made for",
        TlsError::Key(_) => {
            "name a private key in PEM form without a pass phrase: openssl pkey -in OLD -out NEW takes it off"
        }
        _ => "name a file that begins with -----BEGIN CERTIFICATE-----",
    };
    fault(faults, key, format!("{name}: {problem}"), fix);
    None
}

fn credentials(keys: &Mqtt, folders: &Folders, faults: &mut Vec<Fault>) -> Option<Credentials> {
    if keys.user.is_some() && keys.user_file.is_some() {
        fault(faults, "mqtt.user_file", "mqtt.user says the same", "keep one of the two");
    }
    let from_file = keys
        .user_file
        .as_ref()
        .and_then(|name| folders.read_line("mqtt.user_file", name, Secrecy::Public, faults));
    let password = keys
        .password_file
        .as_ref()
        .and_then(|name| folders.read_line("mqtt.password_file", name, Secrecy::Secret, faults));
    let is_named = keys.user.is_some() || keys.user_file.is_some();
    if keys.password_file.is_some() && !is_named {
        fault(
            faults,
            "mqtt.user",
            "is missing: MQTT 3.1.1 knows no password without a user name",
            "write mqtt.user, or mqtt.user_file",
        );
    }
    if keys.user.as_deref() == Some("") {
        fault(faults, "mqtt.user", "is empty", "write a name, or leave it out");
    }
    let user = keys.user.clone().or(from_file)?;
    Some(Credentials { user, password: password.unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::layers::Layers;
    use super::super::shape;
    use super::*;

    /// What `[mqtt]` with these keys becomes, with files beside the configuration; faults as `key: problem`.
    fn read(keys: &str, files: &[(&str, &str)]) -> Result<mqtt::Settings, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        for (name, contents) in files {
            let path = folder.path().join(name);
            fs::write(&path, contents).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let text = format!("[mqtt]\n{keys}");
        let mut tree = Layers::of_text(&text).tree;
        shape::check(&mut tree);
        let file: File = tree.to_value().deserialize().unwrap();
        let folders = Folders { credentials: None, beside: folder.path().to_owned() };
        let mut faults = vec![];
        let settings = broker(&file, &folders, &mut faults);
        let words = |fault: Fault| format!("{}: {}", fault.key, fault.problem);
        settings.filter(|_| faults.is_empty()).ok_or_else(|| faults.into_iter().map(words).collect())
    }

    #[test]
    fn user_and_password_come_from_files() {
        let keys = "user_file = \"user\"\npassword_file = \"password\"\n";
        let settings = read(keys, &[("user", "gateway\n"), ("password", "s\n")]).unwrap();
        let expected = mqtt::Settings::new("mqtt://gateway:s@127.0.0.1:1883", "nbgate", None).unwrap();
        assert_eq!(settings, expected.with_status_topic("nbgate/status").unwrap());
    }

    #[test]
    fn the_session_and_the_keep_alive_are_as_written() {
        let settings =
            read("persistent_session = false\nkeep_alive = \"1m\"\nstatus_topic = \"\"", &[]).unwrap();
        let expected = mqtt::Settings::new("mqtt://127.0.0.1:1883", "nbgate", None).unwrap();
        let expected =
            expected.without_session().with_keep_alive(std::time::Duration::from_secs(60)).unwrap();
        assert_eq!(settings, expected);
    }

    #[test]
    fn keys_that_do_not_go_together_are_faults_of_the_key_to_mend() {
        let faults = |keys: &str| {
            let files = [("p", "secret"), ("ca", "no PEM")];
            read(keys, &files)
                .unwrap_err()
                .into_iter()
                .map(|fault| fault[..fault.find(':').unwrap()].to_owned())
        };
        let faults = |keys: &str| faults(keys).collect::<Vec<_>>().join(" ");
        assert_eq!(faults("password_file = \"p\""), "mqtt.user");
        assert_eq!(faults("user = \"a\"\nuser_file = \"p\""), "mqtt.user_file");
        assert_eq!(faults("url = \"mqtt://a:b@h\"\nuser = \"a\""), "mqtt.user");
        assert_eq!(faults("ca_file = \"ca\"\nclient_key_file = \"p\""), "mqtt.ca_file mqtt.client_key_file");
        assert_eq!(faults("url = \"mqtts://h\"\nca_file = \"ca\""), "mqtt.ca_file");
        assert_eq!(
            faults("url = \"mqtts://h\"\nca_file = \"absent\"\nuser_file = \"no\""),
            "mqtt.ca_file mqtt.user_file"
        );
        assert_eq!(
            faults("url = \"mqtts://h\"\nca_file = \"ca\"\nclient_cert_file = \"p\""),
            "mqtt.client_key_file"
        );
        assert_eq!(faults("status_topic = \"a/#\""), "mqtt.status_topic");
        assert_eq!(faults("url = \"ws://h\""), "mqtt.url");
    }
}
