//! `docs/conformance.md`: every behaviour of `tests/conformance/behaviours.tsv`, and what shows that it holds.
//!
//! A test proves a behaviour by naming its ID: at the end of its name (`…_obs_13`) or in a comment within it (`// OBS-13`).
//! A file of `tests/interop` that is no Rust, or a table outside the tests there, proves those that its rows name. A row of
//! `docs/departures.md` that names an ID says what is done instead. A behaviour with none of these is red.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const LIST: &str = include_str!("conformance/behaviours.tsv");
const REPORT: &str = "docs/conformance.md";
const DEPARTURES: &str = "docs/departures.md";
/// Set to anything, it writes the report anew.
const UPDATE: &str = "UPDATE_CONFORMANCE";
/// Tests named in a row of the report; more are counted.
const SHOWN: usize = 3;

#[test]
fn every_behaviour_is_shown_and_the_report_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = listed(LIST);
    let ids: BTreeSet<&str> =
        listed.iter().flat_map(|section| &section.behaviours).map(|one| one.id).collect();
    let departures = fs::read_to_string(root.join(DEPARTURES)).expect("the departures can be read");
    let evidence = Evidence { proofs: proofs(root, &ids), departures: ids_in(&departures, &ids) };
    let faults: Vec<String> = listed
        .iter()
        .flat_map(|section| &section.behaviours)
        .filter_map(|one| evidence.of(one).fault().map(|fault| format!("{}: {fault} ({})", one.id, one.what)))
        .collect();
    assert!(faults.is_empty(), "{} behaviours are red:\n{}", faults.len(), faults.join("\n"));

    let fresh = report(&listed, &evidence);
    let path = root.join(REPORT);
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, &fresh).expect("the report can be written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == fresh, "{REPORT} is stale: {UPDATE}=1 cargo test --test conformance writes it anew");
}

/// One line of the list.
struct Behaviour<'a> {
    id: &'a str,
    since: &'a str,
    what: &'a str,
    /// Why it is not there yet.
    later: Option<&'a str>,
}

struct Section<'a> {
    title: &'a str,
    behaviours: Vec<Behaviour<'a>>,
}

fn listed(list: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = vec![];
    for line in list.lines().filter(|line| !line.is_empty()) {
        if let Some(title) = line.strip_prefix("## ") {
            sections.push(Section { title, behaviours: vec![] });
        } else if !line.starts_with('#') {
            let fields: Vec<_> = line.split('\t').collect();
            let [id, since, what, rest @ ..] = fields.as_slice() else { panic!("no behaviour: {line}") };
            let later = rest.first().map(|why| why.strip_prefix("later: ").expect("later, and why"));
            let section = sections.last_mut().expect("a section comes first");
            section.behaviours.push(Behaviour { id, since, what, later });
        }
    }
    sections
}

/// All that tests and departures say.
struct Evidence<'a> {
    proofs: BTreeMap<String, Vec<Proof>>,
    departures: BTreeSet<&'a str>,
}

impl Evidence<'_> {
    fn of<'a>(&'a self, one: &Behaviour<'a>) -> Verdict<'a> {
        let tests = self.proofs.get(one.id).map_or(&[][..], Vec::as_slice);
        Verdict { tests, departs: self.departures.contains(one.id), later: one.later }
    }
}

/// What is known of one behaviour.
struct Verdict<'a> {
    tests: &'a [Proof],
    departs: bool,
    later: Option<&'a str>,
}

impl Verdict<'_> {
    fn fault(&self) -> Option<&'static str> {
        match (self.tests.is_empty(), self.departs, self.later.is_some()) {
            (false, _, true) => Some("said to come later, but a test names it"),
            (true, false, false) => Some("no test names it, and no departure says why"),
            _ => None,
        }
    }

    fn words(&self) -> String {
        let mut words: Vec<_> = self.tests.iter().take(SHOWN).map(Proof::words).collect();
        if self.tests.len() > SHOWN {
            words.push(format!("{} more", self.tests.len() - SHOWN));
        }
        if self.departs {
            words.push("[departure](departures.md)".to_owned());
        }
        words.extend(self.later.map(|why| format!("later: {why}")));
        words.join("; ")
    }
}

/// Where a behaviour is shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Proof {
    /// In the repository.
    file: String,
    /// The test; `None` for a file whose rows are tests.
    test: Option<String>,
}

impl Proof {
    fn words(&self) -> String {
        let file = self.file.strip_prefix("src/").unwrap_or(&self.file);
        self.test.as_ref().map_or_else(|| format!("`{file}`"), |test| format!("`{file}` {test}"))
    }
}

/// By ID, in the order of the files.
fn proofs(root: &Path, ids: &BTreeSet<&str>) -> BTreeMap<String, Vec<Proof>> {
    let mut found: BTreeMap<String, BTreeSet<Proof>> = BTreeMap::new();
    for path in files(root) {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let relative = path.strip_prefix(root).expect("a file of the project");
        let file = relative.to_str().expect("a plain name").to_owned();
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        let tests = if is_rust { tests_of(&text) } else { vec![] };
        let is_table = file.starts_with("tests/interop") && (!is_rust || tests.is_empty());
        let whole = is_table.then(|| (None, text.clone()));
        let named = tests.into_iter().map(|test| (Some(test.name), test.text)).chain(whole);
        for (test, text) in named {
            let of_name = test.as_deref().map(|name| ids_in_name(name, ids)).unwrap_or_default();
            for id in ids_in(&text, ids).into_iter().chain(of_name) {
                let proof = Proof { file: file.clone(), test: test.clone() };
                found.entry(id.to_owned()).or_default().insert(proof);
            }
        }
    }
    found.into_iter().map(|(id, proofs)| (id, proofs.into_iter().collect())).collect()
}

/// Sources and tests, but not what is built or fetched.
fn files(root: &Path) -> Vec<PathBuf> {
    let mut files = vec![];
    let mut folders = vec![root.join("src"), root.join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the project").flatten() {
            let path = entry.path();
            let is_built = entry.file_name() == "target" || entry.file_name() == "__pycache__";
            if path.is_dir() && !is_built {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "py") {
                files.push(path);
            }
        }
    }
    // This file speaks of IDs and proves none.
    files.retain(|path| !path.ends_with("tests/conformance.rs"));
    files.sort();
    files
}

struct Test {
    name: String,
    text: String,
}

/// The test functions of a source that rustfmt has laid out: from the attribute to the brace under the `fn`.
fn tests_of(source: &str) -> Vec<Test> {
    let lines: Vec<&str> = source.lines().collect();
    let starts = lines.iter().enumerate().filter(|(_, line)| line.trim() == "#[test]");
    starts
        .filter_map(|(start, _)| {
            let head = (start..lines.len()).find(|at| lines[*at].trim_start().starts_with("fn "))?;
            let indent = &lines[head][..lines[head].find("fn ")?];
            let end = (head..lines.len()).find(|at| lines[*at] == format!("{indent}}}"))?;
            let name = lines[head].trim_start().strip_prefix("fn ")?.split(['(', '<']).next()?;
            Some(Test { name: name.to_owned(), text: lines[start..=end].join("\n") })
        })
        .collect()
}

/// IDs as written in a text: `OBS-13`.
fn ids_in<'a>(text: &str, ids: &BTreeSet<&'a str>) -> BTreeSet<&'a str> {
    let stands = |id: &str| {
        text.match_indices(id).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            let after = text[at + id.len()..].chars().next();
            !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
        })
    };
    ids.iter().copied().filter(|id| stands(id)).collect()
}

/// IDs as written in the name of a function: `…_obs_13`.
fn ids_in_name<'a>(name: &str, ids: &BTreeSet<&'a str>) -> BTreeSet<&'a str> {
    let words: Vec<_> = name.split('_').collect();
    let pairs: BTreeSet<String> =
        words.windows(2).map(|pair| format!("{}-{}", pair[0].to_uppercase(), pair[1])).collect();
    ids.iter().copied().filter(|id| pairs.contains(*id)).collect()
}

fn report(sections: &[Section<'_>], evidence: &Evidence<'_>) -> String {
    let all = || sections.iter().flat_map(|section| &section.behaviours);
    let later = all().filter(|one| one.later.is_some()).count();
    let departs = all().filter(|one| evidence.of(one).departs).count();
    let mut text = format!(
        "# What of LwM2M is served, and what shows it\n\n\
         Made by `cargo test --test conformance`, which fails when this is stale ({UPDATE}=1 writes it anew). Of {} behaviours \
         {} are shown by tests, {departs} have a clause in [departures.md](departures.md), {later} come later.\n",
        all().count(),
        all().filter(|one| !evidence.of(one).tests.is_empty()).count(),
    );
    for section in sections {
        write!(
            text,
            "\n## {}\n\n| ID | enabler | behaviour | shown by |\n|---|---|---|---|\n",
            section.title
        )
        .expect("a String takes all");
        for one in &section.behaviours {
            writeln!(text, "| {} | {} | {} | {} |", one.id, one.since, one.what, evidence.of(one).words())
                .expect("a String takes all");
        }
    }
    text
}

#[test]
fn a_test_is_found_with_its_name_and_its_comments() {
    let source = "\
mod tests {
    #[test]
    fn first_abc_01() {
        // ABC-02 and ABC-03
        if true {
        }
    }

    // ABC-04 stands outside
    #[test]
    fn second() {}
    #[test]
    fn third() {
    }
}
";
    let ids = BTreeSet::from(["ABC-01", "ABC-02", "ABC-03", "ABC-04", "ABC-0"]);
    let tests = tests_of(source);
    assert_eq!(tests[0].name, "first_abc_01");
    assert_eq!(ids_in(&tests[0].text, &ids), BTreeSet::from(["ABC-02", "ABC-03"]));
    assert_eq!(ids_in_name(&tests[0].name, &ids), BTreeSet::from(["ABC-01"]));
    assert!(tests.iter().skip(1).all(|test| ids_in(&test.text, &ids).is_empty()));
}
