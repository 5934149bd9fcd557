//! Quectel BG95, BG96, BG77 and BG600L (AT Commands Manual V2.0, TCP/IP Application Note V1.1).
//!
//! One `UDP SERVICE` socket carries all peers: only this kind names the sender. Where the manuals are silent on a
//! shape, the reader is tolerant and a comment says so.

use std::net::{IpAddr, SocketAddrV4};
use std::str::FromStr;
use std::time::Duration;

use crate::at::grammar::{self, Field};
use crate::at::{Command, Finals, Line, responses};
use crate::modem::dialect::{
    Dialect, Fact, Limits, OpenError, Pdn, Reading, Setting, SocketId, SocketState, Urc,
};
use crate::net::{Cell, Identity, ReleaseHint, Signal};

/// The PDN context of the attach and of the sockets.
const CONTEXT: u8 = 1;
/// Reads take longer while the radio is busy.
const PATIENCE: Duration = Duration::from_secs(5);
/// An open may have to wait for the radio.
const OPEN_LIMIT: Duration = Duration::from_secs(150);

/// Ports that `AT+QURCCFG` knows: USB interfaces, and the UART.
const URC_PORTS: [&str; 3] = ["usbat", "usbmodem", "uart1"];

/// The BG9x family.
#[derive(Debug, Clone, Copy)]
pub struct QuectelBg9x;

impl QuectelBg9x {
    /// Whether a modem that names itself so is of this family.
    pub fn is(manufacturer: &str, model: &str) -> bool {
        let model = model.to_ascii_uppercase();
        manufacturer.to_ascii_lowercase().contains("quectel")
            && ["BG95", "BG96", "BG77", "BG600"].iter().any(|family| model.starts_with(family))
    }
}

impl Dialect for QuectelBg9x {
    fn name(&self) -> &'static str {
        "quectel-bg9x"
    }

    fn limits(&self) -> Limits {
        // The command takes 1460; above 1358 an NB-IoT bearer cuts the IP packet in two.
        Limits { max_send_octets: 1358, max_receive_octets: 1500 }
    }

    fn counted(&self) -> fn(&str) -> Option<usize> {
        counted
    }

    fn boot_settings(&self, identity: &Identity) -> Vec<Setting> {
        // URCs go to one port only. On the USB port that carries AT commands (interface 2) that is `usbat` on
        // BG96 and `usbmodem` on the others. Kept in flash.
        let bg96 = identity.model.as_deref().is_some_and(|model| model.starts_with("BG96"));
        let port = if bg96 { "usbat" } else { "usbmodem" };
        vec![
            Setting {
                what: "URCs come on this port",
                read: Some(Command::set("+QURCCFG").quoted("urcport")),
                // A module on its UART was told so before, by us or by someone else. The shape of the answer is not
                // in the manuals at hand: as with every named setting of the family.
                holds: Box::new(move |lines| {
                    named(lines, "+QURCCFG", "urcport").is_some_and(|value| value == port || value == "uart1")
                }),
                write: urcs_to(port),
                radio_off: false,
                vital: false,
            },
            // Some firmware sleeps by default and loses the first characters. Forgotten at power-off.
            each_time("the modem stays awake", Command::set("+QSCLK").arg(0), false),
        ]
    }

    fn apn_settings(&self, apn: &str) -> Vec<Setting> {
        let (attach, socket) = (apn.to_owned(), apn.to_owned());
        vec![
            Setting {
                what: "APN of the attach",
                read: Some(self.read_apn()),
                holds: Box::new(move |lines| {
                    QuectelBg9x.apn(lines).is_some_and(|now| same_apn(&now, &attach))
                }),
                write: Command::set("+CGDCONT").arg(CONTEXT).quoted("IP").quoted(apn),
                radio_off: true,
                vital: true,
            },
            Setting {
                what: "APN of the sockets",
                read: Some(Command::set("+QICSGP").arg(CONTEXT)),
                holds: Box::new(move |lines| {
                    // Type, APN, user, password, authentication: the order of the write command. The answer
                    // itself is not in the manuals at hand; anything else counts as "not so yet".
                    let fields = lines.iter().find_map(|line| fields(&line.text, "+QICSGP"));
                    fields.is_some_and(|fields| fields.get(1).is_some_and(|now| same_apn(now.text, &socket)))
                }),
                write: Command::set("+QICSGP").arg(CONTEXT).arg(1).quoted(apn).quoted("").quoted("").arg(0),
                radio_off: false,
                vital: true,
            },
        ]
    }

    fn socket_settings(&self) -> Vec<Setting> {
        // Whether the modem echoes payload by default is not stated; it forgets the setting at power-off.
        vec![each_time("no echo of payload", Command::set("+QISDE").arg(0), false)]
    }

    fn read_iccid(&self) -> Command {
        Command::execute("+QCCID").limit(PATIENCE)
    }

    fn read_pdn(&self) -> Command {
        Command::read("+QIACT").limit(Duration::from_secs(10))
    }

    fn pdn(&self, lines: &[Line]) -> Pdn {
        // +QIACT: <context>,<state>,<type>[,"<address>"]; only active contexts are listed on some firmware.
        let ours = lines
            .iter()
            .filter_map(|line| fields(&line.text, "+QIACT"))
            .find(|fields| number::<u8>(fields, 0) == Some(CONTEXT) && number::<u8>(fields, 1) == Some(1));
        ours.map_or(Pdn::Inactive, |fields| Pdn::Active(fields.get(3).and_then(responses::address)))
    }

    fn activate_pdn(&self) -> Command {
        Command::set("+QIACT").arg(CONTEXT).limit(Duration::from_secs(150))
    }

    fn deactivate_pdn(&self) -> Command {
        Command::set("+QIDEACT").arg(CONTEXT).limit(Duration::from_secs(40))
    }

    fn read_apn(&self) -> Command {
        Command::read("+CGDCONT").limit(PATIENCE)
    }

    fn apn(&self, lines: &[Line]) -> Option<String> {
        // Contexts that nobody here made are listed too.
        let mut contexts = lines.iter().filter_map(|line| responses::pdp_context(&line.text));
        contexts.find(|context| context.cid == CONTEXT).map(|ours| ours.apn).filter(|apn| !apn.is_empty())
    }

    fn open_socket(&self, socket: SocketId, local_port: u16) -> Command {
        Command::set("+QIOPEN")
            .arg(CONTEXT)
            .arg(socket)
            .quoted("UDP SERVICE")
            .quoted("127.0.0.1")
            .arg(0)
            .arg(local_port)
            // Buffer mode: a notice, then reads. Pushed payload could come in the middle of any other answer.
            .arg(0)
    }

    fn open_limit(&self) -> Duration {
        OPEN_LIMIT
    }

    fn close_socket(&self, socket: SocketId) -> Command {
        Command::set("+QICLOSE").arg(socket).limit(Duration::from_secs(15))
    }

    fn read_socket(&self, socket: SocketId) -> Command {
        Command::set("+QISTATE").arg(1).arg(socket).limit(PATIENCE)
    }

    fn socket(&self, socket: SocketId, lines: &[Line]) -> SocketState {
        // +QISTATE: <id>,"<service>","<ip>",<remote port>,<local port>,<state>,…; the shape for UDP SERVICE is
        // not in the manuals at hand, so only what is plainly wrong is refused.
        let Some(fields) = lines
            .iter()
            .filter_map(|line| fields(&line.text, "+QISTATE"))
            .find(|fields| number::<u8>(fields, 0) == Some(socket.0))
        else {
            return SocketState::Absent;
        };
        match (number::<u16>(&fields, 4), number::<u8>(&fields, 5)) {
            // 2 connected, 3 listening.
            (Some(port), Some(2 | 3)) => SocketState::Open(port),
            _ => SocketState::Unusable,
        }
    }

    fn urcs_here(&self, lines: &[Line]) -> Option<Command> {
        // The last value of +QISTATE names the port that opened the socket: the one where we are.
        let fields = lines.iter().find_map(|line| fields(&line.text, "+QISTATE"))?;
        let port = fields.get(9)?.non_empty()?;
        URC_PORTS.contains(&port).then(|| urcs_to(port))
    }

    fn send_to(&self, socket: SocketId, peer: SocketAddrV4, payload: &[u8], _: ReleaseHint) -> Command {
        // Release assistance exists only with QISENDEX, which does not work on a UDP SERVICE socket.
        Command::set("+QISEND")
            .arg(socket)
            .arg(payload.len())
            .quoted(peer.ip())
            .arg(peer.port())
            .payload(payload.to_vec())
            .prompt_limit(Duration::from_secs(5))
            .limit(Duration::from_secs(120))
            .ends_with(Finals::Send)
    }

    fn receive(&self, socket: SocketId) -> Command {
        // Without a length: one whole datagram.
        Command::set("+QIRD").arg(socket).limit(PATIENCE)
    }

    fn reading(&self, lines: &[Line]) -> Reading {
        let Some((line, fields)) =
            lines.iter().find_map(|line| fields(&line.text, "+QIRD").map(|fields| (line, fields)))
        else {
            // Some firmware may answer an empty buffer by OK alone.
            return Reading::Empty;
        };
        let from = number(&fields, 1).zip(number(&fields, 2)).map(|(ip, port)| SocketAddrV4::new(ip, port));
        match (number::<usize>(&fields, 0), from, &line.payload) {
            // A datagram of no octets is told from "nothing waits" by its sender.
            (Some(0), None, _) => Reading::Empty,
            (Some(0), Some(from), _) => Reading::Datagram { from, payload: Vec::new() },
            (Some(_), Some(from), Some(payload)) => Reading::Datagram { from, payload: payload.clone() },
            _ => Reading::Garbled,
        }
    }

    fn resolve(&self, name: &str) -> Command {
        Command::set("+QIDNSGIP").arg(CONTEXT).quoted(name).limit(Duration::from_secs(60))
    }

    fn resolve_limit(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn status_reads(&self) -> Vec<Command> {
        vec![
            Command::execute("+QCSQ").limit(PATIENCE),
            Command::set("+QENG").quoted("servingcell").limit(PATIENCE),
            // The limit of 180 s in the manual is for choosing an operator; a read is from memory.
            Command::read("+COPS").limit(Duration::from_secs(30)),
        ]
    }

    fn facts(&self, line: &Line) -> Vec<Fact> {
        if let Some(fields) = fields(&line.text, "+QCSQ") {
            return signal(&fields);
        }
        if let Some(fields) = fields(&line.text, "+QENG") {
            return serving_cell(&fields).map(Fact::Cell).into_iter().collect();
        }
        responses::operator(&line.text).map(|operator| Fact::Operator(operator.name)).into_iter().collect()
    }

    fn explain(&self) -> Command {
        Command::execute("+QIGETERROR")
    }

    fn explanation(&self, lines: &[Line]) -> Option<String> {
        let fields = lines.iter().find_map(|line| fields(&line.text, "+QIGETERROR"))?;
        let code = number::<u16>(&fields, 0).filter(|code| *code != 0)?;
        Some(format!("{} ({code})", fields.get(1).map_or(error_words(code), |words| words.text)))
    }

    fn urc(&self, line: &Line) -> Option<Urc> {
        match line.text.trim() {
            "RDY" | "APP RDY" => return Some(Urc::Restarted),
            "POWERED DOWN" | "POWER DOWN" | "NORMAL POWER DOWN" => return Some(Urc::PoweredDown),
            _ => {}
        }
        if let Some(fields) = fields(&line.text, "+QIOPEN") {
            let (socket, code) = (SocketId(number(&fields, 0)?), number::<u16>(&fields, 1)?);
            return Some(Urc::SocketOpened { socket, result: open_result(code) });
        }
        if let Some(fields) = fields(&line.text, "+QIURC") {
            return match fields.first()?.text {
                "recv" => Some(Urc::DatagramReady { socket: SocketId(number(&fields, 1)?) }),
                "pdpdeact" => (number::<u8>(&fields, 1)? == CONTEXT).then_some(Urc::PdnLost),
                "dnsgip" => dns_part(&fields),
                _ => None,
            };
        }
        (responses::functionality(&line.text)? == 1).then_some(Urc::BootNotice)
    }
}

/// `+QIRD: <n>[,"<ip>",<port>]` is followed by n octets.
fn counted(line: &str) -> Option<usize> {
    number(&fields(line, "+QIRD")?, 0).filter(|count| *count > 0)
}

fn urcs_to(port: &str) -> Command {
    Command::set("+QURCCFG").quoted("urcport").quoted(port)
}

/// A setting of which the modem keeps nothing, so that reading it first would win nothing.
fn each_time(what: &'static str, write: Command, vital: bool) -> Setting {
    Setting { what, read: None, holds: Box::new(|_| false), write, radio_off: false, vital }
}

/// APNs are names in the sense of DNS: case does not count.
fn same_apn(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// `"NBIoT",<rssi>,<rsrp>,<sinr>,<rsrq>`: note the order.
fn signal(fields: &[Field<'_>]) -> Vec<Fact> {
    let Some(technology) = fields.first() else { return Vec::new() };
    if technology.text == "NOSERVICE" {
        return vec![Fact::Signal(Signal::default())];
    }
    let signal = Signal {
        rssi_dbm: number(fields, 1),
        rsrp_dbm: number(fields, 2),
        // Coded: 0..250 stand for -20 dB..+30 dB.
        sinr_db: number::<u8>(fields, 3).filter(|code| *code <= 250).map(|code| f32::from(code) / 5.0 - 20.0),
        rsrq_db: number(fields, 4),
    };
    vec![Fact::Signal(signal), Fact::Technology(technology.text.to_owned())]
}

/// `"servingcell","<state>","NBIoT","FDD",<mcc>,<mnc>,<cell hex>,<pci>,<earfcn>,<band>,<ul>,<dl>,<tac hex>,…`
fn serving_cell(fields: &[Field<'_>]) -> Option<Cell> {
    if fields.first()?.text != "servingcell" {
        return None;
    }
    let hex = |index: usize| fields.get(index).and_then(Field::hex);
    Some(Cell {
        mcc: number(fields, 4),
        mnc: number(fields, 5),
        cell_id: hex(6),
        earfcn: number(fields, 8),
        band: number(fields, 9),
        tac: hex(12),
    })
}

/// `"dnsgip",<error>,<count>,<ttl>`, or `"dnsgip","<address>"`.
fn dns_part(fields: &[Field<'_>]) -> Option<Urc> {
    if let Some(address) = number::<IpAddr>(fields, 1) {
        return Some(Urc::ResolvedAddress(address));
    }
    Some(Urc::ResolveResult(match number::<u16>(fields, 1)? {
        0 => Ok(number(fields, 2).unwrap_or(1)),
        code => Err(format!("{} ({code})", error_words(code))),
    }))
}

fn open_result(code: u16) -> Result<(), OpenError> {
    match code {
        0 => Ok(()),
        561 => Err(OpenError::NoPdn),
        563 => Err(OpenError::InUse),
        code => Err(OpenError::Other(format!("{} ({code})", error_words(code)))),
    }
}

/// The numbers of `AT+QIGETERROR`, `+QIOPEN` and `dnsgip`.
fn error_words(code: u16) -> &'static str {
    match code {
        551 => "operation blocked",
        552 => "invalid parameters",
        553 => "not enough memory",
        554 => "the socket could not be created",
        555 => "operation not supported",
        556 => "the socket could not be bound",
        558 => "writing to the socket failed",
        559 => "reading from the socket failed",
        561 => "opening the PDP context failed",
        562 => "closing the PDP context failed",
        563 => "the socket number is in use",
        564 => "DNS is busy",
        565 => "DNS failed",
        566 => "the socket could not be connected",
        567 => "the socket was closed",
        568 => "operation busy",
        569 => "operation timed out",
        570 => "the PDP context broke down",
        571 => "sending was cancelled",
        572 => "operation not allowed",
        573 => "the APN is not configured",
        574 => "the port is busy",
        _ => "unknown error",
    }
}

/// The value in `<prefix>: "<name>",<value>`.
fn named<'a>(lines: &'a [Line], prefix: &str, name: &str) -> Option<&'a str> {
    let all = lines.iter().filter_map(|line| fields(&line.text, prefix));
    all.filter(|fields| fields.first().is_some_and(|field| field.text == name))
        .find_map(|fields| fields.get(1).map(|field| field.text))
}

fn fields<'a>(line: &'a str, prefix: &str) -> Option<Vec<Field<'a>>> {
    grammar::params(line, prefix)
}

fn number<T: FromStr>(fields: &[Field<'_>], index: usize) -> Option<T> {
    fields.get(index)?.parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line { text: text.to_owned(), payload: None }
    }

    #[test]
    fn the_family_is_known_by_maker_and_model() {
        for (maker, model) in [("Quectel", "BG96"), ("Quectel", "BG95-M3"), ("Quectel_Ltd", "BG600L-M3")] {
            assert!(QuectelBg9x::is(maker, model), "{maker} {model}");
        }
        for (maker, model) in [("Quectel", "BC66"), ("SIMCOM_Ltd", "BG96"), ("", "")] {
            assert!(!QuectelBg9x::is(maker, model), "{maker} {model}");
        }
    }

    #[test]
    fn signal_has_sinr_before_rsrq_and_decodes_it() {
        let facts = QuectelBg9x.facts(&line("+QCSQ: \"NBIoT\",-67,-84,140,-11"));
        let signal =
            Signal { rssi_dbm: Some(-67), rsrp_dbm: Some(-84), sinr_db: Some(8.0), rsrq_db: Some(-11) };
        assert_eq!(facts, [Fact::Signal(signal), Fact::Technology("NBIoT".into())]);
        let facts = QuectelBg9x.facts(&line("+QCSQ: \"NOSERVICE\""));
        assert_eq!(facts, [Fact::Signal(Signal::default())]);
    }

    #[test]
    fn serving_cell_reads_hex_ids_and_leaves_dashes_unknown() {
        let text = "+QENG:\"servingcell\",\"NOCONN\",\"NBIoT\",\"FDD\",262,01,DDA1451,221,-,20,-,-,69C9,-84,-11,-67,14,-";
        let facts = QuectelBg9x.facts(&line(text));
        let cell = Cell {
            cell_id: Some(0x0dda_1451),
            tac: Some(0x69c9),
            mcc: Some(262),
            mnc: Some(1),
            earfcn: None,
            band: Some(20),
        };
        assert_eq!(facts, [Fact::Cell(cell)]);
        let searching = QuectelBg9x.facts(&line("+QENG: \"servingcell\",\"SEARCH\""));
        assert_eq!(searching, [Fact::Cell(Cell::default())]);
    }

    #[test]
    fn only_our_own_context_counts() {
        let pdn = |text: &str| QuectelBg9x.pdn(&[line(text)]);
        assert_eq!(pdn("+QIACT: 1,1,1,\"10.7.157.1\""), Pdn::Active(Some("10.7.157.1".parse().unwrap())));
        assert_eq!(pdn("+QIACT: 2,1,1,\"10.7.157.1\""), Pdn::Inactive);
        assert_eq!(pdn("+QIACT: 1,0,1"), Pdn::Inactive);
        assert_eq!(QuectelBg9x.pdn(&[]), Pdn::Inactive);
        let lines =
            [line("+CGDCONT: 2,\"IPV4V6\",\"ims\",\"\",0,0,0,0"), line("+CGDCONT: 1,\"IP\",\"iot,x\"")];
        assert_eq!(QuectelBg9x.apn(&lines), Some("iot,x".into()));
        assert_eq!(QuectelBg9x.urc(&line("+QIURC: \"pdpdeact\",2")), None);
        assert_eq!(QuectelBg9x.urc(&line("+QIURC: \"pdpdeact\",1")), Some(Urc::PdnLost));
    }

    #[test]
    fn a_read_tells_nothing_an_empty_datagram_and_a_datagram_apart() {
        let from = SocketAddrV4::new([198, 51, 100, 7].into(), 5683);
        let header = "+QIRD: 4,\"198.51.100.7\",5683";
        assert_eq!(counted(header), Some(4));
        assert_eq!(counted("+QIRD: 0"), None);
        let full = Line { text: header.into(), payload: Some(vec![0x60, 0x45, 0x30, 0x39]) };
        let payload = vec![0x60, 0x45, 0x30, 0x39];
        assert_eq!(QuectelBg9x.reading(&[full]), Reading::Datagram { from, payload });
        assert_eq!(QuectelBg9x.reading(&[line("+QIRD: 0")]), Reading::Empty);
        let empty = QuectelBg9x.reading(&[line("+QIRD: 0,\"198.51.100.7\",5683")]);
        assert_eq!(empty, Reading::Datagram { from, payload: vec![] });
        assert_eq!(QuectelBg9x.reading(&[line(header)]), Reading::Garbled);
    }

    #[test]
    fn urcs_of_the_family_are_read_with_and_without_the_blank() {
        let urc = |text: &str| QuectelBg9x.urc(&line(text));
        let opened = |result| Some(Urc::SocketOpened { socket: SocketId(0), result });
        assert_eq!(urc("+QIOPEN: 0,0"), opened(Ok(())));
        assert_eq!(urc("+QIOPEN:0,563"), opened(Err(OpenError::InUse)));
        assert_eq!(urc("+QIOPEN: 0,561"), opened(Err(OpenError::NoPdn)));
        assert_eq!(urc("+QIURC: \"recv\",0"), Some(Urc::DatagramReady { socket: SocketId(0) }));
        assert_eq!(urc("+QIURC: \"recv\",0,25"), Some(Urc::DatagramReady { socket: SocketId(0) }));
        assert_eq!(urc("+QIURC: \"dnsgip\",0,2,600"), Some(Urc::ResolveResult(Ok(2))));
        let address = "198.51.100.7".parse().unwrap();
        assert_eq!(urc("+QIURC: \"dnsgip\",\"198.51.100.7\""), Some(Urc::ResolvedAddress(address)));
        assert_eq!(urc("+QIURC: \"dnsgip\",565"), Some(Urc::ResolveResult(Err("DNS failed (565)".into()))));
        assert_eq!(urc("RDY"), Some(Urc::Restarted));
        assert_eq!(urc("+CFUN: 1"), Some(Urc::BootNotice));
        assert_eq!(urc("+QIND: SMS DONE"), None);
    }

    #[test]
    fn urcs_are_brought_to_the_port_that_the_modem_names() {
        let command = |port| {
            let line = line(&format!("+QISTATE: 0,\"UDP SERVICE\",\"127.0.0.1\",0,3030,2,1,0,0{port}"));
            QuectelBg9x.urcs_here(&[line]).map(|command| command.text().to_owned())
        };
        assert_eq!(command(",\"uart1\"").as_deref(), Some("AT+QURCCFG=\"urcport\",\"uart1\""));
        assert_eq!(command(",\"emux\""), None);
        assert_eq!(command(""), None);
    }

    #[test]
    fn settings_that_hold_are_seen_to_hold() {
        let identity = Identity { model: Some("BG96".into()), ..Identity::default() };
        let urc_port = &QuectelBg9x.boot_settings(&identity)[0];
        assert!((urc_port.holds)(&[line("+QURCCFG: \"urcport\",\"usbat\"")]));
        assert!((urc_port.holds)(&[line("+QURCCFG: \"urcport\",\"uart1\"")]));
        assert!(!(urc_port.holds)(&[line("+QURCCFG: \"urcport\",\"usbmodem\"")]));
        assert!(!(urc_port.holds)(&[]));
        let apn = QuectelBg9x.apn_settings("iot.example");
        assert!((apn[0].holds)(&[line("+CGDCONT: 1,\"IP\",\"IoT.example\",\"0.0.0.0\",0,0,0,0")]));
        assert!(!(apn[0].holds)(&[line("+CGDCONT: 1,\"IP\",\"\",\"0.0.0.0\",0,0,0,0")]));
        assert!((apn[1].holds)(&[line("+QICSGP: 1,\"iot.example\",\"\",\"\",0")]));
        assert!(!(apn[1].holds)(&[line("+QICSGP: 1,\"other\",\"\",\"\",0")]));
    }

    proptest::proptest! {
        #[test]
        fn no_line_panics_a_reader(text in ".{0,80}", cut in 0_usize..8) {
            let heads = ["+QIRD: ", "+QIURC: ", "+QIOPEN: ", "+QENG: ", "+QCSQ: ", "+QIACT: ", "+QISTATE: ", ""];
            let line = line(&format!("{}{text}", heads[cut]));
            let _ = (counted(&line.text), QuectelBg9x.urc(&line), QuectelBg9x.facts(&line));
            let lines = [line];
            let _ = (QuectelBg9x.reading(&lines), QuectelBg9x.pdn(&lines), QuectelBg9x.socket(SocketId(0), &lines));
            let _ = (QuectelBg9x.apn(&lines), QuectelBg9x.explanation(&lines));
        }
    }
}
