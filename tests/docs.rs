//! What the documents promise of the program: messages that they quote are really said, and links lead somewhere.
//!
//! The commands of `docs/tutorial.md` are run by `tests/package/tutorial`, with real programs around them.

use std::fs;
use std::path::{Path, PathBuf};

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_under(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("its entry can be read").path();
        if path.is_dir() {
            found.extend(files_under(&path, extension));
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
    found
}

/// The texts between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Messages that the first columns of the tables "the log says" quote; what has no blank is a key or a code.
fn messages(document: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut in_table = false;
    for line in document.lines() {
        in_table = line.starts_with("| the log says") || (in_table && line.starts_with('|'));
        if let Some(first) = line.split('|').nth(1).filter(|_| in_table) {
            found.extend(quoted(first).filter(|text| text.contains(' ')));
        }
    }
    found
}

#[test]
fn messages_that_troubleshooting_quotes_are_in_the_program() {
    let document = fs::read_to_string(project().join("docs/troubleshooting.md")).unwrap();
    let messages = messages(&document);
    assert!(messages.len() > 15, "{messages:?}");
    // A message may go over several lines of the source.
    let sources: Vec<String> = files_under(&project().join("src"), "rs")
        .iter()
        .map(|path| {
            fs::read_to_string(path)
                .unwrap()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .replace("\\ ", "")
        })
        .collect();
    let unsaid: Vec<&str> =
        messages.into_iter().filter(|text| !sources.iter().any(|source| source.contains(text))).collect();
    assert!(unsaid.is_empty(), "no part of the program says {unsaid:#?}");
}

#[test]
fn links_between_documents_lead_to_files() {
    let mut documents = files_under(&project().join("docs"), "md");
    documents.extend(["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"].map(|name| project().join(name)));
    let mut broken = Vec::new();
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        let folder = document.parent().unwrap();
        let targets =
            text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
        for target in targets.filter(|target| !target.contains("://")) {
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() && !folder.join(file).exists() {
                broken.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn only_first_columns_of_such_tables_are_taken_for_messages() {
    let document = "`not this`\n| the log says | do |\n|---|---|\n| `this one`, `key` | `not that` |\n\n| other |\n| `nor this` |\n";
    assert_eq!(messages(document), ["this one"]);
}
