//! The books: what became of every sample that was set in the tree.
//!
//! A sample ends as *reported* (a notification that carried it, or its very value, was delivered) or as
//! *superseded* (a newer sample of its path came first); until then it is pending. No third end, and no second one.
//! Which notification goes when is decided in `reporting`.
//!
//! A sample inside the limits that a server has set (`gt`, `lt`, `st`) asks for no notification. It is like one that
//! nobody observes: the next sample of its path supersedes it, and the last one is pending until a notification goes
//! for another reason (`pmax`, a crossing) and shows it. A Read shows it at any time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::path::Path;
use super::tree::Revision;
use super::value::SampleId;

/// What became of samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// The server has them.
    Reported(Vec<SampleId>),
    /// A newer value of the same path came before this one was reported.
    Superseded(SampleId),
}

/// Samples that are set but not yet reported.
///
/// Bounded by two per path and observation: a sample that is neither the newest of its path, nor under way, nor held
/// for an observer, is superseded at once.
#[derive(Debug, Default)]
pub struct Books {
    /// The newest sample of each path, if it is not yet reported.
    newest: BTreeMap<Path, SampleId>,
    pending: BTreeMap<SampleId, Pending>,
    entries: VecDeque<Entry>,
}

#[derive(Debug)]
struct Pending {
    path: Path,
    /// The change of the tree that made (or had made) the sample's value the current one.
    revision: Revision,
    /// Notifications under way that carry it.
    carriers: usize,
    /// A newer sample of the path has come; only a notification under way can still report this one.
    overtaken: bool,
}

impl Books {
    /// A sample is set; one of the same path before it is overtaken.
    pub fn accept(&mut self, sample: SampleId, path: Path, revision: Revision) {
        self.overtake(path);
        self.newest.insert(path, sample);
        self.pending.insert(sample, Pending { path, revision, carriers: 0, overtaken: false });
    }

    /// A sample whose value a server is known to have; one of the same path before it is overtaken.
    pub fn accept_known(&mut self, sample: SampleId, path: Path) {
        self.overtake(path);
        self.entries.push_back(Entry::Reported(vec![sample]));
    }

    /// A newer value than any sample's came to everything at and below `path`.
    pub fn overtake(&mut self, path: Path) {
        for at in self.newest_under(path).map(|(at, _)| at).collect::<Vec<_>>() {
            let Some(old) = self.newest.remove(&at) else { continue };
            let Some(pending) = self.pending.get_mut(&old) else { continue };
            pending.overtaken = true;
            self.settle_if_lost(old);
        }
    }

    /// A notification about `path` leaves now: the samples it carries, which are the newest ones of all paths but
    /// those that it does not show as they are now.
    pub fn carry(&mut self, path: Path, but: impl Fn(Path) -> bool) -> Vec<SampleId> {
        let carried = self.newest_under(path).filter(|(at, _)| !but(*at));
        let samples: Vec<_> = carried.map(|(_, sample)| sample).collect();
        for sample in &samples {
            if let Some(pending) = self.pending.get_mut(sample) {
                pending.carriers += 1;
            }
        }
        samples
    }

    /// The newest sample of this very path is to be told to an observer even if it is overtaken before: it stays as
    /// if a notification carried it, until it is delivered or failed like that.
    pub fn hold(&mut self, path: Path) -> Option<SampleId> {
        let sample = *self.newest.get(&path)?;
        self.pending.get_mut(&sample)?.carriers += 1;
        Some(sample)
    }

    /// A notification about `path` with these samples was delivered; it showed the tree as of `shown`.
    ///
    /// Samples that came meanwhile with a value that it showed are reported with it.
    pub fn delivered(&mut self, path: Path, samples: Vec<SampleId>, shown: Revision) {
        let mut reported: BTreeSet<_> = samples.into_iter().collect();
        reported.retain(|sample| self.pending.contains_key(sample));
        let is_shown =
            |sample: &SampleId| self.pending.get(sample).is_some_and(|pending| pending.revision <= shown);
        reported.extend(self.newest_under(path).map(|(_, sample)| sample).filter(is_shown));
        for sample in &reported {
            let Some(pending) = self.pending.remove(sample) else { continue };
            if self.newest.get(&pending.path) == Some(sample) {
                self.newest.remove(&pending.path);
            }
        }
        if !reported.is_empty() {
            self.entries.push_back(Entry::Reported(reported.into_iter().collect()));
        }
    }

    /// A notification with these samples was not delivered: they are pending as before, unless overtaken meanwhile.
    pub fn failed(&mut self, samples: Vec<SampleId>) {
        for sample in samples {
            // Another notification may have reported it.
            let Some(pending) = self.pending.get_mut(&sample) else { continue };
            pending.carriers -= 1;
            self.settle_if_lost(sample);
        }
    }

    /// The next entry, in order.
    pub fn poll(&mut self) -> Option<Entry> {
        self.entries.pop_front()
    }

    /// A sample at or below the path is pending.
    pub fn has_pending(&self, path: Path) -> bool {
        self.newest_under(path).next().is_some()
    }

    /// Samples without an entry yet.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    fn newest_under(&self, path: Path) -> impl Iterator<Item = (Path, SampleId)> + '_ {
        let from = self.newest.range(path..);
        from.map(|(at, sample)| (*at, *sample)).take_while(move |(at, _)| path.covers(*at))
    }

    /// Nothing can report an overtaken sample that no notification carries.
    fn settle_if_lost(&mut self, sample: SampleId) {
        if self.pending.get(&sample).is_some_and(|pending| pending.overtaken && pending.carriers == 0) {
            self.pending.remove(&sample);
            self.entries.push_back(Entry::Superseded(sample));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: Path = Path::resource_of(3303, 0, 5700);
    const OBJECT: Path = Path::object_only(3303);

    fn id(number: u64) -> SampleId {
        SampleId(number)
    }

    fn entries(books: &mut Books) -> Vec<Entry> {
        std::iter::from_fn(|| books.poll()).collect()
    }

    #[test]
    fn newer_sample_supersedes_an_unreported_one() {
        let mut books = Books::default();
        books.accept(id(1), PATH, Revision(1));
        books.accept(id(2), PATH, Revision(2));
        assert_eq!(entries(&mut books), [Entry::Superseded(id(1))]);
        assert_eq!(books.pending(), 1);
    }

    #[test]
    fn overtaken_sample_under_way_is_reported_if_its_notification_arrives() {
        let mut books = Books::default();
        books.accept(id(1), PATH, Revision(1));
        let carried = books.carry(OBJECT, |_| false);
        books.accept(id(2), PATH, Revision(2));
        assert!(entries(&mut books).is_empty());
        books.delivered(OBJECT, carried, Revision(1));
        assert_eq!(entries(&mut books), [Entry::Reported(vec![id(1)])]);
        assert_eq!(books.pending(), 1);
    }

    #[test]
    fn overtaken_sample_under_way_is_superseded_if_its_notification_fails() {
        let mut books = Books::default();
        books.accept(id(1), PATH, Revision(1));
        let carried = books.carry(PATH, |_| false);
        books.accept(id(2), PATH, Revision(2));
        books.failed(carried);
        assert_eq!(entries(&mut books), [Entry::Superseded(id(1))]);
    }

    #[test]
    fn first_of_two_observers_reports_and_the_second_changes_nothing() {
        let mut books = Books::default();
        books.accept(id(1), PATH, Revision(1));
        let (first, second) = (books.carry(PATH, |_| false), books.carry(OBJECT, |_| false));
        books.failed(first);
        assert_eq!(books.pending(), 1);
        books.delivered(OBJECT, second.clone(), Revision(1));
        books.delivered(OBJECT, second, Revision(1));
        assert_eq!(entries(&mut books), [Entry::Reported(vec![id(1)])]);
        assert_eq!(books.pending(), 0);
    }

    #[test]
    fn held_sample_outlives_a_newer_one_that_is_not_shown() {
        let mut books = Books::default();
        books.accept(id(1), PATH, Revision(1));
        let held = books.hold(PATH).unwrap();
        books.accept(id(2), PATH, Revision(2));
        assert!(entries(&mut books).is_empty() && books.carry(OBJECT, |at| at == PATH).is_empty());
        books.delivered(OBJECT, vec![held], Revision(1));
        assert_eq!(entries(&mut books), [Entry::Reported(vec![id(1)])]);
        assert_eq!((books.pending(), books.hold(OBJECT)), (1, None));
    }

    #[test]
    fn held_sample_that_is_not_told_is_superseded() {
        let mut books = Books::default();
        books.accept(id(1), PATH, Revision(1));
        let held = books.hold(PATH).unwrap();
        books.failed(vec![held]);
        assert_eq!((books.pending(), entries(&mut books)), (1, vec![]));
        let held = books.hold(PATH).unwrap();
        books.overtake(PATH);
        books.failed(vec![held]);
        assert_eq!(entries(&mut books), [Entry::Superseded(id(1))]);
    }

    #[test]
    fn sample_with_the_shown_value_is_reported_with_the_notification() {
        let mut books = Books::default();
        books.accept(id(1), PATH, Revision(1));
        let carried = books.carry(PATH, |_| false);
        books.accept(id(2), PATH, Revision(1));
        books.delivered(PATH, carried, Revision(1));
        assert_eq!(entries(&mut books), [Entry::Reported(vec![id(1), id(2)])]);
    }
}
