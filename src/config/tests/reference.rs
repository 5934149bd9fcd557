//! `docs/configuration.md`, made from the table of keys.

use std::fmt::Write as _;

use super::super::keys::{Default, Key, Kind};
use super::*;

const REFERENCE: &str = "docs/configuration.md";
/// Set to anything, it writes the reference anew.
const UPDATE: &str = "UPDATE_CONFIGURATION_DOC";

#[test]
fn the_reference_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(REFERENCE);
    let fresh = reference();
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == fresh, "{REFERENCE} is stale: {UPDATE}=1 cargo test --lib config writes it anew");
}

const HEAD: &str = "\
# Configuration

Made from the program's own table of keys by `UPDATE_CONFIGURATION_DOC=1 cargo test --lib config`; do not edit.
[config/nbgate.toml](../config/nbgate.toml) is a commented example with every key in it.

## What is read, and what wins

1. Built-in defaults, as below.
2. `/etc/nbgate/nbgate.toml`, or the file that `--config` names.
3. `conf.d/*.toml` beside that file, by name; names that begin with a dot are passed over. A key there replaces one read
   before. Lists grow: `[[mappings]]`, `[[lwm2m.servers]]` and `held_objects` of all files count, in the order of the files.
4. Environment variables: `NBGATE_LWM2M__ENDPOINT` sets `lwm2m.endpoint`, with `__` between a table and its key. Lists of
   tables cannot be set this way. systemd's `$STATE_DIRECTORY` and `$RUNTIME_DIRECTORY` set `state_dir` and `runtime_dir`.

`nbgate check` tells every fault at once, each with file, line, key and remedy, and ends with exit code 2 if there is one.
`nbgate config show --effective` lists every value that counts, with the file and line or the variable that it comes from.
A key that is not listed here is refused. Durations are written `\"90s\"`, `\"2m\"`, `\"1h 30m\"`, `\"30days\"`.
";

fn reference() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n## Outside of all tables\n\n");
    rows(&mut page, ROOT);
    sections(&mut page, ROOT, "");
    page
}

fn sections(page: &mut String, keys: &[Key], at: &str) {
    for key in keys.iter().filter(|key| !key.keys().is_empty()) {
        let name = if at.is_empty() { key.name.to_owned() } else { format!("{at}.{}", key.name) };
        // The entries of `resources` have what the mapping has from `value` on.
        if name.starts_with("mappings.resources.") {
            continue;
        }
        let header =
            if matches!(key.kind, Kind::Tables(_)) { format!("[[{name}]]") } else { format!("[{name}]") };
        let _ = writeln!(page, "\n## `{header}`\n\n{}\n", key.doc);
        rows(page, key.keys());
        sections(page, key.keys(), &name);
    }
}

fn rows(page: &mut String, keys: &[Key]) {
    page.push_str("| key | takes | without it | what for |\n|---|---|---|---|\n");
    for key in keys.iter().filter(|key| !matches!(key.default, Default::Below)) {
        let cells = [key.kind.described(), without(key.default), key.doc.to_owned()]
            .map(|text| text.replace('|', "\\|"));
        let _ = writeln!(page, "| `{}` | {} |", key.name, cells.join(" | "));
    }
}

fn without(default: Default) -> String {
    match default {
        Default::Required(example) => format!("a fault; e.g. `{example}`"),
        Default::Is(value) | Default::Own(value) => format!("`{value}`"),
        Default::Profile { nbiot, lan } | Default::OwnByProfile { nbiot, lan } if nbiot == lan => {
            format!("`{nbiot}`")
        }
        Default::Profile { nbiot, lan } | Default::OwnByProfile { nbiot, lan } => {
            format!("`{nbiot}`; `{lan}` with profile `lan`")
        }
        Default::Absent(what) => what.to_owned(),
        Default::Below => "the defaults of its keys".to_owned(),
    }
}
