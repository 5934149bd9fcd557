//! What was written and what counts, key by key, each with where it comes from.

use std::path::{Path, PathBuf};

use super::keys::{Key, Kind};
use super::layers::Layers;
use super::shape::is_lan;
use super::table::ROOT;
use super::tree::{Data, Node, Origin, joined};
use super::{Fault, text};

/// Where systemd makes it; the default of `runtime_dir`.
const RUNTIME_DIR: &str = "/run/nbgate";

/// One key with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its name with those of its tables, e.g. `lwm2m.servers[0].uri`.
    pub key: String,
    /// In TOML's notation, secrets masked; `None`: it has none, and `Origin::Default`.
    pub value: Option<String>,
    /// Where it comes from.
    pub origin: Origin,
}

/// What files and environment say, right or wrong.
#[derive(Debug, Clone)]
pub struct Written {
    layers: Layers,
}

/// Reads what `nbgate run` would read, without judging it.
pub fn read(path: &Path) -> Written {
    Written { layers: Layers::of_file(path) }
}

impl Written {
    /// `runtime_dir`, as far as it is written well, for those who only look for the service.
    pub fn runtime_dir(&self) -> PathBuf {
        let written = self.layers.tree.get("runtime_dir").and_then(Node::text);
        PathBuf::from(written.unwrap_or(RUNTIME_DIR))
    }

    /// What was read, in the order of reading.
    pub fn files(&self) -> &[PathBuf] {
        &self.layers.files
    }

    /// What could not be read.
    pub fn faults(&self) -> &[Fault] {
        &self.layers.faults
    }

    /// Every key that was written, with its value; and, if wanted, all others with what counts without them. Of a mapping's
    /// other keys only those that have a value.
    pub fn entries(&self, with_defaults: bool) -> Vec<Entry> {
        entries(&self.layers.tree, with_defaults)
    }
}

pub(super) fn entries(tree: &Node, with_defaults: bool) -> Vec<Entry> {
    let mut listing = Listing { entries: vec![], with_defaults, only_values: false, is_lan: is_lan(tree) };
    listing.table("", Some(tree), ROOT);
    listing.entries
}

struct Listing {
    entries: Vec<Entry>,
    with_defaults: bool,
    /// Keys without a value are passed over: twenty lines of them for each of a thousand mappings would hide all else.
    only_values: bool,
    is_lan: bool,
}

impl Listing {
    fn table(&mut self, at: &str, node: Option<&Node>, keys: &'static [Key]) {
        // With a list of resources, each of these has the keys of a value, and the mapping has none.
        let below = keys
            .iter()
            .find(|key| key.name == "resources" && node.is_some_and(|n| n.get(key.name).is_some()));
        let is_elsewhere =
            |key: &Key| below.is_some_and(|below| below.keys().iter().any(|k| k.name == key.name));
        for key in keys {
            let member = node.and_then(|node| node.get(key.name));
            if member.is_some() || !is_elsewhere(key) {
                self.key(&joined(at, key.name), member, key);
            }
        }
        // What the table does not know was written all the same.
        let Some(Data::Table(members)) = node.map(|node| &node.data) else { return };
        for (name, member) in members.iter().filter(|(name, _)| !keys.iter().any(|key| key.name == *name)) {
            self.value(&joined(at, name), member);
        }
    }

    fn key(&mut self, at: &str, node: Option<&Node>, key: &'static Key) {
        match (key.kind, node) {
            (Kind::Table(keys), Some(table @ Node { data: Data::Table(_), .. })) => {
                self.table(at, Some(table), keys)
            }
            (Kind::Table(keys), None) if matches!(key.default, super::keys::Default::Below) => {
                self.table(at, None, keys);
            }
            (Kind::Tables(keys), Some(Node { data: Data::List(entries), .. })) => {
                let outside = self.only_values;
                self.only_values |= key.name == "mappings";
                for (index, entry) in entries.iter().enumerate() {
                    self.table(&format!("{at}[{index}]"), Some(entry), keys);
                }
                self.only_values = outside;
            }
            (_, Some(node)) => self.value(at, node),
            (_, None) if self.with_defaults => {
                let value = key.default.value(self.is_lan).map(shown);
                if self.only_values && value.is_none() {
                    return;
                }
                self.entries.push(Entry { key: at.to_owned(), value, origin: Origin::Default });
            }
            (_, None) => {}
        }
    }

    fn value(&mut self, at: &str, node: &Node) {
        let value = node.text().filter(|text| text.contains("://")).map_or_else(
            || node.to_string(),
            |url| Node { origin: Origin::Default, data: Data::Text(masked(url)) }.to_string(),
        );
        self.entries.push(Entry { key: at.to_owned(), value: Some(value), origin: node.origin.clone() });
    }
}

/// A value of the table of keys, written as those of the files.
fn shown(value: &str) -> String {
    let data = text::value(value);
    data.map_or_else(|| value.to_owned(), |data| Node { origin: Origin::Default, data }.to_string())
}

/// The password in a URL, with its place.
pub(super) fn password(url: &str) -> Option<std::ops::Range<usize>> {
    let start = url.find("://")? + 3;
    let end = url.rfind('@').filter(|end| *end > start)?;
    let colon = start + url.get(start..end)?.find(':')?;
    Some(colon + 1..end)
}

/// A URL without its password.
fn masked(url: &str) -> String {
    let mut url = url.to_owned();
    if let Some(password) = password(&url) {
        url.replace_range(password, "***");
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_found_by_a_file_with_faults_and_by_none_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("nbgate.toml");
        let entries = read(&file).entries(true);
        let default = entries.iter().find(|entry| entry.key == "runtime_dir").unwrap();
        assert_eq!(default.value, Some(format!("{RUNTIME_DIR:?}")));
        assert_eq!(read(&file).runtime_dir(), PathBuf::from(RUNTIME_DIR));
        std::fs::write(&file, "runtime_dir = \"/run/mine\"\nuplnk = 3\n").unwrap();
        assert_eq!(read(&file).runtime_dir(), PathBuf::from("/run/mine"));
    }
}
