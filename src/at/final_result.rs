//! Final results: the line that ends the answer to a command (V.250 §5.7, TS 27.007 §9.2, TS 27.005 §3.2.5).

use std::fmt;

/// The line that ended an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinalResult {
    /// `OK`.
    Ok,
    /// `SEND OK`: the modem has taken the payload.
    SendOk,
    /// `SEND FAIL`: it has not; its buffer is full.
    SendFail,
    /// `ERROR`, no reason given.
    Error,
    /// `+CME ERROR: …`, about the equipment or the network.
    CmeError(ErrorCode),
    /// `+CMS ERROR: …`, about messages.
    CmsError(ErrorCode),
    /// `NO CARRIER`.
    NoCarrier,
    /// `NO DIALTONE`.
    NoDialtone,
    /// `BUSY`.
    Busy,
    /// `NO ANSWER`.
    NoAnswer,
    /// `ABORTED`.
    Aborted,
    /// `COMMAND NOT SUPPORT`, so spelt.
    CommandNotSupported,
    /// `TOO MANY PARAMETERS`.
    TooManyParameters,
}

/// The reason inside `+CME ERROR` and `+CMS ERROR`: a number (`AT+CMEE=1`) or words (`AT+CMEE=2`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorCode {
    /// Number of TS 27.007 §9.2 or TS 27.005 §3.2.5; makers' own start near 500.
    Number(u16),
    /// Words, as the modem wrote them.
    Text(String),
}

impl FinalResult {
    /// `None` when the line ends no answer.
    pub fn parse(line: &str) -> Option<Self> {
        let line = line.trim();
        Some(match line {
            "OK" => Self::Ok,
            "SEND OK" => Self::SendOk,
            "SEND FAIL" => Self::SendFail,
            "ERROR" => Self::Error,
            "NO CARRIER" => Self::NoCarrier,
            "NO DIALTONE" => Self::NoDialtone,
            "BUSY" => Self::Busy,
            "NO ANSWER" => Self::NoAnswer,
            "ABORTED" => Self::Aborted,
            "COMMAND NOT SUPPORT" => Self::CommandNotSupported,
            "TOO MANY PARAMETERS" => Self::TooManyParameters,
            _ => {
                if let Some(code) = line.strip_prefix("+CME ERROR:") {
                    Self::CmeError(ErrorCode::parse(code))
                } else {
                    Self::CmsError(ErrorCode::parse(line.strip_prefix("+CMS ERROR:")?))
                }
            }
        })
    }

    /// `OK` and `SEND OK`; everything else is a refusal.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Ok | Self::SendOk)
    }

    /// The number of a `+CME ERROR`, also where the modem wrote the words instead.
    pub fn cme_number(&self) -> Option<u16> {
        match self {
            Self::CmeError(ErrorCode::Number(number)) => Some(*number),
            Self::CmeError(ErrorCode::Text(text)) => number_of(text),
            _ => None,
        }
    }

    /// A dead data call says so unasked; the result of the command in flight may still follow.
    pub(super) fn may_precede_the_real_one(&self) -> bool {
        matches!(self, Self::NoCarrier | Self::NoDialtone | Self::Busy | Self::NoAnswer)
    }
}

impl fmt::Display for FinalResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("OK"),
            Self::SendOk => f.write_str("SEND OK"),
            Self::SendFail => f.write_str("SEND FAIL"),
            Self::Error => f.write_str("ERROR"),
            Self::CmeError(ErrorCode::Number(n)) => with_words(f, "+CME ERROR", *n, cme_words(*n)),
            Self::CmsError(ErrorCode::Number(n)) => with_words(f, "+CMS ERROR", *n, cms_words(*n)),
            Self::CmeError(ErrorCode::Text(text)) => write!(f, "+CME ERROR: {text}"),
            Self::CmsError(ErrorCode::Text(text)) => write!(f, "+CMS ERROR: {text}"),
            Self::NoCarrier => f.write_str("NO CARRIER"),
            Self::NoDialtone => f.write_str("NO DIALTONE"),
            Self::Busy => f.write_str("BUSY"),
            Self::NoAnswer => f.write_str("NO ANSWER"),
            Self::Aborted => f.write_str("ABORTED"),
            Self::CommandNotSupported => f.write_str("COMMAND NOT SUPPORT"),
            Self::TooManyParameters => f.write_str("TOO MANY PARAMETERS"),
        }
    }
}

impl ErrorCode {
    fn parse(text: &str) -> Self {
        let text = text.trim();
        text.parse().map_or_else(|_| Self::Text(text.to_owned()), Self::Number)
    }
}

fn with_words(f: &mut fmt::Formatter<'_>, kind: &str, number: u16, words: Option<&str>) -> fmt::Result {
    match words {
        Some(words) => write!(f, "{kind}: {number} ({words})"),
        None => write!(f, "{kind}: {number}"),
    }
}

/// Modems differ in case and blanks of the same words. Of two numbers with the same words the newer one (171, not 151).
fn number_of(text: &str) -> Option<u16> {
    let letters = |words: &str| -> String {
        words.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
    };
    let wanted = letters(text);
    CME_WORDS.iter().rev().find(|(_, words)| letters(words) == wanted).map(|(number, _)| *number)
}

fn cme_words(number: u16) -> Option<&'static str> {
    CME_WORDS.iter().find(|(n, _)| *n == number).map(|(_, words)| *words)
}

fn cms_words(number: u16) -> Option<&'static str> {
    CMS_WORDS.iter().find(|(n, _)| *n == number).map(|(_, words)| *words)
}

/// TS 27.007 §9.2. From 103 the numbers are the causes of TS 24.008 and TS 24.301 plus 100.
const CME_WORDS: &[(u16, &str)] = &[
    (0, "phone failure"),
    (1, "no connection to phone"),
    (2, "phone-adaptor link reserved"),
    (3, "operation not allowed"),
    (4, "operation not supported"),
    (5, "PH-SIM PIN required"),
    (6, "PH-FSIM PIN required"),
    (7, "PH-FSIM PUK required"),
    (10, "SIM not inserted"),
    (11, "SIM PIN required"),
    (12, "SIM PUK required"),
    (13, "SIM failure"),
    (14, "SIM busy"),
    (15, "SIM wrong"),
    (16, "incorrect password"),
    (17, "SIM PIN2 required"),
    (18, "SIM PUK2 required"),
    (20, "memory full"),
    (21, "invalid index"),
    (22, "not found"),
    (23, "memory failure"),
    (24, "text string too long"),
    (25, "invalid characters in text string"),
    (26, "dial string too long"),
    (27, "invalid characters in dial string"),
    (30, "no network service"),
    (31, "network timeout"),
    (32, "network not allowed - emergency calls only"),
    (40, "network personalization PIN required"),
    (41, "network personalization PUK required"),
    (42, "network subset personalization PIN required"),
    (43, "network subset personalization PUK required"),
    (44, "service provider personalization PIN required"),
    (45, "service provider personalization PUK required"),
    (46, "corporate personalization PIN required"),
    (47, "corporate personalization PUK required"),
    (48, "hidden key required"),
    (49, "EAP method not supported"),
    (50, "incorrect parameters"),
    (51, "command implemented but currently disabled"),
    (52, "command aborted by user"),
    (53, "not attached to network due to MT functionality restrictions"),
    (54, "modem not allowed - MT restricted to emergency calls only"),
    (55, "operation not allowed because of MT functionality restrictions"),
    (56, "fixed dial number only allowed"),
    (57, "temporarily out of service"),
    (58, "language/alphabet not supported"),
    (59, "unexpected data value"),
    (60, "system failure"),
    (61, "data missing"),
    (62, "call barred"),
    (63, "message waiting indication subscription failure"),
    (100, "unknown"),
    (103, "illegal MS"),
    (106, "illegal ME"),
    (107, "GPRS services not allowed"),
    (108, "GPRS services and non-GPRS services not allowed"),
    (111, "PLMN not allowed"),
    (112, "location area not allowed"),
    (113, "roaming not allowed in this location area"),
    (114, "GPRS services not allowed in this PLMN"),
    (115, "no suitable cells in location area"),
    (117, "network failure"),
    (119, "ESM failure"),
    (122, "congestion"),
    (126, "insufficient resources"),
    (127, "missing or unknown APN"),
    (128, "unknown PDP address or PDP type"),
    (129, "user authentication failed"),
    (130, "activation rejected by gateway"),
    (131, "activation rejected, unspecified"),
    (132, "service option not supported"),
    (133, "requested service option not subscribed"),
    (134, "service option temporarily out of order"),
    (135, "NSAPI or PTI already in use"),
    (136, "regular deactivation"),
    (137, "QoS not accepted"),
    (143, "unknown PDP context"),
    (148, "unspecified GPRS error"),
    (149, "PDP authentication failure"),
    (150, "invalid mobile class"),
    (151, "last PDN disconnection not allowed"),
    (171, "last PDN disconnection not allowed"),
    (172, "semantically incorrect message"),
    (173, "mandatory information element error"),
    (174, "message type not implemented"),
    (175, "conditional information element error"),
    (176, "unspecified protocol error"),
    (177, "operator determined barring"),
    (178, "maximum number of bearers reached"),
    (179, "requested APN not supported"),
    (182, "control plane data congestion"),
    (190, "network failure on activation"),
    (191, "reactivation requested"),
    (192, "PDN type IPv4 only allowed"),
    (193, "PDN type IPv6 only allowed"),
    (194, "single address bearers only allowed"),
    (196, "PDN type IPv4v6 only allowed"),
    (197, "PDN type non-IP only allowed"),
    (202, "PDN connection does not exist"),
    (203, "multiple PDN connections for a given APN not allowed"),
];

/// TS 27.005 §3.2.5; below 300 stand the network's causes.
const CMS_WORDS: &[(u16, &str)] = &[
    (300, "ME failure"),
    (301, "SMS service of ME reserved"),
    (302, "operation not allowed"),
    (303, "operation not supported"),
    (304, "invalid PDU mode parameter"),
    (305, "invalid text mode parameter"),
    (310, "SIM not inserted"),
    (311, "SIM PIN required"),
    (312, "PH-SIM PIN required"),
    (313, "SIM failure"),
    (314, "SIM busy"),
    (315, "SIM wrong"),
    (316, "SIM PUK required"),
    (317, "SIM PIN2 required"),
    (318, "SIM PUK2 required"),
    (320, "memory failure"),
    (321, "invalid memory index"),
    (322, "memory full"),
    (330, "SMSC address unknown"),
    (331, "no network service"),
    (332, "network timeout"),
    (340, "no acknowledgement expected"),
    (500, "unknown error"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_are_read_with_or_without_a_blank() {
        let busy = FinalResult::CmeError(ErrorCode::Number(14));
        assert_eq!(FinalResult::parse("+CME ERROR: 14"), Some(busy.clone()));
        assert_eq!(FinalResult::parse("+CME ERROR:14"), Some(busy));
        let words = FinalResult::parse("+CME ERROR: SIM busy").unwrap();
        assert_eq!(words, FinalResult::CmeError(ErrorCode::Text("SIM busy".into())));
        assert_eq!(words.cme_number(), Some(14));
        assert_eq!(FinalResult::parse("+CME ERROR: sim  BUSY").unwrap().cme_number(), Some(14));
        assert_eq!(
            FinalResult::parse("+CMS ERROR: 500"),
            Some(FinalResult::CmsError(ErrorCode::Number(500)))
        );
    }

    #[test]
    fn a_number_too_large_is_kept_as_text() {
        let result = FinalResult::parse("+CME ERROR: 99999999").unwrap();
        assert_eq!(result, FinalResult::CmeError(ErrorCode::Text("99999999".into())));
        assert_eq!(result.cme_number(), None);
    }

    #[test]
    fn a_number_is_shown_with_its_words() {
        assert_eq!(
            FinalResult::parse("+CME ERROR: 10").unwrap().to_string(),
            "+CME ERROR: 10 (SIM not inserted)"
        );
        assert_eq!(FinalResult::parse("+CME ERROR: 563").unwrap().to_string(), "+CME ERROR: 563");
        assert_eq!(FinalResult::parse("+CMS ERROR: 314").unwrap().to_string(), "+CMS ERROR: 314 (SIM busy)");
    }

    #[test]
    fn every_final_word_is_shown_as_it_is_read() {
        for word in [
            "OK",
            "SEND OK",
            "SEND FAIL",
            "ERROR",
            "NO CARRIER",
            "NO DIALTONE",
            "BUSY",
            "NO ANSWER",
            "ABORTED",
            "COMMAND NOT SUPPORT",
            "TOO MANY PARAMETERS",
        ] {
            let result = FinalResult::parse(word).unwrap();
            assert_eq!(result.to_string(), word);
            assert_eq!(result.is_success(), word.ends_with("OK"));
        }
    }

    #[test]
    fn other_lines_end_nothing() {
        for line in ["", "RDY", "OKAY", "CLOSE OK", "+CSQ: 17,99", "+CME", "> "] {
            assert_eq!(FinalResult::parse(line), None, "{line}");
        }
    }

    #[test]
    fn the_tables_are_in_order_without_doubles() {
        assert!(CME_WORDS.is_sorted_by(|a, b| a.0 < b.0));
        assert!(CMS_WORDS.is_sorted_by(|a, b| a.0 < b.0));
    }
}
