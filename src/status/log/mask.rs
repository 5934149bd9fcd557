//! What no line of the log may show: secrets, passwords in URLs, and the numbers of modem, subscriber and SIM.

use crate::at::Redacted;

/// Shorter ones would mask half of every line.
const LEAST_SECRET_CHARS: usize = 4;
/// Secrets that can be known; a gateway has a handful. Further ones are not taken.
const MAX_SECRETS: usize = 32;
/// In place of a secret.
const MASKED: &str = "***";

/// The secrets of this process, and the patterns of any.
#[derive(Debug, Default)]
pub(super) struct Mask {
    secrets: Vec<String>,
}

impl Mask {
    pub(super) fn hide(&mut self, secret: &str) {
        let is_known = self.secrets.iter().any(|known| known == secret);
        if secret.chars().count() >= LEAST_SECRET_CHARS && !is_known && self.secrets.len() < MAX_SECRETS {
            self.secrets.push(secret.to_owned());
            // One that contains another goes first, else its rest would stay.
            self.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        }
    }

    /// The text as it may be shown.
    pub(super) fn apply(&self, text: &str) -> String {
        let hidden = self.secrets.iter().filter(|secret| text.contains(secret.as_str()));
        let text = hidden.fold(without_passwords(text), |text, secret| text.replace(secret, MASKED));
        Redacted(&text).to_string()
    }
}

/// `mqtt://user:password@host` without the password.
fn without_passwords(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let authority =
            after.find(|c: char| c.is_whitespace() || "/?#\"'".contains(c)).unwrap_or(after.len());
        rest = after;
        let Some(at) = after[..authority].rfind('@') else { continue };
        if let Some((user, _)) = after[..at].split_once(':') {
            shown.push_str(user);
            shown.push(':');
            shown.push_str(MASKED);
            rest = &after[at..];
        }
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_passwords_in_urls_and_identities_are_masked() {
        let mut mask = Mask::default();
        mask.hide("hunter2");
        mask.hide("hunter2-and-more");
        mask.hide("abc");
        for (text, shown) in [
            ("password hunter2 and hunter2-and-more", "password *** and ***"),
            ("abc stays", "abc stays"),
            ("urn:imei:351358815178345", "urn:imei:***********8345"),
            (
                "mqtts://u:p:q@h:8883/x mqtt://u@h mqtt://h/a@b:c",
                "mqtts://u:***@h:8883/x mqtt://u@h mqtt://h/a@b:c",
            ),
            ("coap://[2001:db8::1]:5683", "coap://[2001:db8::1]:5683"),
            ("", ""),
        ] {
            assert_eq!(mask.apply(text), shown);
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_no_secret_is_shown(text in ".{0,40}", secret in "[a-z]{4,8}", behind in ".{0,40}") {
            let mut mask = Mask::default();
            mask.hide(&secret);
            let shown = mask.apply(&format!("{text}{secret}{behind}"));
            prop_assert!(!shown.contains(&secret));
        }
    }
}
