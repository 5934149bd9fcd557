//! The way of a server's request: datagram → exchange → client → bridge, and the outcome back.

use std::net::SocketAddr;
use std::time::Instant;

use crate::gateway::io::Event;
use crate::lwm2m::client;
use crate::lwm2m::downlink::{Outcome, TransactionId};
use crate::net::{LinkEvent, LinkRequest, Peer};

use super::{Core, State, names};

impl Core {
    pub(super) fn move_link_events(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while let Some(event) = self.link.poll_event() {
            moved = true;
            match event {
                LinkEvent::Up { address_changed } => self.link_came_up(address_changed, now),
                LinkEvent::Down { reason } => {
                    if self.state == State::Running {
                        tracing::warn!(%reason, "link is down");
                    }
                    self.coap.handle_link(false, now);
                    self.lwm2m.handle_link(false, false, now);
                    self.names.handle_link(false, now);
                    self.tell(Event::Link(Box::new(self.facts().clone())));
                }
                LinkEvent::Received(datagram) => {
                    self.lwm2m.note_traffic(self.link.facts().traffic, Some(datagram.payload.len()), now);
                    self.coap.handle_datagram(datagram, now);
                }
                LinkEvent::Sent(id) => {
                    self.lwm2m.note_traffic(self.link.facts().traffic, None, now);
                    self.coap.handle_sent(id, now);
                }
                LinkEvent::SendFailed { id, reason } => {
                    tracing::debug!(?id, %reason, "datagram did not leave, or nobody knows");
                    self.coap.handle_send_failed(id, now);
                }
                LinkEvent::PeerUnreachable(peer) => self.coap.handle_unreachable(peer, now),
                LinkEvent::FactsChanged => self.facts_changed(),
                LinkEvent::Resolved { name, result } => self.resolved(&name, result, now),
            }
        }
        moved
    }

    fn link_came_up(&mut self, address_changed: bool, now: Instant) {
        let address = self.facts().address.map(tracing::field::display);
        tracing::info!(address, address_changed, "link is up");
        self.coap.set_max_datagram(self.facts().max_send_octets);
        self.coap.set_max_receive(self.facts().max_receive_octets);
        self.coap.handle_link(true, now);
        self.facts_changed();
        self.lwm2m.handle_link(true, address_changed, now);
        self.names.handle_link(true, now);
    }

    pub(super) fn facts_changed(&mut self) {
        let facts = self.link.facts().clone();
        self.remember_modem(&facts.identity);
        let endpoint = names::endpoint(&self.settings.endpoint, &facts.identity, &self.settings.host);
        // Without a name nothing registers: not before the instances of earlier runs are there to be listed.
        if let Some(endpoint) = endpoint.filter(|_| self.keeper.is_settled()) {
            self.lwm2m.set_endpoint(endpoint);
        }
        self.lwm2m.set_facts(facts.clone(), self.settings.host.facts.clone());
        self.tell(Event::Link(Box::new(facts)));
    }

    fn resolved(&mut self, name: &str, result: Result<std::net::IpAddr, String>, now: Instant) {
        if let Err(why) = &result {
            tracing::warn!(name, why, "server's name has no address; asked again later");
        }
        if !self.names.handle_answer(name, result.is_ok(), now) {
            return;
        }
        let Ok(ip) = result else { return };
        for server in self.settings.servers.iter().filter(|server| server.host == name) {
            tracing::info!(name, %ip, "server's name resolved");
            self.lwm2m.set_peer(server.short_server_id, Peer(SocketAddr::new(ip, server.port)), now);
        }
        // Nobody else may speak to us (COAP-27).
        self.coap.set_peers(Some(self.peers().into_iter().collect()));
    }

    pub(super) fn ask_for_names(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while let Some(name) = self.names.poll_question() {
            self.link.request(LinkRequest::Resolve { name }, now);
            moved = true;
        }
        moved
    }

    pub(super) fn move_coap_events(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while let Some(event) = self.coap.poll_event() {
            self.lwm2m.handle_event(event, now);
            moved = true;
        }
        moved
    }

    pub(super) fn move_client_events(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while let Some(event) = self.lwm2m.poll_event() {
            moved = true;
            match event {
                client::Event::Downlink(transaction) => self.bridge.handle_downlink(transaction, now),
                client::Event::SamplesReported(samples) => {
                    let paths = samples.into_iter().filter_map(|sample| self.books.report(sample)).collect();
                    self.tell(Event::Reported { paths });
                }
                client::Event::SampleSuperseded(sample) => self.books.supersede(sample),
                other => self.tell_registration(other, now),
            }
        }
        moved
    }

    pub(super) fn finish_downlink(&mut self, id: TransactionId, outcome: Outcome) {
        let words = match &outcome {
            Outcome::Confirmed => "published and confirmed".to_owned(),
            Outcome::Unavailable { why, .. } | Outcome::Failed { why } => why.clone(),
        };
        self.lwm2m.handle_downlink(id, outcome);
        self.tell(Event::Downlink { outcome: words });
    }

    fn tell_registration(&mut self, event: client::Event, now: Instant) {
        let event = match event {
            client::Event::Registered { server, location } => {
                Event::Registered { short_server_id: server, location }
            }
            client::Event::Updated { server } => Event::Updated { short_server_id: server },
            client::Event::RegistrationFailed { server, why, .. } => {
                let moved = self.settings.servers.iter().find(|one| one.short_server_id == server);
                if let Some(server) = moved {
                    self.names.doubt(&server.host, now);
                }
                Event::RegistrationFailed { short_server_id: server, why }
            }
            client::Event::Disabled { .. } | client::Event::Enabled { .. } => {
                // Nobody but the servers may speak to us (COAP-27), and none of them that has disabled us (DER-02).
                return self.coap.set_peers(Some(self.peers().into_iter().collect()));
            }
            client::Event::Deregistered { server } => Event::Deregistered { short_server_id: server },
            client::Event::RebootRequested { server } => {
                tracing::warn!(
                    server,
                    "a server asks for a reboot; this service does not restart the machine"
                );
                return;
            }
            other => {
                tracing::debug!(?other, "client reports");
                return;
            }
        };
        self.tell(event);
    }
}
