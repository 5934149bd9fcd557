//! The life of observations within the client: taken up, told, lost and ended.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tracing::{debug, warn};

use super::{Client, Event, Starting};
use crate::clock::UnixTime;
use crate::coap::{Action, Ending, Failure, NotificationId, ObservationId, RequestId, Response};
use crate::lwm2m::management;
use crate::lwm2m::path::Path;
use crate::lwm2m::registration::Account;
use crate::lwm2m::reporting::{Numbers, Overlay, Target, numbers};
use crate::net::Peer;

/// Answers with an observation asked for, until the endpoint has taken it up. Beyond that the oldest is forgotten.
const MAX_STARTING: usize = 64;
/// A value that is not older needs no time beside it.
const OF_THIS_MOMENT: Duration = Duration::from_secs(1);
/// A server that showed so shortly ago that it knows us, and rejects a notification, means just that.
pub(super) const REJECTION_IS_MEANT: Duration = Duration::from_secs(60);

impl Client {
    /// The next notification for this peer. To be called only while the endpoint is free for it: the representation
    /// is made now, so that all changes up to now are in it.
    pub fn poll_notification(&mut self, peer: Peer, now: Instant) -> Option<Action> {
        let server = self.account_of(peer).filter(|account| account.is_registered())?.server;
        if !self.link_up || self.stop_at.is_some() || self.is_silent(peer, now) {
            return None;
        }
        let (id, target) = self.reporting.next_due(peer, now)?;
        self.refresh_clock(now);
        let view = self.view(server);
        let mut entries = view.readable(target.path);
        let Self { reporting, tree, books, .. } = self;
        let overlay = match &mut entries {
            Ok(entries) => reporting.lay_over(id, entries, |path| tree.revision_of(path), books),
            Err(_) => Overlay::default(),
        };
        let times = times(&overlay, self.wall_clock, now);
        let response = management::representation(target.path, target.format, entries, &times);
        let notification = reporting.sent(id, (tree.revision(), overlay), now, books)?;
        self.stats.notifications_sent += 1;
        if !response.code.is_success() {
            // Its own error ends the observation (OBS-13).
            self.end_observation(id, "nothing to read there any more");
        }
        Some(Action::Notify { notification, observation: id, response, confirmable: true })
    }

    /// The server and its observations are strangers from now on.
    pub(super) fn forget_observations(&mut self, peer: Peer, why: &'static str, now: Instant) {
        self.starting.retain(|_, starting| starting.target.peer != peer);
        for id in self.reporting.of_peer(peer) {
            self.lose_observation(id, why, now);
        }
        self.actions.push_back(Action::ForgetObservations { peer });
    }

    pub(super) fn answer_observe(&mut self, id: RequestId, response: Response, target: Target, now: Instant) {
        if self.reporting.len() + self.starting.len() >= self.settings.max_observations {
            warn!(limit = self.settings.max_observations, "too many observations; answered as a plain read");
            return self.respond(id, response, false);
        }
        if self.starting.len() >= MAX_STARTING {
            self.starting.pop_first();
        }
        let has_limits = target.path.resource().is_some();
        let numbers = if has_limits { numbers(&self.tree.entries(target.path)) } else { Numbers::new() };
        let starting = Starting { target, answered: now, shown: self.tree.revision(), numbers };
        self.starting.insert(id, starting);
        self.respond(id, response, true);
    }

    pub(super) fn start_observation(&mut self, id: ObservationId, request: RequestId, now: Instant) {
        let Some(Starting { target, answered, shown, numbers }) = self.starting.remove(&request) else {
            return;
        };
        let was_owed = self.end_stale_twins(target, now);
        let Some(account) = self.account_of_mut(target.peer) else { return };
        let (server, instance) = (account.short_server_id, account.server);
        // The first answer is not acknowledged: samples that it showed are reported by a notification after it. So is
        // what was lost before, for then neither side can be sure of the other.
        let is_back = account.observed(target.path);
        let is_news = self.tree.changed_since(target.path, shown) || self.books.has_pending(target.path);
        let rule = self.rule(instance, target.path);
        self.reporting.start(id, (target, rule), numbers, was_owed || is_back || is_news, answered);
        if !rule.limits.is_none() {
            // What came between the answer and this is judged like what comes later.
            self.note_change(target.path);
        }
        debug!(server, path = %target.path, "observation started");
        self.events.push_back(Event::ObservationStarted { server, path: target.path });
    }

    /// Behind a NAT a server asks again for what it observes when it sees us at another address. What it held on the
    /// old one it has forgotten: to notify that as well would only earn a RST for each. True if such a one was still
    /// owed a notification.
    fn end_stale_twins(&mut self, target: Target, now: Instant) -> bool {
        let before = self.settings.nat_idle.and_then(|idle| now.checked_sub(idle * 3 / 4));
        let twins = before.map_or(vec![], |before| self.reporting.stale_twins(target, before));
        let was_owed = twins.iter().any(|twin| self.reporting.owes(*twin));
        for twin in twins {
            self.end_observation(twin, "observed anew");
            self.actions.push_back(Action::ForgetObservation { observation: twin });
        }
        was_owed
    }

    pub(super) fn end_observation(&mut self, id: ObservationId, why: &'static str) -> Option<Target> {
        let (target, samples) = self.reporting.end(id)?;
        self.doubted.remove(&id);
        self.books.failed(samples);
        if let Some(server) = self.account_of(target.peer).map(|account| account.short_server_id) {
            debug!(server, path = %target.path, why, "observation ended");
            self.events.push_back(Event::ObservationEnded { server, path: target.path, why });
        }
        Some(target)
    }

    /// An observation ended, and not because the server said so in as many words. Gives the account of a server that
    /// now does not observe the path at all, and may want to.
    pub(super) fn lose_observation(
        &mut self,
        id: ObservationId,
        why: &'static str,
        now: Instant,
    ) -> Option<&mut Account> {
        let Target { peer, path, .. } = self.end_observation(id, why)?;
        if self.reporting.is_observed(peer, path) {
            return None;
        }
        let account = self.account_of_mut(peer)?;
        account.lost(path, now);
        Some(account)
    }

    /// Ordinarily a server that wants no more of it (OBS-07). But after a silence it may not know us at the address that
    /// the carrier has given us since: then it sees where we are, and is told the same again, before anything ends.
    pub(super) fn handle_rejection(&mut self, id: ObservationId, now: Instant) {
        let Some(peer) = self.reporting.target(id).map(|target| target.peer) else { return };
        let is_silent = self.is_silent(peer, now);
        let Some(account) = self.account_of_mut(peer) else { return };
        if is_silent && account.is_registered() {
            debug!(server = account.short_server_id, "notification rejected after a silence");
            account.doubt_address();
            account.want_contact("notification rejected after a silence");
            self.doubted.insert(id);
            return;
        }
        self.actions.push_back(Action::ForgetObservation { observation: id });
        let is_lost = self.lose_observation(id, Ending::Rejected.as_str(), now).is_some();
        let has_none = self.reporting.count_of(peer) == 0;
        let Some(account) = self.account_of_mut(peer).filter(|_| is_lost) else { return };
        if has_none {
            account.note_all_rejected();
        }
        if account.known_at().is_none_or(|at| now >= at + REJECTION_IS_MEANT) {
            account.want_contact("notification rejected");
        }
    }

    /// The server has shown that it knows our address: what it rejected before was perhaps only that.
    pub(super) fn tell_doubted_again(&mut self, peer: Peer) {
        let Self { doubted, reporting, .. } = self;
        doubted.retain(|id| {
            let is_other = reporting.target(*id).is_some_and(|target| target.peer != peer);
            if !is_other {
                reporting.retry(*id);
            }
            is_other
        });
    }

    pub(super) fn notification_delivered(&mut self, notification: NotificationId, now: Instant) {
        let Some((target, snapshot)) = self.reporting.delivered(notification, now) else { return };
        self.stats.notifications_delivered += 1;
        self.heard.insert(target.peer, now);
        let shown = snapshot.shown;
        self.books.delivered(target.path, snapshot.into_samples(), shown);
        if let Some(account) = self.account_of_mut(target.peer) {
            account.note_acknowledgement();
        }
    }

    pub(super) fn notification_failed(&mut self, notification: NotificationId, why: Failure, now: Instant) {
        let Some(target) = self.reporting.failed(notification, now, &mut self.books) else { return };
        self.stats.notifications_failed += 1;
        if why == Failure::TooLarge {
            // Said again with each try, which the hold makes rare.
            warn!(
                path = %target.path,
                "what a server observes does not fit into one datagram, and it is told nothing of it; \
                 let it observe the instances or resources one by one"
            );
        } else {
            debug!(path = %target.path, %why, "notification failed");
        }
        self.doubt(target.peer, why);
    }

    /// A notification was not acknowledged: is the server still there?
    pub(super) fn doubt(&mut self, peer: Peer, why: Failure) {
        let Some(account) = self.account_of_mut(peer) else { return };
        if matches!(why, Failure::TimedOut | Failure::Unreachable) {
            account.want_contact("notification failed");
        }
    }
}

/// The Unix seconds of what a notification shows that is past, if it is not of this very moment and we know the time.
fn times(overlay: &Overlay, clock: Option<(UnixTime, Instant)>, now: Instant) -> BTreeMap<Path, i64> {
    let Some((time, read)) = clock else { return BTreeMap::new() };
    let present = time.plus(now.saturating_duration_since(read));
    let dated = overlay.past.iter().filter_map(|(path, at)| {
        let age = now.saturating_duration_since((*at)?);
        (age >= OF_THIS_MOMENT).then(|| (*path, present.minus(age).as_secs()))
    });
    dated.collect()
}
