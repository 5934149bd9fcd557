//! What the answer to a step's command means, and where bring-up goes from there.

use std::time::Instant;

use tracing::{debug, info, warn};

use super::{BringUp, Explain, OPEN_POLL, REPORT_LEVELS, Waiting};
use crate::at::responses::{self, RegistrationForm, SimState};
use crate::at::{FinalResult, Line};
use crate::modem::common::Common;
use crate::modem::dialect::{OpenError, Pdn, SocketState, Urc};
use crate::modem::sockets::SOCKET;
use crate::modem::steps::Step;

impl BringUp {
    /// The step's command ended well.
    pub(super) fn passed(&mut self, lines: &[Line], common: &mut Common, now: Instant) {
        match self.step {
            Step::Maker => {
                common.facts.change(|facts| facts.identity.manufacturer = responses::identity_text(lines))
            }
            Step::Firmware => {
                common.facts.change(|facts| facts.identity.firmware = responses::identity_text(lines))
            }
            Step::Imei => {
                let imei = responses::imei(lines).or_else(|| odd_number(lines)).map(str::to_owned);
                common.facts.change(|facts| facts.identity.imei = imei);
            }
            Step::Imsi => {
                let imsi = responses::imsi(lines).or_else(|| odd_number(lines)).map(str::to_owned);
                common.facts.change(|facts| facts.identity.imsi = imsi);
            }
            Step::Iccid => {
                let iccid = responses::iccid(lines).or_else(|| odd_number(lines)).map(str::to_owned);
                common.facts.change(|facts| facts.identity.iccid = iccid);
            }
            Step::Model => {
                common.facts.change(|facts| facts.identity.model = responses::identity_text(lines));
                if let Err(why) = common.choose_dialect() {
                    return self.refuse_modem(why, common, now);
                }
            }
            Step::BootSettings | Step::ApnSettings | Step::SocketSettings => {
                if self.settings.asks_radio_off() {
                    self.radio = Some(4);
                }
                return self.settings.passed(lines, self.radio_is_off());
            }
            Step::RadioState => {
                self.radio = lines.iter().find_map(|line| responses::functionality(&line.text))
            }
            Step::SimOn => self.radio = Some(4),
            Step::RadioOn => self.radio = Some(1),
            Step::Sim => return self.sim_answered(lines, common, now),
            Step::Attach => {
                lines.iter().for_each(|line| {
                    common.note_registration(&line.text, RegistrationForm::Read);
                });
                return self.handle_registration(common);
            }
            Step::PdnState => return self.pdn_state(lines, common, now),
            Step::PdnUp => {
                info!("PDN context is active");
                self.activated = true;
                // Sockets of the old context are of no use any more.
                self.must_close |= std::mem::take(&mut self.opened);
                return self.go(Step::PdnState, common);
            }
            Step::Apn => {
                let apn = common.dialect.and_then(|dialect| dialect.apn(lines));
                common.facts.change(|facts| facts.apn = apn);
            }
            Step::SocketState => return self.socket_state(lines, common, now),
            Step::SocketClose => self.must_close = false,
            Step::SocketOpen => return self.open_answered(lines, common, now),
            Step::UrcPort => return self.ready(common, now),
            Step::EchoOff | Step::ErrorNumbers | Step::Reports | Step::PdnDown => {}
            Step::Ready => return,
        }
        self.advance(common);
    }

    /// The modem said no to the step's command.
    pub(super) fn refused(&mut self, result: &FinalResult, command: &str, common: &mut Common, now: Instant) {
        let why = format!("the modem refused {command}: {result}");
        match self.step {
            Step::BootSettings | Step::ApnSettings | Step::SocketSettings => {
                if let Err(what) = self.settings.refused(&why, self.radio_is_off()) {
                    self.fail(self.step, format!("{what}: {why}"), common, now);
                }
            }
            // Good to have; bring-up can do without.
            Step::ErrorNumbers | Step::Firmware | Step::Imei | Step::Iccid | Step::RadioState | Step::Apn => {
                debug!(why, "passed over");
                self.advance(common);
            }
            // There was nothing to close or deactivate.
            Step::SocketClose | Step::PdnDown => {
                self.must_close &= self.step != Step::SocketClose;
                self.advance(common);
            }
            Step::Sim => {
                let why = sim_refusal(result);
                self.fail(Step::Sim, why, common, now);
            }
            Step::Reports if self.report_level + 1 < REPORT_LEVELS.len() => self.report_level += 1,
            // The waits go on; these were looks in between.
            Step::Attach if matches!(self.waiting, Waiting::Registration { .. }) => debug!(why),
            Step::SocketOpen if matches!(self.waiting, Waiting::Opened { .. }) => debug!(why),
            Step::SocketState => self.socket_state(&[], common, now),
            // Without URCs the slow look finds what has come, if late.
            Step::UrcPort => {
                debug!(why, "passed over");
                self.ready(common, now);
            }
            Step::PdnUp => {
                self.explain = Explain::Wanted;
                // An error also stands for "already active".
                self.fail(Step::PdnDown, why, common, now);
            }
            Step::SocketOpen => {
                self.explain = Explain::Wanted;
                self.must_close = true;
                self.fail(Step::SocketClose, why, common, now);
            }
            step => self.fail(step, why, common, now),
        }
    }

    fn sim_answered(&mut self, lines: &[Line], common: &mut Common, now: Instant) {
        let why = match lines.iter().find_map(|line| responses::sim_state(&line.text)) {
            Some(SimState::Ready) => return self.advance(common),
            Some(SimState::PinRequired) => SIM_WANTS_PIN.to_owned(),
            Some(SimState::PukRequired) => SIM_WANTS_PUK.to_owned(),
            Some(SimState::NotReady) => "the SIM is not ready yet".to_owned(),
            Some(SimState::NotInserted) => NO_SIM.to_owned(),
            Some(SimState::Other(lock)) => format!("the SIM or the modem is locked: {lock}"),
            None => "the modem says nothing about its SIM".to_owned(),
        };
        self.fail(Step::Sim, why, common, now);
    }

    fn pdn_state(&mut self, lines: &[Line], common: &mut Common, now: Instant) {
        let Some(dialect) = common.dialect else { return self.go(Step::EchoOff, common) };
        let pdn = dialect.pdn(lines);
        debug!(?pdn, "state of the PDN context");
        match pdn {
            Pdn::Inactive if self.verifying => {
                self.start_over("the PDN context is gone".to_owned(), common, now);
            }
            Pdn::Inactive if self.activated => {
                let why = "the modem activated the PDN context but does not list it".to_owned();
                self.fail(Step::PdnDown, why, common, now);
            }
            Pdn::Inactive => self.go(Step::PdnUp, common),
            Pdn::Active(address) if self.verifying && address == common.facts.as_ref().address => {
                self.go(Step::SocketState, common);
            }
            Pdn::Active(address) => {
                if self.verifying {
                    self.why = "the modem's own address changed".to_owned();
                    self.must_close = true;
                    self.verifying = false;
                }
                self.activated = false;
                common.facts.change(|facts| facts.address = address);
                self.go(Step::Apn, common);
            }
        }
    }

    fn socket_state(&mut self, lines: &[Line], common: &mut Common, now: Instant) {
        let Some(dialect) = common.dialect else { return self.go(Step::EchoOff, common) };
        match dialect.socket(SOCKET, lines) {
            SocketState::Open(port) if port == common.settings.local_port && !self.must_close => {
                return self.ready(common, now);
            }
            state if self.verifying => {
                return self.start_over(format!("the socket is gone ({state:?})"), common, now);
            }
            SocketState::Absent => {}
            SocketState::Open(_) | SocketState::Unusable => self.must_close = true,
        }
        self.opened = false;
        self.advance(common);
    }

    /// The answer to the open, or to a look whether it is done.
    fn open_answered(&mut self, lines: &[Line], common: &mut Common, now: Instant) {
        let Some(dialect) = common.dialect else { return self.go(Step::EchoOff, common) };
        if matches!(self.waiting, Waiting::Opened { .. }) {
            if dialect.socket(SOCKET, lines) == SocketState::Open(common.settings.local_port) {
                warn!("the socket is open but the modem did not say so: its URCs seem to go to another port");
                self.opened = true;
                self.urcs_here = dialect.urcs_here(lines);
                match self.urcs_here {
                    Some(_) => self.go(Step::UrcPort, common),
                    None => self.ready(common, now),
                }
            }
            return;
        }
        self.waiting = Waiting::Opened { poll_at: now + OPEN_POLL, until: now + dialect.open_limit() };
        let among_lines = lines.iter().find_map(|line| match dialect.urc(line) {
            Some(Urc::SocketOpened { socket, result }) if socket == SOCKET => Some(result),
            _ => None,
        });
        if let Some(result) = self.early.take().or(among_lines) {
            self.opened(result, common, now);
        }
    }

    pub(super) fn opened(&mut self, result: Result<(), OpenError>, common: &mut Common, now: Instant) {
        let why = match result {
            Ok(()) => {
                self.opened = true;
                return self.ready(common, now);
            }
            Err(OpenError::InUse) if !self.closed_stale => {
                debug!("a socket is left over from before; closing it");
                self.closed_stale = true;
                self.must_close = true;
                return self.go(Step::SocketClose, common);
            }
            Err(OpenError::NoPdn) => {
                let why = "the modem says that the PDN context is not active".to_owned();
                return self.fail(Step::PdnDown, why, common, now);
            }
            Err(OpenError::InUse) => "the socket's number stays in use".to_owned(),
            Err(OpenError::Other(words)) => format!("the socket did not open: {words}"),
        };
        self.must_close = true;
        self.fail(Step::SocketClose, why, common, now);
    }
}

const SIM_WANTS_PIN: &str =
    "the SIM asks for its PIN: switch the PIN off or enter it by hand, nbgate enters none";
const SIM_WANTS_PUK: &str = "the SIM is locked and asks for its PUK";
const NO_SIM: &str = "no SIM is inserted";

fn sim_refusal(result: &FinalResult) -> String {
    match result.cme_number() {
        Some(10) => NO_SIM.to_owned(),
        Some(11) => SIM_WANTS_PIN.to_owned(),
        Some(12) => SIM_WANTS_PUK.to_owned(),
        Some(13) => "the SIM does not work (normal for some seconds after power-on)".to_owned(),
        Some(14) => "the SIM is busy".to_owned(),
        Some(15) => "the modem does not take this SIM".to_owned(),
        _ => format!("the modem says about its SIM: {result}"),
    }
}

/// A number that is not built as it should be is still the one that the modem goes by.
fn odd_number(lines: &[Line]) -> Option<&str> {
    let digits = responses::identity_digits(lines)?;
    debug!("an identity number of the modem is not built as the standard says");
    Some(digits)
}
