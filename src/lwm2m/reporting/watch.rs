//! What one observer was sent of numbers, and which of them have crossed a limit since (NTF-05 to NTF-12).
//!
//! A number that crosses while no notification can leave is kept until one does, even if it comes back meanwhile: the
//! observer is told that it crossed. After that the number that came back is judged against the one told.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::lwm2m::attributes::Limits;
use crate::lwm2m::books::Books;
use crate::lwm2m::path::Path;
use crate::lwm2m::tree::Revision;
use crate::lwm2m::value::{Content, Entry, SampleId, Value};

/// Numbers by the path of their resource or resource instance.
pub type Numbers = BTreeMap<Path, f64>;

/// A number that the observer is to be told.
#[derive(Debug, Clone, PartialEq)]
pub struct Crossing {
    value: Value,
    revision: Revision,
    at: Option<Instant>,
    /// The sample that brought it, kept in the books until the observer was told.
    sample: Option<SampleId>,
    /// When a number came after it that is none to be told.
    left: Option<Instant>,
}

/// The resource as it is now.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// The resource, or the resource instance that changed.
    pub path: Path,
    /// The whole content of the resource.
    pub content: &'a Content,
    /// The change of the tree that made it.
    pub revision: Revision,
}

/// Where an observer of numbers stands.
#[derive(Debug, Default)]
pub struct Watch {
    /// The last notification, or the first answer, showed these (NTF-11).
    sent: Numbers,
    /// To be told. Bounded by the instances of one resource.
    crossed: BTreeMap<Path, Crossing>,
}

/// What was laid over the present values for a notification.
#[derive(Debug, Default)]
pub struct Overlay {
    /// Numbers that crossed and then left, in place of the present ones; when they came.
    pub past: BTreeMap<Path, Option<Instant>>,
    /// The change of the tree by which the oldest of them came.
    pub oldest: Option<Revision>,
    /// What the notification shows.
    pub numbers: Numbers,
    /// What takes the place of the past ones as soon as they are told.
    present: Vec<(Path, Crossing)>,
}

/// What a notification under way takes with it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Taken {
    /// What was sent before it.
    before: Numbers,
    crossed: BTreeMap<Path, Crossing>,
}

impl Taken {
    /// The samples that it tells of beside the newest ones.
    pub fn samples(&self) -> impl Iterator<Item = SampleId> + '_ {
        self.crossed.values().filter_map(|crossing| crossing.sample)
    }
}

impl Watch {
    /// The first answer showed these.
    pub fn new(sent: Numbers) -> Self {
        Self { sent, crossed: BTreeMap::new() }
    }

    /// A number is to be told.
    pub fn has_crossed(&self) -> bool {
        !self.crossed.is_empty()
    }

    /// The samples that are kept for it.
    pub fn samples(&self) -> impl Iterator<Item = SampleId> + '_ {
        self.crossed.values().filter_map(|crossing| crossing.sample)
    }

    /// Judges a change within `target`. True if the observer is to be told whatever the limits say: a resource
    /// instance came or went.
    pub fn judge(
        &mut self,
        target: Path,
        limits: Limits,
        change: Change<'_>,
        now: Option<Instant>,
        books: &mut Books,
    ) -> bool {
        let Change { path, content, revision } = change;
        let resource = if path.depth() == 4 { path.parent().unwrap_or(path) } else { path };
        let is_meant = |at: &Path| target.covers(*at) && path.covers(*at);
        let present: BTreeMap<Path, &Value> =
            values(resource, content).filter(|(at, _)| is_meant(at)).collect();
        let mut has_other = self.sent.keys().any(|at| is_meant(at) && !present.contains_key(at));
        for (at, value) in present {
            let Some((last, new)) = self.sent.get(&at).copied().zip(number(value)) else {
                has_other = true;
                continue;
            };
            if limits.is_reason(last, new) {
                let sample = books.hold(at);
                let crossing = Crossing { value: value.clone(), revision, at: now, sample, left: None };
                release(self.crossed.insert(at, crossing), books);
            } else if let Some(crossing) = self.crossed.get_mut(&at).filter(|one| one.value != *value) {
                crossing.left = now;
            }
        }
        has_other
    }

    /// Something below `path` is gone: nothing can be told of it any more.
    pub fn forget(&mut self, path: Path, books: &mut Books) {
        let gone: Vec<_> = self.crossed.keys().copied().filter(|at| path.covers(*at)).collect();
        for at in gone {
            release(self.crossed.remove(&at), books);
        }
    }

    /// Puts numbers that crossed and then left into their places among the present values; a present number that is
    /// one to be told itself stays.
    pub fn lay_over(
        &mut self,
        limits: Limits,
        entries: &mut [Entry],
        revision_of: impl Fn(Path) -> Option<Revision>,
        books: &mut Books,
    ) -> Overlay {
        let mut overlay = Overlay::default();
        for entry in entries {
            let revision = revision_of(entry.path).unwrap_or_default();
            for (at, value) in values_mut(entry.path, &mut entry.content) {
                if let Some(crossing) = self.crossed.get(&at).filter(|crossing| crossing.value != *value) {
                    let (last, new) = (self.sent.get(&at).copied(), number(value));
                    // Limits that were taken away meanwhile keep nothing back.
                    if limits.is_none() || last.zip(new).is_none_or(|(last, new)| limits.is_reason(last, new))
                    {
                        release(self.crossed.remove(&at), books);
                    } else {
                        let (since, told) = (crossing.left, number(&crossing.value));
                        let present = std::mem::replace(value, crossing.value.clone());
                        overlay.past.insert(at, crossing.at);
                        overlay.oldest = Some(
                            overlay.oldest.map_or(crossing.revision, |oldest| oldest.min(crossing.revision)),
                        );
                        if told.zip(new).is_some_and(|(told, new)| limits.is_reason(told, new)) {
                            let crossing =
                                Crossing { value: present, revision, at: since, sample: None, left: None };
                            overlay.present.push((at, crossing));
                        }
                    }
                }
                overlay.numbers.extend(number(value).map(|number| (at, number)));
            }
        }
        overlay
    }

    /// A notification with this overlay leaves.
    pub fn sent(&mut self, overlay: Overlay, books: &mut Books) -> Taken {
        let before = std::mem::replace(&mut self.sent, overlay.numbers);
        let crossed = std::mem::take(&mut self.crossed);
        for (at, crossing) in overlay.present {
            self.crossed.insert(at, Crossing { sample: books.hold(at), ..crossing });
        }
        Taken { before, crossed }
    }

    /// The notification did not arrive: the observer stands where it stood, and what it was to be told it still is,
    /// unless a newer number is to be told in its place.
    pub fn failed(&mut self, taken: Taken, limits: Limits, books: &mut Books) {
        self.sent = taken.before;
        for (at, crossing) in taken.crossed {
            let newer = self.crossed.get(&at).and_then(|newer| number(&newer.value));
            let is_newer =
                self.sent.get(&at).copied().zip(newer).is_some_and(|(last, new)| limits.is_reason(last, new));
            if is_newer {
                release(Some(crossing), books);
            } else {
                // The number after it came when that was noted down, at the latest.
                let left = self.crossed.get(&at).map_or(crossing.left, |newer| newer.at);
                release(self.crossed.insert(at, Crossing { left, ..crossing }), books);
            }
        }
    }
}

/// The numbers among the values.
pub fn numbers(entries: &[Entry]) -> Numbers {
    let values = entries.iter().flat_map(|entry| values(entry.path, &entry.content));
    values.filter_map(|(at, value)| Some((at, number(value)?))).collect()
}

fn release(crossing: Option<Crossing>, books: &mut Books) {
    books.failed(crossing.and_then(|crossing| crossing.sample).into_iter().collect());
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) | Value::Time(number) => Some(*number as f64),
        Value::Unsigned(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

fn values(resource: Path, content: &Content) -> impl Iterator<Item = (Path, &Value)> {
    let (single, multiple) = match content {
        Content::Single(value) => (Some((resource, value)), None),
        Content::Multiple(values) => (None, Some(values)),
    };
    let multiple =
        multiple.into_iter().flatten().filter_map(move |(id, value)| Some((resource.child(*id)?, value)));
    single.into_iter().chain(multiple)
}

fn values_mut(resource: Path, content: &mut Content) -> impl Iterator<Item = (Path, &mut Value)> {
    let (single, multiple) = match content {
        Content::Single(value) => (Some((resource, value)), None),
        Content::Multiple(values) => (None, Some(values)),
    };
    let multiple =
        multiple.into_iter().flatten().filter_map(move |(id, value)| Some((resource.child(*id)?, value)));
    single.into_iter().chain(multiple)
}
