//! What servers say about when they want to be told: attributes that they write, and their default periods.

use super::Client;
use crate::coap::Code;
use crate::lwm2m::attributes::{Attributes, Defaults, Limits, Periods};
use crate::lwm2m::objects::server;
use crate::lwm2m::path::Path;
use crate::lwm2m::registration::Account;
use crate::lwm2m::reporting::Rule;

impl Client {
    /// Running observations go by them from the next decision on (WA-10).
    pub(super) fn write_attributes(&mut self, server: Path, path: Path, attributes: Attributes) -> Code {
        let written = self.attributes.entry(server).or_default();
        if written.set(path, attributes).is_err() {
            return Code::INTERNAL_SERVER_ERROR;
        }
        self.refresh_observations(server, path);
        Code::CHANGED
    }

    /// The servers' lifetimes and default periods as they are in the tree now (NTF-19).
    pub(super) fn refresh_periods(&mut self) {
        for account in &mut self.accounts {
            account.lifetime_secs = server::lifetime_secs(&self.tree, account.server);
        }
        let instances: Vec<_> = self.accounts.iter().map(|account| account.server).collect();
        for instance in instances {
            let defaults = Defaults::of_server(&self.tree, instance);
            if self.defaults.insert(instance, defaults) != Some(defaults) {
                self.refresh_observations(instance, Path::ROOT);
            }
        }
    }

    /// Attributes at and below the path go with their instance or resource instance (WA-11); a resource that lost its
    /// value may get it back.
    pub(super) fn forget_attributes(&mut self, path: Path) {
        let tree = &self.tree;
        let still_is = |at: Path| match (at.object(), at.instance(), at.depth()) {
            (_, _, 4) => tree.exists(at),
            (Some(object), Some(instance), _) => tree.exists(Path::instance_of(object, instance)),
            _ => true,
        };
        for written in self.attributes.values_mut() {
            written.retain(path, still_is);
        }
    }

    /// When a server wants to hear of the path.
    pub(super) fn rule(&self, server: Path, path: Path) -> Rule {
        let attributes = self.view(server).attributes.effective(path);
        let defaults = self.defaults.get(&server).copied().unwrap_or_default();
        Rule { periods: Periods::new(&attributes, defaults), limits: Limits::new(&attributes) }
    }

    fn refresh_observations(&mut self, server: Path, under: Path) {
        let account = self.accounts.iter().find(|account| account.server == server);
        let Some(peer) = account.and_then(Account::peer) else { return };
        for (id, path) in self.reporting.of_peer_under(peer, under) {
            self.reporting.set_rule(id, self.rule(server, path));
        }
    }
}
