//! Holds what was written against the table of keys: names, kinds and ranges, all faults at once.
//!
//! What has a fault is taken out or replaced, so that the rest can be judged as well.

use std::collections::{BTreeMap, BTreeSet};

use super::Fault;
use super::keys::{Default, Key, Kind};
use super::table::ROOT;
use super::text;
use super::tree::{Data, Node, Origin, joined, quoted};

/// What is left once the faults are out.
pub(super) struct Shape {
    pub faults: Vec<Fault>,
    /// Keys that have a fault already, or lack for a reason that is told: what else is wrong there follows from it.
    pub explained: BTreeSet<String>,
}

/// Checks a tree, and leaves in it what every key takes, with the defaults filled in.
pub(super) fn check(tree: &mut Node) -> Shape {
    let mut checker = Checker { shape: Shape { faults: vec![], explained: BTreeSet::new() } };
    checker.table("", tree, ROOT);
    let is_lan = is_lan(tree);
    fill_in(tree, ROOT, is_lan);
    checker.shape
}

/// Whether the profile is `lan`.
pub(super) fn is_lan(tree: &Node) -> bool {
    let profile = tree.get("lwm2m").and_then(|node| node.get("coap")).and_then(|node| node.get("profile"));
    profile.and_then(Node::text) == Some("lan")
}

struct Checker {
    shape: Shape,
}

impl Checker {
    fn fault(&mut self, key: String, problem: String, fix: String) {
        self.shape.explained.insert(key.clone());
        self.shape.faults.push(Fault { key, problem, fix, origin: None });
    }

    fn table(&mut self, at: &str, node: &mut Node, keys: &'static [Key]) {
        let Data::Table(members) = &mut node.data else { return };
        let names: Vec<String> = members.keys().cloned().collect();
        for name in names {
            match keys.iter().find(|key| key.name == name) {
                Some(key) => self.member(&joined(at, &name), members, key),
                None => {
                    members.remove(&name);
                    self.unknown(at, &name, keys);
                }
            }
        }
        for key in keys {
            let Default::Required(example) = key.default else { continue };
            if members.contains_key(key.name) {
                continue;
            }
            let full = joined(at, key.name);
            // A misspelt name is one fault, not two.
            if !self.shape.explained.contains(&full) {
                let fix = format!("add it, e.g. {} = {example}", key.name);
                self.fault(full, "is missing".into(), fix);
            }
            put(members, key.name, example);
        }
    }

    fn member(&mut self, at: &str, members: &mut BTreeMap<String, Node>, key: &'static Key) {
        let Some(node) = members.get_mut(key.name) else { return };
        if let Some(misfit) = key.kind.misfit(node) {
            self.fault(
                at.to_owned(),
                misfit.problem,
                misfit.fix.replace("[name]", &format!("[{}]", plain(at))),
            );
            members.remove(key.name);
            if let Default::Required(example) = key.default {
                put(members, key.name, example);
            }
            return;
        }
        match (key.kind, &mut node.data) {
            (Kind::Table(keys), _) => self.table(at, node, keys),
            (Kind::Tables(keys), Data::List(entries)) => {
                for (index, entry) in entries.iter_mut().enumerate() {
                    self.entry(&format!("{at}[{index}]"), entry, keys);
                }
            }
            (Kind::List(kind), Data::List(items)) => {
                let items = items.iter().enumerate().map(|(index, item)| (format!("{at}[{index}]"), item));
                if !self.all_fit(*kind, items) {
                    members.remove(key.name);
                }
            }
            (Kind::Named(kind), Data::Table(items)) => {
                let items = items.iter().map(|(name, item)| (joined(at, name), item));
                if !self.all_fit(*kind, items) {
                    members.remove(key.name);
                }
            }
            _ => {}
        }
    }

    /// Whether every item is of this kind.
    fn all_fit<'a>(&mut self, kind: Kind, items: impl Iterator<Item = (String, &'a Node)>) -> bool {
        let before = self.shape.faults.len();
        for (at, item) in items {
            if let Some(misfit) = kind.misfit(item) {
                self.fault(at, misfit.problem, misfit.fix);
            }
        }
        self.shape.faults.len() == before
    }

    fn entry(&mut self, at: &str, entry: &mut Node, keys: &'static [Key]) {
        if let Some(misfit) = Kind::Table(keys).misfit(entry) {
            self.fault(at.to_owned(), misfit.problem, "write a table { … }".into());
            *entry = Node::empty_table(entry.origin.clone());
            // Stands in for what nobody wrote; its own lacks are no news.
            let faults = std::mem::take(&mut self.shape.faults);
            self.table(at, entry, keys);
            self.shape.faults = faults;
            return;
        }
        self.table(at, entry, keys);
    }

    fn unknown(&mut self, at: &str, name: &str, keys: &'static [Key]) {
        let fix = match nearest(name, keys.iter().map(|key| key.name)) {
            Some(near) => {
                self.shape.explained.insert(joined(at, near));
                format!("write {near}")
            }
            None => match home_of(name, ROOT, "") {
                Some(table) => format!("{name} belongs in {table}"),
                None => {
                    let names: Vec<_> = keys.iter().map(|key| key.name).collect();
                    format!("take it out; known here are {}", names.join(", "))
                }
            },
        };
        let place = if at.is_empty() { "outside of all tables".to_owned() } else { format!("in {at}") };
        self.fault(joined(at, name), format!("there is no key {} {place}", quoted(name)), fix);
    }
}

/// Without the positions in lists: `lwm2m.servers`.
fn plain(at: &str) -> String {
    let mut plain = String::new();
    let mut is_inside = false;
    for c in at.chars() {
        match c {
            '[' => is_inside = true,
            ']' => is_inside = false,
            c if !is_inside => plain.push(c),
            _ => {}
        }
    }
    plain
}

/// The known name that a misspelt one is likely meant to be.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Someone who types for minutes is not misspelling; and the distance costs the product of the lengths.
    let length = name.chars().count();
    if length > 40 {
        return None;
    }
    known
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, known)| *distance <= (length.min(known.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// The table that has a key of this name, as its header would be written.
fn home_of(name: &str, keys: &'static [Key], at: &str) -> Option<String> {
    keys.iter().find_map(|key| {
        let below = joined(at, key.name);
        let header = match key.kind {
            Kind::Table(_) => format!("[{below}]"),
            Kind::Tables(_) => format!("[[{below}]]"),
            _ => return None,
        };
        if key.keys().iter().any(|key| key.name == name) {
            return Some(header);
        }
        home_of(name, key.keys(), &below)
    })
}

/// Adds every default that the table of keys is the only one to know.
fn fill_in(node: &mut Node, keys: &'static [Key], is_lan: bool) {
    let Data::Table(members) = &mut node.data else { return };
    for key in keys {
        match (key.kind, key.default) {
            (Kind::Table(below), Default::Below) => {
                let table = members.entry(key.name.to_owned());
                fill_in(table.or_insert_with(|| Node::empty_table(Origin::Default)), below, is_lan);
            }
            (Kind::Tables(below), _) => {
                if let Some(Data::List(entries)) = members.get_mut(key.name).map(|node| &mut node.data) {
                    for entry in entries {
                        fill_in(entry, below, is_lan);
                    }
                }
            }
            (_, Default::Is(_) | Default::Profile { .. }) if !members.contains_key(key.name) => {
                if let Some(value) = key.default.value(is_lan) {
                    put(members, key.name, value);
                }
            }
            _ => {}
        }
    }
}

fn put(members: &mut BTreeMap<String, Node>, name: &str, value: &str) {
    if let Some(data) = text::value(value) {
        members.insert(name.to_owned(), Node { origin: Origin::Default, data });
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::parse;
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let mut tree = parse(text, None).unwrap();
        let faults = check(&mut tree).faults;
        faults.into_iter().map(|fault| format!("{}: {}; {}", fault.key, fault.problem, fault.fix)).collect()
    }

    #[test]
    fn a_misspelt_key_is_told_with_the_one_that_is_meant() {
        assert_eq!(
            told("[lwm2m]\nnat_idel = \"2m\""),
            ["lwm2m.nat_idel: there is no key \"nat_idel\" in lwm2m; write nat_idle"]
        );
        let found = told("[[mappings]]\nobjct = 3303");
        assert_eq!(found, ["mappings[0].objct: there is no key \"objct\" in mappings[0]; write object"]);
    }

    #[test]
    fn a_key_in_the_wrong_table_is_sent_home() {
        assert_eq!(
            told("client_id = \"a\""),
            ["client_id: there is no key \"client_id\" outside of all tables; client_id belongs in [mqtt]"]
        );
        let found = told("[mqtt]\nlifetime = \"1d\"");
        assert_eq!(
            found,
            ["mqtt.lifetime: there is no key \"lifetime\" in mqtt; lifetime belongs in [[lwm2m.servers]]"]
        );
    }

    #[test]
    fn one_bracket_where_two_are_due_is_told() {
        let found = told("[lwm2m.servers]\nuri = \"coap://h\"");
        assert_eq!(
            found,
            [
                "lwm2m.servers: a table is not a list of tables; begin each with a line [[lwm2m.servers]], in double brackets"
            ]
        );
        assert!(told("mqtt = 5")[0].ends_with("begin it with a line [mqtt]"));
    }

    #[test]
    fn what_must_be_there_and_is_not_is_told_once_for_each_table() {
        let found = told("[[mappings]]\nresources = [{ value = \"/a\" }, 5]\n[location]\nlatitude = 1");
        assert_eq!(
            found,
            [
                "location.longitude: is missing; add it, e.g. longitude = 13.4083",
                "mappings[0].resources[0].resource: is missing; add it, e.g. resource = 5700",
                "mappings[0].resources[1]: 5 is not a table of keys; write a table { … }",
                "mappings[0].object: is missing; add it, e.g. object = 3303",
            ]
        );
    }

    #[test]
    fn every_item_of_a_list_is_looked_at() {
        assert_eq!(
            told("[lwm2m]\nheld_objects = [16, \"x\", 99999]"),
            [
                "lwm2m.held_objects[1]: \"x\" is not a whole number (without quotes); write a whole number from 0 to 65535 (without quotes)",
                "lwm2m.held_objects[2]: 99999 is out of range; write a whole number from 0 to 65535 (without quotes)",
            ]
        );
    }

    #[test]
    fn names_that_are_far_from_all_have_no_neighbour() {
        let known = || ["url", "client_id"].into_iter();
        assert_eq!(nearest("ulr", known()), Some("url"));
        assert_eq!(nearest("broker", known()), None);
        assert_eq!(nearest(&"x".repeat(1 << 20), known()), None);
    }
}
