//! Answers that every modem gives (TS 27.007), as typed values. Family-specific lines belong to the dialects of `modem`.
//!
//! A reader takes one line, prefix included, and gives `None` for a line that is not of its kind or says nothing. It
//! never panics, and it lets pass what modems in the field get wrong: blanks, missing quotes, fields left out.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::command::Command;
use super::grammar::{self, Field};
use super::types::Line;

/// Lines without a colon that modems print by themselves: at boot and power-down.
const BOOT_WORDS: &[&str] = &[
    "RDY",
    "Ready",
    "APP RDY",
    "SYSSTART",
    "SMS Ready",
    "SMS DONE",
    "PB DONE",
    "Call Ready",
    "NORMAL POWER DOWN",
    "POWERED DOWN",
    "POWER DOWN",
    "Neul",
];

/// Prefixes that carry information only in the answer to a read; otherwise they come unasked.
const ONLY_READ: &[&str] = &["+CEREG", "+CREG", "+CGREG", "+CFUN", "+CPIN", "+CSCON"];

/// Is this line, heard while `command` is in flight, part of its answer? The command's own prefix or none at all makes
/// it so, with the exceptions above.
pub(super) fn is_answer(command: &Command, line: &str) -> bool {
    let Some(prefix) = grammar::prefix(line) else {
        return !grammar::is_marked(line) && !BOOT_WORDS.contains(&line);
    };
    if prefix != command.prefix() {
        return false;
    }
    if !ONLY_READ.contains(&prefix) || command.text().ends_with("=?") {
        return true;
    }
    command.is_read() && registration_form(line) != Some(RegistrationForm::Urc)
}

/// Two shapes of the same line: the answer to a read has one leading field more than the URC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistrationForm {
    /// `+CEREG: <n>,<stat>…`
    Read,
    /// `+CEREG: <stat>…`
    Urc,
}

/// The shape of a registration line, from its fields alone. `None` when it is none, or fits both.
pub fn registration_form(line: &str) -> Option<RegistrationForm> {
    form_of(&registration_fields(line)?)
}

fn registration_fields(line: &str) -> Option<Vec<Field<'_>>> {
    ["+CEREG", "+CGREG", "+CREG"].iter().find_map(|prefix| grammar::params(line, prefix))
}

fn form_of(fields: &[Field<'_>]) -> Option<RegistrationForm> {
    let Some(second) = fields.get(1).filter(|field| !field.is_empty() && !field.is_quoted) else {
        return Some(RegistrationForm::Urc);
    };
    let decimal = second.text.bytes().all(|octet| octet.is_ascii_digit());
    match (decimal, second.text.len()) {
        // `0007` can be a state of a modem that pads, or a tracking area.
        (true, 4) if second.parse().is_some_and(|n: u16| n <= 11) => None,
        (true, 1..=3) if second.parse().is_some_and(|n: u16| n <= 11) => Some(RegistrationForm::Read),
        _ => Some(RegistrationForm::Urc),
    }
}

/// `<stat>` of `+CEREG` (TS 27.007 §10.1.22).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistrationStatus {
    /// 0: not registered, and not searching.
    NotRegistered,
    /// 1: home network.
    Home,
    /// 2: searching.
    Searching,
    /// 3: the network has denied registration.
    Denied,
    /// 4: unknown, mostly out of coverage.
    Unknown,
    /// 5: roaming.
    Roaming,
    /// 6: for SMS only, home network.
    SmsOnlyHome,
    /// 7: for SMS only, roaming.
    SmsOnlyRoaming,
    /// 8: emergency calls only.
    EmergencyOnly,
    /// 9: CSFB not preferred, home network.
    NoCsfbHome,
    /// 10: CSFB not preferred, roaming.
    NoCsfbRoaming,
    /// 11: emergency services.
    EmergencyServices,
}

impl RegistrationStatus {
    fn from_number(number: u16) -> Option<Self> {
        Some(match number {
            0 => Self::NotRegistered,
            1 => Self::Home,
            2 => Self::Searching,
            3 => Self::Denied,
            4 => Self::Unknown,
            5 => Self::Roaming,
            6 => Self::SmsOnlyHome,
            7 => Self::SmsOnlyRoaming,
            8 => Self::EmergencyOnly,
            9 => Self::NoCsfbHome,
            10 => Self::NoCsfbRoaming,
            11 => Self::EmergencyServices,
            _ => return None,
        })
    }

    /// Can it carry data?
    pub fn is_registered(self) -> bool {
        matches!(self, Self::Home | Self::Roaming | Self::NoCsfbHome | Self::NoCsfbRoaming)
    }
}

impl fmt::Display for RegistrationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotRegistered => "not registered, not searching",
            Self::Home => "registered, home network",
            Self::Searching => "searching",
            Self::Denied => "registration denied",
            Self::Unknown => "unknown, or no coverage",
            Self::Roaming => "registered, roaming",
            Self::SmsOnlyHome => "registered for SMS only, home network",
            Self::SmsOnlyRoaming => "registered for SMS only, roaming",
            Self::EmergencyOnly => "emergency calls only",
            Self::NoCsfbHome => "registered without CSFB, home network",
            Self::NoCsfbRoaming => "registered without CSFB, roaming",
            Self::EmergencyServices => "emergency services only",
        })
    }
}

/// What a `+CEREG`, `+CGREG` or `+CREG` line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registration {
    /// Whether and how registered.
    pub stat: RegistrationStatus,
    /// Tracking (or location) area code.
    pub tac: Option<u32>,
    /// Cell identity.
    pub ci: Option<u32>,
    /// Access technology `<AcT>` as the modem numbers it: 7 LTE, 9 NB-IoT; 8 is Cat-M1 on some.
    pub act: Option<u8>,
    /// Why not: an EMM cause, or a number of the maker's own.
    pub cause: Option<RejectCause>,
    /// Granted T3324 as coded in TS 24.008 §10.5.7.4.
    pub active_time: Option<u8>,
    /// Granted T3412 extended as coded in TS 24.008 §10.5.7.4a.
    pub periodic_tau: Option<u8>,
}

/// Reject cause of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RejectCause {
    /// The number is an EMM cause (TS 24.301 §9.9.3.9), not the maker's own.
    pub is_emm: bool,
    /// The cause.
    pub number: u16,
}

impl fmt::Display for RejectCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_emm { "EMM" } else { "the maker's" };
        write!(f, "{kind} {}", self.number)
    }
}

/// Reads `+CEREG`, `+CGREG` or `+CREG` in either form (TS 27.007 §10.1.22).
///
/// `expected` decides where the shape of the line does not. `None` also for a line without a state, which is met and
/// is no error.
pub fn registration(line: &str, expected: RegistrationForm) -> Option<Registration> {
    let fields = registration_fields(line)?;
    let skip = match form_of(&fields).unwrap_or(expected) {
        RegistrationForm::Read => 1,
        RegistrationForm::Urc => 0,
    };
    let (stat, rest) = fields.get(skip..)?.split_first()?;
    let cell = CellFields::find(rest);
    let after_act = |n: usize| rest.get(cell.act? + n).copied();
    let (active_time, periodic_tau) = psm_timers(rest, cell.act);
    Some(Registration {
        stat: RegistrationStatus::from_number(stat.parse()?)?,
        tac: cell.tac.and_then(|at| rest[at].hex()),
        ci: cell.ci.and_then(|at| rest[at].hex()),
        act: cell.act.and_then(|at| rest[at].parse()),
        cause: after_act(1).zip(after_act(2)).and_then(|(kind, number)| {
            Some(RejectCause { is_emm: kind.parse::<u8>()? == 0, number: number.parse()? })
        }),
        active_time,
        periodic_tau,
    })
}

/// Where the cell's fields stand among those after `<stat>`; modems put others between them.
#[derive(Debug, Default)]
struct CellFields {
    tac: Option<usize>,
    ci: Option<usize>,
    act: Option<usize>,
}

impl CellFields {
    fn find(rest: &[Field<'_>]) -> Self {
        let hex_len = |at: usize| {
            let text = rest[at].text;
            text.bytes().all(|octet| octet.is_ascii_hexdigit()).then_some(text.len()).filter(|len| *len > 0)
        };
        // The timers at the end are hex digits too: nothing of the cell stands behind the fourth field.
        let end = rest.len().min(4);
        let Some(tac) = (0..end).find(|at| hex_len(*at).is_some_and(|len| (2..=4).contains(&len))) else {
            return Self::default();
        };
        let is_act =
            |at: &usize| rest[*at].text.len() <= 2 && rest[*at].parse::<u8>().is_some_and(|act| act <= 12);
        let long =
            (tac + 1..end).take_while(|at| !rest[*at].is_empty()).filter(|at| hex_len(*at) >= Some(5)).last();
        let ci = long.or((tac + 1 < end && hex_len(tac + 1).is_some()).then_some(tac + 1));
        let act = ci.map_or(tac, |ci| ci) + 1;
        Self { tac: Some(tac), ci, act: Some(act).filter(|at| *at < rest.len() && is_act(at)) }
    }
}

/// Active-Time and Periodic-TAU, in that order, at the end of the fields after `<stat>`.
fn psm_timers(rest: &[Field<'_>], act: Option<usize>) -> (Option<u8>, Option<u8>) {
    let timer = |at: usize| rest.get(at).and_then(|field| Some(grammar::binary_octet(field.text).ok()?.1));
    if let Some(act) = act {
        return (timer(act + 3), timer(act + 4));
    }
    // Without <AcT> only their place at the end tells them; the cell's three fields come first.
    let last = rest.len().saturating_sub(1);
    if last < 4 { (None, None) } else { (timer(last - 1), timer(last)) }
}

/// State of the SIM (TS 27.007 §8.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SimState {
    /// Nothing more is asked.
    Ready,
    /// The card asks for its PIN. A wrong one must never be repeated: three tries lock the card.
    PinRequired,
    /// The card is locked; only its PUK opens it.
    PukRequired,
    /// Not there yet; normal for some seconds after the radio was switched on.
    NotReady,
    /// No card.
    NotInserted,
    /// Another lock, in the modem's words: `PH-NET PIN`, …
    Other(String),
}

/// Reads `+CPIN: READY` and its like, quoted or not.
pub fn sim_state(line: &str) -> Option<SimState> {
    let text = grammar::value(line, "+CPIN")?.trim_matches('"').trim();
    Some(match text {
        "" => return None,
        "READY" => SimState::Ready,
        "SIM PIN" => SimState::PinRequired,
        "SIM PUK" => SimState::PukRequired,
        "NOT READY" => SimState::NotReady,
        "NOT INSERTED" => SimState::NotInserted,
        other => SimState::Other(other.to_owned()),
    })
}

/// `+COPS` (TS 27.007 §7.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// 0 automatic, 1 manual, 2 deregistered, 4 manual then automatic.
    pub mode: u8,
    /// 0 long name, 1 short name, 2 numeric; `None` when not registered.
    pub format: Option<u8>,
    /// Name, or MCC and MNC as digits.
    pub name: Option<String>,
    /// Access technology as the modem numbers it.
    pub act: Option<u8>,
}

/// Reads `+COPS: <mode>[,<format>,<oper>[,<AcT>]]`.
pub fn operator(line: &str) -> Option<Operator> {
    let fields = grammar::params(line, "+COPS")?;
    Some(Operator {
        mode: fields.first()?.parse()?,
        format: fields.get(1).and_then(Field::parse),
        name: fields.get(2).and_then(|name| name.non_empty()).map(str::to_owned),
        act: fields.get(3).and_then(Field::parse),
    })
}

/// Reads `+CFUN: <n>`: 0 minimum, 1 full, 4 radio off (TS 27.007 §8.2).
pub fn functionality(line: &str) -> Option<u8> {
    grammar::params(line, "+CFUN")?.first()?.parse()
}

/// An address as modems write it: also IPv6 as sixteen decimal numbers. Unspecified addresses are none.
pub fn address(field: &Field<'_>) -> Option<IpAddr> {
    let address = field.parse().or_else(|| dotted_v6(field.text).map(IpAddr::V6))?;
    (address != IpAddr::V4(Ipv4Addr::UNSPECIFIED) && address != IpAddr::V6(Ipv6Addr::UNSPECIFIED))
        .then_some(address)
}

fn dotted_v6(text: &str) -> Option<Ipv6Addr> {
    let octets: Vec<u8> = text.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    Some(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?))
}

/// Definition of one PDP context (TS 27.007 §10.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PdpContext {
    /// Context id.
    pub cid: u8,
    /// `IP`, `IPV6`, `IPV4V6`, `NONIP`.
    pub pdp_type: String,
    /// Access point name; empty means the subscription's own.
    pub apn: String,
}

/// Reads one `+CGDCONT: <cid>,<type>,<apn>,…` line; what follows is not needed.
pub fn pdp_context(line: &str) -> Option<PdpContext> {
    let fields = grammar::params(line, "+CGDCONT")?;
    let text = |at: usize| fields.get(at).map_or("", |field| field.text).to_owned();
    Some(PdpContext { cid: fields.first()?.parse()?, pdp_type: text(1), apn: text(2) })
}

/// The text of an identity answer (`AT+CGMI`, `AT+CGMM`, `AT+CGMR`): the first line, without prefix, quotes and the
/// word `Revision:`.
pub fn identity_text(lines: &[Line]) -> Option<String> {
    lines.iter().find_map(|line| {
        let text = line.text.trim();
        let text = grammar::prefix(text).and_then(|prefix| grammar::value(text, prefix)).unwrap_or(text);
        let text = text.strip_prefix("Revision:").unwrap_or(text);
        let text = text.trim().trim_matches('"').trim();
        (!text.is_empty()).then(|| text.to_owned())
    })
}

/// The last run of at least 14 digits in an answer: IMEI, IMSI or ICCID, whatever stands around it.
pub fn identity_digits(lines: &[Line]) -> Option<&str> {
    lines.iter().rev().find_map(|line| grammar::digit_runs(&line.text, 14).last())
}

/// IMEI of an answer to `AT+CGSN`: fifteen digits with their check digit (TS 23.003 §6.2.1).
pub fn imei(lines: &[Line]) -> Option<&str> {
    identity_digits(lines).filter(|digits| digits.len() == 15 && passes_luhn(digits))
}

/// IMSI of an answer to `AT+CIMI`: fourteen or fifteen digits.
pub fn imsi(lines: &[Line]) -> Option<&str> {
    identity_digits(lines).filter(|digits| digits.len() <= 15)
}

/// ICCID of an answer to `AT+QCCID` and its like: 18 to 20 digits from 89; a padding `F` is not one of them.
pub fn iccid(lines: &[Line]) -> Option<&str> {
    identity_digits(lines).filter(|digits| (18..=20).contains(&digits.len()) && digits.starts_with("89"))
}

fn passes_luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0');
            let weighed = if place % 2 == 1 { 2 * digit } else { digit };
            weighed / 10 + weighed % 10
        })
        .sum();
    sum % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(texts: &[&str]) -> Vec<Line> {
        texts.iter().map(|text| Line { text: (*text).to_owned(), payload: None }).collect()
    }

    /// stat, tac, ci, AcT, cause, Active-Time, Periodic-TAU of a line, in one text to compare.
    fn shown(line: &str) -> String {
        let Some(r) = registration(line, RegistrationForm::Urc) else { return "none".to_owned() };
        let hex = |n: Option<u32>| n.map_or("-".to_owned(), |n| format!("{n:X}"));
        let dec = |n: Option<u8>| n.map_or("-".to_owned(), |n| n.to_string());
        let cause = r
            .cause
            .map_or("-".to_owned(), |c| format!("{}{}", if c.is_emm { "emm" } else { "own" }, c.number));
        format!(
            "{:?} {} {} {} {} {} {}",
            r.stat,
            hex(r.tac),
            hex(r.ci),
            dec(r.act),
            cause,
            dec(r.active_time),
            dec(r.periodic_tau)
        )
    }

    #[test]
    fn every_registration_shape_met_in_the_field_is_read() {
        for (line, expected) in [
            ("+CEREG: 1,3", "Denied - - - - - -"),
            ("+CEREG: 3", "Denied - - - - - -"),
            ("+CEREG: 2,1, 1F00, 79D903 ,7", "Home 1F00 79D903 7 - - -"),
            ("+CEREG: 1, 1F00, 79D903 ,7", "Home 1F00 79D903 7 - - -"),
            ("+CEREG: 2,10, 2CA8, 20 ,B5583D ,7", "NoCsfbRoaming 2CA8 B5583D 7 - - -"),
            ("+CEREG: 11, 78FE, 20 ,14419E ,7", "EmergencyServices 78FE 14419E 7 - - -"),
            (r#"+CEREG: 1,"5B57","195071B",9,,,"00000000","01100000""#, "Home 5B57 195071B 9 - 0 96"),
            (r#"+CEREG: 4,1,"5B57","195071B",9,,,"00000001","01011111""#, "Home 5B57 195071B 9 - 1 95"),
            (
                r#"+CEREG: 5,"B4DC","000AE520",9,0,18,"00000000","00111000""#,
                "Roaming B4DC AE520 9 emm18 0 56",
            ),
            (r#"+CEREG: 4,5,,,,,,,"00000000","01100000""#, "Roaming - - - - 0 96"),
            ("+CREG: 2,1,8BE3,2BAF", "Home 8BE3 2BAF - - - -"),
            (r#"+CREG:002,001,"18d8","ffff""#, "Home 18D8 FFFF - - - -"),
            ("+CREG: 2,,", "Searching - - - - - -"),
            ("+CGREG: 2,1, 81ED, 1A9CEB", "Home 81ED 1A9CEB - - - -"),
            ("+CEREG:0,1", "Home - - - - - -"),
            (r#"+CEREG: 5,"69C9","DDA1451",9,,,"00000001","00100001""#, "Roaming 69C9 DDA1451 9 - 1 33"),
            (r#"+CEREG: 1,"5B57","01100000",9,,,"00000001""#, "Home 5B57 1100000 9 - 1 -"),
            (r#"+CEREG: 1,"5B57","01100000",9,,,,"00000001""#, "Home 5B57 1100000 9 - - 1"),
            (r#"+CEREG: 3,"5B57","195071B",9,1,7"#, "Denied 5B57 195071B 9 own7 - -"),
            ("+CEREG: ", "none"),
            ("+CEREG: 4,,,,,\"00100001\",\"00000001\"", "Unknown - - - - 33 1"),
            ("+CSQ: 1,2", "none"),
        ] {
            assert_eq!(shown(line), expected, "{line}");
        }
    }

    #[test]
    fn what_was_asked_decides_only_where_the_shape_does_not() {
        let stat = |line, expected| registration(line, expected).map(|r| r.stat);
        assert_eq!(registration_form("+CREG: 2,0011,1234"), None);
        assert_eq!(
            stat("+CREG: 2,0011", RegistrationForm::Read),
            Some(RegistrationStatus::EmergencyServices)
        );
        assert_eq!(stat("+CREG: 2,0011", RegistrationForm::Urc), Some(RegistrationStatus::Searching));
        assert_eq!(stat("+CEREG: 2", RegistrationForm::Read), Some(RegistrationStatus::Searching));
        assert_eq!(stat("+CEREG: 0,1", RegistrationForm::Urc), Some(RegistrationStatus::Home));
    }

    #[test]
    fn registered_means_able_to_carry_data() {
        let registered: Vec<u16> = (0..20)
            .filter(|n| RegistrationStatus::from_number(*n).is_some_and(RegistrationStatus::is_registered))
            .collect();
        assert_eq!(registered, [1, 5, 9, 10]);
    }

    #[test]
    fn an_urc_that_looks_like_the_answer_is_told_apart() {
        let read = Command::read("+CEREG");
        assert!(is_answer(&read, r#"+CEREG: 4,1,"5B57","195071B",9"#));
        assert!(!is_answer(&read, r#"+CEREG: 1,"5B57","195071B",9"#));
        assert!(!is_answer(&read, "+CEREG: 2"));
        assert!(!is_answer(&Command::set("+CEREG").arg(4), "+CEREG: 0,2"));
        assert!(is_answer(&Command::set("+CEREG").arg("?"), "+CEREG: (0,1,2,4)"));
    }

    #[test]
    fn boot_words_and_other_prefixes_are_never_answers() {
        let imei = Command::execute("+CGSN");
        assert!(is_answer(&imei, "866425030000000"));
        assert!(is_answer(&Command::basic("I"), "Revision: BG96MAR02A07M1G"));
        for line in ["RDY", "APP RDY", "^SYSSTART", "POWERED DOWN", "+QIND: SMS DONE", "+CPIN: READY"] {
            assert!(!is_answer(&imei, line), "{line}");
        }
        assert!(!is_answer(&Command::set("+CFUN").arg(1), "+CFUN: 1"));
        assert!(is_answer(&Command::read("+CFUN"), "+CFUN: 1"));
    }

    #[test]
    fn the_sim_says_what_it_wants() {
        assert_eq!(sim_state("+CPIN:READY"), Some(SimState::Ready));
        assert_eq!(sim_state("+CPIN: \"SIM PIN\""), Some(SimState::PinRequired));
        assert_eq!(sim_state("+CPIN: SIM PUK"), Some(SimState::PukRequired));
        assert_eq!(sim_state("+CPIN: NOT INSERTED"), Some(SimState::NotInserted));
        assert_eq!(sim_state("+CPIN: PH-NET PIN"), Some(SimState::Other("PH-NET PIN".into())));
        assert_eq!(sim_state("+CPIN:"), None);
    }

    #[test]
    fn an_operator_may_be_missing() {
        let none = Operator { mode: 0, format: None, name: None, act: None };
        assert_eq!(operator("+COPS: 0"), Some(none));
        let some = Operator { mode: 1, format: Some(2), name: Some("26201".into()), act: Some(9) };
        assert_eq!(operator("+COPS: 1,2,\"26201\",9"), Some(some));
    }

    #[test]
    fn addresses_come_in_every_shape_and_zeros_are_none() {
        let read = |text| address(&Field { text, is_quoted: true }).map(|address| address.to_string());
        assert_eq!(read("10.1.2.3").as_deref(), Some("10.1.2.3"));
        assert_eq!(read("fe80::1").as_deref(), Some("fe80::1"));
        assert_eq!(read("254.128.0.0.0.0.0.0.0.0.0.0.0.0.0.1").as_deref(), Some("fe80::1"));
        for none in ["", "0.0.0.0", "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0", "10.1.2", "::"] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    #[test]
    fn contexts_are_read_from_three_fields_up() {
        let context = pdp_context("+CGDCONT: 1,\"IP\",\"iot.example\",\"0.0.0.0\",0,0,0,0").unwrap();
        assert_eq!((context.cid, context.pdp_type.as_str(), context.apn.as_str()), (1, "IP", "iot.example"));
        assert_eq!(pdp_context("+CGDCONT: 2,\"IPV4V6\"").unwrap().apn, "");
        assert_eq!(functionality("+CFUN: 1,0"), Some(1));
        assert_eq!(functionality("+CFUN: "), None);
    }

    #[test]
    fn identity_text_is_bare_whatever_stands_around_it() {
        for texts in
            [&["BG96"][..], &["+CGMM: BG96"], &["+CGMM: \"BG96\""], &["Revision: BG96"], &["", "BG96", "x"]]
        {
            assert_eq!(identity_text(&lines(texts)).as_deref(), Some("BG96"), "{texts:?}");
        }
        assert_eq!(identity_text(&[]), None);
    }

    #[test]
    fn identities_are_the_last_long_run_of_digits() {
        assert_eq!(imei(&lines(&["+CGSN: \"351358815178345\""])), Some("351358815178345"));
        assert_eq!(imei(&lines(&["351358815178346"])), None, "check digit");
        assert_eq!(imsi(&lines(&["262011234567890"])), Some("262011234567890"));
        assert_eq!(iccid(&lines(&["+QCCID: 8949020000012345678F"])), Some("8949020000012345678"));
        assert_eq!(
            iccid(&lines(&["12345678901234", "+SQNCCID: \"89490200000123456789\",\"\""])),
            Some("89490200000123456789")
        );
        assert_eq!(iccid(&lines(&["ERROR"])), None);
    }

    proptest! {
        #[test]
        fn no_line_panics_a_reader(
            prefix in proptest::sample::select(vec!["+CEREG:", "+CPIN:", "+COPS:", "+CGDCONT:", ""]),
            rest in prop_oneof![".*", "[0-9A-F,\" ]{0,60}", "([0-9A-F]{0,8},){0,9}[01]{8}"],
        ) {
            let line = format!("{prefix}{rest}");
            for expected in [RegistrationForm::Read, RegistrationForm::Urc] {
                let _ = registration(&line, expected);
            }
            let _ = (sim_state(&line), operator(&line), functionality(&line), pdp_context(&line));
            let _ = address(&Field { text: &rest, is_quoted: false });
            let lines = lines(&[&line]);
            let _ = (identity_text(&lines), imei(&lines), imsi(&lines), iccid(&lines));
        }
    }
}
