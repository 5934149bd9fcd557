//! `nbgate check`: is the configuration good, and if not, where and why.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::bridge::Bridge;
use crate::config::{self, Config, Fault, Faults, Origin};
use crate::gateway::host;
use crate::mqtt;

use super::EXIT_USAGE;
use super::output::say;

/// Check the configuration, and tell everything that is wrong with it.
///
/// Reads what `run` reads: the file, then conf.d/*.toml beside it by name, then NBGATE_ variables. Each fault comes with
/// file, line, key and remedy. Nothing is connected to. Exit code 0: it is good, perhaps with warnings; 2: it is not.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration file; those of conf.d beside it are read as well
    #[arg(long, default_value = config::DEFAULT_PATH)]
    config: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Checks and prints.
pub fn run(args: &Args) -> ExitCode {
    match config::load(&args.config, host::read()) {
        Ok(config) if args.json => say(good_json(&config)),
        Ok(config) => say(good(&config)),
        Err(faults) => {
            if args.json {
                say(faulty_json(&faults));
            } else {
                eprintln!("{faults}");
            }
            return EXIT_USAGE.into();
        }
    }
    ExitCode::SUCCESS
}

fn good(config: &Config) -> String {
    let mut lines: Vec<String> = config.files.iter().map(|file| format!("read {}", file.display())).collect();
    lines.extend(config.warnings.iter().map(|warning| format!("warning: {warning}")));
    let servers = &config.gateway.servers;
    lines.extend(
        servers
            .iter()
            .map(|server| format!("server {} (Short Server ID {})", server.uri, server.short_server_id)),
    );
    lines.push(format!("broker {}", config.mqtt.address()));
    lines.extend(filters(config).iter().map(|filter| format!("subscribes {filter}")));
    let commands = config.gateway.mappings.access().count();
    lines.push(format!("{}, {}", counted(config.mapping_count, "mapping"), counted(commands, "command")));
    lines.push(match config.warnings.len() {
        0 => "the configuration is good".into(),
        count => format!("the configuration is good, with {}", counted(count, "warning")),
    });
    let (access_list, queue_settings) = advice(config);
    lines.extend(["", "for mosquitto's acl_file:"].map(str::to_owned));
    lines.extend(access_list.lines().chain(["", "for mosquitto.conf:"]).map(str::to_owned));
    lines.extend(queue_settings.lines().map(str::to_owned));
    lines.join("\n")
}

/// What the broker should be told about us: an access list, and settings.
fn advice(config: &Config) -> (String, String) {
    let reads = filters(config);
    let writes = config.gateway.mappings.publications();
    let access_list = mqtt::advice::access_list(
        &config.mqtt,
        reads.iter().map(String::as_str),
        writes.iter().map(String::as_str),
    );
    (access_list, mqtt::advice::queue_settings(&config.mqtt))
}

fn counted(count: usize, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {what}{s}")
}

/// What the broker is asked for.
fn filters(config: &Config) -> Vec<String> {
    Bridge::new(config.gateway.mappings.clone()).topic_filters()
}

fn good_json(config: &Config) -> Value {
    let (access_list, queue_settings) = advice(config);
    json!({
        "ok": true,
        "files": config.files,
        "faults": [],
        "warnings": config.warnings.iter().map(fault_json).collect::<Vec<_>>(),
        "servers": config.gateway.servers.iter().map(|server| &server.uri).collect::<Vec<_>>(),
        "broker": config.mqtt.address(),
        "mappings": config.mapping_count,
        "commands": config.gateway.mappings.access().count(),
        "filters": filters(config),
        "mosquitto": { "acl_file": access_list, "mosquitto.conf": queue_settings },
    })
}

fn faulty_json(faults: &Faults) -> Value {
    json!({
        "ok": false,
        "faults": faults.faults.iter().map(fault_json).collect::<Vec<_>>(),
        "warnings": [],
    })
}

fn fault_json(fault: &Fault) -> Value {
    let (file, line, column) = match &fault.origin {
        Some(Origin::File(position)) => {
            (position.file.as_deref(), position.at.map(|at| at.0), position.at.map(|at| at.1))
        }
        _ => (None, None, None),
    };
    let variable = match &fault.origin {
        Some(Origin::Variable(name)) => Some(name),
        _ => None,
    };
    json!({
        "file": file,
        "line": line,
        "column": column,
        "variable": variable,
        "key": fault.key,
        "problem": fault.problem,
        "fix": fault.fix,
    })
}
