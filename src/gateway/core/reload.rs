//! Other mappings while all goes on: the bridge takes them, the tree loses what nobody stands for any more, the broker
//! and the servers are told.

use std::time::Instant;

use crate::bridge::{Bridge, Mappings};
use crate::gateway::io::Output;
use crate::lwm2m::management::{Access, AccessTable};

use super::Core;

impl Core {
    /// Takes these mappings in place of those before.
    pub(super) fn reload(&mut self, mappings: Mappings, now: Instant) {
        let shown = self.bridge.reload(mappings);
        // What these refuse is worth a word again.
        self.refused.clear();
        // First what waited for a command that is gone: its request is answered by the tree of before.
        self.move_bridge_events(now);
        self.lwm2m.replace_access(access_table(&self.bridge));
        let gone = self.lwm2m.retain_mapped(|path| self.bridge.has(path), now);
        self.looking.retain(|path| self.bridge.has(path));
        // A mapping that came back finds what it had.
        self.show(&shown, now);
        let filters = self.bridge.topic_filters();
        tracing::info!(filters = filters.len(), instances_gone = gone, "mappings are replaced");
        self.outputs.push_back(Output::Subscribe(filters));
    }
}

/// What servers may do with mapped resources.
pub(super) fn access_table(bridge: &Bridge) -> AccessTable {
    let access = bridge.access().map(|access| {
        let rights = Access { writable: access.writable, executable: access.executable };
        ((access.object, access.resource), rights)
    });
    access.collect()
}
