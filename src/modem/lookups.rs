//! Addresses of host names, one name at a time: the modem's answer comes later, without the name.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Instant;

use crate::at::{Command, Exchange};
use crate::clock::Deadline;
use crate::net::LinkEvent;

use super::dialect::{Dialect, Urc};
use super::driver::{Ended, ended};

/// Names that may wait; one more is refused. A gateway has a handful of servers.
const MAX_WAITING: usize = 16;

/// See the file's head.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    waiting: VecDeque<String>,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    name: String,
    /// Addresses still to come; `None` before the modem has said how many.
    missing: Option<usize>,
    found: Option<IpAddr>,
    until: Instant,
}

impl Lookups {
    /// Asks for a name; a name that is an address already is answered at once.
    pub(super) fn ask(&mut self, name: String, events: &mut VecDeque<LinkEvent>) {
        let result = if let Ok(address) = name.parse() {
            Ok(address)
        } else if self.waiting.contains(&name) {
            // One answer serves both: it carries the name.
            return;
        } else if self.waiting.len() >= MAX_WAITING {
            Err("too many names are being looked up".to_owned())
        } else {
            self.waiting.push_back(name);
            return;
        };
        events.push_back(LinkEvent::Resolved { name, result });
    }

    /// A name waits to be asked for.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty() && self.current.is_none()
    }

    /// The link went down: the current name fails, those not yet asked for wait for the next link.
    pub(super) fn give_up(&mut self, reason: &str, events: &mut VecDeque<LinkEvent>) {
        self.finish(Err(reason.to_owned()), events);
    }

    pub(super) fn poll_command(&mut self, dialect: &dyn Dialect, now: Instant) -> Option<Command> {
        if self.current.is_some() {
            return None;
        }
        let name = self.waiting.pop_front()?;
        let command = dialect.resolve(&name);
        // The command's own limit comes first; this one counts anew from its `OK`.
        let until = now + command.answer_limit() + dialect.resolve_limit();
        self.current = Some(Current { name, missing: None, found: None, until });
        Some(command)
    }

    pub(super) fn handle_finished(
        &mut self,
        exchange: &Exchange,
        dialect: &dyn Dialect,
        events: &mut VecDeque<LinkEvent>,
        now: Instant,
    ) {
        match ended(exchange) {
            Ended::Well => {
                if let Some(current) = &mut self.current {
                    current.until = now + dialect.resolve_limit();
                }
            }
            Ended::Refused(result) => {
                self.finish(Err(format!("the modem refused to look it up: {result}")), events);
            }
            Ended::Lost(why) => self.finish(Err(why), events),
        }
    }

    pub(super) fn handle_urc(&mut self, urc: &Urc, events: &mut VecDeque<LinkEvent>) {
        let Some(current) = self.current.as_mut() else { return };
        match urc {
            Urc::ResolveResult(Err(words)) => {
                let words = words.clone();
                return self.finish(Err(words), events);
            }
            Urc::ResolveResult(Ok(count)) => current.missing = Some(*count),
            // Before the count it belongs to an earlier name.
            Urc::ResolvedAddress(address) if current.missing.is_some() => {
                current.missing = current.missing.map(|missing| missing.saturating_sub(1));
                // The socket carries IPv4 only; the first such address is as good as any.
                if address.is_ipv4() && current.found.is_none() {
                    current.found = Some(*address);
                }
            }
            _ => return,
        }
        // The next name is asked for only when all addresses of this one have come: they carry no name.
        if current.missing == Some(0) {
            let found = current.found;
            self.finish(found.ok_or_else(|| "the name has no IPv4 address".to_owned()), events);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, events: &mut VecDeque<LinkEvent>) {
        let Some(current) = self.current.as_ref().filter(|current| current.until <= now) else { return };
        let found = current.found;
        self.finish(found.ok_or_else(|| "no answer from the name service in time".to_owned()), events);
    }

    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        self.current.as_ref().map(|current| Deadline::new(current.until, "modem name lookup"))
    }

    fn finish(&mut self, result: Result<IpAddr, String>, events: &mut VecDeque<LinkEvent>) {
        if let Some(Current { name, .. }) = self.current.take() {
            events.push_back(LinkEvent::Resolved { name, result });
        }
    }
}
