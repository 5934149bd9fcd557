//! What the demo has seen, and whether that is enough to pass.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::lab::broker::Message;
use crate::lab::sensors::{Kind, Player, Reading as Published};
use crate::lab::server::Reading;
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
}

impl Tally {
    pub(super) fn new(real_server: bool) -> Self {
        Self {
            real_server,
            published: BTreeMap::new(),
            arrived: BTreeMap::new(),
            at_server: BTreeMap::new(),
            dimmed: false,
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
        let mut reasons = Vec::new();
        for player in players {
            let kind = player.kind();
            let arrived = self.arrived.get(&kind.object()).copied().unwrap_or(0);
            if arrived < ENOUGH {
                reasons
                    .push(format!("only {arrived} samples of {} arrived, {ENOUGH} are needed", kind.name()));
            }
            if !self.real_server {
                reasons.extend(self.differences(player));
            }
        }
        if !self.dimmed && !self.real_server {
            reasons.push("the server's order to dim the lamp did not reach its topic".into());
        }
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
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
                (!same).then(|| format!("{path}: published {published:?}, but the server has {arrived:?}"))
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

fn is_same(published: &Published, arrived: &Value) -> bool {
    match (published, arrived) {
        (Published::Boolean(published), Value::Boolean(arrived)) => published == arrived,
        (Published::Number(published), Value::Float(arrived)) => published == arrived,
        (Published::Number(published), Value::Integer(arrived)) => *published == *arrived as f64,
        (Published::Number(published), Value::Unsigned(arrived)) => *published == *arrived as f64,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixTime;
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
        assert!(reasons.len() == 1 && reasons[0].contains("-1.0"), "{reasons:?}");
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
}
