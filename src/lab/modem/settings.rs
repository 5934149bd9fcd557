//! What the modem remembers: settings in flash, which outlive a restart, and settings in RAM, which do not.

use std::collections::BTreeMap;

use super::command_line::{Args, Form};
use super::errors::{Cme, Final, SocketError};
use super::{Model, Modem, Reply};

/// Settings in flash.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    /// `CGDCONT` and `QICSGP` are two doors to these.
    pub contexts: BTreeMap<u8, Context>,
    /// `AT+QURCCFG="urcport"`: the one port on which URCs appear.
    pub urc_port: String,
    /// `AT+COPS`
    pub operator: OperatorChoice,
    /// `AT+CPSMS`: periodic TAU and active time as the bits of TS 24.008, or PSM not asked for.
    pub psm: Option<(String, String)>,
    /// `AT+CEDRXS` for NB-S1, or eDRX not asked for.
    pub edrx: Option<String>,
    extended: BTreeMap<&'static str, String>,
}

/// One PDP context as defined, active or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Context {
    pub pdp_type: String,
    pub apn: String,
    user: String,
    auth: u8,
}

/// Which network to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OperatorChoice {
    Automatic,
    /// This one only: MCC and MNC in digits.
    Manual(String),
    Deregistered,
}

/// Settings in RAM.
#[derive(Debug, Clone)]
pub(super) struct Ram {
    /// `ATE`
    pub echo: bool,
    /// `AT+CMEE`
    pub cmee: u8,
    /// `AT+CEREG`
    pub cereg: u8,
    /// `AT+COPS=3,`: 0 long, 1 short, 2 digits.
    pub cops_format: u8,
    /// `AT+QISDE`: what is sent after the prompt comes back.
    pub data_echo: bool,
    /// `AT+QSCLK`
    sleep: u8,
    /// `AT+QICFG="recvind"`: the notice tells the length.
    pub notice_length: bool,
    /// `AT+QICFG="viewmode"`: header and data on one line.
    pub one_line: bool,
    /// `AT+QICFG="dataformat"`: received data as hex digits.
    pub hex: bool,
    /// `AT+QIGETERROR`
    pub last_error: SocketError,
    /// `AT+QIDNSCFG`
    pub dns: (String, String),
}

/// `AT+QCFG` values that are accepted, with what stands there ex works; only the last cannot be written.
const EXTENDED: [(&str, &str); 9] = [
    ("nwscanseq", "00"),
    ("nwscanmode", "0"),
    ("iotopmode", "2"),
    ("band", "0xf,0x100002000000000f0e189f,0x10004200000000090e189f"),
    ("servicedomain", "1"),
    ("roamservice", "255"),
    ("psm/enter", "0"),
    ("psm/urc", "0"),
    (CE_LEVEL, "0"),
];
const CE_LEVEL: &str = "celevel";

impl Kept {
    /// As it leaves the works, with URCs on this port.
    pub fn ex_works(urc_port: &str) -> Self {
        let default_context =
            Context { pdp_type: "IP".into(), apn: String::new(), user: String::new(), auth: 0 };
        Self {
            contexts: BTreeMap::from([(1, default_context)]),
            urc_port: urc_port.to_owned(),
            operator: OperatorChoice::Automatic,
            psm: None,
            edrx: None,
            extended: EXTENDED.into_iter().map(|(name, value)| (name, value.to_owned())).collect(),
        }
    }

    /// Whether the radio may use NB-IoT at all.
    pub fn allows_nb_iot(&self) -> bool {
        let value = |name| self.extended.get(name).map_or("", String::as_str);
        // nwscanmode 1 is GSM only; iotopmode 0 is eMTC only.
        value("nwscanmode") != "1" && value("iotopmode") != "0"
    }
}

impl Ram {
    /// As after power-on.
    pub fn at_power_on(echo: bool) -> Self {
        Self {
            echo,
            cmee: 0,
            cereg: 0,
            cops_format: 0,
            data_echo: true,
            sleep: 0,
            notice_length: false,
            one_line: false,
            hex: false,
            last_error: SocketError::None,
            dns: (String::new(), String::new()),
        }
    }
}

impl Modem {
    /// `AT+QCFG="name"[,value…[,effect]]`
    pub(super) fn qcfg(&mut self, form: &Form) -> Reply {
        let Form::Set(args) = form else { return Reply::parameters() };
        let name = args.text(0).to_ascii_lowercase();
        let Some((&name, old)) = self.kept.extended.get_key_value(name.as_str()) else {
            return Reply::parameters();
        };
        if args.len() == 1 {
            return Reply::line(format!("+QCFG: \"{name}\",{old}"));
        }
        let new = if name == "band" { bands(old, args) } else { single(args) };
        match new {
            Some(value) if name != CE_LEVEL => {
                self.kept.extended.insert(name, value);
                Reply::ok()
            }
            _ => Reply::parameters(),
        }
    }

    /// `AT+QURCCFG="urcport"[,port]`
    pub(super) fn qurccfg(&mut self, form: &Form) -> Reply {
        let Form::Set(args) = form else { return Reply::parameters() };
        if args.quoted(0) != Some("urcport") {
            return Reply::parameters();
        }
        if args.len() == 1 {
            return Reply::line(format!("+QURCCFG: \"urcport\",\"{}\"", self.kept.urc_port));
        }
        match args.quoted(1) {
            Some(port) if self.options.model.urc_ports().contains(&port) => {
                self.kept.urc_port = port.to_owned();
                Reply::ok()
            }
            _ => Reply::parameters(),
        }
    }

    /// `AT+CGDCONT`
    pub(super) fn cgdcont(&mut self, form: &Form) -> Reply {
        match form {
            Form::Read => Reply::Lines(self.context_lines()),
            Form::Set(args) => {
                let Some(cid @ 1..=16) = args.number::<u8>(0) else { return Reply::parameters() };
                if args.len() == 1 {
                    self.kept.contexts.remove(&cid);
                    return Reply::ok();
                }
                let pdp_type = args.text(1).to_ascii_uppercase();
                if !["IP", "IPV6", "IPV4V6", "NON-IP"].contains(&pdp_type.as_str()) {
                    return Reply::parameters();
                }
                let old = self.kept.contexts.remove(&cid);
                let (user, auth) = old.map_or_else(Default::default, |old| (old.user, old.auth));
                self.kept
                    .contexts
                    .insert(cid, Context { pdp_type, apn: args.text(2).to_owned(), user, auth });
                Reply::ok()
            }
            Form::Execute | Form::Test => Reply::parameters(),
        }
    }

    fn context_lines(&self) -> Vec<String> {
        // Contexts that the host never made stand there too, with an address of sixteen zeros.
        let nowhere = ["0"; 16].join(".");
        let own = self.kept.contexts.iter().map(|(&cid, context)| {
            format!(
                "+CGDCONT: {cid},\"{}\",\"{}\",\"{}\",0,0,0,0",
                context.pdp_type,
                context.apn,
                self.address_text(cid)
            )
        });
        let foreign = [(2, "ims"), (3, "sos")]
            .into_iter()
            .filter(|(cid, _)| !self.kept.contexts.contains_key(cid))
            .map(|(cid, apn)| format!("+CGDCONT: {cid},\"IPV4V6\",\"{apn}\",\"{nowhere}\",0,0,0,0"));
        own.chain(foreign).collect()
    }

    /// `AT+QICSGP=cid[,type,"apn","user","password",auth]`
    pub(super) fn qicsgp(&mut self, form: &Form) -> Reply {
        let Form::Set(args) = form else { return self.socket_fault(SocketError::InvalidParameters) };
        let Some(cid @ 1..=16) = args.number::<u8>(0) else {
            return self.socket_fault(SocketError::InvalidParameters);
        };
        if args.len() == 1 {
            return Reply::line(match self.kept.contexts.get(&cid) {
                Some(context) => format!(
                    "+QICSGP: {},\"{}\",\"{}\",\"\",{}",
                    type_number(&context.pdp_type),
                    context.apn,
                    context.user,
                    context.auth
                ),
                None => "+QICSGP: 0,\"\",\"\",\"\",0".into(),
            });
        }
        let pdp_type = match args.number::<u8>(1) {
            Some(1) => "IP",
            Some(2) => "IPV6",
            Some(3) => "IPV4V6",
            _ => return self.socket_fault(SocketError::InvalidParameters),
        };
        let (Some(apn), Some(auth @ 0..=3)) = (args.quoted(2), args.number_or::<u8>(5, 0)) else {
            return self.socket_fault(SocketError::InvalidParameters);
        };
        let context = Context { pdp_type: pdp_type.into(), apn: apn.into(), user: args.text(3).into(), auth };
        self.kept.contexts.insert(cid, context);
        Reply::ok()
    }

    /// `AT+QICFG="name"[,value…]`; lost at every restart.
    pub(super) fn qicfg(&mut self, form: &Form) -> Reply {
        let Form::Set(args) = form else { return self.socket_fault(SocketError::InvalidParameters) };
        let flag = |index| args.number::<u8>(index).filter(|value| *value <= 1).map(|value| value == 1);
        let ram = &mut self.ram;
        match (args.text(0), args.len()) {
            ("viewmode", 1) => {
                return Reply::line(format!("+QICFG: \"viewmode\",{}", u8::from(ram.one_line)));
            }
            ("dataformat", 1) => {
                return Reply::line(format!("+QICFG: \"dataformat\",0,{}", u8::from(ram.hex)));
            }
            ("viewmode", 2) if flag(1).is_some() => ram.one_line = flag(1) == Some(true),
            // Hex towards the network is not modelled: what its length counts is not documented.
            ("dataformat", 3) if flag(1) == Some(false) && flag(2).is_some() => {
                ram.hex = flag(2) == Some(true)
            }
            ("recvind", 1) if self.options.model == Model::Bg95M3 => {
                return Reply::line(format!("+QICFG: \"recvind\",{}", u8::from(ram.notice_length)));
            }
            ("recvind", 2) if self.options.model == Model::Bg95M3 && flag(1).is_some() => {
                ram.notice_length = flag(1) == Some(true);
            }
            _ => return self.socket_fault(SocketError::InvalidParameters),
        }
        Reply::ok()
    }

    /// A setting that is a small number in RAM, with its read form.
    pub(super) fn number_in_ram(&mut self, name: &str, form: &Form) -> Reply {
        let slot = match name {
            "+CMEE" => Slot { value: &mut self.ram.cmee, allowed: &[0, 1, 2] },
            "+QSCLK" => Slot { value: &mut self.ram.sleep, allowed: &[0, 1, 2] },
            _ => return Reply::Done(Final::Error),
        };
        match form {
            Form::Read => Reply::line(format!("{name}: {}", slot.value)),
            Form::Test => {
                let allowed: Vec<String> = slot.allowed.iter().map(u8::to_string).collect();
                Reply::line(format!("{name}: ({})", allowed.join(",")))
            }
            Form::Set(args) => match args.number(0).filter(|number| slot.allowed.contains(number)) {
                Some(number) => {
                    *slot.value = number;
                    Reply::ok()
                }
                None => Reply::parameters(),
            },
            Form::Execute => Reply::parameters(),
        }
    }

    /// `AT+QISDE`
    pub(super) fn qisde(&mut self, form: &Form) -> Reply {
        match form {
            Form::Read => Reply::line(format!("+QISDE: {}", u8::from(self.ram.data_echo))),
            Form::Set(args) => match args.number::<u8>(0) {
                Some(value @ 0..=1) => {
                    self.ram.data_echo = value == 1;
                    Reply::ok()
                }
                _ => self.socket_fault(SocketError::InvalidParameters),
            },
            Form::Execute | Form::Test => self.socket_fault(SocketError::InvalidParameters),
        }
    }

    /// `AT+CPSMS`: kept and granted by the network as asked; the modem itself never sleeps here.
    pub(super) fn cpsms(&mut self, form: &Form) -> Reply {
        match form {
            Form::Read => Reply::line(match &self.kept.psm {
                Some((tau, active)) => format!("+CPSMS: 1,,,\"{tau}\",\"{active}\""),
                None => "+CPSMS: 0".into(),
            }),
            Form::Set(args) => match (args.number::<u8>(0), args.quoted(3), args.quoted(4)) {
                (Some(1), Some(tau), Some(active)) if is_octet(tau) && is_octet(active) => {
                    self.kept.psm = Some((tau.into(), active.into()));
                    Reply::ok()
                }
                (Some(0 | 2), None, None) => {
                    self.kept.psm = None;
                    Reply::ok()
                }
                _ => Reply::parameters(),
            },
            Form::Execute | Form::Test => Reply::parameters(),
        }
    }

    /// `AT+CEDRXS`: kept; only NB-S1 (5) is known.
    pub(super) fn cedrxs(&mut self, form: &Form) -> Reply {
        match form {
            Form::Read => match &self.kept.edrx {
                Some(cycle) => Reply::line(format!("+CEDRXS: 5,\"{cycle}\"")),
                None => Reply::ok(),
            },
            Form::Set(args) => match (args.number::<u8>(0), args.number::<u8>(1), args.quoted(2)) {
                (Some(0 | 3), _, _) => {
                    self.kept.edrx = None;
                    Reply::ok()
                }
                (Some(1 | 2), Some(5), Some(cycle)) if cycle.len() == 4 && is_binary(cycle) => {
                    self.kept.edrx = Some(cycle.into());
                    Reply::ok()
                }
                _ => Reply::parameters(),
            },
            Form::Execute | Form::Test => Reply::parameters(),
        }
    }
}

struct Slot<'a> {
    value: &'a mut u8,
    allowed: &'static [u8],
}

impl Reply {
    /// Wrong arguments of a command that exists.
    pub(super) const fn parameters() -> Self {
        Self::Done(Final::Cme(Cme::IncorrectParameters))
    }
}

fn type_number(pdp_type: &str) -> u8 {
    match pdp_type {
        "IPV6" => 2,
        "IPV4V6" => 3,
        _ => 1,
    }
}

fn is_binary(text: &str) -> bool {
    text.bytes().all(|digit| matches!(digit, b'0' | b'1'))
}

fn is_octet(text: &str) -> bool {
    text.len() == 8 && is_binary(text)
}

/// One decimal value, and perhaps when it takes effect (0 after a restart, 1 now).
fn single(args: &Args) -> Option<String> {
    let value = args.text(1);
    let is_number = (1..=8).contains(&value.len()) && value.bytes().all(|digit| digit.is_ascii_digit());
    let effect = args.number_or::<u8>(2, 1)?;
    (is_number && effect <= 1 && args.len() <= 3).then(|| value.to_owned())
}

/// Three hex masks (GSM, eMTC, NB-IoT); a mask of 0 leaves the old one alone.
fn bands(old: &str, args: &Args) -> Option<String> {
    let effect = args.number_or::<u8>(4, 1)?;
    if effect > 1 || !(4..=5).contains(&args.len()) {
        return None;
    }
    let masks: Option<Vec<String>> = old
        .split(',')
        .enumerate()
        .map(|(index, old)| {
            let mask = args.text(index + 1).to_ascii_lowercase();
            let digits = mask.trim_start_matches("0x");
            let is_mask =
                (1..=24).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            let is_zero = digits.bytes().all(|digit| digit == b'0');
            is_mask.then(|| if is_zero { old.to_owned() } else { format!("0x{digits}") })
        })
        .collect();
    masks.map(|masks| masks.join(","))
}
