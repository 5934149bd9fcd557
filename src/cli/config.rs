//! `nbgate config show`: what the configuration says, and where each value comes from.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::config::{self, Entry, Origin, Written};

use super::EXIT_USAGE;
use super::output::say;

/// The configuration as it is read
#[derive(Debug, clap::Subcommand)]
#[expect(missing_docs, reason = "described where its arguments are, so that `--help` shows all of that")]
pub enum Command {
    Show(Args),
}

/// Show what the configuration says, each value with the file and line or the variable that it comes from.
///
/// It shows what was written, right or wrong; `nbgate check` judges it. Passwords are masked. Exit code 2: a file
/// cannot be read.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration file; those of conf.d beside it are read as well
    #[arg(long, default_value = config::DEFAULT_PATH)]
    config: PathBuf,
    /// Show the defaults as well: everything that counts, but of a mapping no keys that are absent
    #[arg(long)]
    effective: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Prints the configuration.
pub fn run(command: &Command) -> ExitCode {
    let Command::Show(args) = command;
    let written = config::read(&args.config);
    let entries = written.entries(args.effective);
    match args.json {
        true => say(as_json(&entries, &written)),
        false => say(as_text(&entries)),
    }
    if written.faults().is_empty() {
        return ExitCode::SUCCESS;
    }
    written.faults().iter().for_each(|fault| eprintln!("nbgate: {fault}"));
    EXIT_USAGE.into()
}

/// `key = value`, then the origin in a column of its own.
fn as_text(entries: &[Entry]) -> String {
    let settings: Vec<String> = entries.iter().map(setting).collect();
    // Long values stand out of the column rather than moving it.
    let width =
        settings.iter().map(|text| text.chars().count()).filter(|width| *width <= 60).max().unwrap_or(0);
    let lines =
        settings.iter().zip(entries).map(|(setting, entry)| format!("{setting:width$}  # {}", entry.origin));
    lines.collect::<Vec<_>>().join("\n")
}

fn setting(entry: &Entry) -> String {
    match &entry.value {
        Some(value) => format!("{} = {value}", entry.key),
        None => format!("# {} is absent", entry.key),
    }
}

fn as_json(entries: &[Entry], written: &Written) -> Value {
    let entries = entries.iter().map(|entry| {
        let mut json = json!({ "key": entry.key, "value": entry.value });
        if let Some(json) = json.as_object_mut() {
            let (name, value) = origin_json(&entry.origin);
            json.insert(name.into(), value);
        }
        json
    });
    json!({ "files": written.files(), "entries": entries.collect::<Vec<_>>() })
}

fn origin_json(origin: &Origin) -> (&'static str, Value) {
    match origin {
        Origin::Default => ("default", json!(true)),
        Origin::Variable(name) => ("variable", json!(name)),
        Origin::File(position) => {
            ("file", json!({ "path": position.file.as_deref(), "line": position.at.map(|at| at.0) }))
        }
    }
}
