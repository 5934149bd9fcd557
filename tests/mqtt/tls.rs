//! `mqtts://`: whom we trust, who we are, and what a technician reads when something of it is wrong.

use std::path::Path;
use std::process::{Command, Stdio};

use nbgate::mqtt::{Credentials, Event, Identity, Settings, Tls, TlsError};

use crate::peers::{Client, Mosquitto, free_port};

/// Certificates of a small world: two authorities, and what the first has signed.
struct Authority {
    files: tempfile::TempDir,
}

impl Authority {
    /// `None`, and a line that says so, where openssl is not installed.
    fn new() -> Option<Self> {
        let files = tempfile::tempdir().unwrap();
        let authority = Self { files };
        for name in ["ca", "other-ca"] {
            let made = authority.openssl(&format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} -days 2 \
                 -keyout {name}.key -out {name}.pem"
            ));
            if !made {
                eprintln!("SKIPPED: openssl is not installed");
                return None;
            }
        }
        authority.sign("server", "subjectAltName=DNS:localhost", "2");
        authority.sign("elsewhere", "subjectAltName=DNS:broker.example", "2");
        authority.sign("old", "subjectAltName=DNS:localhost", "-1");
        authority.sign("gateway", "extendedKeyUsage=clientAuth", "2");
        Some(authority)
    }

    fn sign(&self, name: &str, extension: &str, days: &str) {
        std::fs::write(
            self.files.path().join("extension"),
            format!("basicConstraints=CA:FALSE\n{extension}\n"),
        )
        .unwrap();
        assert!(self.openssl(&format!(
            "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} -keyout {name}.key \
             -out {name}.csr"
        )));
        assert!(self.openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days {days} -extfile extension \
             -out {name}.pem"
        )));
    }

    fn openssl(&self, arguments: &str) -> bool {
        let mut command = Command::new("openssl");
        command.args(arguments.split_whitespace()).current_dir(self.files.path());
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.files.path().join(name)).unwrap()
    }

    fn trust(&self, authority: &str) -> Tls {
        Tls::new(&self.read(authority), None).unwrap()
    }

    fn identity(&self, name: &str, key: &str) -> Result<Tls, TlsError> {
        let (certificates, key) = (self.read(&format!("{name}.pem")), self.read(key));
        Tls::new(&self.read("ca.pem"), Some(Identity { certificates: &certificates, key: &key }))
    }

    /// A broker that shows the certificate `name`.
    async fn broker(&self, name: &str, lines: &str) -> Option<Mosquitto> {
        let folder = self.files.path().display();
        let lines = format!(
            "cafile {folder}/ca.pem\ncertfile {folder}/{name}.pem\nkeyfile {folder}/{name}.key\n{lines}"
        );
        Mosquitto::start_with(free_port(), &lines, tempfile::tempdir().unwrap()).await
    }
}

fn settings(broker: &Mosquitto, host: &str, tls: Tls) -> Settings {
    Settings::new(&format!("mqtts://{host}:{}", broker.port), "secure", Some(tls)).unwrap()
}

/// Why this connection is not made.
async fn refusal(settings: Settings) -> String {
    match Client::with(settings).event().await {
        Event::Lost { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_encrypted_connection_is_made_with_a_broker_that_our_authority_vouches_for() {
    let Some(authority) = Authority::new() else { return };
    let Some(broker) = authority.broker("server", "allow_anonymous true\n").await else { return };
    let mut client = Client::with(settings(&broker, "localhost", authority.trust("ca.pem")));
    client.connected().await;
    client.publish(1, "a", "x").await;
    assert!(matches!(client.event().await, Event::Published(_)));
}

#[tokio::test]
async fn each_fault_of_the_broker_s_certificate_is_named() {
    let Some(authority) = Authority::new() else { return };
    let Some(broker) = authority.broker("server", "allow_anonymous true\n").await else { return };
    let unknown = refusal(settings(&broker, "localhost", authority.trust("other-ca.pem"))).await;
    assert!(unknown.contains("no authority that we trust") && unknown.contains("mqtt.ca_file"), "{unknown}");
    let by_address = refusal(settings(&broker, "127.0.0.1", authority.trust("ca.pem"))).await;
    assert!(by_address.contains("not for \"127.0.0.1\""), "{by_address}");
    let Some(broker) = authority.broker("elsewhere", "allow_anonymous true\n").await else { return };
    let name = refusal(settings(&broker, "localhost", authority.trust("ca.pem"))).await;
    assert!(name.contains("not for \"localhost\"") && name.contains("broker.example"), "{name}");
    let Some(broker) = authority.broker("old", "allow_anonymous true\n").await else { return };
    let old = refusal(settings(&broker, "localhost", authority.trust("ca.pem"))).await;
    assert!(old.contains("expired"), "{old}");
    let Some(plain) = Mosquitto::start().await else { return };
    let plain = refusal(settings(&plain, "localhost", authority.trust("ca.pem"))).await;
    assert!(plain.contains("port for mqtts://"), "{plain}");
}

#[tokio::test]
async fn a_client_certificate_lets_in_and_its_lack_is_named_under_tls_1_2_and_1_3() {
    let Some(authority) = Authority::new() else { return };
    for version in ["tlsv1.2", "tlsv1.3"] {
        let lines =
            format!("require_certificate true\nuse_identity_as_username true\ntls_version {version}\n");
        let Some(broker) = authority.broker("server", &lines).await else { return };
        let known = authority.identity("gateway", "gateway.key").unwrap();
        Client::with(settings(&broker, "localhost", known)).connected().await;
        let without = refusal(settings(&broker, "localhost", authority.trust("ca.pem"))).await;
        assert!(without.contains("mqtt.client_cert_file"), "{version}: {without}");
    }
}

#[tokio::test]
async fn keys_of_every_pem_form_are_taken_and_a_strange_one_is_refused() {
    let Some(authority) = Authority::new() else { return };
    assert_eq!(authority.identity("gateway", "server.key"), Err(TlsError::Mismatch));
    assert!(authority.openssl("ec -in gateway.key -out sec1.key"));
    assert!(authority.read("sec1.key").starts_with(b"-----BEGIN EC PRIVATE KEY"));
    authority.identity("gateway", "sec1.key").unwrap();
    assert!(
        authority.openssl("req -x509 -newkey rsa:2048 -nodes -subj /CN=rsa -keyout rsa.key -out rsa.pem")
    );
    assert!(authority.openssl("rsa -in rsa.key -traditional -out pkcs1.key"));
    assert!(authority.read("pkcs1.key").starts_with(b"-----BEGIN RSA PRIVATE KEY"));
    authority.identity("rsa", "rsa.key").unwrap();
    authority.identity("rsa", "pkcs1.key").unwrap();
    assert!(authority.openssl("pkey -in gateway.key -aes128 -passout pass:x -out locked.key"));
    assert!(matches!(authority.identity("gateway", "locked.key"), Err(TlsError::Key(_))));
    assert!(matches!(authority.identity("gateway", "gateway.pem"), Err(TlsError::Key(_))));
}

#[tokio::test]
async fn a_wrong_password_is_named_and_the_right_one_lets_in() {
    let files = tempfile::tempdir().unwrap();
    let passwords = files.path().join("passwords");
    if !made_password(&passwords) {
        eprintln!("SKIPPED: mosquitto_passwd is not installed");
        return;
    }
    let lines = format!("allow_anonymous false\npassword_file {}\n", passwords.display());
    let Some(broker) = Mosquitto::start_with(free_port(), &lines, files).await else { return };
    let with = |password: &str| {
        let settings = Settings::new(&format!("mqtt://127.0.0.1:{}", broker.port), "known", None).unwrap();
        let credentials = Credentials { user: "gateway".to_owned(), password: password.to_owned() };
        settings.with_credentials(credentials).unwrap()
    };
    Client::with(with("right")).connected().await;
    let wrong = refusal(with("wrong")).await;
    assert!(wrong.contains("password"), "{wrong}");
}

fn made_password(file: &Path) -> bool {
    let mut command = Command::new("mosquitto_passwd");
    command.args(["-c", "-b"]).arg(file).args(["gateway", "right"]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
