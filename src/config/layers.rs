//! Finds and reads what makes up a configuration: the file, those of `conf.d` beside it, then the environment.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::tree::{Data, Node, Origin, Position};
use super::{Fault, environment, text};

/// Folder beside the configuration file, whose `*.toml` are read after it.
pub const DROP_IN_FOLDER: &str = "conf.d";
/// A file above this is none of ours; read whole, it would only take memory.
const MAX_OCTETS: u64 = 16 << 20;

/// All that was written.
#[derive(Debug, Clone)]
pub(super) struct Layers {
    /// What was read, in the order of reading: the later counts.
    pub files: Vec<PathBuf>,
    /// All of it as one.
    pub tree: Node,
    /// What could not be read.
    pub faults: Vec<Fault>,
    /// A file could not be read, so that a key that lacks may stand there.
    pub is_partial: bool,
}

impl Layers {
    /// Of a text alone.
    pub(super) fn of_text(text: &str) -> Self {
        let mut layers = Self::empty(None);
        layers.add(text::parse(text, None));
        layers
    }

    /// Of a file, those beside it, and the environment of the process.
    pub(super) fn of_file(path: &Path) -> Self {
        let mut layers = Self::empty(Some(path.into()));
        layers.add(read(path));
        match drop_ins(path) {
            Ok(paths) => paths.iter().for_each(|path| layers.add(read(path))),
            Err(fault) => layers.add(Err(fault)),
        }
        layers.add_environment(std::env::vars_os().filter_map(|(name, value)| {
            // Variables that are not UTF-8 cannot be ours: skipped, not a reason to fail.
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }));
        layers
    }

    fn empty(file: Option<Arc<Path>>) -> Self {
        Self {
            files: vec![],
            tree: Node::empty_table(Origin::File(Position { file, at: None })),
            faults: vec![],
            is_partial: false,
        }
    }

    fn add(&mut self, read: Result<Node, Box<Fault>>) {
        match read {
            Ok(node) => {
                if let Origin::File(Position { file: Some(file), .. }) = &node.origin {
                    self.files.push(file.to_path_buf());
                }
                self.tree.merge(node);
            }
            Err(fault) => {
                self.is_partial = true;
                self.faults.push(*fault);
            }
        }
    }

    /// Lays variables over the files.
    pub(super) fn add_environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        for (name, value) in variables {
            match environment::setting(&name, &value) {
                Some(Ok((keys, data))) => set(&mut self.tree, &keys, data, &Origin::Variable(name)),
                Some(Err(fault)) => self.faults.push(*fault),
                None => {}
            }
        }
    }
}

/// Puts one value into the tree, whatever was there.
fn set(tree: &mut Node, keys: &[&'static str], data: Data, origin: &Origin) {
    match keys {
        [] => *tree = Node { origin: origin.clone(), data },
        [first, rest @ ..] => {
            if !matches!(tree.data, Data::Table(_)) {
                *tree = Node::empty_table(origin.clone());
            }
            let Data::Table(members) = &mut tree.data else { return };
            let member = members.entry((*first).to_owned());
            set(member.or_insert_with(|| Node::empty_table(origin.clone())), rest, data, origin);
        }
    }
}

/// A file as a tree.
fn read(path: &Path) -> Result<Node, Box<Fault>> {
    let fault = |problem: String, fix: &str| unreadable(path, problem, fix);
    let mut octets = vec![];
    let done = File::open(path).and_then(|file| file.take(MAX_OCTETS + 1).read_to_end(&mut octets));
    if let Err(error) = done {
        let fix = match error.kind() {
            ErrorKind::NotFound => "name the file with --config, or start from config/nbgate.toml",
            ErrorKind::PermissionDenied => "let the service's user read it, e.g. chgrp nbgate and chmod 640",
            _ => "name a file of text",
        };
        return Err(fault(format!("cannot be read: {error}"), fix));
    }
    if octets.len() as u64 > MAX_OCTETS {
        return Err(fault("is larger than 16 MiB".into(), "name a file of text"));
    }
    let text = String::from_utf8(octets).map_err(|error| {
        let line =
            error.as_bytes().iter().take(error.utf8_error().valid_up_to()).filter(|o| **o == b'\n').count();
        fault(format!("line {} is not UTF-8", line + 1), "save it as UTF-8")
    })?;
    text::parse(&text, Some(path.into()))
}

/// The `*.toml` of the folder beside a file, by name; no folder, no files.
fn drop_ins(path: &Path) -> Result<Vec<PathBuf>, Box<Fault>> {
    let folder = path.parent().unwrap_or(Path::new("")).join(DROP_IN_FOLDER);
    let told = |error: std::io::Error| {
        unreadable(&folder, format!("cannot be read: {error}"), "let the service's user read the folder")
    };
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(vec![]);
        }
        Err(error) => return Err(told(error)),
    };
    let mut paths = vec![];
    for entry in entries {
        let path = entry.map_err(told)?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension().is_none_or(|extension| extension != "toml") || is_hidden {
            continue;
        }
        // Whoever opens one waits for somebody to write.
        if std::fs::metadata(&path).is_ok_and(|facts| facts.file_type().is_fifo()) {
            return Err(unreadable(&path, "is a pipe, not a file".into(), "take it out of the folder"));
        }
        paths.push(path);
    }
    paths.sort();
    Ok(paths)
}

fn unreadable(path: &Path, problem: String, fix: &str) -> Box<Fault> {
    let origin = Origin::File(Position { file: Some(path.into()), at: None });
    Box::new(Fault { key: String::new(), problem, fix: fix.into(), origin: Some(origin) })
}
