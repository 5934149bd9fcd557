//! The house rules that a compiler does not check: which room may import which, what pure rooms must not touch, and what
//! no file of the project may mention.
//!
//! Reads sources as text, token by token; it does not expand macros. Each rule is tried on a small invented source below.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A room of the house: a module path under `src/`, what it may import, and whether it is pure.
struct Room {
    name: &'static str,
    kind: Kind,
    may: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// No clock, chance, I/O or tasks.
    Pure,
    /// I/O lives here.
    Edge,
}
use Kind::{Edge, Pure};

/// Stands for every room.
const ALL: &[&str] = &["*"];

/// The room table of `ARCHITECTURE.md`. The longest name that fits a file is its room; a room may always name itself.
const ROOMS: &[Room] = &[
    Room { name: "main", kind: Edge, may: ALL },
    Room { name: "cli", kind: Edge, may: ALL },
    Room { name: "clock", kind: Pure, may: &[] },
    Room { name: "seed", kind: Pure, may: &[] },
    Room { name: "net", kind: Pure, may: &["clock"] },
    Room { name: "at", kind: Pure, may: &["clock"] },
    Room { name: "modem", kind: Pure, may: &["at", "net", "clock", "seed"] },
    Room { name: "coap", kind: Pure, may: &["net", "clock", "seed"] },
    Room { name: "lwm2m", kind: Pure, may: &["coap", "net", "clock", "seed"] },
    Room { name: "persist", kind: Pure, may: &["clock"] },
    Room { name: "bridge", kind: Pure, may: &["lwm2m", "persist", "clock"] },
    Room {
        name: "gateway",
        kind: Pure,
        may: &["clock", "seed", "net", "persist", "at", "modem", "coap", "lwm2m", "bridge"],
    },
    Room {
        name: "gateway::run",
        kind: Edge,
        may: &[
            "gateway",
            "clock",
            "seed",
            "net",
            "at::TraceLine",
            "bridge::message",
            "link",
            "mqtt",
            "store",
            "persist",
            "config",
            "status::notify",
        ],
    },
    // What it reads is what the client shows.
    Room {
        name: "gateway::host",
        kind: Edge,
        may: &["gateway::settings", "lwm2m::client", "clock", "link::clock"],
    },
    // Values and pages of them, by way of the loop.
    Room { name: "gateway::questions", kind: Edge, may: &["gateway", "lwm2m::path"] },
    Room { name: "link", kind: Edge, may: &["net", "clock"] },
    Room { name: "mqtt", kind: Edge, may: &["bridge::message", "seed"] },
    Room { name: "store", kind: Edge, may: &["persist", "clock"] },
    Room {
        name: "status",
        kind: Edge,
        may: &["gateway", "link::clock", "clock", "at::Redacted", "net", "coap", "lwm2m", "bridge"],
    },
    // It fills in the settings of every layer.
    Room {
        name: "config",
        kind: Edge,
        may: &["gateway::settings", "bridge::mapping", "lwm2m", "coap", "modem", "mqtt", "status::log"],
    },
    // A model is pure unless it stands below as an edge.
    Room { name: "lab", kind: Pure, may: &["clock", "seed", "net", "lab"] },
    Room { name: "lab::pty", kind: Edge, may: &[] },
    Room { name: "lab::udp", kind: Edge, may: &["lab::radio", "lab::cell"] },
    Room {
        name: "lab::server_edge",
        kind: Edge,
        may: &["clock", "seed", "net", "coap", "lwm2m", "link", "lab"],
    },
    Room { name: "lab::modem_edge", kind: Edge, may: &["clock", "seed", "net", "link", "lab"] },
    // What the virtual modem and its radio cell say to each other.
    Room { name: "lab::radio", kind: Pure, may: &["clock", "seed", "net"] },
    Room { name: "lab::broker", kind: Pure, may: &["clock"] },
    Room { name: "lab::store", kind: Pure, may: &["clock", "persist"] },
    Room { name: "lab::broker_edge", kind: Edge, may: &[] },
    Room {
        name: "lab::sensors_edge",
        kind: Edge,
        may: &["clock", "seed", "link", "mqtt", "bridge::message", "lab"],
    },
    Room { name: "lab::sensors", kind: Pure, may: &["clock", "seed", "lab::broker"] },
    // Written from the manuals: it shares no code, and so no mistake, with the driver.
    Room { name: "lab::modem", kind: Pure, may: &["clock", "seed", "net", "lab::radio"] },
    Room { name: "lab::cell", kind: Pure, may: &["clock", "seed", "net", "lab::radio"] },
    Room {
        name: "lab::server",
        kind: Pure,
        may: &[
            "clock",
            "seed",
            "net",
            "coap",
            "lwm2m::path",
            "lwm2m::value",
            "lwm2m::model",
            "lwm2m::codecs",
        ],
    },
    Room {
        name: "lab::world",
        kind: Pure,
        may: &[
            "clock",
            "seed",
            "net",
            "persist",
            "lab",
            "gateway",
            "bridge::message",
            "lwm2m::path",
            "lwm2m::value",
        ],
    },
];

/// What pure rooms must not name outside tests, and what to do instead.
const IMPURE: &[(&str, &str)] = &[
    ("Instant::now", "time is an argument"),
    ("SystemTime", "wall time is a `clock::UnixTime` handed in"),
    ("std::fs", "files belong to an edge"),
    ("std::env", "settings are handed in"),
    ("std::process", "processes belong to an edge"),
    ("std::thread", "threads belong to an edge"),
    ("tokio::*", "tasks and sockets belong to an edge"),
    ("UdpSocket", "sockets belong to an edge"),
    ("TcpStream", "sockets belong to an edge"),
    ("rand::*", "chance comes from `seed::Rng`"),
    ("HashMap", "hash order is chance; use BTreeMap"),
    ("HashSet", "hash order is chance; use BTreeSet"),
];

/// The one pure file that may name `rand`: it turns it into `seed::Rng`.
const SOURCE_OF_CHANCE: &str = "seed";

/// What no file may mention; split so that this file does not mention it either.
const FORBIDDEN_TEXT: &[(&str, &str)] = &[
    (concat!("../", "shared"), "a stranger's clone has no such folder"),
    (concat!("/", "work/"), "a path of one machine"),
    (concat!("/", "root/"), "a path of one machine"),
    (concat!("/", "farm/"), "a path of one machine"),
    (concat!("/", "home/"), "a path of one machine"),
    (concat!("index.", "crates.io"), "a registry's host: the client knows it"),
    (concat!("static.", "crates.io"), "a registry's host: the client knows it"),
    (concat!("py", "pi.org"), "a registry's host: the client knows it"),
    (concat!("registry.", "npmjs"), "a registry's host: the client knows it"),
    (concat!("repo1", ".maven"), "a registry's host: the client knows it"),
    (concat!("repo", ".maven"), "a registry's host: the client knows it"),
    (concat!("deb.", "debian.org"), "a registry's host: the client knows it"),
];

// ---- the rules

/// Imports of one source file that its room's row does not allow.
fn arrow_faults(file: &str, text: &str) -> Vec<String> {
    let module = module_of(file);
    let Some(room) = room_of(&module) else {
        return vec![format!("{file}: has no row in the room table of tests/tidy.rs")];
    };
    if room.may == ALL {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for found in crate_paths(&module, &tokens(text)) {
        let may = room.may.iter().chain([&room.name]);
        if !may.clone().any(|allowed| starts_with(&found.path, allowed)) {
            let allowed: Vec<&str> = may.copied().collect();
            faults.push(format!(
                "{file}:{}: `{}` may not name crate::{} (it may name: {})",
                found.line,
                room.name,
                found.path.join("::"),
                allowed.join(", "),
            ));
        }
    }
    faults
}

/// What a file of a pure room names though it must not, outside of `#[cfg(test)]`.
fn purity_faults(file: &str, text: &str) -> Vec<String> {
    let module = module_of(file);
    let Some(room) = room_of(&module).filter(|room| room.kind == Pure) else { return Vec::new() };
    let mut faults = Vec::new();
    for found in named_paths(&without_tests(tokens(text))) {
        for (forbidden, instead) in IMPURE {
            if room.name == SOURCE_OF_CHANCE && *forbidden == "rand::*" {
                continue;
            }
            if names(&found.path, forbidden) {
                let path = found.path.join("::");
                faults.push(format!("{file}:{}: pure room names {path}: {instead}", found.line));
            }
        }
    }
    faults
}

/// The modules that a file declares as tests in files of their own: `#[cfg(test)] mod tests;`.
fn test_modules(file: &str, text: &str) -> Vec<Vec<String>> {
    let tokens = tokens(text);
    let words: Vec<&str> = tokens.iter().map(|token| token.text.as_str()).collect();
    let declared = words.windows(CFG_TEST.len() + 3).filter(|window| window.starts_with(CFG_TEST));
    declared
        .filter_map(|window| match window[CFG_TEST.len()..] {
            ["mod", name, ";"] => Some([module_of(file), vec![name.to_owned()]].concat()),
            _ => None,
        })
        .collect()
}

/// Whether a file lies in one of these modules.
fn lies_in(file: &str, modules: &[Vec<String>]) -> bool {
    let module = module_of(file);
    modules.iter().any(|tests| module.starts_with(tests))
}

/// Rooms that import each other, directly or in a ring.
fn ring(imports: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    imports.keys().find_map(|start| {
        let mut trail = vec![start.clone()];
        let mut seen = BTreeSet::new();
        leads_back(imports, start, start, &mut seen, &mut trail).then_some(trail)
    })
}

fn leads_back(
    imports: &BTreeMap<String, BTreeSet<String>>,
    from: &str,
    goal: &str,
    seen: &mut BTreeSet<String>,
    trail: &mut Vec<String>,
) -> bool {
    for next in imports.get(from).into_iter().flatten() {
        trail.push(next.clone());
        if next == goal || (seen.insert(next.clone()) && leads_back(imports, next, goal, seen, trail)) {
            return true;
        }
        trail.pop();
    }
    false
}

/// What one source file adds to the graph of rooms: (its room, the rooms it names).
fn imports_of(file: &str, text: &str) -> (String, BTreeSet<String>) {
    let module = module_of(file);
    let own = node(&module);
    let named = crate_paths(&module, &tokens(text)).iter().map(|found| node(&found.path)).collect();
    (own, named)
}

/// The room that a path belongs to in the graph: `lab` and `gateway::run` count by their parts.
fn node(path: &[String]) -> String {
    match path {
        [lab, part, ..] if lab == "lab" && part.starts_with(char::is_lowercase) => format!("lab::{part}"),
        [gateway, run, ..] if gateway == "gateway" && run == "run" => "gateway::run".to_owned(),
        [first, ..] => first.clone(),
        [] => "crate".to_owned(),
    }
}

fn header_faults(file: &str, text: &str) -> Vec<String> {
    if text.starts_with("//! ") {
        return Vec::new();
    }
    vec![format!("{file}:1: the first line says what the file is for, with `//! `")]
}

fn text_faults(file: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (forbidden, why) in FORBIDDEN_TEXT {
            let starts_a_path = |at: usize| {
                !forbidden.starts_with('/')
                    || !line[..at].ends_with(|c: char| c.is_alphanumeric() || "./_-}*>".contains(c))
            };
            if line.match_indices(forbidden).any(|(at, _)| starts_a_path(at)) {
                faults.push(format!("{file}:{}: mentions {forbidden}: {why}", number + 1));
            }
        }
    }
    faults
}

// ---- reading sources

/// `src/lwm2m/objects/mod.rs` is `["lwm2m", "objects"]`; `src/lib.rs` is the root, `[]`.
fn module_of(file: &str) -> Vec<String> {
    let inner = file.trim_start_matches("src/").trim_end_matches(".rs");
    let mut module: Vec<String> = inner.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod" || last == "lib") {
        module.pop();
    }
    module
}

fn room_of(module: &[String]) -> Option<&'static Room> {
    const ROOT: Room = Room { name: "lib", kind: Edge, may: ALL };
    if module.is_empty() {
        return Some(&ROOT);
    }
    ROOMS.iter().filter(|room| starts_with(module, room.name)).max_by_key(|room| room.name.len())
}

fn starts_with(path: &[String], prefix: &str) -> bool {
    let prefix: Vec<&str> = prefix.split("::").collect();
    path.len() >= prefix.len() && path.iter().zip(&prefix).all(|(have, want)| have == want)
}

/// Whether a path names this: `a::*` anything in a crate `a`, else these segments anywhere in a row.
fn names(path: &[String], what: &str) -> bool {
    if let Some(crate_name) = what.strip_suffix("::*") {
        return path.len() > 1 && path[0] == crate_name;
    }
    let wanted: Vec<&str> = what.split("::").collect();
    path.windows(wanted.len()).any(|window| window == wanted)
}

/// A piece of source: a word, `::`, or one other character.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    text: String,
    line: usize,
}

/// A path as written out: `use a::{b, c}` gives two.
struct Named {
    path: Vec<String>,
    line: usize,
}

/// Source without comments, strings and white space.
fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let len = skipped(rest).unwrap_or_else(|| {
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let len = if word > 0 {
                word
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            found.push(Token { text: rest[..len].to_owned(), line });
            len
        });
        line += rest[..len].matches('\n').count();
        rest = &rest[len..];
    }
    found
}

/// Length of the white space, comment, string or character that `rest` starts with.
fn skipped(rest: &str) -> Option<usize> {
    let first = rest.chars().next()?;
    if first.is_whitespace() {
        return Some(first.len_utf8());
    }
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    let after_prefix = rest.trim_start_matches(['b', 'c', 'r']);
    let prefix = rest.len() - after_prefix.len();
    if prefix <= 2 && rest[..prefix].contains('r') {
        let hashes = after_prefix.len() - after_prefix.trim_start_matches('#').len();
        if after_prefix[hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let body = prefix + hashes + 1;
            return Some(rest[body..].find(&close).map_or(rest.len(), |end| body + end + close.len()));
        }
    }
    if prefix <= 1 && after_prefix.starts_with('"') {
        return Some(prefix + quoted(after_prefix, '"'));
    }
    // A quote that starts a lifetime has no second one right behind its first character.
    let mut inner = rest.strip_prefix('\'')?.chars();
    let is_char = inner.next()? == '\\' || inner.next() == Some('\'');
    Some(if is_char { quoted(rest, '\'') } else { 1 })
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    rest.len()
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}

const CFG_TEST: &[&str] = &["#", "[", "cfg", "(", "test", ")", "]"];

/// The tokens without the items under `#[cfg(test)]`.
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    let text: Vec<&str> = tokens.iter().map(|token| token.text.as_str()).collect();
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if text[at..].starts_with(CFG_TEST) {
            at = end_of_item(&text, at + CFG_TEST.len());
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// One past the item that starts at `at`: past its `;` or its closing brace.
fn end_of_item(text: &[&str], at: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in text.iter().enumerate().skip(at) {
        match *token {
            "{" | "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            "}" if depth <= 1 => return index + 1,
            "}" => depth -= 1,
            ";" if depth == 0 => return index + 1,
            _ => {}
        }
    }
    text.len()
}

/// Every path that is written out, whatever it starts with.
fn named_paths(tokens: &[Token]) -> Vec<Named> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        at = read_path(tokens, at, &[], &mut found).max(at + 1);
    }
    found
}

/// Reads one path or use-tree at `at` under `prefix`; gives the index behind it.
fn read_path(tokens: &[Token], mut at: usize, prefix: &[String], found: &mut Vec<Named>) -> usize {
    let mut path = prefix.to_vec();
    while let Some(token) = tokens.get(at) {
        if token.text == "{" && !path.is_empty() {
            at += 1;
            while let Some(token) = tokens.get(at).filter(|token| token.text != "}") {
                // `x as y`: only x is a path.
                at =
                    if token.text == "as" { at + 2 } else { read_path(tokens, at, &path, found).max(at + 1) };
            }
            return at + 1;
        }
        if token.text != "*" && !token.text.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            return at;
        }
        path.push(token.text.clone());
        at += 1;
        if tokens.get(at).is_none_or(|next| next.text != "::") {
            found.push(Named { path, line: token.line });
            return at;
        }
        at += 1;
    }
    at
}

/// Paths from the root of the crate, those that go there by `super` included.
fn crate_paths(module: &[String], tokens: &[Token]) -> Vec<Named> {
    let mut found = Vec::new();
    let mut inner: Vec<(String, usize)> = Vec::new();
    let mut depth = 0;
    let mut at = 0;
    while at < tokens.len() {
        let text = |ahead: usize| tokens.get(at + ahead).map_or("", |token| token.text.as_str());
        match text(0) {
            "mod" if text(2) == "{" => inner.push((text(1).to_owned(), depth + 1)),
            "{" => depth += 1,
            "}" => {
                inner.retain(|(_, opened_at)| *opened_at != depth);
                depth -= 1;
            }
            _ => {}
        }
        let mut paths = Vec::new();
        let end = if text(0) == "{" { at } else { read_path(tokens, at, &[], &mut paths) };
        let here: Vec<String> =
            module.iter().cloned().chain(inner.iter().map(|(name, _)| name.clone())).collect();
        found.extend(paths.into_iter().filter_map(|named| from_root(&here, named)));
        at = end.max(at + 1);
    }
    found
}

/// A path as seen from the root of the crate; `None` if it does not leave its module.
fn from_root(here: &[String], named: Named) -> Option<Named> {
    let ups = named.path.iter().take_while(|segment| *segment == "super").count();
    let path = match named.path[0].as_str() {
        "crate" if named.path.len() > 1 => named.path[1..].to_vec(),
        "super" => [&here[..here.len().saturating_sub(ups)], &named.path[ups..]].concat(),
        _ => return None,
    };
    Some(Named { path, line: named.line })
}

/// Text files of the project below `folder`, as paths from its root with `/`.
fn files(folder: &str) -> Vec<(String, String)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    collect(&root, &root.join(folder), &mut found);
    found.sort();
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("the project's folders can be read") {
        let path = entry.expect("the project's folders can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let generated = ["target", "node_modules"].contains(&name.as_str());
        let hidden = name.starts_with('.') && ![".ci", ".gitignore", ".cargo"].contains(&name.as_str());
        if generated || hidden || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, found);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let shown = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
            found.push((shown, text));
        }
    }
}

fn sources() -> Vec<(String, String)> {
    files("src").into_iter().filter(|(file, _)| file.ends_with(".rs")).collect()
}

fn assert_tidy(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

// ---- the project

#[test]
fn every_room_imports_only_what_its_row_allows() {
    assert_tidy(sources().iter().flat_map(|(file, text)| arrow_faults(file, text)).collect());
}

#[test]
fn pure_rooms_name_no_clock_chance_or_io() {
    let sources = sources();
    let tests: Vec<_> = sources.iter().flat_map(|(file, text)| test_modules(file, text)).collect();
    let core = sources.iter().filter(|(file, _)| !lies_in(file, &tests));
    assert_tidy(core.flat_map(|(file, text)| purity_faults(file, text)).collect());
}

#[test]
fn no_two_rooms_import_each_other() {
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, text) in sources() {
        let (own, mut named) = imports_of(&file, &text);
        named.remove(&own);
        // The root only lists the rooms.
        if own != "crate" {
            imports.entry(own).or_default().extend(named);
        }
    }
    assert_eq!(ring(&imports), None);
}

#[test]
fn every_source_file_opens_with_what_it_is_for() {
    assert_tidy(sources().iter().flat_map(|(file, text)| header_faults(file, text)).collect());
}

#[test]
fn no_file_mentions_what_only_one_machine_has() {
    assert_tidy(files("").iter().flat_map(|(file, text)| text_faults(file, text)).collect());
}

// ---- each rule fails when it is broken

#[test]
fn an_arrow_that_the_table_does_not_have_is_found_however_it_is_written() {
    for source in [
        "use crate::modem::Driver;",
        "use crate::{clock::Deadline, modem::Driver};",
        "use crate::{\n    clock::{Deadline, UnixTime},\n    modem,\n};",
        "fn f() -> crate::modem::Driver { todo!() }",
        "use super::super::modem::Driver;",
        "mod inner { use super::super::super::modem::Driver; }",
        "#[cfg(test)]\nmod tests { use crate::modem::Driver; }",
        "use crate::*;",
    ] {
        assert_eq!(arrow_faults("src/at/framer.rs", source).len(), 1, "{source}");
    }
    let fault = &arrow_faults("src/at/framer.rs", "\nuse crate::modem::Driver;")[0];
    assert_eq!(fault, "src/at/framer.rs:2: `at` may not name crate::modem::Driver (it may name: clock, at)");
}

#[test]
fn an_allowed_import_passes() {
    for source in [
        "use crate::clock::Deadline;",
        "use crate::at::Line;",
        "use crate::{clock as time, at::{Line as _, Event}};",
        "use super::command::Command;",
        "#[cfg(test)]\nmod tests { use super::*; use super::super::Line; }",
        "// crate::modem::Driver\nconst A: &str = \"crate::modem::Driver\"; /* crate::modem */ const B: char = '\"';",
        "fn f<'a>(x: &'a str) -> &'a str { x } // 'crate::modem'",
        "const C: &str = r#\"use crate::modem;\"#;",
    ] {
        assert_eq!(arrow_faults("src/at/framer.rs", source), Vec::<String>::new(), "{source}");
    }
}

#[test]
fn a_row_that_names_a_part_of_a_room_opens_that_part_only() {
    assert!(arrow_faults("src/mqtt/task.rs", "use crate::bridge::message::Message;").is_empty());
    assert_eq!(arrow_faults("src/mqtt/task.rs", "use crate::bridge::mapping::Mappings;").len(), 1);
    assert_eq!(arrow_faults("src/mqtt/task.rs", "use crate::bridge::Bridge;").len(), 1);
}

#[test]
fn the_virtual_modem_cannot_reach_the_driver_or_its_at_channel() {
    for file in ["src/lab/modem.rs", "src/lab/modem/mod.rs", "src/lab/modem/sockets.rs"] {
        assert_eq!(arrow_faults(file, "use crate::at::Channel;").len(), 1, "{file}");
        assert_eq!(arrow_faults(file, "use crate::modem::Driver;").len(), 1, "{file}");
        assert!(arrow_faults(file, "use crate::net::Datagram; use crate::lab::radio::Up;").is_empty());
    }
}

#[test]
fn nobody_but_the_command_line_imports_the_lab() {
    for file in ["src/gateway/run.rs", "src/gateway/core/mod.rs", "src/link/udp.rs", "src/modem/driver.rs"] {
        assert_eq!(arrow_faults(file, "use crate::lab::pty::Pty;").len(), 1, "{file}");
    }
    assert!(arrow_faults("src/cli/demo.rs", "use crate::lab::pty::Pty;").is_empty());
}

#[test]
fn every_row_of_the_table_has_its_room() {
    let sources = sources();
    for room in ROOMS {
        let has_file = sources.iter().any(|(file, _)| starts_with(&module_of(file), room.name));
        assert!(has_file, "{} has a row but no file", room.name);
    }
}

#[test]
fn a_room_without_a_row_is_found() {
    assert_eq!(arrow_faults("src/attic/mod.rs", "").len(), 1);
}

#[test]
fn each_impure_name_is_found_in_a_pure_room_and_not_at_an_edge() {
    for source in [
        "fn f() { let now = Instant::now(); }",
        "use std::time::{Duration, SystemTime};",
        "use std::fs;",
        "use std::{fmt, fs::File};",
        "use std::env;",
        "use std::process::Command;",
        "fn f() { std::thread::yield_now(); }",
        "use tokio::sync::mpsc;",
        "use std::net::UdpSocket;",
        "use std::net::{IpAddr, TcpStream};",
        "fn f() -> u8 { rand::random() }",
        "use std::collections::HashMap;",
        "use std::collections::{BTreeMap, HashSet};",
        "#[cfg(test)]\nuse std::fmt;\nuse std::fs;",
    ] {
        assert_eq!(purity_faults("src/coap/dedup.rs", source).len(), 1, "{source}");
        assert_eq!(purity_faults("src/link/udp.rs", source).len(), 0, "{source}");
    }
}

#[test]
fn tests_of_a_pure_room_may_be_impure() {
    let source =
        "#[cfg(test)]\nmod tests {\n    fn t0() -> Instant { Instant::now() }\n    struct S { a: u8 }\n}";
    assert_eq!(purity_faults("src/coap/dedup.rs", source), Vec::<String>::new());
    let behind = format!("{source}\nfn f() {{ Instant::now(); }}");
    assert_eq!(purity_faults("src/coap/dedup.rs", &behind).len(), 1, "what follows the tests counts again");
}

#[test]
fn tests_in_files_of_their_own_are_known_by_their_declaration() {
    let declared =
        test_modules("src/coap/mod.rs", "mod a;\n#[cfg(test)]\nmod tests;\n#[cfg(test)]\nmod inner { }");
    for file in ["src/coap/tests.rs", "src/coap/tests/observe.rs", "src/coap/tests/mod.rs"] {
        assert!(lies_in(file, &declared), "{file}");
    }
    for file in
        ["src/coap/mod.rs", "src/coap/a.rs", "src/coap/inner.rs", "src/at/tests.rs", "src/coap/a/tests.rs"]
    {
        assert!(!lies_in(file, &declared), "{file}");
    }
}

#[test]
fn names_that_only_look_impure_pass() {
    let source =
        "use rand_pcg::Pcg64; use crate::net::SystemTimer; fn f(rand: u8) -> u8 { operand::rand(rand) }";
    assert_eq!(purity_faults("src/coap/dedup.rs", source), Vec::<String>::new());
    assert_eq!(purity_faults("src/seed.rs", "use rand::Rng;"), Vec::<String>::new());
    assert_eq!(purity_faults("src/seed.rs", "use std::fs;").len(), 1);
}

#[test]
fn a_ring_of_rooms_is_found() {
    let graph = |sources: &[(&str, &str)]| {
        let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (file, text) in sources {
            let (own, named) = imports_of(file, text);
            imports.entry(own).or_default().extend(named);
        }
        ring(&imports)
    };
    let line = [("src/a.rs", "use crate::b::X;"), ("src/b/mod.rs", "use crate::c::X;"), ("src/c.rs", "")];
    assert_eq!(graph(&line), None);
    let around = [line[0], line[1], ("src/c.rs", "use crate::a::X;")];
    assert_eq!(graph(&around), Some(["a", "b", "c", "a"].map(str::to_owned).to_vec()));
    let within_lab =
        [("src/lab/x.rs", "use crate::lab::y::Y;"), ("src/lab/y/z.rs", "use super::super::x::X;")];
    assert!(graph(&within_lab).is_some());
}

#[test]
fn a_file_without_a_first_line_is_found() {
    assert_eq!(header_faults("src/a.rs", "//! What it is for.\n").len(), 0);
    assert_eq!(header_faults("src/a.rs", "use std::fmt;\n").len(), 1);
    assert_eq!(header_faults("src/a.rs", "\n//! What it is for.\n").len(), 1);
}

#[test]
fn each_forbidden_text_is_found() {
    for (forbidden, _) in FORBIDDEN_TEXT {
        assert_eq!(text_faults("a.md", &format!("first\nsee {forbidden}x")).len(), 1, "{forbidden}");
    }
    assert_eq!(
        text_faults("a.md", "net/work/flow, ${HOME}/work/x").len(),
        0,
        "a folder of that name inside a path"
    );
}
