//! One instance: what it stands for, who brought it about, and when it was last heard of.

use crate::persist::{self, Day};

use super::{MAX_CAPTURE_OCTETS, Source};

/// What an instance stands for: the values of the captures that `instance` names, in its order.
pub type Key = Vec<String>;

/// Most sources that are remembered of one instance beside those that are configured; older ones are forgotten.
const MAX_GONE: usize = 16;

/// The captures with a `/` between, which none of them contains.
///
/// Its first octets stand before it as a number: most comparisons end there, and need not follow the text to where it lies.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    head: u128,
    text: Box<str>,
}

impl Name {
    pub(super) fn new(key: &[&str]) -> Self {
        let text = key.join("/");
        let mut head = [0; 16];
        head.iter_mut().zip(text.bytes()).for_each(|(octet, of_text)| *octet = of_text);
        Self { head: u128::from_be_bytes(head), text: text.into() }
    }
}

/// Captures stand for these, each with 1 to [`MAX_CAPTURE_OCTETS`] octets of one topic level.
pub(super) fn is_key(key: &[&str]) -> bool {
    let is_level =
        |value: &&str| !value.is_empty() && value.len() <= MAX_CAPTURE_OCTETS && !value.contains('/');
    !key.is_empty() && key.iter().all(is_level)
}

/// One instance.
#[derive(Debug)]
pub(super) struct Entry {
    pub key: Key,
    /// Positions among the sources.
    sources: Vec<usize>,
    /// Names of sources that brought it about in an earlier run, and are not configured or have no room for it.
    gone: Vec<String>,
    first_seen: Option<Day>,
    pub last_seen: Option<Day>,
}

impl Entry {
    pub(super) fn new(key: &[&str], today: Option<Day>) -> Self {
        let key = key.iter().map(|value| (*value).to_owned()).collect();
        Self { key, sources: vec![], gone: vec![], first_seen: today, last_seen: today }
    }

    /// What was remembered, counted with the sources that still have room for it; `find` gives the position of one.
    pub(super) fn restored(
        instance: persist::Instance,
        sources: &mut [Source],
        find: impl Fn(&str) -> Option<usize>,
    ) -> Self {
        let persist::Instance { key, first_seen, last_seen, .. } = instance;
        let mut entry = Self { key, sources: vec![], gone: vec![], first_seen, last_seen };
        for name in instance.sources {
            let found = find(&name).and_then(|index| Some((index, sources.get_mut(index)?)));
            match found.filter(|(_, source)| source.count < source.max) {
                Some((index, _)) if entry.has(index) => {}
                Some((index, source)) => {
                    source.count += 1;
                    entry.sources.push(index);
                }
                None if entry.gone.len() < MAX_GONE => entry.gone.push(name),
                None => {}
            }
        }
        entry
    }

    pub(super) fn has(&self, source: usize) -> bool {
        self.sources.contains(&source)
    }

    /// A configured mapping feeds it.
    pub(super) fn is_shown(&self) -> bool {
        !self.sources.is_empty()
    }

    pub(super) fn sources(&self) -> &[usize] {
        &self.sources
    }

    pub(super) fn add(&mut self, source: usize, name: &str) {
        self.sources.push(source);
        self.gone.retain(|gone| gone != name);
    }

    /// A value came today; true if that is news.
    pub(super) fn see(&mut self, today: Option<Day>) -> bool {
        let is_news = today.is_some() && self.last_seen != today;
        if is_news {
            self.last_seen = today;
            self.first_seen = self.first_seen.or(today);
        }
        is_news
    }

    pub(super) fn to_persist(&self, object: u16, id: u16, sources: &[Source]) -> persist::Instance {
        let present = self.sources.iter().filter_map(|index| sources.get(*index));
        let names = present.map(|source| source.name.clone()).chain(self.gone.iter().cloned());
        persist::Instance {
            object,
            id,
            key: self.key.clone(),
            sources: names.collect(),
            first_seen: self.first_seen,
            last_seen: self.last_seen,
        }
    }
}
