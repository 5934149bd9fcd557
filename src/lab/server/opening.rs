//! What OneNET asks of a device that has just registered, in one burst: a Discover of each object, an Observe of each
//! instance, last a Read of `/3/0`. For n objects with one instance each these are 2n + 1 requests.
//!
//! The answers are not waited for one by one: a thin link has to carry them side by side. Each is due within
//! [`ANSWER_WITHIN`] of its request.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::{Answer, Command, CommandError, CommandId, Event, Order, Registration};
use crate::coap::{self, Code};
use crate::lwm2m::codecs::{Format, ObjectList};
use crate::lwm2m::path::Path;

/// The platform waits so long for an answer.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Requests that are open at once, if the server's NSTART lets them.
const WINDOW: usize = coap::MAX_NSTART;
/// The format that the platform asks for.
const FORMAT: Format = Format::OldTlv;

/// The opening of one client, from its registration to the last answer.
#[derive(Debug, Clone)]
pub struct Opening {
    endpoint: String,
    /// Objects and instances that were asked for.
    known: BTreeSet<Path>,
    waiting: VecDeque<Command>,
    open: BTreeMap<CommandId, (Command, Instant)>,
    steps: Vec<Step>,
}

/// One request of the opening that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What was asked, as a line of the server's commands.
    pub what: String,
    /// From the request to its end.
    pub took: Duration,
    /// How it ended.
    pub end: End,
}

/// How a request of the opening ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// As the platform wants it, and in time.
    Good,
    /// As the platform wants it, but after [`ANSWER_WITHIN`].
    Late,
    /// Otherwise; in words.
    Bad(String),
}

impl Opening {
    /// For a client that has just registered.
    pub fn new(registration: &Registration) -> Self {
        let mut opening = Self {
            endpoint: registration.endpoint().to_owned(),
            known: BTreeSet::new(),
            waiting: VecDeque::new(),
            open: BTreeMap::new(),
            steps: vec![],
        };
        opening.go_on(registration.objects());
        opening
    }

    /// An Update brought a list: the same for what is new in it.
    pub fn go_on(&mut self, list: &ObjectList) {
        let mut discovers = vec![];
        let mut observes = vec![];
        for (object, listed) in &list.objects {
            let path = Path::object_only(*object);
            discovers.extend(self.known.insert(path).then_some(Command::Discover { path }));
            for path in listed.instances.iter().map(|instance| Path::instance_of(*object, *instance)) {
                let observe = Command::Observe { path, format: Some(FORMAT) };
                observes.extend(self.known.insert(path).then_some(observe));
            }
        }
        if discovers.is_empty() && observes.is_empty() {
            return;
        }
        let last = Command::Read { path: Path::instance_of(3, 0), format: Some(FORMAT) };
        self.waiting.extend(discovers.into_iter().chain(observes).chain([last]));
    }

    /// The client's endpoint name.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The next request that may go out. The owner gives it to the server and tells [`asked`](Self::asked).
    pub fn next_order(&self) -> Option<Order> {
        let command = self.waiting.front().filter(|_| self.open.len() < WINDOW)?.clone();
        Some(Order { endpoint: Some(self.endpoint.clone()), command })
    }

    /// What [`next_order`](Self::next_order) gave is on its way under this name.
    pub fn asked(&mut self, id: CommandId, now: Instant) {
        if let Some(command) = self.waiting.pop_front() {
            self.open.insert(id, (command, now));
        }
    }

    /// Something happened at the server; gives the step that ended by it.
    pub fn handle_event(&mut self, event: &Event, now: Instant) -> Option<&Step> {
        let Event::Finished { command, outcome, .. } = event else { return None };
        let (command, asked_at) = self.open.remove(command)?;
        let took = now - asked_at;
        let end = match judge(&command, outcome) {
            Err(why) => End::Bad(why),
            Ok(()) if took > ANSWER_WITHIN => End::Late,
            Ok(()) => End::Good,
        };
        self.steps.push(Step { what: command.to_string(), took, end });
        self.steps.last()
    }

    /// All requests that are over.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Nothing more will be asked, and nothing is open.
    pub fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.open.is_empty()
    }

    /// It is over, and every step was good.
    pub fn passed(&self) -> bool {
        self.is_over() && self.steps.iter().all(|step| step.end == End::Good)
    }
}

/// Whether this is an answer that the platform can work with.
fn judge(command: &Command, outcome: &Result<Answer, CommandError>) -> Result<(), String> {
    let answer = outcome.as_ref().map_err(ToString::to_string)?;
    if answer.code != Code::CONTENT {
        return Err(format!("answered {}", answer.code));
    }
    let format = if matches!(command, Command::Discover { .. }) { Format::Link } else { FORMAT };
    if answer.content_format != Some(format.number()) {
        let found = answer.content_format.map_or("none".to_owned(), |number| number.to_string());
        return Err(format!("answered in Content-Format {found}, not {}", format.number()));
    }
    match command {
        Command::Discover { .. } if answer.links.is_empty() => Err("answered without links".into()),
        Command::Observe { .. } if !answer.observes => Err("answered, but does not observe".into()),
        Command::Read { .. } if answer.values.is_empty() => Err("answered without values".into()),
        _ => Ok(()),
    }
}
