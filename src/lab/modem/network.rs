//! SIM, radio, registration, operator and signal.

use std::time::{Duration, Instant};

use super::command_line::Form;
use super::errors::{Cme, Final};
use super::settings::OperatorChoice;
use super::{Action, FOLLOWS_AFTER, Modem, Power, Reply, Sim};
use crate::lab::radio::{Serving, Up};

/// A network asked for by name that is not found by then is not there.
const OPERATOR_LIMIT: Duration = Duration::from_secs(60);
/// Wrong PINs until the card asks for the PUK.
const PIN_TRIES: u8 = 3;
/// Access technology of NB-IoT in `+CEREG` and `+COPS`.
const NB_IOT: u8 = 9;

/// Registration with the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Network {
    /// Not looking for one.
    Off,
    Searching,
    Denied,
    Registered(Serving),
}

impl Network {
    /// Who serves us.
    pub const fn serving(&self) -> Option<&Serving> {
        match self {
            Self::Registered(serving) => Some(serving),
            Self::Off | Self::Searching | Self::Denied => None,
        }
    }

    /// `<stat>` of `+CEREG`.
    const fn stat(&self) -> u8 {
        match self {
            Self::Off => 0,
            Self::Registered(Serving { roaming: false, .. }) => 1,
            Self::Searching => 2,
            Self::Denied => 3,
            Self::Registered(Serving { roaming: true, .. }) => 5,
        }
    }
}

/// The SIM as the modem finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SimState {
    /// Being read after power-on.
    Starting,
    Ready,
    PinNeeded {
        tries_left: u8,
    },
    PukNeeded,
    Absent,
}

impl Modem {
    // ---- SIM

    /// The SIM has been read.
    pub(super) fn sim_started(&mut self, now: Instant) {
        self.sim = match &self.options.sim {
            Sim::Ready => SimState::Ready,
            Sim::Pin(_) => SimState::PinNeeded { tries_left: PIN_TRIES },
            Sim::Absent => SimState::Absent,
        };
        match self.sim {
            SimState::Ready => {
                self.urc("+CPIN: READY", now);
                self.urc("+QUSIM: 1", now);
            }
            SimState::PinNeeded { .. } => self.urc("+CPIN: SIM PIN", now),
            SimState::Starting | SimState::PukNeeded | SimState::Absent => self.urc("+CPIN: NOT READY", now),
        }
    }

    fn sim_fault(&self) -> Option<Cme> {
        if self.cfun == 0 {
            return Some(Cme::SimFailure);
        }
        match self.sim {
            SimState::Starting => Some(Cme::SimBusy),
            SimState::Ready => None,
            SimState::PinNeeded { .. } => Some(Cme::SimPinRequired),
            SimState::PukNeeded => Some(Cme::SimPukRequired),
            SimState::Absent => Some(Cme::SimNotInserted),
        }
    }

    /// `AT+CPIN?` and `AT+CPIN="pin"`
    pub(super) fn cpin(&mut self, form: &Form, now: Instant) -> Reply {
        match (form, self.sim_fault(), self.sim) {
            (Form::Read, None, _) => Reply::line("+CPIN: READY".into()),
            (Form::Read, Some(Cme::SimPinRequired), _) => Reply::line("+CPIN: SIM PIN".into()),
            (Form::Read, Some(Cme::SimPukRequired), _) => Reply::line("+CPIN: SIM PUK".into()),
            (Form::Set(args), Some(Cme::SimPinRequired), SimState::PinNeeded { tries_left }) => {
                if matches!(&self.options.sim, Sim::Pin(pin) if pin == args.text(0)) {
                    self.sim = SimState::Ready;
                    self.after(FOLLOWS_AFTER, Action::Say("\r\n+CPIN: READY\r\n".into()), now);
                    self.after(Duration::from_secs(1), Action::Search, now);
                    return Reply::ok();
                }
                self.sim = match tries_left {
                    0 | 1 => SimState::PukNeeded,
                    tries => SimState::PinNeeded { tries_left: tries - 1 },
                };
                Reply::Done(Final::Cme(Cme::IncorrectPassword))
            }
            (Form::Set(_), None, _) => Reply::Done(Final::Cme(Cme::NotAllowed)),
            (_, Some(fault), _) => Reply::Done(Final::Cme(fault)),
            (Form::Execute | Form::Test, None, _) => Reply::parameters(),
        }
    }

    /// A number from the SIM.
    pub(super) fn sim_line(&self, line: String) -> Reply {
        self.sim_fault().map_or_else(|| Reply::line(line), |fault| Reply::Done(Final::Cme(fault)))
    }

    // ---- radio

    /// `AT+CFUN`
    pub(super) fn cfun(&mut self, form: &Form, now: Instant) -> Reply {
        let args = match form {
            Form::Read => return Reply::line(format!("+CFUN: {}", self.cfun)),
            Form::Test => return Reply::line("+CFUN: (0,1,4),(0,1)".into()),
            Form::Set(args) => args,
            Form::Execute => return Reply::parameters(),
        };
        match (args.number::<u8>(0), args.number_or::<u8>(1, 0)) {
            (Some(1), Some(1)) => {
                self.after(FOLLOWS_AFTER, Action::Restart, now);
                Reply::ok()
            }
            (Some(level @ (0 | 4)), Some(0)) => {
                self.cfun = level;
                self.leave_network(now);
                let takes = self.rng.between(Duration::from_millis(300), Duration::from_secs(2));
                Reply::DoneAfter(takes, Final::Ok)
            }
            (Some(1), Some(0)) => {
                if self.cfun == 0 && self.sim == SimState::Ready {
                    // The card is read again; for some seconds it seems to be away.
                    self.sim = SimState::Starting;
                    self.after(Duration::from_millis(1500), Action::SimStarted, now);
                }
                self.cfun = 1;
                self.after(Duration::from_secs(2), Action::Search, now);
                let takes = self.rng.between(Duration::from_millis(100), Duration::from_millis(600));
                Reply::DoneAfter(takes, Final::Ok)
            }
            _ => Reply::parameters(),
        }
    }

    /// Starts to look for a network when nothing forbids it.
    pub(super) fn search(&mut self, now: Instant) {
        let may = self.cfun == 1 && self.sim == SimState::Ready && self.network == Network::Off;
        if self.power != Power::On || !may || self.kept.operator == OperatorChoice::Deregistered {
            return;
        }
        self.set_network(Network::Searching, now);
        if self.kept.allows_nb_iot() {
            let apn = self.kept.contexts.get(&1).map_or_else(String::new, |context| context.apn.clone());
            self.up.push_back(Up::Attach { apn });
        }
    }

    /// Detaches: contexts and sockets are gone with the bearer.
    pub(super) fn leave_network(&mut self, now: Instant) {
        if self.network != Network::Off {
            self.break_contexts(now);
            self.up.push_back(Up::Detach);
            self.set_network(Network::Off, now);
        }
    }

    /// The network let us in.
    pub(super) fn attached(&mut self, serving: Serving, now: Instant) {
        // An answer to an attempt that was given up meanwhile.
        if self.network != Network::Searching {
            return;
        }
        if matches!(&self.kept.operator, OperatorChoice::Manual(plmn) if *plmn != plmn_of(&serving)) {
            return;
        }
        self.set_network(Network::Registered(serving), now);
        if self.awaits_operator.take().is_some() {
            self.finish(Final::Ok, now);
        }
    }

    pub(super) fn denied(&mut self, now: Instant) {
        if self.network == Network::Searching {
            self.set_network(Network::Denied, now);
        }
    }

    pub(super) fn coverage_lost(&mut self, now: Instant) {
        if self.network.serving().is_some() {
            self.set_network(Network::Searching, now);
        }
    }

    fn set_network(&mut self, network: Network, now: Instant) {
        if self.network != network {
            self.network = network;
            if self.ram.cereg > 0 {
                self.urc(&format!("+CEREG: {}", self.registration()), now);
            }
        }
    }

    // ---- registration

    /// `AT+CEREG`
    pub(super) fn cereg(&mut self, form: &Form) -> Reply {
        match form {
            Form::Read => Reply::line(format!("+CEREG: {},{}", self.ram.cereg, self.registration())),
            Form::Test => Reply::line("+CEREG: (0,1,2,4)".into()),
            Form::Set(args) => match args.number::<u8>(0) {
                Some(n @ (0 | 1 | 2 | 4)) if args.len() == 1 => {
                    self.ram.cereg = n;
                    Reply::ok()
                }
                _ => Reply::parameters(),
            },
            Form::Execute => Reply::parameters(),
        }
    }

    /// The fields after `<n>`: state, place, and with n = 4 the timers of PSM where it is granted.
    fn registration(&self) -> String {
        let stat = self.network.stat();
        let Some(serving) = self.network.serving().filter(|_| self.ram.cereg >= 2) else {
            return stat.to_string();
        };
        let place = format!("{stat},\"{:04X}\",\"{:X}\",{NB_IOT}", serving.tac, serving.cell_id);
        match &self.kept.psm {
            Some((tau, active)) if self.ram.cereg == 4 => format!("{place},,,\"{active}\",\"{tau}\""),
            _ => place,
        }
    }

    /// `AT+CGATT`
    pub(super) fn cgatt(&mut self, form: &Form, now: Instant) -> Reply {
        match form {
            Form::Read => Reply::line(format!("+CGATT: {}", u8::from(self.network.serving().is_some()))),
            Form::Set(args) => match args.number::<u8>(0) {
                Some(0) => {
                    self.leave_network(now);
                    Reply::DoneAfter(Duration::from_millis(500), Final::Ok)
                }
                Some(1) => {
                    self.search_again(now);
                    Reply::ok()
                }
                _ => Reply::parameters(),
            },
            Form::Execute | Form::Test => Reply::parameters(),
        }
    }

    fn search_again(&mut self, now: Instant) {
        if self.network == Network::Denied {
            self.leave_network(now);
        }
        self.after(FOLLOWS_AFTER, Action::Search, now);
    }

    /// `AT+COPS`
    pub(super) fn cops(&mut self, form: &Form, now: Instant) -> Reply {
        let args = match form {
            Form::Read => return self.cops_read(),
            Form::Test => return self.cops_scan(),
            Form::Set(args) => args,
            Form::Execute => return Reply::parameters(),
        };
        match (args.number::<u8>(0), args.number::<u8>(1), args.quoted(2)) {
            (Some(0), _, _) => {
                self.kept.operator = OperatorChoice::Automatic;
                self.search_again(now);
                Reply::ok()
            }
            (Some(1), Some(2), Some(plmn)) => self.cops_manual(plmn.to_owned(), now),
            (Some(2), None, None) => {
                self.kept.operator = OperatorChoice::Deregistered;
                self.leave_network(now);
                Reply::DoneAfter(Duration::from_secs(1), Final::Ok)
            }
            (Some(3), Some(format @ 0..=2), None) => {
                self.ram.cops_format = format;
                Reply::ok()
            }
            _ => Reply::parameters(),
        }
    }

    fn cops_manual(&mut self, plmn: String, now: Instant) -> Reply {
        let is_there = self.network.serving().is_some_and(|serving| plmn_of(serving) == plmn);
        self.kept.operator = OperatorChoice::Manual(plmn);
        if is_there {
            return Reply::ok();
        }
        self.leave_network(now);
        let number = self.next_number();
        self.awaits_operator = Some(number);
        self.after(FOLLOWS_AFTER, Action::Search, now);
        self.after(OPERATOR_LIMIT, Action::OperatorNotFound(number), now);
        Reply::Running
    }

    /// The end of `AT+COPS=1` when the network named is not there.
    pub(super) fn operator_not_found(&mut self, number: u64, now: Instant) {
        if self.awaits_operator.take_if(|awaited| *awaited == number).is_some() {
            self.finish(Final::Cme(Cme::NoService), now);
        }
    }

    fn cops_read(&self) -> Reply {
        let mode = match self.kept.operator {
            OperatorChoice::Automatic => 0,
            OperatorChoice::Manual(_) => 1,
            OperatorChoice::Deregistered => 2,
        };
        Reply::line(match self.network.serving() {
            Some(serving) => {
                let format = self.ram.cops_format;
                let name = if format == 2 { plmn_of(serving) } else { serving.operator.clone() };
                format!("+COPS: {mode},{format},\"{name}\",{NB_IOT}")
            }
            None => format!("+COPS: {mode}"),
        })
    }

    fn cops_scan(&mut self) -> Reply {
        let takes = self.rng.between(Duration::from_secs(8), Duration::from_secs(40));
        let found = self.network.serving().map_or_else(String::new, |serving| {
            format!("(2,\"{0}\",\"{0}\",\"{1}\",{NB_IOT}),", serving.operator, plmn_of(serving))
        });
        Reply::LinesAfter(takes, vec![format!("+COPS: {found},(0-4),(0-2)")])
    }

    /// `AT+CGPADDR[=cid]`
    pub(super) fn cgpaddr(&self, form: &Form) -> Reply {
        let wanted = match form {
            Form::Execute => None,
            Form::Set(args) => match args.number::<u8>(0) {
                Some(cid) if self.kept.contexts.contains_key(&cid) => Some(cid),
                _ => return Reply::parameters(),
            },
            Form::Read | Form::Test => return Reply::parameters(),
        };
        let cids =
            self.kept.contexts.keys().copied().filter(|cid| wanted.is_none_or(|wanted| wanted == *cid));
        Reply::Lines(cids.map(|cid| format!("+CGPADDR: {cid},{}", self.address_text(cid))).collect())
    }

    /// The default bearer has its address from the attach on, whether `AT+QIACT` has been called or not.
    pub(super) fn address_text(&self, cid: u8) -> String {
        let address = match self.network.serving() {
            Some(serving) if cid == 1 => Some(serving.address),
            _ => self.context_address(cid),
        };
        address.map_or_else(|| "0.0.0.0".into(), |address| address.to_string())
    }

    // ---- signal

    /// The serving cell with its signal as just measured.
    fn measured(&mut self) -> Option<Serving> {
        let wander = f64::from(self.options.wander_db);
        let drift = (self.rng.fraction() * (2.0 * wander + 1.0)).floor() - wander;
        #[expect(clippy::cast_possible_truncation, reason = "whole and within ± wander_db")]
        let drift = drift as i16;
        let mut serving = self.network.serving()?.clone();
        serving.rsrp_dbm += drift;
        serving.rssi_dbm += drift;
        serving.sinr_db += drift / 2;
        Some(serving)
    }

    /// `AT+CSQ`
    pub(super) fn csq(&mut self) -> Reply {
        let rssi = self.measured().map_or(99, |serving| ((serving.rssi_dbm + 113) / 2).clamp(0, 31));
        Reply::line(format!("+CSQ: {rssi},99"))
    }

    /// `AT+QCSQ`; SINR is coded in fifths of a dB from -20 dB, and stands before RSRQ.
    pub(super) fn qcsq(&mut self) -> Reply {
        let technology = self.options.model.technology();
        Reply::line(match self.measured() {
            Some(serving) => {
                let sinr = ((serving.sinr_db + 20) * 5).clamp(0, 250);
                let Serving { rssi_dbm, rsrp_dbm, rsrq_db, .. } = serving;
                format!("+QCSQ: \"{technology}\",{rssi_dbm},{rsrp_dbm},{sinr},{rsrq_db}")
            }
            None => "+QCSQ: \"NOSERVICE\"".into(),
        })
    }

    /// `AT+QENG="servingcell"`
    pub(super) fn qeng(&mut self, form: &Form) -> Reply {
        let Form::Set(args) = form else { return Reply::parameters() };
        match args.quoted(0) {
            Some("servingcell") => {}
            // One cell has no neighbours.
            Some("neighbourcell") => return Reply::ok(),
            _ => return Reply::parameters(),
        }
        let technology = if self.options.model.technology() == "NBIoT" { "NBIoT" } else { "CAT-NB" };
        Reply::line(match self.measured() {
            Some(cell) => format!(
                "+QENG: \"servingcell\",\"NOCONN\",\"{technology}\",\"FDD\",{},{},{:X},{},{},{},-,-,{:X},{},{},{},{},-",
                cell.mcc,
                cell.mnc,
                cell.cell_id,
                cell.pci,
                cell.earfcn,
                cell.band,
                cell.tac,
                cell.rsrp_dbm,
                cell.rsrq_db,
                cell.rssi_dbm,
                cell.sinr_db
            ),
            None => "+QENG: \"servingcell\",\"SEARCH\"".into(),
        })
    }

    /// `AT+QNWINFO`
    pub(super) fn qnwinfo(&self) -> Reply {
        let technology = self.options.model.technology();
        Reply::line(match self.network.serving() {
            Some(cell) => {
                format!(
                    "+QNWINFO: \"{technology}\",\"{}\",\"LTE BAND {}\",{}",
                    plmn_of(cell),
                    cell.band,
                    cell.earfcn
                )
            }
            None => "+QNWINFO: No Service".into(),
        })
    }

    /// `AT+QSPN`
    pub(super) fn qspn(&self) -> Reply {
        match self.network.serving() {
            Some(cell) => {
                Reply::line(format!("+QSPN: \"{0}\",\"{0}\",\"\",0,\"{1}\"", cell.operator, plmn_of(cell)))
            }
            None => Reply::Done(Final::Cme(Cme::NoService)),
        }
    }

    /// `AT+QPSMS?`: what the network granted, in seconds.
    pub(super) fn qpsms(&self, form: &Form) -> Reply {
        if *form != Form::Read {
            return Reply::Done(Final::Cme(Cme::NotSupported));
        }
        Reply::line(match &self.kept.psm {
            Some((tau, active)) => {
                format!("+QPSMS: 1,,,\"{}\",\"{}\"", seconds(tau, TAU_UNITS), seconds(active, ACTIVE_UNITS))
            }
            None => "+QPSMS: 0".into(),
        })
    }
}

/// Seconds for each unit of T3412 extended (TS 24.008 §10.5.7.4a); 111 is "off".
const TAU_UNITS: [u32; 8] = [600, 3600, 36_000, 2, 30, 60, 1_152_000, 0];
/// Seconds for each unit of T3324 (TS 24.008 §10.5.7.3); 111 is "off".
const ACTIVE_UNITS: [u32; 8] = [2, 60, 360, 60, 60, 60, 60, 0];

fn seconds(bits: &str, units: [u32; 8]) -> u32 {
    let octet = u8::from_str_radix(bits, 2).unwrap_or(0);
    units[usize::from(octet >> 5)] * u32::from(octet & 0x1F)
}

fn plmn_of(serving: &Serving) -> String {
    format!("{}{}", serving.mcc, serving.mnc)
}
