//! The core's way to the store and back: which instances there were, which modem it was, and what is new of both.

use std::time::Instant;

use crate::bridge::Urgency;
use crate::lwm2m::path::Path;
use crate::net::Identity;
use crate::persist::{Answer, Contents, Modem, Write};

use super::Core;
use super::keeper::{News, Status};

impl Core {
    /// A message that comes earlier would be given an instance that belongs to another sensor since the last run. At most
    /// 5 s from the start; until then the broker keeps what it has.
    pub const fn takes_messages(&self) -> bool {
        self.keeper.is_settled()
    }

    /// How it stands with what lasts.
    pub fn store(&self) -> Status {
        self.keeper.status()
    }

    pub(super) fn handle_store(&mut self, answer: Answer, now: Instant) {
        let was_settled = self.keeper.is_settled();
        match self.keeper.handle_answer(answer, now) {
            Some(News::Loaded(contents)) => self.restore(contents, now),
            Some(News::Emptied) => {
                self.bridge.write_all();
                self.remembered = None;
                self.facts_changed();
            }
            None => {}
        }
        if !was_settled {
            self.facts_changed();
        }
    }

    pub(super) fn keep_time(&mut self, now: Instant) {
        let was_settled = self.keeper.is_settled();
        self.keeper.handle_timeout(now);
        if !was_settled && self.keeper.is_settled() {
            self.facts_changed();
        }
    }

    /// Hands on what the bridge wants kept.
    pub(super) fn move_writes(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while let Some((write, urgency)) = self.bridge.poll_write() {
            self.keeper.put(write, urgency, now);
            moved = true;
        }
        self.keeper.handle_timeout(now);
        moved
    }

    /// An instance is no more.
    pub(super) fn forget_instance(&mut self, object: u16, id: u16, now: Instant) {
        self.lwm2m.remove_instance(object, id, now);
        let gone = Path::instance_of(object, id);
        self.looking.retain(|path| !gone.covers(path));
    }

    /// Once the modem has told who it is.
    pub(super) fn remember_modem(&mut self, identity: &Identity) {
        let Some(modem) = known(identity).filter(|modem| self.remembered.as_ref() != Some(modem)) else {
            return;
        };
        // What was kept comes first, or the comparison with it would be lost.
        if !self.keeper.is_settled() {
            return;
        }
        if let Some(before) = &self.remembered {
            tell_difference(before, &modem);
        }
        self.remembered = Some(modem.clone());
        self.keeper.put(Write::Modem(modem), Urgency::Soon, self.now);
    }

    fn restore(&mut self, contents: Contents, now: Instant) {
        self.remembered = self.remembered.take().or(contents.modem);
        let kept = contents.instances.len();
        let shown = self.bridge.restore(contents.instances);
        self.show(&shown, now);
        self.keeper.note_restored(shown.len());
        tracing::info!(kept, shown = shown.len(), "instances of earlier runs are back");
    }

    /// These instances are in the tree, with or without values.
    pub(super) fn show(&mut self, instances: &[(u16, u16)], now: Instant) {
        for (object, id) in instances {
            if let Err(refusal) = self.lwm2m.add_instance(*object, *id, now) {
                tracing::debug!(object, id, %refusal, "a remembered instance is not shown");
            }
        }
    }
}

/// A modem that does not know its serial number yet has not told all.
fn known(identity: &Identity) -> Option<Modem> {
    let Identity { manufacturer, model, firmware, imei, imsi, iccid } = identity.clone();
    imei.as_ref()?;
    Some(Modem { manufacturer, model, firmware, imei, imsi, iccid })
}

fn tell_difference(before: &Modem, now: &Modem) {
    if before.imei != now.imei {
        tracing::warn!(
            "this is another modem than before: by its IMEI servers may take us for another device"
        );
    }
    if before.imsi.is_some() && now.imsi.is_some() && before.imsi != now.imsi {
        tracing::warn!("this is another SIM than before");
    }
    if before.imei == now.imei && before.firmware != now.firmware {
        let (from, to) = (before.firmware.as_deref(), now.firmware.as_deref());
        tracing::info!(from, to, "the modem has another firmware than before");
    }
}
