//! Where a value stands in a JSON document: JSON pointers (RFC 6901), and a dotted form for keys that a person writes.
//!
//! | written | finds |
//! |---|---|
//! | `/dev/sn`, `/readings/0/val` | RFC 6901: members and array indices, `~1` for `/` and `~0` for `~` in a key |
//! | `dev.sn`, `readings[0].val` | the same, dotted; an index in brackets |
//! | `"DS18B20-1".Temperature`, `params.'switch:0'` | a key with dots, brackets, blanks or quotes stands in quotes; `\` escapes |
//! | `readings[ch=flow].val` | the first array element whose `ch` is `flow` (text, number or boolean as JSON writes it) |
//!
//! The empty text is the whole document.

use super::pick::Picker;

/// Most steps of a pointer: what serde_json lets a document nest.
const MAX_STEPS: usize = 127;

/// Where in a JSON document a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    text: String,
    steps: Vec<Step>,
}

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A member of an object by its key, or an element of an array by its index.
    Token(String),
    /// The first element of an array whose member `field` is `value`.
    Find {
        /// Key of the member.
        field: String,
        /// Text, or number or boolean as JSON writes it.
        value: String,
    },
}

/// Why a text is no pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// `~` that is neither `~0` nor `~1`.
    #[error("behind `/` a `~` must be written `~0`, and `/` in a key `~1`")]
    Tilde,
    /// Nothing, or a character that needs quotes, where a key is wanted.
    #[error("a key is wanted where {0:?} stands; put a key with such characters in quotes")]
    Key(char),
    /// It ends where something must follow.
    #[error("it ends where a key, a quote or `]` must follow")]
    End,
    /// Neither an index nor `field=value` in brackets.
    #[error("in brackets stands an index or field=value")]
    Bracket,
    /// More than [`MAX_STEPS`] steps.
    #[error("it has more than {MAX_STEPS} steps")]
    TooDeep,
}

/// What stands at a pointer; texts are borrowed from the document where it has them unescaped.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar<'d> {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean(bool),
    /// A whole number in the range of 64 bits, signed or not.
    Integer(i128),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(std::borrow::Cow<'d, str>),
    /// An object or array: no value for a resource.
    Container,
}

impl Pointer {
    /// Reads a pointer.
    ///
    /// # Errors
    /// The text is none.
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        let steps = match text.strip_prefix('/') {
            None if text.is_empty() => vec![],
            None => Dotted(text).steps()?,
            Some(rest) => rest.split('/').map(unescape).collect::<Result<_, _>>()?,
        };
        if steps.len() > MAX_STEPS {
            return Err(PointerError::TooDeep);
        }
        Ok(Self { text: text.to_owned(), steps })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The way down.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// What stands at this place of a JSON document; `None` if there is nothing.
    ///
    /// # Errors
    /// The document is not JSON, in words.
    pub fn find<'d>(&self, document: &'d [u8]) -> Result<Option<Scalar<'d>>, String> {
        Ok(Picker::new([self]).pick(document)?.pop().flatten())
    }
}

/// RFC 6901 §4
fn unescape(token: &str) -> Result<Step, PointerError> {
    let mut parts = token.split('~');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (sign, rest) = match (part.strip_prefix('0'), part.strip_prefix('1')) {
            (Some(rest), _) => ('~', rest),
            (_, Some(rest)) => ('/', rest),
            _ => return Err(PointerError::Tilde),
        };
        text.push(sign);
        text.push_str(rest);
    }
    Ok(Step::Token(text))
}

/// What is left to read of a dotted pointer.
struct Dotted<'t>(&'t str);

impl Dotted<'_> {
    fn steps(mut self) -> Result<Vec<Step>, PointerError> {
        let mut steps = vec![self.first()?];
        while let Some(next) = self.next() {
            steps.push(match next {
                '.' => Step::Token(self.key()?),
                '[' => self.bracket()?,
                other => return Err(PointerError::Key(other)),
            });
        }
        Ok(steps)
    }

    /// A document may be an array, so a bracket may come first.
    fn first(&mut self) -> Result<Step, PointerError> {
        if self.0.starts_with('[') {
            self.next();
            return self.bracket();
        }
        self.key().map(Step::Token)
    }

    /// Behind `[`.
    fn bracket(&mut self) -> Result<Step, PointerError> {
        let key = self.key()?;
        match self.next().ok_or(PointerError::End)? {
            ']' if key.bytes().all(|octet| octet.is_ascii_digit()) => Ok(Step::Token(key)),
            '=' => {
                let value = self.key()?;
                match self.next() {
                    Some(']') => Ok(Step::Find { field: key, value }),
                    Some(_) => Err(PointerError::Bracket),
                    None => Err(PointerError::End),
                }
            }
            _ => Err(PointerError::Bracket),
        }
    }

    /// A key in quotes or bare.
    fn key(&mut self) -> Result<String, PointerError> {
        let first = self.0.chars().next().ok_or(PointerError::End)?;
        if matches!(first, '"' | '\'') {
            self.next();
            return self.quoted(first);
        }
        let end = self.0.find(needs_quotes).unwrap_or(self.0.len());
        let (key, rest) = self.0.split_at(end);
        if key.is_empty() {
            return Err(PointerError::Key(first));
        }
        self.0 = rest;
        Ok(key.to_owned())
    }

    fn quoted(&mut self, quote: char) -> Result<String, PointerError> {
        let mut key = String::new();
        loop {
            match self.next().ok_or(PointerError::End)? {
                end if end == quote => return Ok(key),
                '\\' => key.push(self.next().ok_or(PointerError::End)?),
                other => key.push(other),
            }
        }
    }

    fn next(&mut self) -> Option<char> {
        let mut characters = self.0.chars();
        let next = characters.next();
        self.0 = characters.as_str();
        next
    }
}

/// Outside quotes these characters mean something, or somebody meant another syntax.
fn needs_quotes(character: char) -> bool {
    matches!(character, '.' | '[' | ']' | '=' | '"' | '\'' | '\\' | '/') || character.is_whitespace()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Option<Scalar<'_>> {
        Some(Scalar::Text(text.into()))
    }

    fn find<'d>(pointer: &str, document: &'d str) -> Option<Scalar<'d>> {
        Pointer::parse(pointer).unwrap().find(document.as_bytes()).unwrap()
    }

    #[test]
    fn pointers_reach_members_items_and_the_whole_document() {
        let document = r#"{"dev":{"sn":"WM-1"},"r":[{"val":0.31},{"val":1482}],"a/b":1,"m~n":2,"":3}"#;
        assert_eq!(find("/dev/sn", document), text("WM-1"));
        assert_eq!(find("/r/1/val", document), Some(Scalar::Integer(1482)));
        assert_eq!(find("/a~1b", document), Some(Scalar::Integer(1)));
        assert_eq!(find("/m~0n", document), Some(Scalar::Integer(2)));
        assert_eq!(find("/", document), Some(Scalar::Integer(3)));
        assert_eq!(find("", "7.5"), Some(Scalar::Float(7.5)));
        assert_eq!(find("", document), Some(Scalar::Container));
        assert_eq!(find("/r", document), Some(Scalar::Container));
    }

    #[test]
    fn dotted_pointers_reach_the_same_with_quotes_for_odd_keys() {
        let document = r#"{"t":1,"DS18B20-1":{"Temperature":4.1},"params":{"switch:0":{"apower":36.8}},
            "room temp.":{"it's":2},"A+":3,"r":[[5],{"val":6}],"0":7,"q\"":8}"#;
        for (pointer, found) in [
            ("t", Scalar::Integer(1)),
            ("DS18B20-1.Temperature", Scalar::Float(4.1)),
            (r#""DS18B20-1".Temperature"#, Scalar::Float(4.1)),
            ("params.switch:0.apower", Scalar::Float(36.8)),
            (r#"'room temp.'."it's""#, Scalar::Integer(2)),
            ("A+", Scalar::Integer(3)),
            ("r[0][0]", Scalar::Integer(5)),
            ("r.1.val", Scalar::Integer(6)),
            ("0", Scalar::Integer(7)),
            (r#""q\"""#, Scalar::Integer(8)),
        ] {
            assert_eq!(find(pointer, document), Some(found), "{pointer}");
        }
        assert_eq!(find("[1].a", r#"[0,{"a":9}]"#), Some(Scalar::Integer(9)));
    }

    #[test]
    fn an_element_is_found_by_its_field_wherever_the_field_stands() {
        let document = r#"{"readings":[{"ch":"flow","val":0.31,"u":"m3/h"},{"val":1482.077,"u":"m3","ch":"total"},
            {"ch":"total","val":1},{"n":7,"ok":true,"v":{"x":[{"id":1.5,"y":"z"}]}},5]}"#;
        assert_eq!(find("readings[ch=flow].val", document), Some(Scalar::Float(0.31)));
        assert_eq!(find("readings[ch=total].val", document), Some(Scalar::Float(1482.077)));
        assert_eq!(find("readings['ch'=\"total\"].ch", document), text("total"));
        assert_eq!(find("readings[n=7].v.x['id'='1.5'].y", document), text("z"));
        assert_eq!(find("readings[ok=true].n", document), Some(Scalar::Integer(7)));
        assert_eq!(find("readings[ch=total]", document), Some(Scalar::Container));
        for none in ["readings[ch=none].val", "readings[x=1].val", "readings[ch=flow].w", "readings.ch[a=b]"]
        {
            assert_eq!(find(none, document), None, "{none}");
        }
    }

    #[test]
    fn nothing_is_found_beside_or_below_what_is_there() {
        for pointer in ["/x", "/a/b", "/r/2", "/r/01", "/r/+0", "/r/-", "/r/0/1"] {
            assert_eq!(find(pointer, r#"{"a":1,"r":[1]}"#), None, "{pointer}");
        }
        assert_eq!(find("/a", r#"{"a":null}"#), Some(Scalar::Null));
        assert_eq!(find("/a", r#"{"a":1,"a":2}"#), Some(Scalar::Integer(2)));
        assert_eq!(find("/a/b", r#"{"a":{"b":1},"a":2}"#), None);
    }

    #[test]
    fn what_is_not_json_is_an_error_even_behind_the_value() {
        let pointer = Pointer::parse("/a").unwrap();
        for document in ["", "{", r#"{"a":1"#, r#"{"a":1}x"#, r#"{"a":1,}"#, r#"{"a":NaN}"#, r#"{"a":1e999}"#]
        {
            assert!(pointer.find(document.as_bytes()).is_err(), "{document}");
        }
    }

    #[test]
    fn texts_that_are_no_pointers_say_why() {
        for (pointer, error) in [
            ("/~2", PointerError::Tilde),
            ("a/b", PointerError::Key('/')),
            ("a..b", PointerError::Key('.')),
            (".a", PointerError::Key('.')),
            ("a b", PointerError::Key(' ')),
            ("a.", PointerError::End),
            ("\"a", PointerError::End),
            ("a[0", PointerError::End),
            ("a[b]", PointerError::Bracket),
            ("a[b=c.d]", PointerError::Bracket),
            ("a]", PointerError::Key(']')),
        ] {
            assert_eq!(Pointer::parse(pointer), Err(error), "{pointer}");
        }
    }

    #[test]
    fn deep_nesting_is_an_error_not_a_crash() {
        let deep = "[".repeat(200_000);
        assert!(Pointer::parse("/0").unwrap().find(deep.as_bytes()).is_err());
        let along = |steps| format!("/{}", vec!["0"; steps].join("/"));
        assert!(Pointer::parse(&along(MAX_STEPS)).unwrap().find(deep.as_bytes()).is_err());
        assert_eq!(Pointer::parse(&along(MAX_STEPS + 1)), Err(PointerError::TooDeep));
    }

    proptest! {
        #[test]
        fn agrees_with_a_full_parse(document in "[\\[\\]{}\":,a0-9. ]{0,24}", pointer in "(/[a01~]{0,2}){0,3}") {
            let Ok(pointer) = Pointer::parse(&pointer) else { return Ok(()) };
            let full = serde_json::from_str::<serde_json::Value>(&document);
            let picked = pointer.find(document.as_bytes());
            match full {
                Ok(value) => prop_assert_eq!(picked.unwrap().is_some(), value.pointer(pointer.as_str()).is_some()),
                Err(_) => prop_assert!(picked.is_err()),
            }
        }

        #[test]
        fn any_key_can_be_quoted(key in "\\PC{0,12}") {
            let quoted = key.replace('\\', r"\\").replace('"', r#"\""#);
            let pointer = Pointer::parse(&format!("\"{quoted}\".x")).unwrap();
            let document = serde_json::json!({ key: { "x": 5 } }).to_string();
            prop_assert_eq!(pointer.find(document.as_bytes()), Ok(Some(Scalar::Integer(5))));
        }

        #[test]
        fn no_octets_make_it_panic(document in prop::collection::vec(any::<u8>(), 0..64), pointer in any::<String>()) {
            if let Ok(pointer) = Pointer::parse(&pointer) {
                let _ = pointer.find(&document);
            }
        }

        #[test]
        fn no_text_makes_reading_panic(pointer in "[a\\[\\]=.\"'/~ 0\\\\]{0,12}") {
            if let Ok(pointer) = Pointer::parse(&pointer) {
                let _ = pointer.find(br#"{"a":[{"a":0},{"0":"a"}]}"#);
            }
        }
    }
}
