//! The books: every accepted sample ends as exactly one of reported, superseded, refused or dropped,
//! or is pending.

use std::collections::BTreeMap;

use crate::lwm2m::{Path, SampleId};

/// Samples by what became of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Books {
    /// Values that came in, whatever became of them.
    pub received: u64,
    /// In a notification that a server acknowledged.
    pub reported: u64,
    /// A newer value of the same resource came before they were reported.
    pub superseded: u64,
    /// Not taken, with a reason.
    pub refused: u64,
    /// Given up by a stated policy: within a dead-band, or held back while its mapping went.
    pub dropped: u64,
    /// Entries that did not fit: a sample ended twice, or ended without having come in. Must stay 0.
    pub misfits: u64,
    pending: BTreeMap<SampleId, Path>,
}

/// The sums of the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Values that came in, whatever became of them.
    pub received: u64,
    /// In a notification that a server acknowledged.
    pub reported: u64,
    /// Overtaken by a newer value before that.
    pub superseded: u64,
    /// Not taken, with a reason.
    pub refused: u64,
    /// Given up by a stated policy: within a dead-band, or held back while its mapping went.
    pub dropped: u64,
    /// Still to be reported.
    pub pending: u64,
    /// Entries that did not fit. Must stay 0.
    pub misfits: u64,
}

impl Books {
    /// A value for `path` came in and is now pending.
    pub fn receive(&mut self, sample: SampleId, path: Path) {
        self.received += 1;
        if self.pending.insert(sample, path).is_some() {
            self.misfits += 1;
        }
    }

    /// A value came in and was refused at once.
    pub fn refuse(&mut self) {
        self.received += 1;
        self.refused += 1;
    }

    /// A value came in and was dropped at once by a stated policy.
    pub fn drop_one(&mut self) {
        self.received += 1;
        self.dropped += 1;
    }

    /// A pending sample was dropped by a stated policy.
    pub fn discard(&mut self, sample: SampleId) {
        if self.take(sample).is_some() {
            self.dropped += 1;
        }
    }

    /// A pending sample was refused.
    pub fn reject(&mut self, sample: SampleId) {
        if self.take(sample).is_some() {
            self.refused += 1;
        }
    }

    /// A pending sample was acknowledged by a server; gives its resource.
    pub fn report(&mut self, sample: SampleId) -> Option<Path> {
        let path = self.take(sample)?;
        self.reported += 1;
        Some(path)
    }

    /// A pending sample was overtaken by a newer one.
    pub fn supersede(&mut self, sample: SampleId) {
        if self.take(sample).is_some() {
            self.superseded += 1;
        }
    }

    /// Samples that are still to be reported: at most one waiting and one in flight for each resource.
    pub fn pending(&self) -> u64 {
        self.pending.len() as u64
    }

    /// The sums.
    pub fn totals(&self) -> Totals {
        let Self { received, reported, superseded, refused, dropped, misfits, .. } = *self;
        Totals { received, reported, superseded, refused, dropped, pending: self.pending(), misfits }
    }

    /// The sums agree and nothing ended twice.
    pub fn balance(&self) -> bool {
        let ended = self.reported + self.superseded + self.refused + self.dropped;
        self.misfits == 0 && self.received == ended + self.pending()
    }

    fn take(&mut self, sample: SampleId) -> Option<Path> {
        let path = self.pending.remove(&sample);
        self.misfits += u64::from(path.is_none());
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_has_one_end_and_the_sums_agree() {
        let mut books = Books::default();
        (0..3).for_each(|n| books.receive(SampleId(n), Path::ROOT));
        books.report(SampleId(0));
        books.supersede(SampleId(1));
        books.refuse();
        books.drop_one();
        books.receive(SampleId(3), Path::ROOT);
        books.reject(SampleId(3));
        books.receive(SampleId(4), Path::ROOT);
        books.discard(SampleId(4));
        assert!(books.balance());
        assert_eq!((books.received, books.refused, books.dropped, books.pending()), (7, 2, 2, 1));
    }

    #[test]
    fn a_second_end_is_a_misfit() {
        let mut books = Books::default();
        books.receive(SampleId(0), Path::ROOT);
        books.report(SampleId(0));
        books.supersede(SampleId(0));
        assert!(!books.balance());
    }
}
