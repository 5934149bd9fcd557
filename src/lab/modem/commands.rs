//! Which command does what, and those that need no file of their own: identity, clock, power-down.

use std::time::{Duration, Instant};

use super::command_line::Form;
use super::errors::Final;
use super::settings::Ram;
use super::{Action, FOLLOWS_AFTER, Modem, Reply, calendar};
use crate::clock::UnixTime;

impl Modem {
    /// A command of one letter.
    pub(super) fn basic(&mut self, name: &str, number: u16) -> Reply {
        match (name, number) {
            ("E", 0 | 1) => self.ram.echo = number == 1,
            ("I", 0) => {
                let revision = format!("Revision: {}", self.options.model.firmware());
                return Reply::Lines(vec!["Quectel".into(), self.options.model.name().into(), revision]);
            }
            ("Z" | "&F", 0) => {
                let old = std::mem::replace(&mut self.ram, Ram::at_power_on(self.options.echo));
                self.ram.last_error = old.last_error;
            }
            // Nothing but the verbose form is spoken, and modem lines do nothing here.
            ("V", 1) | ("Q", 0) | ("&W", 0) | ("X", 0..=4) | ("&C", 0 | 1) | ("&D", 0..=2) => {}
            _ => return Reply::Done(Final::Error),
        }
        Reply::ok()
    }

    /// A command that begins with `+`. One that is not listed does not exist.
    pub(super) fn extended(&mut self, name: &str, form: &Form, now: Instant) -> Reply {
        if let Some(reply) = self.identity(name, form) {
            return reply;
        }
        match name {
            "+CMEE" | "+QSCLK" => self.number_in_ram(name, form),
            "+CPIN" => self.cpin(form, now),
            "+CFUN" => self.cfun(form, now),
            "+CEREG" => self.cereg(form),
            "+CGATT" => self.cgatt(form, now),
            "+COPS" => self.cops(form, now),
            "+CGPADDR" => self.cgpaddr(form),
            "+CGDCONT" => self.cgdcont(form),
            "+CPSMS" => self.cpsms(form),
            "+CEDRXS" => self.cedrxs(form),
            "+QPSMS" => self.qpsms(form),
            "+CSQ" if *form == Form::Execute => self.csq(),
            "+QCSQ" if *form == Form::Execute => self.qcsq(),
            "+QENG" => self.qeng(form),
            "+QNWINFO" if *form == Form::Execute => self.qnwinfo(),
            "+QSPN" if *form == Form::Execute => self.qspn(),
            "+CCLK" if *form == Form::Read => self.cclk(now),
            "+QLTS" => self.qlts(now),
            "+QINISTAT" if *form == Form::Execute => Reply::line(format!("+QINISTAT: {}", self.started)),
            "+QCFG" => self.qcfg(form),
            "+QURCCFG" => self.qurccfg(form),
            "+QPOWD" => self.qpowd(form, now),
            "+QICSGP" => self.qicsgp(form),
            "+QIACT" => self.qiact(form, now),
            "+QIDEACT" => self.qideact(form, now),
            "+QIOPEN" => self.qiopen(form, now),
            "+QICLOSE" => self.qiclose(form, now),
            "+QISEND" => self.qisend(form),
            "+QISENDEX" => self.qisendex(form),
            "+QIRD" => self.qird(form),
            "+QISTATE" => self.qistate(form, now),
            "+QIGETERROR" if *form == Form::Execute => self.qigeterror(),
            "+QISDE" => self.qisde(form),
            "+QICFG" => self.qicfg(form),
            "+QIDNSCFG" => self.qidnscfg(form),
            "+QIDNSGIP" => self.qidnsgip(form, now),
            _ => Reply::Done(Final::Error),
        }
    }

    /// Bare numbers and names. The typed form `AT+CGSN=1` is not this family's.
    fn identity(&self, name: &str, form: &Form) -> Option<Reply> {
        let model = self.options.model;
        if !matches!(form, Form::Execute | Form::Test) {
            return None;
        }
        let reply = match name {
            "+CGMI" | "+GMI" => Reply::line("Quectel".into()),
            "+CGMM" | "+GMM" => Reply::line(model.name().into()),
            "+CGMR" | "+GMR" | "+QGMR" => Reply::line(model.firmware().into()),
            "+CGSN" | "+GSN" => Reply::line(self.options.imei.clone()),
            "+CIMI" => self.sim_line(self.options.imsi.clone()),
            "+QCCID" => self.sim_line(format!("+QCCID: {}", self.options.iccid)),
            _ => return None,
        };
        Some(if *form == Form::Test { Reply::ok() } else { reply })
    }

    /// `AT+QPOWD[=mode]`: 1 in order, 0 at once.
    fn qpowd(&mut self, form: &Form, now: Instant) -> Reply {
        let mode = match form {
            Form::Execute => Some(1),
            Form::Set(args) => args.number::<u8>(0),
            Form::Read | Form::Test => None,
        };
        let wait = match mode {
            Some(0) => FOLLOWS_AFTER,
            Some(1) => FOLLOWS_AFTER + self.rng.between(Duration::from_secs(1), Duration::from_secs(8)),
            _ => return Reply::parameters(),
        };
        self.after(wait, Action::PowerOff, now);
        Reply::ok()
    }

    /// The network's time, or the time since power-on from 1980 where the network told none.
    fn wall_clock(&self, now: Instant) -> Option<UnixTime> {
        self.network.serving()?;
        Some(self.options.wall_clock?.plus(now.saturating_duration_since(self.made_at)))
    }

    fn cclk(&self, now: Instant) -> Reply {
        let unset = UnixTime::from_secs(315_964_800).plus(now.saturating_duration_since(self.made_at));
        Reply::line(format!("+CCLK: \"{}\"", calendar::short(self.wall_clock(now).unwrap_or(unset))))
    }

    fn qlts(&self, now: Instant) -> Reply {
        Reply::line(match self.wall_clock(now) {
            Some(time) => format!("+QLTS: \"{}\"", calendar::long(time)),
            None => "+QLTS: \"\"".into(),
        })
    }
}
