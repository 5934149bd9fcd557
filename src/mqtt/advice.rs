//! What the broker should be told about us, as lines for mosquitto's files (mosquitto.conf(5)).

use super::{MAX_UNACKNOWLEDGED_OCTETS, Settings};

/// Messages under way to us before our acknowledgement: mosquitto's own 20 would cost a round trip for every 20.
const MAX_INFLIGHT: usize = 100;
/// What the broker may keep for us while we are away, in octets.
const MAX_QUEUED_OCTETS: usize = 32 * MAX_UNACKNOWLEDGED_OCTETS;

/// Lines for `acl_file`: what we read and write, and nothing else.
pub fn access_list<'a>(
    settings: &'a Settings,
    reads: impl IntoIterator<Item = &'a str>,
    writes: impl IntoIterator<Item = &'a str>,
) -> String {
    let mut lines = match (settings.user(), settings.has_identity) {
        (Some(user), _) => vec![format!("user {user}")],
        (None, true) => vec![
            "# With use_identity_as_username the user is the common name (CN) of the client certificate:".to_owned(),
            "user CN_OF_THE_CLIENT_CERTIFICATE".to_owned(),
        ],
        (None, false) => vec![
            "# Without mqtt.user these are the rights of every client without a name; they stand before any \"user\"."
                .to_owned(),
        ],
    };
    lines.extend(reads.into_iter().map(|filter| format!("topic read {filter}")));
    lines.extend(
        writes.into_iter().chain(settings.status_topic()).map(|filter| format!("topic write {filter}")),
    );
    lines.join("\n")
}

/// Lines for `mosquitto.conf`, so that nothing is lost while we are away or slow.
pub fn queue_settings(settings: &Settings) -> String {
    if !settings.has_session {
        return "# without mqtt.persistent_session the broker keeps nothing for us".to_owned();
    }
    format!(
        "# Its own limit of 1000 messages drops further ones without a word; 0: none but that of the octets.\n\
         max_queued_messages 0\n\
         max_queued_bytes {MAX_QUEUED_OCTETS}\n\
         max_inflight_messages {MAX_INFLIGHT}\n\
         # Sessions and retained messages outlive the broker, too.\n\
         persistence true"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::Credentials;

    fn settings() -> Settings {
        Settings::new("mqtt://h", "gateway", None).unwrap().with_status_topic("nbgate/status").unwrap()
    }

    #[test]
    fn the_access_list_names_the_user_and_grants_what_is_needed() {
        let credentials = Credentials { user: "gateway".to_owned(), password: String::new() };
        let settings = settings().with_credentials(credentials).unwrap();
        assert_eq!(
            access_list(&settings, ["sensors/+/t"], ["lamps/+/set"]),
            "user gateway\ntopic read sensors/+/t\ntopic write lamps/+/set\ntopic write nbgate/status"
        );
    }

    #[test]
    fn the_file_of_the_package_says_the_same() {
        let file = include_str!("../../systemd/mosquitto.conf");
        let advice = queue_settings(&settings());
        for line in advice.lines().filter(|line| !line.starts_with('#')) {
            assert!(file.lines().any(|there| there == line), "{line}");
        }
    }

    #[test]
    fn without_a_name_the_list_says_whose_rights_these_are() {
        assert!(access_list(&settings(), [], []).starts_with("# Without mqtt.user"));
        assert!(queue_settings(&settings().without_session()).starts_with('#'));
    }
}
