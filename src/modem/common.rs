//! What the parts of the driver share: settings, dialect, facts and chance, and how a command ended.

use tracing::info;

use crate::at::responses::{self, Registration, RegistrationForm, RegistrationStatus};
use crate::at::{Exchange, Failure, FinalResult};
use crate::net::{LinkFacts, NetworkRegistration};
use crate::seed::Rng;

use super::Settings;
use super::dialect::Dialect;

/// What the parts of the driver share.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) settings: Settings,
    pub(super) dialect: Option<&'static dyn Dialect>,
    pub(super) facts: Facts,
    pub(super) rng: Rng,
}

impl Common {
    /// Takes a `+CEREG` line; false when it is none.
    pub(super) fn note_registration(&mut self, line: &str, form: RegistrationForm) -> bool {
        if !line.starts_with("+CEREG") {
            return false;
        }
        let Some(read) = responses::registration(line, form) else { return false };
        let registration = network_registration(&read);
        if registration != self.facts.now.registration {
            info!(status = %read.stat, cause = read.cause.map(tracing::field::display), "network registration");
        }
        self.facts.change(|facts| {
            facts.registration = registration;
            facts.cell.tac = read.tac.or(facts.cell.tac);
            facts.cell.cell_id = read.ci.or(facts.cell.cell_id);
        });
        true
    }

    /// Chooses the dialect by the modem's own words.
    ///
    /// # Errors
    /// The modem is of no known family.
    pub(super) fn choose_dialect(&mut self) -> Result<(), String> {
        let identity = &self.facts.now.identity;
        self.dialect = self.settings.dialect.select(identity);
        let Some(dialect) = self.dialect else {
            let say = |text: &Option<String>| text.clone().unwrap_or_else(|| "nothing".to_owned());
            let (maker, model) = (say(&identity.manufacturer), say(&identity.model));
            return Err(format!(
                "no dialect for a modem that calls its maker {maker:?} and itself {model:?}"
            ));
        };
        info!(dialect = dialect.name(), model = identity.model, "modem found");
        Ok(())
    }
}

/// The facts, and whether they changed since last told.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) now: LinkFacts,
    pub(super) is_changed: bool,
}

impl Facts {
    pub(super) fn as_ref(&self) -> &LinkFacts {
        &self.now
    }

    /// The modem took a datagram; to be paid for whatever becomes of it.
    pub(super) fn count_sent(&mut self, payload: &[u8]) {
        self.change(|facts| {
            facts.traffic.octets_up += payload.len() as u64;
            facts.traffic.datagrams_up += 1;
        });
    }

    /// The modem gave a datagram out.
    pub(super) fn count_received(&mut self, payload: &[u8]) {
        self.change(|facts| {
            facts.traffic.octets_down += payload.len() as u64;
            facts.traffic.datagrams_down += 1;
        });
    }

    pub(super) fn change(&mut self, change: impl FnOnce(&mut LinkFacts)) {
        let before = self.now.clone();
        change(&mut self.now);
        self.is_changed |= self.now != before;
    }
}

/// How a command ended, for those who asked.
#[derive(Debug)]
pub(super) enum Ended<'a> {
    /// By success.
    Well,
    /// The modem said no.
    Refused(&'a FinalResult),
    /// Its end is not known, for this reason.
    Lost(String),
}

pub(super) fn ended(exchange: &Exchange) -> Ended<'_> {
    match &exchange.outcome {
        Ok(_) => Ended::Well,
        Err(Failure::Refused(result)) => Ended::Refused(result),
        Err(failure) => Ended::Lost(format!("{}: {failure}", exchange.command.name())),
    }
}

fn network_registration(read: &Registration) -> NetworkRegistration {
    match read.stat {
        RegistrationStatus::Home | RegistrationStatus::NoCsfbHome => NetworkRegistration::Home,
        RegistrationStatus::Roaming | RegistrationStatus::NoCsfbRoaming => NetworkRegistration::Roaming,
        RegistrationStatus::Searching => NetworkRegistration::Searching,
        RegistrationStatus::Denied => NetworkRegistration::Denied,
        RegistrationStatus::NotRegistered => NetworkRegistration::Idle,
        // Registered for something else, or out of coverage: no data either way.
        _ => NetworkRegistration::Unknown,
    }
}
