//! Where the broker is and who we are there, checked before rumqttc sees it: it panics where we refuse.

use std::time::Duration;

/// Port of MQTT over TCP (IANA).
const DEFAULT_PORT: u16 = 1883;
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
    /// How we prove it.
    pub(super) credentials: Option<Credentials>,
    /// The broker shall remember us.
    pub(super) has_session: bool,
    /// Longest silence before a ping.
    pub(super) keep_alive: Duration,
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
    /// Another scheme than `mqtt`.
    #[error("the URL must start with mqtt:// (TLS and WebSocket are not supported)")]
    Scheme,
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
}

impl Settings {
    /// From a URL such as `mqtt://127.0.0.1:1883` or `mqtt://user:secret@broker`, and a client id.
    ///
    /// # Errors
    /// The URL or the client id cannot be used.
    pub fn new(url: &str, client_id: &str) -> Result<Self, SettingsError> {
        let rest = url.strip_prefix("mqtt://").ok_or(SettingsError::Scheme)?;
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
        Ok(Self {
            host,
            port,
            client_id: client_id.to_owned(),
            credentials: user_info.map(credentials).transpose()?,
            has_session: true,
            keep_alive: Duration::from_secs(30),
        })
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

fn host_and_port(address: &str) -> Result<(String, u16), SettingsError> {
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
    let port = match port {
        None => DEFAULT_PORT,
        Some(text) => {
            text.parse().ok().filter(|port| *port != 0).ok_or_else(|| SettingsError::Port(text.to_owned()))?
        }
    };
    Ok((host.to_owned(), port))
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
        Settings::new(url, "nbgate").map(|settings| settings.address())
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
        assert_eq!(address("mqtts://h"), Err(SettingsError::Scheme));
        assert_eq!(address("h:1883"), Err(SettingsError::Scheme));
        assert_eq!(address("mqtt://:1883"), Err(SettingsError::Host));
        assert_eq!(address("mqtt://h:0"), Err(SettingsError::Port("0".to_owned())));
        assert_eq!(address("mqtt://h:66000"), Err(SettingsError::Port("66000".to_owned())));
        assert_eq!(address("mqtt://h/x"), Err(SettingsError::Rest("/x".to_owned())));
        assert_eq!(address("mqtt://[::1]x"), Err(SettingsError::Rest("x".to_owned())));
        assert_eq!(Settings::new("mqtt://h", ""), Err(SettingsError::ClientId));
        let settings = Settings::new("mqtt://h", "x").unwrap();
        assert_eq!(settings.with_keep_alive(Duration::from_millis(999)), Err(SettingsError::KeepAlive));
    }

    #[test]
    fn credentials_are_decoded_and_never_shown() {
        let settings = Settings::new("mqtt://me:p%40ss%3A@h", "x").unwrap();
        let credentials = settings.credentials.clone().unwrap();
        assert_eq!((credentials.user.as_str(), credentials.password.as_str()), ("me", "p@ss:"));
        assert!(!format!("{settings:?}").contains("p@ss"));
        assert_eq!(Settings::new("mqtt://me:%4@h", "x"), Err(SettingsError::Credentials));
    }
}
