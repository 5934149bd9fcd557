//! TOML text to a tree with lines.

use std::path::Path;
use std::sync::Arc;

use toml_edit::{Array, ImDocument, InlineTable, Item, Table, Value};

use super::Fault;
use super::tree::{Data, Node, Origin, Position};

/// Reads a text.
///
/// # Errors
/// It is no TOML: the fault with line and column. TOML's reader stops at the first.
pub(super) fn parse(text: &str, file: Option<Arc<Path>>) -> Result<Node, Box<Fault>> {
    let places = Places::of(text, file);
    match ImDocument::parse(text) {
        Ok(document) => {
            let mut root = places.table(document.as_table(), 0);
            root.origin = Origin::File(Position { file: places.file, at: None });
            Ok(root)
        }
        Err(error) => {
            let offset = error.span().map_or(0, |span| span.start);
            // The first line says what, the others what would have been right there.
            let message: Vec<&str> = error.message().lines().map(str::trim).collect();
            let (_, column) = places.line_and_column(offset);
            Err(Box::new(Fault {
                key: String::new(),
                problem: format!("this is no TOML from column {column} on: {}", message.join("; ")),
                fix: "correct the line; texts stand in quotes, tables begin with [name]".into(),
                origin: Some(places.origin(offset)),
            }))
        }
    }
}

/// Reads one value, as it stands behind `key =`.
pub(super) fn value(text: &str) -> Option<Data> {
    // A line end would begin another key.
    let text = Some(text).filter(|text| !text.contains(['\n', '\r']))?;
    let node = parse(&format!("value = {text}"), None).ok()?;
    node.get("value").map(|node| node.data.clone())
}

/// Turns offsets into lines.
struct Places<'a> {
    text: &'a str,
    /// Where each line begins.
    lines: Vec<usize>,
    file: Option<Arc<Path>>,
}

impl<'a> Places<'a> {
    fn of(text: &'a str, file: Option<Arc<Path>>) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, octet)| *octet == b'\n');
        let lines = std::iter::once(0).chain(ends.map(|(end, _)| end + 1)).collect();
        Self { text, lines, file }
    }

    /// Both counted from 1.
    fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let before = self.text.get(start..offset).map_or(0, |before| before.chars().count());
        (line, before + 1)
    }

    fn origin(&self, offset: usize) -> Origin {
        Origin::File(Position { file: self.file.clone(), at: Some(self.line_and_column(offset)) })
    }

    /// `begins`: for what the reader gives no place.
    fn table(&self, table: &Table, begins: usize) -> Node {
        let member = |(name, item): (&str, &Item)| {
            let key = table.key(name).and_then(toml_edit::Key::span);
            let begins = key.or_else(|| item.span()).map_or(begins, |span| span.start);
            Some((name.to_owned(), self.item(item, begins)?))
        };
        Node { origin: self.origin(begins), data: Data::Table(table.iter().filter_map(member).collect()) }
    }

    fn inline_table(&self, table: &InlineTable, begins: usize) -> Node {
        let member = |(name, value): (&str, &Value)| {
            let key = table.key(name).and_then(toml_edit::Key::span);
            let begins = key.map_or(begins, |span| span.start);
            (name.to_owned(), self.value(value, begins))
        };
        Node { origin: self.origin(begins), data: Data::Table(table.iter().map(member).collect()) }
    }

    fn item(&self, item: &Item, begins: usize) -> Option<Node> {
        Some(match item {
            Item::None => return None,
            Item::Value(value) => self.value(value, begins),
            Item::Table(table) => self.table(table, begins),
            Item::ArrayOfTables(tables) => {
                let entry = |table: &Table| self.table(table, table.span().map_or(begins, |span| span.start));
                Node { origin: self.origin(begins), data: Data::List(tables.iter().map(entry).collect()) }
            }
        })
    }

    fn value(&self, value: &Value, begins: usize) -> Node {
        let data = match value {
            Value::String(text) => Data::Text(text.value().clone()),
            Value::Integer(value) => Data::Integer(*value.value()),
            Value::Float(value) => Data::Number(*value.value()),
            Value::Boolean(value) => Data::Flag(*value.value()),
            Value::Datetime(value) => Data::Date(value.value().to_string()),
            Value::Array(items) => self.list(items, begins),
            Value::InlineTable(table) => return self.inline_table(table, begins),
        };
        Node { origin: self.origin(begins), data }
    }

    fn list(&self, items: &Array, begins: usize) -> Data {
        let item = |value: &Value| self.value(value, value.span().map_or(begins, |span| span.start));
        Data::List(items.iter().map(item).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_no_toml_is_told_with_line_and_column() {
        let fault = parse("a = 1\n[mqtt\nurl = 1\n", None).unwrap_err();
        assert!(fault.problem.starts_with("this is no TOML from column 6 on: "), "{}", fault.problem);
        assert!(!fault.problem.contains('\n'));
        let fault = parse("a = 1\na = 2\n", None).unwrap_err();
        assert!(fault.problem.contains("duplicate key"), "{}", fault.problem);
        assert_eq!(fault.origin.unwrap().to_string(), "line 2");
    }

    #[test]
    fn one_value_is_one_value() {
        assert_eq!(value("[1, 2]").map(|data| matches!(data, Data::List(_))), Some(true));
        assert_eq!(value("abc"), None);
        assert_eq!(value("1\nb = 2"), None);
    }
}
