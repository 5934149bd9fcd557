//! Where the broker is and who we are there, checked before rumqttc sees it: it panics where we refuse.

use std::time::Duration;

use super::Tls;

/// Port of MQTT over TCP (IANA).
const DEFAULT_PORT: u16 = 1883;
/// Port of MQTT over TLS (IANA).
const DEFAULT_TLS_PORT: u16 = 8883;
/// How URLs begin where the connection is encrypted.
const TLS_SCHEME: &str = "mqtts://";
/// Shorter keep-alives make rumqttc panic, and the protocol counts in seconds.
const MIN_KEEP_ALIVE: Duration = Duration::from_secs(1);
/// The protocol has 16 bits for it.
const MAX_KEEP_ALIVE: Duration = Duration::from_secs(65_535);

/// Settings of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Host name or address.
    pub(super) host: String,
    /// TCP port.
    pub(super) port: u16,
    /// Our name at the broker, not empty.
    pub(super) client_id: String,
    /// `mqtts://`.
    pub(super) tls: Option<Tls>,
    /// A client certificate is shown.
    pub(super) has_identity: bool,
    /// How we prove who we are.
    pub(super) credentials: Option<Credentials>,
    /// The broker shall remember us.
    pub(super) has_session: bool,
    /// Longest silence before a ping.
    pub(super) keep_alive: Duration,
    /// Where our status stands, retained.
    pub(super) status_topic: Option<String>,
}

/// User name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub user: String,
    /// Password; never shown.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Another scheme than `mqtt` and `mqtts`.
    #[error("the URL must start with mqtt:// or mqtts:// (WebSocket is not supported)")]
    Scheme,
    /// `mqtts` without what TLS needs, or the other way round.
    #[error("mqtts:// goes with TLS, and mqtt:// without")]
    Tls,
    /// No host between scheme and port.
    #[error("the URL names no host")]
    Host,
    /// The port is no number from 1 to 65535.
    #[error("{0:?} is no port")]
    Port(String),
    /// Something follows host and port.
    #[error("the URL ends after the port; {0:?} has no meaning here")]
    Rest(String),
    /// A percent sign without two hexadecimal digits, or a result that is not UTF-8.
    #[error("user name or password is not well percent-encoded")]
    Credentials,
    /// An empty client id cannot have a session.
    #[error("the client id is empty")]
    ClientId,
    /// Outside 1 s to 65535 s.
    #[error("the keep-alive must be 1 s to 65535 s")]
    KeepAlive,
    /// Empty, with wildcards, or longer than the protocol allows.
    #[error("{0:?} is no topic to publish to")]
    StatusTopic(String),
    /// The URL names a user already.
    #[error("the URL names a user, too")]
    TwoUsers,
}

impl Settings {
    /// From a URL such as `mqtt://127.0.0.1:1883` or `mqtt://user:secret@broker`, and a client id. A URL that starts
    /// with `mqtts://` wants `tls`.
    ///
    /// # Errors
    /// The URL or the client id cannot be used.
    pub fn new(url: &str, client_id: &str, tls: Option<Tls>) -> Result<Self, SettingsError> {
        let (rest, default_port) = match url.strip_prefix(TLS_SCHEME) {
            Some(rest) => (rest, DEFAULT_TLS_PORT),
            None => (url.strip_prefix("mqtt://").ok_or(SettingsError::Scheme)?, DEFAULT_PORT),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if let Some(end) = rest.find(['/', '?', '#']) {
            return Err(SettingsError::Rest(rest.get(end..).unwrap_or_default().to_owned()));
        }
        let (user_info, address) =
            rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
        let (host, port) = host_and_port(address)?;
        if client_id.is_empty() {
            return Err(SettingsError::ClientId);
        }
        let credentials = user_info.map(credentials).transpose()?;
        if Self::wants_tls(url) != tls.is_some() {
            return Err(SettingsError::Tls);
        }
        let has_identity = tls.as_ref().is_some_and(Tls::has_identity);
        Ok(Self {
            host,
            port: port.unwrap_or(default_port),
            client_id: client_id.to_owned(),
            tls,
            has_identity,
            credentials,
            has_session: true,
            keep_alive: Duration::from_secs(30),
            status_topic: None,
        })
    }

    /// The URL asks for an encrypted connection.
    pub fn wants_tls(url: &str) -> bool {
        url.starts_with(TLS_SCHEME)
    }

    /// With user name and password.
    ///
    /// # Errors
    /// The URL had them already.
    pub fn with_credentials(self, credentials: Credentials) -> Result<Self, SettingsError> {
        match self.credentials {
            Some(_) => Err(SettingsError::TwoUsers),
            None => Ok(Self { credentials: Some(credentials), ..self }),
        }
    }

    /// With a topic that always says how we are: what [`super::Order::Status`] gave last, and the last will while we
    /// are away.
    ///
    /// # Errors
    /// Nothing can be published there.
    pub fn with_status_topic(self, topic: &str) -> Result<Self, SettingsError> {
        let is_topic = !topic.is_empty()
            && topic.len() <= usize::from(u16::MAX)
            && !topic.contains('\0')
            && rumqttc::valid_topic(topic);
        match is_topic {
            true => Ok(Self { status_topic: Some(topic.to_owned()), ..self }),
            false => Err(SettingsError::StatusTopic(topic.to_owned())),
        }
    }

    /// Our name at the broker.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The user name that we give.
    pub fn user(&self) -> Option<&str> {
        self.credentials.as_ref().map(|credentials| credentials.user.as_str())
    }

    /// Where our status stands.
    pub fn status_topic(&self) -> Option<&str> {
        self.status_topic.as_deref()
    }

    /// Without a session: what the broker could not deliver is lost, and nothing of us stays there.
    #[must_use]
    pub fn without_session(self) -> Self {
        Self { has_session: false, ..self }
    }

    /// What must not be shown anywhere.
    pub fn password(&self) -> Option<&str> {
        self.credentials.as_ref().map(|credentials| credentials.password.as_str())
    }

    /// With another keep-alive than 30 s.
    ///
    /// # Errors
    /// It is outside of what the protocol can say.
    pub fn with_keep_alive(self, keep_alive: Duration) -> Result<Self, SettingsError> {
        if !(MIN_KEEP_ALIVE..=MAX_KEEP_ALIVE).contains(&keep_alive) {
            return Err(SettingsError::KeepAlive);
        }
        Ok(Self { keep_alive, ..self })
    }

    /// `host:port`, for the log.
    pub fn address(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

fn host_and_port(address: &str) -> Result<(String, Option<u16>), SettingsError> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']').ok_or(SettingsError::Host)?;
            let port = behind.strip_prefix(':');
            if port.is_none() && !behind.is_empty() {
                return Err(SettingsError::Rest(behind.to_owned()));
            }
            (host, port)
        }
        None => address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return Err(SettingsError::Host);
    }
    let number = |text: &str| {
        text.parse().ok().filter(|port| *port != 0).ok_or_else(|| SettingsError::Port(text.to_owned()))
    };
    Ok((host.to_owned(), port.map(number).transpose()?))
}

fn credentials(user_info: &str) -> Result<Credentials, SettingsError> {
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    Ok(Credentials { user: percent_decoded(user)?, password: percent_decoded(password)? })
}

fn percent_decoded(text: &str) -> Result<String, SettingsError> {
    let mut octets = vec![];
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'%' => {
                let digits =
                    [rest.next(), rest.next()].map(|digit| digit.and_then(|d| char::from(d).to_digit(16)));
                let [Some(high), Some(low)] = digits else { return Err(SettingsError::Credentials) };
                u8::try_from(high * 16 + low).map_err(|_| SettingsError::Credentials)?
            }
            octet => octet,
        });
    }
    String::from_utf8(octets).map_err(|_| SettingsError::Credentials)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Result<String, SettingsError> {
        Settings::new(url, "nbgate", None).map(|settings| settings.address())
    }

    #[test]
    fn urls_give_host_and_port() {
        assert_eq!(address("mqtt://127.0.0.1:1884").unwrap(), "127.0.0.1:1884");
        assert_eq!(address("mqtt://broker.local/").unwrap(), "broker.local:1883");
        assert_eq!(address("mqtt://[::1]:7").unwrap(), "[::1]:7");
        assert_eq!(address("mqtt://[::1]").unwrap(), "[::1]:1883");
    }

    #[test]
    fn what_rumqttc_would_panic_on_or_misread_is_refused() {
        assert_eq!(address("mqtts://h"), Err(SettingsError::Tls));
        assert_eq!(address("ws://h"), Err(SettingsError::Scheme));
        assert_eq!(address("h:1883"), Err(SettingsError::Scheme));
        assert_eq!(address("mqtt://:1883"), Err(SettingsError::Host));
        assert_eq!(address("mqtt://h:0"), Err(SettingsError::Port("0".to_owned())));
        assert_eq!(address("mqtt://h:66000"), Err(SettingsError::Port("66000".to_owned())));
        assert_eq!(address("mqtt://h/x"), Err(SettingsError::Rest("/x".to_owned())));
        assert_eq!(address("mqtt://[::1]x"), Err(SettingsError::Rest("x".to_owned())));
        assert_eq!(Settings::new("mqtt://h", "", None), Err(SettingsError::ClientId));
        let settings = Settings::new("mqtt://h", "x", None).unwrap();
        assert_eq!(settings.with_keep_alive(Duration::from_millis(999)), Err(SettingsError::KeepAlive));
    }

    #[test]
    fn nothing_is_published_to_a_topic_with_wildcards() {
        let settings = Settings::new("mqtt://h", "x", None).unwrap();
        for topic in ["", "a/+", "a/#", "a\0"] {
            let refused = settings.clone().with_status_topic(topic);
            assert_eq!(refused, Err(SettingsError::StatusTopic(topic.to_owned())));
        }
        assert_eq!(settings.with_status_topic("a/b").unwrap().status_topic(), Some("a/b"));
    }

    #[test]
    fn credentials_are_decoded_and_never_shown() {
        let settings = Settings::new("mqtt://me:p%40ss%3A@h", "x", None).unwrap();
        let credentials = settings.credentials.clone().unwrap();
        assert_eq!((credentials.user.as_str(), credentials.password.as_str()), ("me", "p@ss:"));
        assert!(!format!("{settings:?}").contains("p@ss"));
        assert_eq!(settings.with_credentials(credentials), Err(SettingsError::TwoUsers));
        assert_eq!(Settings::new("mqtt://me:%4@h", "x", None), Err(SettingsError::Credentials));
    }
}
