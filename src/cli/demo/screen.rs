//! What the demo shows: one line for each thing that happens, in colour on a terminal, plain elsewhere.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use crate::at::{Direction, TraceLine};
use crate::cli::output::say;
use crate::gateway::io::Event as GatewayEvent;
use crate::gateway::snapshot::Snapshot;
use crate::lab::broker::Message;
use crate::lab::sensors_edge::Happening;
use crate::lab::server::{Event as ServerEvent, Reading};
use crate::link::clock;
use crate::lwm2m::model::Model;
use crate::lwm2m::path::Path;
use crate::lwm2m::value::Value;
use crate::net::LinkFacts;

use super::tally::Tally;

/// Colours of a terminal (ECMA-48 SGR).
#[derive(Clone, Copy)]
enum Colour {
    Grey = 90,
    Red = 31,
    Green = 32,
    Yellow = 33,
    Blue = 34,
    Magenta = 35,
    Cyan = 36,
}

/// Prints lines.
pub(super) struct Screen {
    started: Instant,
    in_colour: bool,
    /// The last line about the link, so that it is not repeated.
    link: String,
    model: Model,
}

impl Screen {
    pub(super) fn new(started: Instant) -> Self {
        let in_colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { started, in_colour, link: String::new(), model: Model::builtin() }
    }

    /// A part of the demo is there.
    pub(super) fn part(&mut self, name: &str, place: &str, kind: &str) {
        self.line(name, Colour::Grey, &format!("{place}  ({kind})"));
    }

    /// With a real server there is nobody to dim the lamp.
    pub(super) fn waived(&mut self) {
        self.line(
            "note",
            Colour::Yellow,
            "with --server the way down is not tested: dim the lamp there by hand (3416/0/1)",
        );
    }

    /// The sensors have stopped; what they said last is on its way.
    pub(super) fn settling(&mut self, limit: Duration) {
        let line =
            format!("the sensors are silent; up to {} s for their last values to arrive", limit.as_secs());
        self.line("note", Colour::Yellow, &line);
    }

    /// A value reached the demo's server.
    pub(super) fn sample(&mut self, reading: &Reading, delay: Option<Duration>) {
        // What a notification brings along and has brought before is not worth a line.
        if !reading.changed {
            return;
        }
        // The registry's word for percent.
        let unit = reading.unit.as_deref().map_or("", |unit| if unit == "/100" { "%" } else { unit });
        let what = format!("{} · {}", reading.object, reading.resource);
        let value = format!("{} {unit}", in_words(&reading.value));
        let line = format!("{:<11} {what:<46} {value:<14} {}", reading.path.to_string(), after(delay));
        self.line("sample", Colour::Green, line.trim_end());
    }

    /// A real server acknowledged a value.
    pub(super) fn acknowledged(&mut self, path: Path, delay: Option<Duration>) {
        let name = path.object().zip(path.resource()).and_then(|(object, resource)| {
            Some(format!(
                "{} · {}",
                self.model.object(object)?.name,
                self.model.resource(object, resource)?.name
            ))
        });
        let line = format!(
            "{:<11} {:<46} acknowledged   {}",
            path.to_string(),
            name.unwrap_or_default(),
            after(delay)
        );
        self.line("sample", Colour::Green, line.trim_end());
    }

    /// The server is about to dim the lamp.
    pub(super) fn order(&mut self, path: Path, level: u8) {
        self.line("order", Colour::Magenta, &format!("{path:<11} the server writes {level} %"));
    }

    /// The order reached the lamp's topic.
    pub(super) fn dimmed(&mut self, message: &Message) {
        let payload = String::from_utf8_lossy(&message.payload);
        self.line("order", Colour::Magenta, &format!("arrived on {} {payload}", message.topic));
    }

    /// What the gateway tells.
    pub(super) fn gateway(&mut self, event: &GatewayEvent) {
        match event {
            GatewayEvent::Link(facts) => self.link(facts),
            GatewayEvent::Registered { location, .. } => {
                self.line("register", Colour::Blue, &format!("accepted as {location}"));
            }
            GatewayEvent::RegistrationFailed { why, .. } => {
                self.line("register", Colour::Red, &format!("failed, tried again: {why}"));
            }
            GatewayEvent::Updated { .. } => self.line("register", Colour::Blue, "updated"),
            GatewayEvent::Deregistered { .. } => self.line("register", Colour::Blue, "ended"),
            GatewayEvent::Broker { connected: true, .. } => {
                self.line("broker", Colour::Blue, "gateway is connected")
            }
            GatewayEvent::Broker { reason, .. } => self.line("broker", Colour::Red, reason),
            GatewayEvent::Refused { topic, why } => {
                self.line("refused", Colour::Red, &format!("{topic}: {why}"))
            }
            GatewayEvent::Downlink { outcome } => self.line("order", Colour::Magenta, outcome),
            GatewayEvent::Fault(what) => self.line("fault", Colour::Red, what),
            GatewayEvent::Sample { .. } | GatewayEvent::Reported { .. } => {}
        }
    }

    /// What the demo's server tells, beside values.
    pub(super) fn server(&mut self, event: &ServerEvent) {
        match event {
            ServerEvent::Registered { endpoint, .. } => {
                self.line("server", Colour::Blue, &format!("{endpoint} is registered"));
            }
            ServerEvent::Refused { refusal, .. } => self.line("server", Colour::Red, &format!("{refusal:?}")),
            ServerEvent::NotObserving { path, why, .. } => {
                self.line("server", Colour::Yellow, &format!("{path} is not observed: {why}"));
            }
            ServerEvent::Unreadable { path, why, .. } => {
                self.line("server", Colour::Red, &format!("{path} cannot be read: {why}"));
            }
            ServerEvent::Deregistered { endpoint } => {
                self.line("server", Colour::Blue, &format!("{endpoint} took its leave"));
            }
            ServerEvent::Finished { outcome: Ok(answer), .. } => {
                self.line("order", Colour::Magenta, &format!("answered {}", answer.code));
            }
            ServerEvent::Finished { outcome: Err(error), .. } => {
                self.line("order", Colour::Red, &error.to_string())
            }
            _ => {}
        }
    }

    /// What the sensors do.
    pub(super) fn sensors(&mut self, happening: &Happening) {
        match happening {
            Happening::Published(message) => {
                let line = format!("{} {}", message.topic, String::from_utf8_lossy(&message.payload));
                self.line("publish", Colour::Cyan, &line);
            }
            Happening::Lost { reason } => self.line("sensors", Colour::Red, reason),
            Happening::Refused { reason } => {
                self.line("sensors", Colour::Red, &format!("not published: {reason}"))
            }
            Happening::Connected | Happening::Received(_) => {}
        }
    }

    /// Octets and samples up to now.
    pub(super) fn traffic(&mut self, snapshot: &Snapshot) {
        let (traffic, books) = (&snapshot.link.traffic, &snapshot.books);
        let line = format!(
            "{} octets up in {} datagrams, {} down in {}; samples: {} in, {} reported, {} superseded, {} pending",
            traffic.octets_up,
            traffic.datagrams_up,
            traffic.octets_down,
            traffic.datagrams_down,
            books.received,
            books.reported,
            books.superseded,
            books.pending,
        );
        self.line("traffic", Colour::Yellow, &line);
    }

    /// A line of the AT dialogue.
    pub(super) fn trace(&mut self, line: &TraceLine) {
        match line.direction {
            Direction::ToModem => self.coloured("at >", Colour::Yellow, &line.text),
            Direction::FromModem => self.coloured("at <", Colour::Cyan, &line.text),
        }
    }

    /// The verdict.
    pub(super) fn passed(&mut self, tally: &Tally) {
        self.line("passed", Colour::Green, &format!("{} values arrived at the server", tally.samples()));
    }

    fn link(&mut self, facts: &LinkFacts) {
        let text = link_in_words(facts);
        if text != self.link {
            self.line("modem", Colour::Blue, &text);
            self.link = text;
        }
    }

    /// A line that has its colour all along.
    fn coloured(&self, what: &str, colour: Colour, text: &str) {
        if self.in_colour {
            self.line(what, colour, &format!("\x1b[{}m{text}\x1b[0m", colour as u8));
        } else {
            self.line(what, colour, text);
        }
    }

    fn line(&self, what: &str, colour: Colour, text: &str) {
        let elapsed = (clock::now() - self.started).as_secs_f64();
        if self.in_colour {
            say(format_args!(
                "\x1b[90m{elapsed:7.2} s\x1b[0m  \x1b[{}m{what:<9}\x1b[0m {text}",
                colour as u8
            ));
        } else {
            say(format_args!("{elapsed:7.2} s  {what:<9} {text}"));
        }
    }
}

fn link_in_words(facts: &LinkFacts) -> String {
    let mut text = facts.state.to_owned();
    if let Some(trouble) = &facts.trouble {
        text += &format!(": {trouble}");
    }
    if !facts.up {
        return text;
    }
    for name in [&facts.technology, &facts.operator].into_iter().flatten() {
        text += &format!(", {name}");
    }
    if let Some(rsrp) = facts.signal.rsrp_dbm {
        text += &format!(", RSRP {rsrp} dBm ({})", coverage(rsrp));
    }
    text
}

/// How a cell of this strength feels over NB-IoT.
fn coverage(rsrp_dbm: i16) -> &'static str {
    match rsrp_dbm {
        -100.. => "good",
        -115..=-101 => "fair",
        -125..=-116 => "weak",
        _ => "edge",
    }
}

fn after(delay: Option<Duration>) -> String {
    delay.map_or_else(String::new, |delay| format!("{:.2} s after publish", delay.as_secs_f64()))
}

pub(super) fn in_words(value: &Value) -> String {
    match value {
        Value::String(text) | Value::CoreLink(text) => text.clone(),
        Value::Integer(number) | Value::Time(number) => number.to_string(),
        Value::Unsigned(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(flag) => flag.to_string(),
        Value::Opaque(octets) => format!("{} octets", octets.len()),
        Value::ObjectLink(object, instance) => format!("{object}:{instance}"),
    }
}
