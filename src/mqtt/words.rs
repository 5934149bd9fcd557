//! Why a connection failed, in words for whoever has to mend it.

use std::io;

use rumqttc::{ConnectReturnCode, ConnectionError, StateError, TlsError, mqttbytes};
use rustls::{AlertDescription, CertificateError};

use super::connection::CONNECT_WITHIN_SECS;

/// Of a connection that ended without a word.
pub const CLOSED: &str = "the broker closed it";
/// The same before it was made: so ends what speaks TLS to a port without it, or the other way round.
pub const CLOSED_EARLY: &str = "the broker closed it before it let us in; is this its port for mqtt:// or mqtts://, \
                                as mqtt.url has it?";

/// The same again and again, each time after it was made: so it looks when two clients put each other out.
pub const CLOSED_AGAIN: &str = "the broker closed it again; does another client have our name (mqtt.client_id), or is \
                                a second nbgate running?";

/// The reason behind rumqttc's own words, which are for programmers.
pub fn reason(error: &ConnectionError) -> String {
    match error {
        ConnectionError::MqttState(StateError::ConnectionAborted) => CLOSED.to_owned(),
        ConnectionError::MqttState(StateError::AwaitPingResp) => {
            "the broker did not answer a ping".to_owned()
        }
        ConnectionError::NetworkTimeout => {
            format!("no connection within {CONNECT_WITHIN_SECS} s")
        }
        ConnectionError::FlushTimeout => format!("the broker took nothing for {CONNECT_WITHIN_SECS} s"),
        ConnectionError::ConnectionRefused(code) => refusal(*code).to_owned(),
        ConnectionError::Tls(TlsError::TLS(error)) => tls(error),
        ConnectionError::Tls(TlsError::Io(error)) if is_closed(error) => {
            "TLS: the broker closed it in the handshake; is this its port for mqtts://?".to_owned()
        }
        ConnectionError::Tls(TlsError::Io(error))
        | ConnectionError::Io(error)
        | ConnectionError::MqttState(
            StateError::Io(error) | StateError::Deserialization(mqttbytes::Error::Io(error)),
        ) => socket(error),
        ConnectionError::MqttState(StateError::Deserialization(_)) | ConnectionError::NotConnAck(_) => {
            format!("what answers there does not speak MQTT 3.1.1: {error}")
        }
        other => other.to_string(),
    }
}

/// A CONNACK other than success (MQTT 3.1.1 §3.2.2.3). Many brokers answer a wrong password with "not authorised".
fn refusal(code: ConnectReturnCode) -> &'static str {
    match code {
        ConnectReturnCode::RefusedProtocolVersion => "the broker does not speak MQTT 3.1.1",
        ConnectReturnCode::BadClientId => "the broker refuses our client id (mqtt.client_id)",
        ConnectReturnCode::ServiceUnavailable => "the broker says that it cannot serve now",
        ConnectReturnCode::BadUserNamePassword => {
            "the broker refuses user name or password (mqtt.user, mqtt.password_file)"
        }
        ConnectReturnCode::NotAuthorized => {
            "the broker does not let us in: check user name, password and client certificate, and what the broker \
             allows to this user"
        }
        ConnectReturnCode::Success => "the broker accepted, and yet did not",
    }
}

/// rustls hides its errors in those of the socket.
fn socket(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (inner, error.kind()) {
        (Some(inner), _) => tls(inner),
        (None, io::ErrorKind::ConnectionRefused) => {
            "nobody listens there: the broker does not run, or on another port".to_owned()
        }
        (None, _) if is_closed(error) => CLOSED.to_owned(),
        _ => error.to_string(),
    }
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    error.get_ref().is_none_or(|inner| !inner.is::<rustls::Error>())
        && matches!(error.kind(), UnexpectedEof | ConnectionReset | BrokenPipe)
}

fn tls(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(why) => certificate(why),
        rustls::Error::AlertReceived(alert) => format!("TLS: {}", told(*alert)),
        rustls::Error::InvalidMessage(_) => {
            "TLS: what answers there does not speak TLS; is this the port for mqtts://?".to_owned()
        }
        other => format!("TLS: {other}"),
    }
}

fn certificate(why: &CertificateError) -> String {
    let words = match why {
        CertificateError::UnknownIssuer => {
            "no authority that we trust has signed the broker's certificate (mqtt.ca_file)"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the broker's certificate, or one above it, has expired; renew it, if this machine's clock is right"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the broker's certificate is not valid yet: this machine's clock is probably wrong"
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            // rustls writes them as `DnsName("host")`.
            let bare = |name: &String| name.split('"').nth(1).unwrap_or(name).to_owned();
            let names = presented.iter().map(bare).collect::<Vec<_>>().join(", ");
            return format!(
                "TLS: the broker's certificate is not for {:?}, the host in mqtt.url, but for: {names}",
                expected.to_str()
            );
        }
        CertificateError::NotValidForName => "the broker's certificate is not for the host in mqtt.url",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the broker's certificate is not one for servers"
        }
        other => return format!("TLS: the broker's certificate cannot be accepted: {other}"),
    };
    format!("TLS: {words}")
}

/// What the broker found wrong (RFC 8446 §6.2).
fn told(alert: AlertDescription) -> String {
    let words = match alert {
        AlertDescription::CertificateRequired => {
            "the broker asks for a client certificate (mqtt.client_cert_file, mqtt.client_key_file)"
        }
        AlertDescription::UnknownCA => {
            "the broker does not know the authority that signed our client certificate"
        }
        AlertDescription::CertificateExpired => "the broker says that our client certificate has expired",
        AlertDescription::CertificateRevoked => "the broker says that our client certificate is revoked",
        AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate => "the broker does not accept our client certificate",
        AlertDescription::ProtocolVersion => "the broker speaks neither TLS 1.2 nor TLS 1.3",
        // What OpenSSL before TLS 1.3 says when the client has no certificate, too.
        AlertDescription::HandshakeFailure => {
            "the broker found nothing in common with us, or misses a client certificate (mqtt.client_cert_file)"
        }
        other => return format!("the broker ended the handshake: {other:?}"),
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_a_foreign_certificate_are_shown_as_one_would_write_them() {
        let error = rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            expected: rustls::pki_types::ServerName::try_from("localhost").unwrap(),
            presented: vec!["DnsName(\"a.example\")".to_owned(), "IpAddress(10.0.0.1)".to_owned()],
        });
        let words = tls(&error);
        assert!(words.ends_with("but for: a.example, IpAddress(10.0.0.1)"), "{words}");
    }

    #[test]
    fn errors_of_tls_are_found_inside_those_of_the_socket() {
        let inner = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let error = ConnectionError::Tls(TlsError::Io(io::Error::new(io::ErrorKind::InvalidData, inner)));
        assert!(reason(&error).contains("mqtt.ca_file"), "{}", reason(&error));
        let inner = rustls::Error::AlertReceived(AlertDescription::CertificateRequired);
        let error = io::Error::new(io::ErrorKind::InvalidData, inner);
        let error = ConnectionError::MqttState(StateError::Deserialization(mqttbytes::Error::Io(error)));
        assert!(reason(&error).contains("mqtt.client_cert_file"), "{}", reason(&error));
    }

    #[test]
    fn a_refusal_names_the_keys_to_look_at() {
        let refused = |code| reason(&ConnectionError::ConnectionRefused(code));
        assert!(refused(ConnectReturnCode::BadUserNamePassword).contains("mqtt.password_file"));
        assert!(refused(ConnectReturnCode::NotAuthorized).contains("password"));
        assert!(refused(ConnectReturnCode::BadClientId).contains("mqtt.client_id"));
    }
}
