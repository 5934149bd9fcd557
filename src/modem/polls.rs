//! Signal, registration, cell, operator and address, read at an interval while nothing that carries data waits.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tracing::debug;

use crate::at::responses::RegistrationForm;
use crate::at::{Command, Exchange};
use crate::clock::Deadline;

use super::dialect::{Dialect, Fact, Pdn};
use super::driver::{Common, Ended, ended};

/// What a round found out beside facts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Nothing to act on.
    Nothing,
    /// The PDN context is gone, and no URC said so.
    PdnLost,
    /// The context is there with another address: it was dropped and made again behind our back.
    AddressChanged,
    /// The command was lost.
    Lost(String),
}

/// See the file's head.
#[derive(Debug)]
pub(super) struct Polls {
    due: Instant,
    round: VecDeque<Ask>,
    asked: Option<Ask>,
}

#[derive(Debug)]
enum Ask {
    Registration,
    Pdn,
    Other(Command),
}

impl Polls {
    /// The first round is due at once.
    pub(super) fn new(now: Instant) -> Self {
        Self { due: now, round: VecDeque::new(), asked: None }
    }

    /// A round begins now: the moment for the slow look into the socket as well.
    pub(super) fn begins(&mut self, dialect: &dyn Dialect, interval: Duration, now: Instant) -> bool {
        if !self.round.is_empty() || now < self.due {
            return false;
        }
        // Counted from now: after a long wait behind data there is one round, not several.
        self.due = now + interval.max(Duration::from_secs(1));
        self.round.extend([Ask::Registration, Ask::Pdn]);
        self.round.extend(dialect.status_reads().into_iter().map(Ask::Other));
        true
    }

    pub(super) fn poll_command(&mut self, dialect: &dyn Dialect) -> Option<Command> {
        let ask = self.round.pop_front()?;
        let command = match &ask {
            Ask::Registration => Command::read("+CEREG"),
            Ask::Pdn => dialect.read_pdn(),
            Ask::Other(command) => command.clone(),
        };
        self.asked = Some(ask);
        Some(command)
    }

    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        Some(Deadline::new(self.due, "modem status"))
    }

    pub(super) fn handle_finished(&mut self, exchange: &Exchange, common: &mut Common) -> Finding {
        let (Some(ask), Some(dialect)) = (self.asked.take(), common.dialect) else { return Finding::Nothing };
        match ended(exchange) {
            Ended::Well => {}
            Ended::Refused(result) => {
                debug!(command = exchange.command.name(), %result, "status read refused");
                return Finding::Nothing;
            }
            Ended::Lost(why) => return Finding::Lost(why),
        }
        match ask {
            Ask::Registration => exchange.lines.iter().for_each(|line| {
                common.note_registration(&line.text, RegistrationForm::Read);
            }),
            Ask::Other(_) => {
                let facts = exchange.lines.iter().flat_map(|line| dialect.facts(line));
                facts.for_each(|fact| common.facts.change(|facts| apply(fact, facts)));
            }
            Ask::Pdn => match dialect.pdn(&exchange.lines) {
                Pdn::Inactive => return Finding::PdnLost,
                Pdn::Active(address) if address.is_some() && address != common.facts.as_ref().address => {
                    return Finding::AddressChanged;
                }
                Pdn::Active(_) => {}
            },
        }
        Finding::Nothing
    }
}

fn apply(fact: Fact, facts: &mut crate::net::LinkFacts) {
    match fact {
        Fact::Signal(signal) => facts.signal = signal,
        Fact::Technology(technology) => facts.technology = Some(technology),
        Fact::Operator(operator) => facts.operator = operator,
        Fact::Cell(cell) => facts.cell = cell,
    }
}
