//! What must be known before a registration: the endpoint's name out of its placeholders, the servers' addresses.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::clock::Deadline;
use crate::gateway::settings::{Host, Server, Settings};
use crate::lwm2m::client;
use crate::net::{Identity, Peer};

/// A name that did not resolve is asked for again after this, doubling up to `RETRY_MAX`.
const RETRY_MIN: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_secs(600);
/// An answer that never comes is taken as none.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);

/// The server as the client is to know it; its address follows when it is known.
pub(super) fn server_settings(server: &Server) -> client::ServerSettings {
    client::ServerSettings {
        peer: server.host.parse().ok().map(|ip: IpAddr| Peer(SocketAddr::new(ip, server.port))),
        uri: server.uri.clone(),
        short_server_id: server.short_server_id,
        lifetime: server.lifetime,
        instance: server.instance,
        security_instance: server.security_instance,
    }
}

/// The servers' host names: which address to ask for, and when. One that has its address rests until somebody doubts it.
#[derive(Debug)]
pub(super) struct Names {
    names: Vec<Name>,
    link_up: bool,
    due: VecDeque<String>,
}

#[derive(Debug)]
struct Name {
    name: String,
    state: State,
    pause: Duration,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// To be asked at this time, once the link is up.
    Ask(Instant),
    /// To be asked as soon as the link is up.
    AskAtOnce,
    /// Asked; taken as failed at this time.
    Asked(Instant),
    /// Has its address.
    Known,
}

impl Names {
    pub(super) fn new(settings: &Settings) -> Self {
        let mut names: Vec<&str> = settings
            .servers
            .iter()
            .map(|s| s.host.as_str())
            .filter(|h| h.parse::<IpAddr>().is_err())
            .collect();
        names.sort_unstable();
        names.dedup();
        let names = names
            .into_iter()
            .map(|name| Name { name: name.to_owned(), state: State::AskAtOnce, pause: RETRY_MIN })
            .collect();
        Self { names, link_up: false, due: VecDeque::new() }
    }

    pub(super) fn handle_link(&mut self, up: bool, now: Instant) {
        self.link_up = up;
        if !up {
            // Questions under way are lost with the link.
            let open = self.names.iter_mut().filter(|name| !matches!(name.state, State::Known));
            open.for_each(|name| name.state = State::AskAtOnce);
        }
        self.handle_timeout(now);
    }

    /// Takes an answer; true when it is one we wait for and it brought an address.
    pub(super) fn handle_answer(&mut self, name: &str, found: bool, now: Instant) -> bool {
        let waits = |one: &&mut Name| one.name == name && !matches!(one.state, State::Known);
        let Some(name) = self.names.iter_mut().find(waits) else { return false };
        if found {
            name.state = State::Known;
        } else {
            name.put_off(now);
        }
        found
    }

    /// The server of this name does not register us: it may have moved, so its address is asked for again. Later each time,
    /// for another address starts the attempts to register over, and a name may have several in turn.
    pub(super) fn doubt(&mut self, name: &str, now: Instant) {
        let known = self.names.iter_mut().find(|one| one.name == name && matches!(one.state, State::Known));
        if let Some(known) = known {
            known.put_off(now);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if !self.link_up {
            return;
        }
        for name in &mut self.names {
            match name.state {
                State::AskAtOnce => {}
                State::Ask(at) if now >= at => {}
                State::Asked(limit) if now >= limit => {
                    name.put_off(now);
                    continue;
                }
                _ => continue,
            }
            name.state = State::Asked(now + ANSWER_LIMIT);
            self.due.push_back(name.name.clone());
        }
    }

    pub(super) fn poll_question(&mut self) -> Option<String> {
        self.due.pop_front()
    }

    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        let deadline = |name: &Name| match name.state {
            State::Ask(at) => Some(Deadline::new(at, "resolve a server's name again")),
            State::Asked(at) => Some(Deadline::new(at, "give up on a server's name")),
            State::AskAtOnce | State::Known => None,
        };
        if self.link_up { Deadline::earliest(self.names.iter().map(deadline)) } else { None }
    }
}

impl Name {
    fn put_off(&mut self, now: Instant) {
        self.state = State::Ask(now + self.pause);
        self.pause = (self.pause * 2).min(RETRY_MAX);
    }
}

/// Fills the placeholders of an endpoint name; `None` while one of them is not known yet.
pub(super) fn endpoint(template: &str, identity: &Identity, host: &Host) -> Option<String> {
    let sources = [
        ("{imei}", &identity.imei),
        ("{imsi}", &identity.imsi),
        ("{hostname}", &host.hostname),
        ("{machine_id}", &host.machine_id),
    ];
    sources.into_iter().try_fold(template.to_owned(), |name, (placeholder, value)| {
        if name.contains(placeholder) {
            value.as_ref().map(|value| name.replace(placeholder, value))
        } else {
            Some(name)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_waits_for_what_it_names_and_for_nothing_else() {
        let host = Host { hostname: Some("gw".into()), ..Host::default() };
        let mut identity = Identity::default();
        assert_eq!(endpoint("{hostname}-1", &identity, &host).as_deref(), Some("gw-1"));
        assert_eq!(endpoint("{imei};{imsi}", &identity, &host), None);
        identity.imei = Some("866".into());
        identity.imsi = Some("262".into());
        assert_eq!(endpoint("{imei};{imsi}", &identity, &host).as_deref(), Some("866;262"));
    }

    fn t0() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
        Instant::now()
    }

    fn names() -> Names {
        let name = Name { name: "h".into(), state: State::AskAtOnce, pause: RETRY_MIN };
        Names { names: vec![name], link_up: false, due: VecDeque::new() }
    }

    #[test]
    fn a_server_that_does_not_register_us_is_looked_for_again_and_later_each_time() {
        let (t0, mut names) = (t0(), names());
        names.handle_link(true, t0);
        assert_eq!(names.poll_question().as_deref(), Some("h"));
        names.doubt("h", t0);
        assert_eq!(names.poll_question(), None, "a question is under way");
        assert!(names.handle_answer("h", true, t0));
        names.handle_link(false, t0);
        names.handle_link(true, t0);
        assert_eq!(names.poll_question(), None, "its address is known");
        let mut now = t0;
        for pause in [RETRY_MIN, RETRY_MIN * 2, RETRY_MIN * 4] {
            names.doubt("h", now);
            assert_eq!(names.poll_timeout().unwrap().at, now + pause);
            now += pause;
            names.handle_timeout(now);
            assert_eq!(names.poll_question().as_deref(), Some("h"));
            assert!(names.handle_answer("h", true, now));
            assert!(!names.handle_answer("h", true, now), "nobody asked");
        }
    }

    #[test]
    fn a_name_without_an_address_is_asked_for_again_later() {
        let (t0, mut names) = (t0(), names());
        assert_eq!(names.poll_question(), None);
        names.handle_link(true, t0);
        assert_eq!(names.poll_question().as_deref(), Some("h"));
        assert!(!names.handle_answer("h", false, t0));
        assert_eq!(names.poll_timeout().unwrap().at, t0 + RETRY_MIN);
        names.handle_timeout(t0 + RETRY_MIN);
        assert_eq!(names.poll_question().as_deref(), Some("h"));
        assert!(names.handle_answer("h", true, t0 + RETRY_MIN));
        assert_eq!(names.poll_timeout(), None);
    }
}
