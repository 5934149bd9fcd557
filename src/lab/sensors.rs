//! Players for four kinds of sensor: a parking bay, a water meter, a manhole cover and a street lamp.
//!
//! Each publishes at its own pace from a random walk that its seed fixes, and remembers what a server should see in
//! the end. Every message has something new in it, so that each one can be told apart at the far end. Only the lamp
//! listens: to `lamps/21/set`.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;

use super::broker::Message;
use crate::clock::{Deadline, UnixTime};
use crate::seed::{Rng, Seed};

/// The mappings that these sensors need, as a gateway's configuration has them.
pub const MAPPINGS_TOML: &str = r#"# Parking bay: object 3431.
[[mappings]]
topic = "parking/{zone}/{bay}"
object = 3431
resource = 1
value = "/occ"
instance = "{zone}/{bay}"
max_instances = 1024

# Water meter: object 3424.
[[mappings]]
topic = "meter/water/{meter}"
object = 3424
resources = [
    { resource = 1, value = "/idx" },
    { resource = 10, value = "/alarm/leak" },
    { resource = 11, value = "/alarm/back" },
]
instance = "{meter}"

# Manhole cover: object 3408. Resource 3 is true while the cover is closed.
[[mappings]]
topic = "city/manhole/{cover}"
object = 3408
resources = [
    { resource = 2, value = "/tilt" },
    { resource = 3, value = "/open", invert = true },
]
instance = "{cover}"

# Street lamp: object 3416.
[[mappings]]
topic = "lamps/{lamp}/state"
object = 3416
resources = [
    { resource = 3, value = "/dim" },
    { resource = 5, value = "/fail" },
    { resource = 46, value = "/w" },
]
instance = "{lamp}"

# Writing the lamp's level publishes an order; the lamp tells what it was last ordered to.
[[mappings]]
topic = "lamps/{lamp}/order"
object = 3416
resource = 1
value = "/dim"
instance = "{lamp}"
command = { topic = "lamps/{lamp}/set", payload = '{"dim": {value}}' }
"#;

/// Most commands a lamp remembers before it answers; further ones are ignored.
const MAX_ANSWERS: usize = 16;

/// The kinds of sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A bay that is taken or free.
    Parking,
    /// A meter that counts cubic metres.
    Water,
    /// A cover that tilts and opens.
    Manhole,
    /// A lamp that can be dimmed.
    Lamp,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Parking, Self::Water, Self::Manhole, Self::Lamp];

    /// One word for it, as the command line has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Parking => "parking",
            Self::Water => "water",
            Self::Manhole => "manhole",
            Self::Lamp => "lamp",
        }
    }

    /// The object that its readings are mapped to.
    pub const fn object(self) -> u16 {
        match self {
            Self::Parking => 3431,
            Self::Water => 3424,
            Self::Manhole => 3408,
            Self::Lamp => 3416,
        }
    }
}

/// A value as a server should see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading {
    /// A number, whole for an Integer resource.
    Number(f64),
    /// True or false, after inversion.
    Boolean(bool),
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Boolean(flag) => flag.fmt(f),
        }
    }
}

/// One sensor.
#[derive(Debug, Clone)]
pub struct Player {
    period: Duration,
    rng: Rng,
    /// The moment at which the wall clock showed `start_wall`.
    start: Instant,
    start_wall: UnixTime,
    next: Instant,
    sensor: Sensor,
    /// What a lamp says beside its period, and since when.
    answers: VecDeque<(Instant, Message)>,
    last: BTreeMap<u16, Reading>,
    published: u64,
}

#[derive(Debug, Clone)]
enum Sensor {
    Parking { occupied: bool, since: UnixTime, sequence: u64 },
    Water { litres: u64, hour: (i64, u64) },
    Manhole { tilt_tenths: i64, open: bool },
    Lamp { dim: u8, told_order: bool },
}

impl Player {
    /// A sensor of this kind that publishes first at `now` and then every `period`, a tenth of it early or late by
    /// chance. `wall` is what it takes for the time of day.
    pub fn new(kind: Kind, period: Duration, seed: Seed, now: Instant, wall: UnixTime) -> Self {
        let sensor = match kind {
            Kind::Parking => Sensor::Parking { occupied: false, since: wall, sequence: 8811 },
            Kind::Water => Sensor::Water { litres: 1_482_077, hour: (wall.as_secs() / 3600, 1_482_077) },
            Kind::Manhole => Sensor::Manhole { tilt_tenths: 21, open: false },
            Kind::Lamp => Sensor::Lamp { dim: 60, told_order: false },
        };
        Self {
            period,
            rng: seed.child(kind.name()).rng(),
            start: now,
            start_wall: wall,
            next: now,
            sensor,
            answers: VecDeque::new(),
            last: BTreeMap::new(),
            published: 0,
        }
    }

    /// What kind it is.
    pub const fn kind(&self) -> Kind {
        match self.sensor {
            Sensor::Parking { .. } => Kind::Parking,
            Sensor::Water { .. } => Kind::Water,
            Sensor::Manhole { .. } => Kind::Manhole,
            Sensor::Lamp { .. } => Kind::Lamp,
        }
    }

    /// What it listens to.
    pub fn subscriptions(&self) -> Vec<String> {
        match self.sensor {
            Sensor::Lamp { .. } => vec!["lamps/21/set".to_owned()],
            _ => vec![],
        }
    }

    /// A message came; what is not for it, or makes no sense to it, is ignored.
    pub fn handle_message(&mut self, message: &Message, now: Instant) {
        /// The part of a command that a lamp understands.
        #[derive(Deserialize)]
        struct Set {
            dim: u8,
        }
        let Sensor::Lamp { dim, .. } = &mut self.sensor else { return };
        if message.topic != "lamps/21/set" || self.answers.len() >= MAX_ANSWERS {
            return;
        }
        let Ok(set) = serde_json::from_slice::<Set>(&message.payload) else { return };
        *dim = set.dim.min(100);
        let order = order(*dim);
        let state = self.reading(now);
        self.answers.extend([(now, order), (now, state)]);
    }

    /// What it publishes now, if anything. Call until `None`.
    pub fn poll_message(&mut self, now: Instant) -> Option<Message> {
        if let Some((_, answer)) = self.answers.pop_front() {
            return Some(self.published(answer));
        }
        if now < self.next {
            return None;
        }
        let tenth = self.period / 10;
        self.next = now + self.period - tenth + self.rng.between(Duration::ZERO, tenth * 2);
        if let Sensor::Lamp { dim, told_order } = &mut self.sensor {
            if !std::mem::replace(told_order, true) {
                self.answers.push_back((now, order(*dim)));
            }
        }
        self.advance(now);
        let reading = self.reading(now);
        Some(self.published(reading))
    }

    /// When it publishes next.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let at = self.answers.front().map_or(self.next, |(since, _)| *since);
        Some(Deadline::new(at, "sensor publishes"))
    }

    /// For each resource of its object, what was published last.
    pub const fn last(&self) -> &BTreeMap<u16, Reading> {
        &self.last
    }

    /// Messages published since start.
    pub const fn published_total(&self) -> u64 {
        self.published
    }

    /// The world moves on by one step.
    fn advance(&mut self, now: Instant) {
        let wall = self.wall(now);
        match &mut self.sensor {
            Sensor::Parking { occupied, since, sequence } => {
                *occupied = !*occupied;
                *since = wall;
                *sequence += 1;
            }
            Sensor::Water { litres, hour } => {
                let this_hour = wall.as_secs() / 3600;
                if hour.0 != this_hour {
                    *hour = (this_hour, *litres);
                }
                *litres += 1 + self.rng.number() % 20;
            }
            Sensor::Manhole { tilt_tenths, open } => {
                // Never less than a degree, as whole degrees reach the server.
                let step = 10 + i64::try_from(self.rng.number() % 20).unwrap_or_default();
                let up = *tilt_tenths < 30 || (*tilt_tenths < 900 && self.rng.chance(0.5));
                *tilt_tenths += if up { step } else { -step };
                *open = *tilt_tenths > 150;
            }
            Sensor::Lamp { .. } => {}
        }
    }

    /// The message that tells the present state.
    fn reading(&mut self, now: Instant) -> Message {
        let wall = self.wall(now);
        let ts = wall.as_secs();
        match &self.sensor {
            Sensor::Parking { occupied, since, sequence } => {
                let payload = json!({
                    "occ": u8::from(*occupied), "since": since.as_secs(), "mag": [-312, 88, 1204],
                    "radar_cm": if *occupied { 38 } else { 212 }, "bat_mV": 3580, "rssi": -71,
                    "seq": sequence, "ts": ts,
                });
                message("parking/z3/pk-0412", &payload)
            }
            Sensor::Water { litres, hour } => {
                let payload = json!({
                    "sn": "88213", "idx": cubic_metres(*litres), "unit": "m3",
                    "hist": [[hour.0 * 3600, cubic_metres(hour.1)]], "alarm": { "leak": 0, "back": 0 },
                    "bat": 3.61, "ts": ts,
                });
                message("meter/water/88213", &payload)
            }
            Sensor::Manhole { tilt_tenths, open } => {
                let payload = json!({
                    "tilt": degrees(*tilt_tenths), "open": open, "water": 0, "lvl_mm": 410, "temp": 11.8,
                    "bat": 87, "evt": if *open { "alarm" } else { "hb" }, "ts": ts,
                });
                message("city/manhole/mh-7", &payload)
            }
            Sensor::Lamp { dim, .. } => {
                // Some 0.6 W for each percent, in tenths, with a little noise.
                let tenths = u32::from(*dim) * 6 + u32::try_from(self.rng.number() % 10).unwrap_or_default();
                let payload = json!({
                    "on": *dim > 0, "dim": dim, "w": f64::from(tenths) / 10.0, "v": 229.7, "i": 0.164,
                    "pf": 0.97, "kwh": 918.442, "hrs": 10422, "fail": 0, "ts": ts,
                });
                message("lamps/21/state", &payload)
            }
        }
    }

    /// Remembers what a server should see of this message, and counts it.
    fn published(&mut self, message: Message) -> Message {
        self.published += 1;
        self.last.extend(expected(&message));
        message
    }

    fn wall(&self, now: Instant) -> UnixTime {
        self.start_wall.plus(now.saturating_duration_since(self.start))
    }
}

/// What the lamp tells about its orders.
fn order(dim: u8) -> Message {
    message("lamps/21/order", &json!({ "dim": dim }))
}

fn message(topic: &str, payload: &serde_json::Value) -> Message {
    Message { topic: topic.to_owned(), payload: payload.to_string().into_bytes(), retain: false }
}

fn cubic_metres(litres: u64) -> f64 {
    litres as f64 / 1000.0
}

fn degrees(tenths: i64) -> f64 {
    tenths as f64 / 10.0
}

/// What each resource should be after this message, worked out by hand from [`MAPPINGS_TOML`].
fn expected(message: &Message) -> Vec<(u16, Reading)> {
    let Ok(payload) = serde_json::from_slice::<serde_json::Value>(&message.payload) else { return vec![] };
    let number = |key: &str| {
        Reading::Number(payload.pointer(key).and_then(|value| value.as_f64()).unwrap_or_default())
    };
    let whole = |key: &str| match number(key) {
        Reading::Number(number) => Reading::Number(number.round()),
        other => other,
    };
    let flag = |key: &str| {
        payload.pointer(key).is_some_and(|value| value.as_bool() == Some(true) || *value == json!(1))
    };
    match message.topic.split('/').collect::<Vec<_>>().as_slice() {
        ["parking", ..] => vec![(1, Reading::Boolean(flag("/occ")))],
        ["meter", ..] => vec![
            (1, number("/idx")),
            (10, Reading::Boolean(flag("/alarm/leak"))),
            (11, Reading::Boolean(flag("/alarm/back"))),
        ],
        ["city", ..] => vec![(2, whole("/tilt")), (3, Reading::Boolean(!flag("/open")))],
        ["lamps", _, "state"] => {
            vec![(3, whole("/dim")), (5, Reading::Boolean(flag("/fail"))), (46, number("/w"))]
        }
        ["lamps", _, "order"] => vec![(1, whole("/dim"))],
        _ => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
    fn t0() -> Instant {
        Instant::now()
    }

    const WALL: UnixTime = UnixTime::from_secs(1_770_793_200);
    const PERIOD: Duration = Duration::from_secs(60);

    fn player(kind: Kind, now: Instant) -> Player {
        Player::new(kind, PERIOD, Seed::new(1), now, WALL)
    }

    /// Everything the player publishes in this many periods.
    fn played(player: &mut Player, periods: u32, mut now: Instant) -> Vec<Message> {
        let end = now + PERIOD * periods;
        let mut messages = vec![];
        while now < end {
            messages.extend(std::iter::from_fn(|| player.poll_message(now)));
            now = player.poll_timeout().unwrap().at;
        }
        messages
    }

    fn text(message: &Message) -> String {
        format!("{} {}", message.topic, String::from_utf8_lossy(&message.payload))
    }

    #[test]
    fn the_first_messages_have_the_shape_of_real_ones() {
        let now = t0();
        let first: Vec<_> =
            Kind::ALL.map(|kind| text(&player(kind, now).poll_message(now).unwrap())).to_vec();
        insta::assert_snapshot!(first.join("\n"), @r#"
        parking/z3/pk-0412 {"bat_mV":3580,"mag":[-312,88,1204],"occ":1,"radar_cm":38,"rssi":-71,"seq":8812,"since":1770793200,"ts":1770793200}
        meter/water/88213 {"alarm":{"back":0,"leak":0},"bat":3.61,"hist":[[1770793200,1482.077]],"idx":1482.091,"sn":"88213","ts":1770793200,"unit":"m3"}
        city/manhole/mh-7 {"bat":87,"evt":"hb","lvl_mm":410,"open":false,"temp":11.8,"tilt":4.3,"ts":1770793200,"water":0}
        lamps/21/state {"dim":60,"fail":0,"hrs":10422,"i":0.164,"kwh":918.442,"on":true,"pf":0.97,"ts":1770793200,"v":229.7,"w":36.3}
        "#);
    }

    #[test]
    fn each_publishes_about_once_a_period_and_never_waits_for_long() {
        for kind in Kind::ALL {
            let now = t0();
            let count = played(&mut player(kind, now), 100, now).len();
            assert!((95..=106).contains(&count), "{kind:?} {count}");
        }
    }

    #[test]
    fn the_same_seed_plays_the_same_and_another_one_does_not() {
        let now = t0();
        let play = |seed| {
            let mut player = Player::new(Kind::Water, PERIOD, Seed::new(seed), now, WALL);
            played(&mut player, 10, now).iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!(play(1), play(1));
        assert_ne!(play(1), play(2));
    }

    #[test]
    fn every_message_changes_something_that_the_server_sees_of_bay_meter_and_cover() {
        for kind in [Kind::Parking, Kind::Water, Kind::Manhole] {
            let now = t0();
            let seen: Vec<_> = played(&mut player(kind, now), 500, now).iter().map(expected).collect();
            assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "{kind:?}");
        }
    }

    #[test]
    fn tilt_stays_within_the_range_of_its_resource() {
        let now = t0();
        let mut cover = player(Kind::Manhole, now);
        for message in played(&mut cover, 5000, now) {
            let [(2, Reading::Number(tilt)), _] = expected(&message)[..] else { panic!("no tilt") };
            assert!((0.0..=180.0).contains(&tilt), "{tilt}");
        }
    }

    #[test]
    fn the_lamp_obeys_and_tells_its_new_state_at_once() {
        let now = t0();
        let mut lamp = player(Kind::Lamp, now);
        let before: Vec<_> = std::iter::from_fn(|| lamp.poll_message(now)).map(|m| m.topic).collect();
        assert_eq!(before, ["lamps/21/state", "lamps/21/order"]);
        let set = Message {
            topic: "lamps/21/set".to_owned(),
            payload: br#"{"dim":30,"fade":10}"#.to_vec(),
            retain: false,
        };
        lamp.handle_message(&set, now);
        assert!(lamp.poll_timeout().unwrap().at <= now);
        let after: Vec<_> = std::iter::from_fn(|| lamp.poll_message(now)).map(|m| m.topic).collect();
        assert_eq!(after, ["lamps/21/order", "lamps/21/state"]);
        assert_eq!(lamp.last().get(&1), Some(&Reading::Number(30.0)));
        assert_eq!(lamp.last().get(&3), Some(&Reading::Number(30.0)));
    }

    #[test]
    fn nonsense_and_foreign_commands_leave_the_lamp_alone() {
        let now = t0();
        let mut lamp = player(Kind::Lamp, now);
        while lamp.poll_message(now).is_some() {}
        for (topic, payload) in
            [("lamps/21/set", "{"), ("lamps/21/set", r#"{"dim":-1}"#), ("lamps/7/set", r#"{"dim":1}"#)]
        {
            let message =
                Message { topic: topic.to_owned(), payload: payload.as_bytes().to_vec(), retain: false };
            lamp.handle_message(&message, now);
        }
        assert_eq!(lamp.poll_message(now), None);
        assert_eq!(lamp.last().get(&3), Some(&Reading::Number(60.0)));
    }
}
