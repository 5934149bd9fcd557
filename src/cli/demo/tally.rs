//! What the demo has seen, and whether that is enough to pass.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::screen::in_words;
use crate::gateway::io::Event as GatewayEvent;
use crate::lab::broker::Message;
use crate::lab::sensors::{Kind, Player};
use crate::lab::server::Reading;
use crate::lab::world::is_same;
use crate::lwm2m::path::Path;
use crate::lwm2m::value::Value;

/// Samples of each sensor that must arrive.
const ENOUGH: usize = 3;

/// Counts what was published and what arrived.
#[derive(Debug)]
pub(super) struct Tally {
    /// A real server shows us nothing: what it acknowledges counts.
    real_server: bool,
    /// When the last message of a sensor was published.
    published: BTreeMap<u16, Instant>,
    /// Samples that arrived, by object.
    arrived: BTreeMap<u16, usize>,
    /// The last value at the server, by path.
    at_server: BTreeMap<Path, Value>,
    dimmed: bool,
    /// The link is up, or why not; `None` before the gateway said a word about it.
    link: Option<Result<(), String>>,
    is_registered: bool,
    /// Why the gateway has no broker.
    broker_lost: Option<String>,
}

impl Tally {
    pub(super) fn new(real_server: bool) -> Self {
        Self {
            real_server,
            published: BTreeMap::new(),
            arrived: BTreeMap::new(),
            at_server: BTreeMap::new(),
            dimmed: false,
            link: None,
            is_registered: false,
            broker_lost: None,
        }
    }

    /// A sensor published.
    pub(super) fn published(&mut self, players: &[Player], message: &Message, now: Instant) {
        let kind = players.iter().map(Player::kind).find(|kind| is_of(*kind, &message.topic));
        if let Some(kind) = kind {
            self.published.insert(kind.object(), now);
        }
    }

    /// A value reached the demo's server; gives the delay since its sensor last published.
    pub(super) fn arrived(&mut self, reading: &Reading, now: Instant) -> Option<Duration> {
        let object = reading.path.object()?;
        let is_new =
            self.at_server.insert(reading.path, reading.value.clone()).as_ref() != Some(&reading.value);
        if is_new && !self.real_server {
            *self.arrived.entry(object).or_default() += 1;
        }
        self.delay(object, now)
    }

    /// A server acknowledged a sample.
    pub(super) fn acknowledged(&mut self, path: Path, now: Instant) -> Option<Duration> {
        let object = path.object()?;
        if self.real_server {
            *self.arrived.entry(object).or_default() += 1;
        }
        self.delay(object, now)
    }

    /// What the gateway tells, for the causes of a failure.
    pub(super) fn gateway(&mut self, event: &GatewayEvent) {
        match event {
            GatewayEvent::Link(facts) => {
                let why = || facts.trouble.clone().unwrap_or_else(|| facts.state.to_owned());
                self.link = Some(if facts.up { Ok(()) } else { Err(why()) });
            }
            GatewayEvent::Registered { .. } | GatewayEvent::Updated { .. } => self.is_registered = true,
            GatewayEvent::RegistrationFailed { .. } => self.is_registered = false,
            GatewayEvent::Broker { connected, reason } => {
                self.broker_lost = (!connected).then(|| reason.clone());
            }
            _ => {}
        }
    }

    /// The server's order reached the lamp's topic.
    pub(super) fn dimmed(&mut self) {
        self.dimmed = true;
    }

    /// Something of every sensor has arrived.
    pub(super) fn every_sensor_arrived(&self) -> bool {
        Kind::ALL.iter().all(|kind| self.arrived.contains_key(&kind.object()))
    }

    /// Samples that arrived in all.
    pub(super) fn samples(&self) -> usize {
        self.arrived.values().sum()
    }

    /// Whether the demo passes; else every reason why not.
    pub(super) fn judge(&self, players: &[Player]) -> Result<(), Vec<String>> {
        let mut reasons = self.causes();
        let is_cut_off = !reasons.is_empty();
        for player in players {
            let kind = player.kind();
            let arrived = self.arrived.get(&kind.object()).copied().unwrap_or(0);
            if arrived < ENOUGH {
                reasons
                    .push(format!("only {arrived} samples of {} arrived, {ENOUGH} are needed", kind.name()));
            }
            // Without a way to the server its values say nothing.
            if !self.real_server && !is_cut_off {
                reasons.extend(self.differences(player));
            }
        }
        if !self.dimmed && !self.real_server {
            reasons.push("the server's order to dim the lamp did not reach its topic".into());
        }
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }

    /// What kept everything from arriving.
    fn causes(&self) -> Vec<String> {
        let mut causes = vec![];
        match &self.link {
            Some(Err(why)) => causes.push(format!("the modem is not online: {why}")),
            Some(Ok(())) if !self.is_registered => {
                causes.push("the server has not registered the gateway".into());
            }
            _ => {}
        }
        causes.extend(self.broker_lost.as_ref().map(|why| format!("the gateway has no broker: {why}")));
        causes
    }

    fn differences(&self, player: &Player) -> Vec<String> {
        let object = player.kind().object();
        player
            .last()
            .iter()
            .filter_map(|(resource, published)| {
                let path = Path::resource_of(object, 0, *resource);
                let arrived = self.at_server.get(&path);
                let same = arrived.is_some_and(|arrived| is_same(published, arrived));
                (!same).then(|| {
                    let at_server = arrived.map_or_else(|| "nothing".to_owned(), in_words);
                    format!("{path}: published {published}, but the server has {at_server}")
                })
            })
            .collect()
    }

    fn delay(&self, object: u16, now: Instant) -> Option<Duration> {
        self.published.get(&object).map(|published| now.saturating_duration_since(*published))
    }
}

fn is_of(kind: Kind, topic: &str) -> bool {
    let prefix = match kind {
        Kind::Parking => "parking/",
        Kind::Water => "meter/",
        Kind::Manhole => "city/manhole/",
        Kind::Lamp => "lamps/",
    };
    topic.starts_with(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixTime;
    use crate::lab::sensors::Reading as Published;
    use crate::net::LinkFacts;
    use crate::seed::Seed;

    #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
    fn t0() -> Instant {
        Instant::now()
    }

    /// A lamp that has published twice, and readings that say what it said.
    fn played(t0: Instant) -> (Player, Vec<Reading>) {
        let period = Duration::from_secs(60);
        let mut player =
            Player::new(Kind::Lamp, period, Seed::new(1), t0, UnixTime::from_secs(1_767_225_600));
        while player.poll_message(t0).is_some() {}
        let readings = player.last().iter().map(|(resource, published)| Reading {
            endpoint: "gw".into(),
            path: Path::resource_of(3416, 0, *resource),
            object: "",
            resource: "",
            value: match published {
                Published::Boolean(value) => Value::Boolean(*value),
                Published::Number(value) => Value::Float(*value),
            },
            unit: None,
            changed: true,
        });
        let readings = readings.collect();
        (player, readings)
    }

    #[test]
    fn passes_when_the_values_are_there_and_the_lamp_was_dimmed() {
        let t0 = t0();
        let (player, readings) = played(t0);
        let mut tally = Tally::new(false);
        readings.iter().for_each(|reading| {
            tally.arrived(reading, t0);
        });
        assert!(tally.judge(std::slice::from_ref(&player)).is_err(), "nobody dimmed the lamp");
        tally.dimmed();
        assert_eq!(tally.judge(&[player]), Ok(()));
    }

    #[test]
    fn another_value_at_the_server_than_the_last_published_is_a_reason() {
        let t0 = t0();
        let (player, mut readings) = played(t0);
        readings[0].value = Value::Float(-1.0);
        let mut tally = Tally::new(false);
        tally.dimmed();
        readings.iter().for_each(|reading| {
            tally.arrived(reading, t0);
        });
        let reasons = tally.judge(&[player]).unwrap_err();
        assert!(
            reasons.len() == 1 && reasons[0].ends_with("published 60, but the server has -1"),
            "{reasons:?}"
        );
    }

    #[test]
    fn with_a_real_server_acknowledgements_count_and_the_lamp_is_waived() {
        let t0 = t0();
        let (player, _) = played(t0);
        let mut tally = Tally::new(true);
        assert!(tally.judge(std::slice::from_ref(&player)).is_err());
        (0..3).for_each(|_| {
            tally.acknowledged(Path::resource_of(3416, 0, 3), t0);
        });
        assert_eq!(tally.judge(&[player]), Ok(()));
    }

    #[test]
    fn what_cut_the_gateway_off_is_the_first_reason() {
        let (player, _) = played(t0());
        let mut tally = Tally::new(false);
        tally.gateway(&GatewayEvent::Broker { connected: false, reason: "refused".into() });
        let reasons = tally.judge(std::slice::from_ref(&player)).unwrap_err();
        assert_eq!(reasons[0], "the gateway has no broker: refused");
        assert!(!reasons.iter().any(|reason| reason.contains("but the server has")), "{reasons:?}");
        tally.gateway(&GatewayEvent::Broker { connected: true, reason: String::new() });
        tally.gateway(&GatewayEvent::Link(Box::new(LinkFacts { up: true, ..LinkFacts::default() })));
        let reasons = tally.judge(std::slice::from_ref(&player)).unwrap_err();
        assert_eq!(reasons[0], "the server has not registered the gateway");
        tally.gateway(&GatewayEvent::Link(Box::new(LinkFacts {
            state: "waiting for the SIM",
            ..LinkFacts::default()
        })));
        let reasons = tally.judge(&[player]).unwrap_err();
        assert_eq!(reasons[0], "the modem is not online: waiting for the SIM");
    }
}
