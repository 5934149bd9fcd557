//! The table of keys says what the types, the shipped file and the mappings' own defaults say.

use std::collections::BTreeSet;

use figment::error::Kind as Reason;

use super::super::keys::{Default, Key, Kind};
use super::super::shape;
use super::super::tree::{Data, Node, Origin};
use super::super::{Layers, show, text};
use super::*;
use crate::bridge::mapping::compile;

const SHIPPED: &str = include_str!("../../../config/nbgate.toml");

/// Values of a kind that its range and its words allow at their ends.
fn samples(kind: Kind) -> Vec<String> {
    let span = |span: Duration| format!("\"{}s {}ms\"", span.as_secs(), span.subsec_millis());
    match kind {
        Kind::Text | Kind::File => vec!["\"a\"".into()],
        Kind::Flag => vec!["true".into(), "false".into()],
        Kind::Plain => vec!["\"a\"".into(), "1".into(), "1.5".into(), "true".into()],
        Kind::Integer(from, to) => vec![from.to_string(), to.to_string()],
        Kind::Number(from, to) => [from, to, 1.0, 1.5].iter().map(|number| format!("{number:?}")).collect(),
        Kind::Span(from, to) => vec![span(from), span(to)],
        Kind::SpanOrZero(from, to) => vec!["\"0s\"".into(), span(from), span(to)],
        Kind::Choice(words) => words.iter().map(|word| format!("\"{word}\"")).collect(),
        Kind::Address => vec!["\"127.0.0.1:9464\"".into(), "\"[::1]:1\"".into()],
        Kind::Either(one, other) => [samples(*one), samples(*other)].concat(),
        Kind::List(kind) => vec!["[]".into(), format!("[{}]", samples(*kind).join(", "))],
        Kind::Named(kind) => {
            samples(*kind).iter().map(|sample| format!("{{ \"a b\" = {sample} }}")).collect()
        }
        Kind::Table(_) | Kind::Tables(_) => vec![],
    }
}

fn node(data: Data) -> Node {
    Node { origin: Origin::Default, data }
}

/// A table with every key, each with its sample of this number.
fn full(keys: &[Key], number: usize) -> Node {
    let member = |key: &Key| {
        let data = match key.kind {
            Kind::Table(keys) => full(keys, number).data,
            Kind::Tables(keys) => Data::List(vec![full(keys, number)]),
            kind => {
                let samples = samples(kind);
                text::value(&samples[number % samples.len()]).unwrap()
            }
        };
        (key.name.to_owned(), node(data))
    };
    node(Data::Table(keys.iter().map(member).collect()))
}

#[test]
fn whatever_the_table_allows_the_types_take() {
    for number in 0..12 {
        let mut tree = full(ROOT, number);
        let faults = shape::check(&mut tree).faults;
        assert!(faults.is_empty(), "{faults:#?}");
        let read = tree.to_value().deserialize::<File>();
        assert!(read.is_ok(), "{}", read.unwrap_err());
    }
}

/// Puts a key that nobody knows into the table at this path.
fn spoil(table: &mut Node, path: &[&str]) {
    match (&mut table.data, path) {
        (Data::List(items), _) => spoil(&mut items[0], path),
        (Data::Table(members), [first, rest @ ..]) => spoil(members.get_mut(*first).unwrap(), rest),
        (Data::Table(members), []) => {
            members.insert(" unknown".into(), node(Data::Flag(true)));
        }
        _ => panic!("{path:?} is no table"),
    }
}

fn compare(keys: &'static [Key], path: &[&str]) {
    let mut tree = full(ROOT, 0);
    spoil(&mut tree, path);
    let error = tree.to_value().deserialize::<File>().unwrap_err();
    let Reason::UnknownField(_, known) = error.kind else { panic!("{path:?}: {error}") };
    let known: BTreeSet<&str> = known.iter().copied().collect();
    assert_eq!(known, keys.iter().map(|key| key.name).collect(), "{path:?}");
    for key in keys.iter().filter(|key| !key.keys().is_empty()) {
        compare(key.keys(), &[path, &[key.name]].concat());
    }
}

#[test]
fn table_and_types_have_the_same_keys() {
    compare(ROOT, &[]);
}

#[test]
fn the_defaults_are_of_their_own_kind_and_every_key_is_described() {
    fn visit(keys: &[Key]) {
        for key in keys {
            assert!(key.doc.ends_with('.'), "{}", key.name);
            let values = [key.default.value(true), key.default.value(false)];
            let example = match key.default {
                Default::Required(example) => Some(example),
                _ => None,
            };
            for value in values.into_iter().flatten().chain(example) {
                let value = node(text::value(value).unwrap());
                assert!(key.kind.misfit(&value).is_none(), "{}: {value}", key.name);
            }
            visit(key.keys());
        }
    }
    visit(ROOT);
}

/// The shipped file with its defaults written out, and with its examples as well.
pub(super) fn uncommented(with_examples: bool) -> String {
    let line = |line: &str| match line.strip_prefix("##") {
        Some(example) if with_examples => example.to_owned(),
        Some(_) => String::new(),
        None => {
            let key = line.strip_prefix('#').filter(|rest| !rest.starts_with(' ') && !rest.is_empty());
            key.unwrap_or(line).to_owned()
        }
    };
    SHIPPED.lines().map(|text| line(text) + "\n").collect()
}

/// What counts, key by key, without the mappings, whose defaults are their own.
fn effective(text: &str) -> Vec<(String, Option<String>)> {
    let layers = Layers::of_text(text);
    assert!(layers.faults.is_empty(), "{:?}", layers.faults);
    let entries = show::entries(&layers.tree, true).into_iter();
    entries.map(|entry| (entry.key, entry.value)).filter(|(key, _)| !key.starts_with("mappings")).collect()
}

#[test]
fn the_shipped_file_is_valid_and_its_commented_keys_are_the_defaults() {
    let config = parse(SHIPPED, Host::default()).unwrap();
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    // The keys of a mapping stand behind examples of mappings.
    let defaults: String = uncommented(false).split("# Every key that a mapping").next().unwrap().into();
    assert_eq!(effective(SHIPPED), effective(&defaults));
    parse(&defaults, Host::default()).unwrap();
}

#[test]
fn the_shipped_file_has_every_key_and_its_examples_are_good() {
    let mut layers = Layers::of_text(&uncommented(true));
    assert!(layers.faults.is_empty(), "{:?}", layers.faults);
    let written: BTreeSet<String> = layers.tree.places().into_keys().map(|key| pattern(&key)).collect();
    let faults = shape::check(&mut layers.tree).faults;
    assert!(faults.is_empty(), "{faults:#?}");
    let mut all = vec![];
    list(ROOT, "", &mut all);
    let lacking: Vec<_> = all.into_iter().filter(|key| !written.contains(key)).collect();
    assert!(lacking.is_empty(), "{lacking:?}");
}

/// Without the positions in lists.
fn pattern(key: &str) -> String {
    key.split('[').map(|part| part.rsplit(']').next().unwrap_or(part)).collect()
}

/// The keys of all tables; those of an entry of `resources` are the mapping's own.
fn list(keys: &[Key], at: &str, all: &mut Vec<String>) {
    for key in keys {
        let full = if at.is_empty() { key.name.to_owned() } else { format!("{at}.{}", key.name) };
        if full != "mappings.resources" {
            list(key.keys(), &full, all);
        }
        all.push(full);
    }
}

#[test]
fn what_the_mappings_refuse_of_a_value_the_table_refuses() {
    for (line, fix) in [
        ("precision = 0", "a number greater than 0"),
        ("deadband = 0.0", "a number greater than 0"),
        ("min_interval = \"0s\"", "from 1ms to 30days"),
    ] {
        let text = format!("[[mappings]]\ntopic = \"a\"\nobject = 3303\nresource = 5700\n{line}\n");
        let faults = shape::check(&mut Layers::of_text(&text).tree).faults;
        assert!(matches!(&faults[..], [fault] if fault.fix.contains(fix)), "{line}: {faults:?}");
    }
}

#[test]
fn the_defaults_of_a_mapping_are_those_of_the_table() {
    let base = "topic = \"a/{x}\"\nobject = 3306\nresource = 5850\ninstance = \"{x}\"\n\
                command.topic = \"b/{x}\"\ncommand.reply.topic = \"c/{x}\"\n";
    let compiled = |text: &str| {
        let text = format!("[[mappings]]\n{text}");
        let file = Layers::of_text(&text).tree.to_value();
        let mappings = file.find_ref("mappings").unwrap().deserialize::<Vec<_>>().unwrap();
        let mappings =
            compile(&mappings, &Model::builtin()).unwrap_or_else(|faults| panic!("{text}: {faults:?}"));
        format!("{mappings:?}")
    };
    let mapping = ROOT.iter().find(|key| key.name == "mappings").unwrap();
    let mut seen = 0;
    let mut own = |keys: &[Key], at: &str| {
        for key in keys.iter() {
            if let Default::Own(value) = key.default {
                seen += 1;
                assert_eq!(
                    compiled(base),
                    compiled(&format!("{base}{at}{} = {value}\n", key.name)),
                    "{}",
                    key.name
                );
            }
        }
    };
    let below = |keys: &'static [Key], name: &str| keys.iter().find(|key| key.name == name).unwrap().keys();
    own(mapping.keys(), "");
    let command = below(mapping.keys(), "command");
    own(command, "command.");
    own(below(command, "reply"), "command.reply.");
    assert!(seen >= 5);
}
