//! What is wrong with a configuration, each with its place and remedy, and how that reads.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::tree::{Origin, Position, holder, is_within};

/// One thing wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key, e.g. `lwm2m.servers[0].uri`; empty when a file as a whole is meant.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub fix: String,
    /// Where it was written, or where the key would stand; absent if nothing of it was written.
    pub origin: Option<Origin>,
}

impl Fault {
    /// A fault of a key, whose place is looked up later.
    pub(super) fn new(key: impl Into<String>, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { key: key.into(), problem: problem.into(), fix: fix.into(), origin: None }
    }

    /// What a type itself objects to.
    pub(super) fn of_reader(error: &figment::Error) -> Self {
        let mut key = String::new();
        for part in &error.path {
            match part.parse::<usize>() {
                Ok(index) => key.push_str(&format!("[{index}]")),
                Err(_) if key.is_empty() => key.push_str(part),
                Err(_) => key.push_str(&format!(".{part}")),
            }
        }
        Self::new(key, error.kind.to_string(), "see docs/configuration.md for what the key takes")
    }

    /// The file, where there is one, with the line, counted from 1.
    pub fn file_and_line(&self) -> Option<(&std::path::Path, Option<usize>)> {
        match &self.origin {
            Some(Origin::File(Position { file: Some(file), at })) => Some((file, at.map(|(line, _)| line))),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = self.origin.as_ref().filter(|origin| **origin != Origin::Default) {
            write!(f, "{origin}: ")?;
        }
        let colon = if self.key.is_empty() { "" } else { ": " };
        write!(f, "{}{colon}{}\n    fix: {}", self.key, self.problem, self.fix)
    }
}

/// Why there is no configuration: everything that is wrong with it, in the order of files and lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    /// At least one.
    pub faults: Vec<Fault>,
}

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.faults.len() {
            1 => write!(f, "1 fault in the configuration:")?,
            count => write!(f, "{count} faults in the configuration:")?,
        }
        self.faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

/// Gathers faults and finds their places.
pub(super) struct Gathered<'a> {
    places: &'a BTreeMap<String, Origin>,
    faults: Vec<Fault>,
}

impl<'a> Gathered<'a> {
    /// Begins with faults that know their places.
    pub(super) fn new(faults: Vec<Fault>, places: &'a BTreeMap<String, Origin>) -> Self {
        Self { places, faults }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    pub(super) fn add(&mut self, faults: Vec<Fault>) {
        self.faults.extend(faults.into_iter().map(|fault| placed(fault, self.places)));
    }

    /// Adds what the values' meaning brought up, but for what follows from the faults before, and for what lacks
    /// while a file is missing.
    pub(super) fn add_consequent(
        &mut self,
        faults: Vec<Fault>,
        explained: &BTreeSet<String>,
        is_partial: bool,
    ) {
        let stays = |fault: &Fault| {
            let is_absent = !self.places.contains_key(&fault.key);
            !(is_partial && is_absent || is_consequence(&fault.key, explained))
        };
        let faults = faults.into_iter().filter(stays).collect();
        self.add(faults);
    }

    /// All of them, in the order of files and lines; those of the environment last.
    pub(super) fn finish(mut self) -> Faults {
        // As they are read: the main file lies above the folder of the others, which have the order of their names.
        let depth = |position: &Position| position.file.as_ref().map_or(0, |file| file.components().count());
        let rank = |fault: &Fault| match &fault.origin {
            Some(Origin::File(position)) => (depth(position), position.file.clone(), position.at),
            _ => (usize::MAX, None, None),
        };
        self.faults.sort_by_key(rank);
        Faults { faults: self.faults }
    }
}

/// Gives a fault the place of its key, or of the nearest that holds it.
pub(super) fn placed(fault: Fault, places: &BTreeMap<String, Origin>) -> Fault {
    let mut key = fault.key.as_str();
    let origin = fault.origin.clone().or_else(|| {
        loop {
            if let Some(origin) = places.get(key) {
                return Some(origin.clone());
            }
            if key.is_empty() {
                return None;
            }
            key = holder(key);
        }
    });
    let problem = with_place(&fault, places);
    Fault { origin, problem, ..fault }
}

/// Says where another mapping stands that a problem names: of several files, nobody counts them.
fn with_place(fault: &Fault, places: &BTreeMap<String, Origin>) -> String {
    let problem = fault.problem.as_str();
    let named = || {
        let start = problem.find("mappings[")?;
        let end = start + problem.get(start..)?.find(']')? + 1;
        let name = problem.get(start..end).filter(|name| !fault.key.starts_with(*name))?;
        Some((end, places.get(name)?))
    };
    match named() {
        Some((end, origin)) => {
            let (before, behind) = problem.split_at(end);
            format!("{before} ({origin}){behind}")
        }
        None => problem.to_owned(),
    }
}

/// Whether a fault follows from those of other keys.
fn is_consequence(key: &str, explained: &BTreeSet<String>) -> bool {
    if is_within(key, explained) {
        return true;
    }
    // Without what a mapping is about, only these two can be judged by themselves.
    let Some(mapping) = key.starts_with("mappings[").then(|| key.find(']')).flatten() else { return false };
    let (mapping, member) = key.split_at(mapping + 1);
    let is_explained = |name: &str| explained.contains(&format!("{mapping}.{name}"));
    let essence = ["topic", "object", "resource", "resources"];
    essence.into_iter().any(is_explained) && member != ".topic" && member != ".object"
}
