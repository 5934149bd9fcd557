//! A table of requests that Leshan sends and what must come back, one a line; `leshan/operations.tsv` is one.
//!
//! Columns, separated by tabs: IDs of what the row proves · version of LwM2M (`1.0`, `1.1`, `both`) · what is asked · path ·
//! more of the request, as JSON · formats to ask in, one after the other · response code · what must be seen then, as JSON.
//! `MANY` are the formats that hold several values, `ANY` those and text. `-` stands for an empty column, a line that starts
//! with `#` for nothing.
//!
//! Asked may be any command of the Leshan peer, and `update` for a partial write. What was written over kernel UDP is read
//! back in every format that fits; a modem carries octets and has no say in them. A request with `values` or `instances`
//! takes another of them with each format, so that each is seen to work. `{test}` is the test object of the version.
//!
//! What must be seen: at a path its value (`null`: none), in a field of the answer this, a message on MQTT (`mqtt`), a link
//! in a registration update (`listed`, `gone`).

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::house::House;
use crate::peers::leshan::{has_link, value};

/// A line of a table.
struct Row {
    line: usize,
    ids: String,
    version: String,
    ask: String,
    path: String,
    with: Map<String, Value>,
    formats: Vec<String>,
    code: String,
    shows: Map<String, Value>,
}

/// Formats by their names in the tables.
const FORMATS: [(&str, u16); 10] = [
    ("TEXT", 0),
    ("LINK", 40),
    ("OPAQUE", 42),
    ("CBOR", 60),
    ("SENML_JSON", 110),
    ("SENML_CBOR", 112),
    ("OLD_TLV", 1542),
    ("OLD_JSON", 1543),
    ("TLV", 11542),
    ("JSON", 11543),
];

fn number_of(format: &str) -> u16 {
    let known = FORMATS.iter().find(|(name, _)| *name == format);
    known.unwrap_or_else(|| panic!("what format is {format}?")).1
}

/// Formats that hold more than one value, of each version; `MANY` in a table.
fn many(version: &str) -> &'static [&'static str] {
    match version {
        "1.0" => &["TLV", "OLD_TLV"],
        _ => &["TLV", "OLD_TLV", "SENML_JSON", "SENML_CBOR"],
    }
}

/// Reads a table out of `tests/interop/leshan`; a line that does not read is the test's own fault.
fn rows(table: &str, test_object: u16) -> Vec<Row> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/leshan").join(table);
    let table = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let table = table.replace("{test}", &test_object.to_string());
    let lines = table.lines().zip(1..).filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
    lines.map(|(line, number)| row(line, number)).collect()
}

fn row(line: &str, number: usize) -> Row {
    let columns: Vec<&str> = line.split('\t').collect();
    let [ids, version, ask, path, with, formats, code, shows] = columns[..] else {
        panic!("line {number} has {} columns: {line}", columns.len());
    };
    let object = |text: &str| match text {
        "-" => Map::new(),
        text => serde_json::from_str(text).unwrap_or_else(|error| panic!("line {number}: {error}: {text}")),
    };
    Row {
        line: number,
        ids: ids.to_owned(),
        version: version.to_owned(),
        ask: ask.to_owned(),
        path: path.to_owned(),
        with: object(with),
        formats: formats.split(' ').map(str::to_owned).collect(),
        code: code.to_owned(),
        shows: object(shows),
    }
}

/// Runs the rows of this version in their order, to the end; fails with a list of all that came out otherwise.
/// Gives the number of requests whose payload was spoiled on purpose.
pub fn run(house: &mut House, table: &str) -> usize {
    let version = house.plan.version;
    let (mut asked, mut spoiled) = (0, 0);
    let mut faults = vec![];
    for row in rows(table, house.plan.test_object())
        .iter()
        .filter(|row| row.version == "both" || row.version == version)
    {
        for (turn, format) in row.formats(version).into_iter().enumerate() {
            asked += 1;
            spoiled +=
                usize::from(row.with.contains_key("payload") || row.with.contains_key("contentFormat"));
            if let Err(fault) = row.run(house, format, turn) {
                faults.push(format!("line {} ({}): {fault}", row.line, row.ids));
            }
        }
    }
    println!("LwM2M {version}: {asked} requests");
    assert!(faults.is_empty(), "{} of {asked} came out otherwise:\n{}", faults.len(), faults.join("\n"));
    spoiled
}

impl Row {
    /// The formats to ask in; `None` names none.
    fn formats(&self, version: &str) -> Vec<Option<u16>> {
        let names = self.formats.iter().flat_map(|name| match name.as_str() {
            "MANY" => many(version).to_vec(),
            "ANY" => [&["TEXT"], many(version)].concat(),
            name => vec![name],
        });
        names.map(|name| (name != "-").then(|| number_of(name))).collect()
    }

    /// One request.
    fn run(&self, house: &mut House, format: Option<u16>, turn: usize) -> Result<(), String> {
        let marks = Marks { orders: house.orders.mark(), events: house.leshan.mark() };
        let (command, request) = self.request(format, turn);
        let answer = house.ask(command, &self.path, Value::Object(request.clone()));
        let told = || format!("{command} {} {}: {answer}", self.path, Value::Object(request.clone()));
        if answer["code"] != self.code.as_str() {
            return Err(format!("{} was expected of {}", self.code, told()));
        }
        if command == "read"
            && self.code == "2.05"
            && format.is_some()
            && answer["contentFormat"] != json!(format)
        {
            return Err(format!("in another format than asked: {}", told()));
        }
        let reads_back = command == "write"
            && self.code == "2.04"
            && !request.contains_key("payload")
            && house.plan.modem.is_none();
        self.check(house, &answer, &marks).map_err(|fault| format!("{fault} in {}", told()))?;
        if let (true, Some(written)) = (reads_back, request.get("value")) {
            read_back(house, &self.path, written).map_err(|fault| format!("{fault} after {}", told()))?;
        }
        Ok(())
    }

    fn request(&self, format: Option<u16>, turn: usize) -> (&str, Map<String, Value>) {
        let mut request = self.with.clone();
        for (many, one) in [("values", "value"), ("instances", "instance")] {
            if let Some(Value::Array(values)) = request.remove(many) {
                request.insert(one.to_owned(), values[turn % values.len()].clone());
            }
        }
        if let Some(number) = format {
            request.insert("format".to_owned(), json!(number));
        }
        if self.ask == "update" {
            request.insert("mode".to_owned(), json!("update"));
            return ("write", request);
        }
        (&self.ask, request)
    }

    /// What the last column says.
    fn check(&self, house: &mut House, answer: &Value, marks: &Marks) -> Result<(), String> {
        for (key, expected) in &self.shows {
            let fits = match key.as_str() {
                "mqtt" => house.orders.hears(expected.as_str().unwrap_or_default(), marks.orders),
                "listed" | "gone" => {
                    let link = expected.as_str().unwrap_or_default();
                    let fits = |told: &Value| has_link(told, link) == (key == "listed");
                    house.leshan.hears("updated", marks.events, fits)
                }
                path if path.starts_with('/') => shows(answer, path, expected),
                field => answer[field] == *expected,
            };
            if !fits {
                return Err(format!("{key} is not {expected}"));
            }
        }
        Ok(())
    }
}

/// How far the story had come before a request.
struct Marks {
    orders: usize,
    events: usize,
}

/// What was written is what is read.
fn read_back(house: &mut House, path: &str, written: &Value) -> Result<(), String> {
    let mut expected = vec![];
    flatten(path, written, &mut expected);
    // A resource instance is read with its resource, which every version can.
    let above = path.rsplit_once('/').map_or(path, |(above, _)| above);
    let at = if path.matches('/').count() == 4 { above } else { path };
    let formats: &[&str] = match written {
        Value::Object(_) => many(house.plan.version),
        _ if at != path => many(house.plan.version),
        _ => &[&["TEXT"], many(house.plan.version)].concat(),
    };
    for format in formats {
        let read = house.ask("read", at, json!({ "format": number_of(format) }));
        if let Some((path, value)) = expected.iter().find(|(path, value)| !shows(&read, path, value)) {
            return Err(format!("{path} is not {value} in {format} but {read}"));
        }
    }
    Ok(())
}

/// `{"5700": 1, "6": {"0": 2}}` at `/3303/0` is `/3303/0/5700` = 1 and `/3303/0/6/0` = 2.
fn flatten(path: &str, value: &Value, into: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(parts) => {
            parts.iter().for_each(|(id, part)| flatten(&format!("{path}/{id}"), part, into))
        }
        value => into.push((path.to_owned(), value.clone())),
    }
}

/// The answer has this value at the path; `null`: it has none.
fn shows(answer: &Value, path: &str, expected: &Value) -> bool {
    match (value(answer, path), expected) {
        (None, Value::Null) => true,
        // 5 and 5.0 are one number to a Float resource.
        (Some(Value::Number(one)), Value::Number(two)) if one.is_f64() != two.is_f64() => {
            one.as_f64() == two.as_f64()
        }
        (found, expected) => found == Some(expected),
    }
}
