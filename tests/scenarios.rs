//! Every ready-made scenario and every recipe of the cookbook, run through `nbgate map test` as a technician would.
//!
//! A sample holds lines that start with `> `, each a topic and a payload, and below each what the program prints for it.
//! `UPDATE_SAMPLES=1 cargo test --test scenarios` writes what the program prints now; read the difference before you keep it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn map(arguments: &[&str], config: &Path, input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_nbgate"))
        .arg("map")
        .args(arguments)
        .arg("--config")
        .arg(config)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).unwrap()
}

/// The sample with what the program prints below each line.
fn printed(config: &Path, sample: &str) -> String {
    let lines: Vec<&str> = sample.lines().filter_map(|line| line.strip_prefix("> ")).collect();
    let output = map(&["test"], config, &lines.join("\n"));
    let (told, complaints) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}: {complaints}\n{told}", config.display());
    // Only the line that names the topic is not indented.
    let mut blocks: Vec<Vec<&str>> = vec![];
    for line in told.lines() {
        match blocks.last_mut().filter(|_| line.starts_with(' ')) {
            Some(block) => block.push(line),
            None => blocks.push(vec![]),
        }
    }
    assert_eq!(blocks.len(), lines.len(), "{told}");
    let with_line = lines.iter().zip(blocks).map(|(line, block)| format!("> {line}\n{}\n", block.join("\n")));
    with_line.collect()
}

/// Compares a file with what it should be, or writes it.
fn settle(path: &Path, is: &str, should_be: &str) {
    if std::env::var_os("UPDATE_SAMPLES").is_some() {
        std::fs::write(path, should_be).unwrap();
    } else {
        assert_eq!(is, should_be, "{} differs from what the program prints", path.display());
    }
}

#[test]
fn ready_made_scenarios_give_what_their_samples_show() {
    let scenarios: Vec<PathBuf> = std::fs::read_dir(root().join("config/scenarios"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(scenarios.len(), 4);
    for config in scenarios {
        let name = config.file_stem().unwrap().to_str().unwrap();
        let path = root().join("tests/scenarios").join(format!("{name}.txt"));
        let sample = std::fs::read_to_string(&path).unwrap();
        settle(&path, &sample, &printed(&config, &sample));
    }
}

#[test]
fn scenarios_fit_together_in_one_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("conf.d")).unwrap();
    // The configuration that the package installs.
    std::fs::copy(root().join("config/nbgate.toml"), folder.path().join("nbgate.toml")).unwrap();
    for entry in std::fs::read_dir(root().join("config/scenarios")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.path().join("conf.d").join(path.file_name().unwrap())).unwrap();
    }
    let sample = std::fs::read_to_string(root().join("tests/scenarios/lamps.txt")).unwrap();
    printed(&folder.path().join("nbgate.toml"), &sample);
}

#[test]
fn recipes_of_the_cookbook_give_what_they_show() {
    let path = root().join("docs/cookbook.md");
    let book = std::fs::read_to_string(&path).unwrap();
    let config = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    let mut settled = String::new();
    let mut recipes = 0;
    let mut rest = book.as_str();
    while let Some(block) = next_block(rest) {
        settled.push_str(block.before);
        match block.language {
            "toml" => {
                std::fs::write(config.path(), block.body).unwrap();
                settled.push_str(block.body);
            }
            "text" => {
                recipes += 1;
                settled.push_str(&printed(config.path(), block.body));
            }
            _ => settled.push_str(block.body),
        }
        settled.push_str(block.end);
        rest = block.rest;
    }
    settled.push_str(rest);
    assert!(recipes >= 13, "{recipes} recipes");
    settle(&path, &book, &settled);
}

/// A fenced block of Markdown, and what stands around it.
struct Block<'t> {
    /// Up to and with the opening fence.
    before: &'t str,
    language: &'t str,
    body: &'t str,
    /// The closing fence.
    end: &'t str,
    rest: &'t str,
}

fn next_block(text: &str) -> Option<Block<'_>> {
    let fence = text.find("```")? + 3;
    let (language, _) = text[fence..].split_once('\n')?;
    let start = fence + language.len() + 1;
    let end = start + text[start..].find("```")?;
    Some(Block {
        before: &text[..start],
        language,
        body: &text[start..end],
        end: &text[end..end + 3],
        rest: &text[end + 3..],
    })
}

/// A configuration for a test, in a file that goes with it.
fn config(toml: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    std::fs::write(file.path(), toml).unwrap();
    file
}

const ROOMS: &str = "[[mappings]]\ntopic = \"sensors/{room}/temperature\"\nvalue = \"/t\"\nobject = 3303\n\
                     resource = 5700\ninstance = \"{room}\"\nmin_interval = \"1h\"\n";

#[test]
fn a_line_that_gives_nothing_is_told_and_ends_in_exit_code_1() {
    let config = config(ROOMS);
    let lines = "# a comment\n\nsensors/a/temperature {\"t\": 7}\nsensors/a/temperature {\"t\": \"\\u001b[2J\"}\n\
                 sensors/a/humidity 3\nsensors/a/temperature {\"t\": 8}\n";
    let output = map(&["test"], config.path(), lines);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stderr), "nbgate: 2 of 4 messages gave no value, or had one refused\n");
    insta::assert_snapshot!(text(&output.stdout), @r#"
    sensors/a/temperature
      /3303/0/5700  Sensor Value = 7.0 Cel
    sensors/a/temperature
      refused: /t: "\u{1b}[2J" is not a number
    sensors/a/humidity
      no mapping is for this topic
    sensors/a/temperature
      /3303/0/5700  Sensor Value = 8.0 Cel
    "#);
}

#[test]
fn lines_are_told_as_json_for_programs() {
    let config = config(ROOMS);
    let output = map(&["test", "--json"], config.path(), "sensors/a/temperature {\"t\": 7}\nx y\n");
    insta::assert_snapshot!(text(&output.stdout), @r#"
    {"line":1,"topic":"sensors/a/temperature","values":[{"path":"/3303/0/5700","object":"Temperature","resource":"Sensor Value","value":7.0,"unit":"Cel"}],"reasons":[]}
    {"line":2,"topic":"x","values":[],"reasons":["no mapping is for this topic"]}
    "#);
}

#[test]
fn a_topic_is_explained() {
    let config = config(ROOMS);
    let output = map(&["explain", "sensors/cellar/temperature"], config.path(), "");
    assert!(output.status.success());
    insta::assert_snapshot!(text(&output.stdout), @r#"
    mappings[0]  sensors/{room}/temperature  matches
      subscribed as  sensors/+/temperature
      {room} is  cellar
      feeds  object 3303 Temperature, a new instance once a good value comes
        5700 Sensor Value  from /t
    "#);
    let output = map(&["explain", "sensors/cellar/humidity"], config.path(), "");
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(text(&output.stdout), @r#"mappings[0]  sensors/{room}/temperature  does not match: level 3 is "humidity", not "temperature""#);
    let output = map(&["explain", "--json", "sensors/cellar/temperature"], config.path(), "");
    insta::assert_snapshot!(text(&output.stdout), @r#"{"captures":{"room":"cellar"},"ignores_retained":false,"instance":null,"instance_rule":"new","mapping":0,"matches":true,"object":3303,"object_name":"Temperature","resources":[{"name":"Sensor Value","resource":5700,"unit":"Cel","value":"/t"}],"subscription":"sensors/+/temperature","topic":"sensors/{room}/temperature"}"#);
    assert_eq!(map(&["explain", "sensors/+/temperature"], config.path(), "").status.code(), Some(2));
}

#[test]
fn faulty_mappings_are_told_and_end_in_exit_code_2() {
    let config = config(&ROOMS.replace("5700", "5"));
    let output = map(&["test"], config.path(), "");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("mappings[0].resource"), "{}", text(&output.stderr));
}
