//! JSON pointers (RFC 6901), and picking one scalar out of a payload without building the rest of it.
//!
//! A payload of 256 KiB costs no more memory than the value that is looked for, and nesting is bounded by
//! serde_json's own limit.

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Where in a JSON document a value stands, e.g. `/readings/0/val`; empty for the whole document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    text: String,
    tokens: Vec<String>,
}

/// Why a text is no JSON pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// Neither empty nor with a leading slash.
    #[error("a JSON pointer starts with `/`")]
    NoSlash,
    /// `~` that is neither `~0` nor `~1`.
    #[error("`~` must be written `~0`, and `/` in a key `~1`")]
    Tilde,
}

/// What stands at a pointer.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean(bool),
    /// A whole number in the range of 64 bits, signed or not.
    Integer(i128),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
    /// An object or array: no value for a resource.
    Container,
}

impl Pointer {
    /// Reads a pointer.
    ///
    /// # Errors
    /// The text is none.
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        let tokens = match text.strip_prefix('/') {
            None if text.is_empty() => vec![],
            None => return Err(PointerError::NoSlash),
            Some(rest) => rest.split('/').map(unescape).collect::<Result<_, _>>()?,
        };
        Ok(Self { text: text.to_owned(), tokens })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands at this place of a JSON document; `None` if there is nothing.
    ///
    /// # Errors
    /// The document is not JSON, in words.
    pub fn find(&self, document: &[u8]) -> Result<Option<Scalar>, String> {
        let mut json = serde_json::Deserializer::from_slice(document);
        let found = Pick(&self.tokens).deserialize(&mut json).map_err(|fault| fault.to_string())?;
        json.end().map_err(|fault| fault.to_string())?;
        Ok(found)
    }
}

fn unescape(token: &str) -> Result<String, PointerError> {
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
    Ok(text)
}

/// Walks down the tokens and skips everything beside them.
struct Pick<'a>(&'a [String]);

impl<'de> DeserializeSeed<'de> for Pick<'_> {
    type Value = Option<Scalar>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Pick<'_> {
    /// A scalar answers the pointer only where the pointer ends.
    fn here(&self, scalar: Scalar) -> Option<Scalar> {
        self.0.is_empty().then_some(scalar)
    }
}

impl<'de> Visitor<'de> for Pick<'_> {
    type Value = Option<Scalar>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(self.here(Scalar::Null))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(self.here(Scalar::Boolean(value)))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(self.here(Scalar::Integer(value.into())))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(self.here(Scalar::Integer(value.into())))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(self.here(Scalar::Float(value)))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(self.here(Scalar::Text(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let Some((token, deeper)) = self.0.split_first() else {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Some(Scalar::Container));
        };
        // RFC 6901 §4: digits without a leading zero.
        let plain = token == "0" || !token.starts_with(['0', '+']);
        let wanted = token.parse::<usize>().ok().filter(|_| plain);
        let mut found = None;
        for index in 0_usize.. {
            if wanted == Some(index) {
                let Some(item) = items.next_element_seed(Pick(deeper))? else { break };
                found = item;
            } else if items.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let Some((token, deeper)) = self.0.split_first() else {
            while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Some(Scalar::Container));
        };
        let mut found = None;
        // Of a repeated key the last counts, as in most parsers.
        while let Some(key) = members.next_key::<String>()? {
            if key == *token {
                found = members.next_value_seed(Pick(deeper))?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn find(pointer: &str, document: &str) -> Option<Scalar> {
        Pointer::parse(pointer).unwrap().find(document.as_bytes()).unwrap()
    }

    #[test]
    fn pointers_reach_members_items_and_the_whole_document() {
        let document = r#"{"dev":{"sn":"WM-1"},"r":[{"val":0.31},{"val":1482}],"a/b":1,"m~n":2,"":3}"#;
        assert_eq!(find("/dev/sn", document), Some(Scalar::Text("WM-1".to_owned())));
        assert_eq!(find("/r/1/val", document), Some(Scalar::Integer(1482)));
        assert_eq!(find("/a~1b", document), Some(Scalar::Integer(1)));
        assert_eq!(find("/m~0n", document), Some(Scalar::Integer(2)));
        assert_eq!(find("/", document), Some(Scalar::Integer(3)));
        assert_eq!(find("", "7.5"), Some(Scalar::Float(7.5)));
        assert_eq!(find("", document), Some(Scalar::Container));
        assert_eq!(find("/r", document), Some(Scalar::Container));
    }

    #[test]
    fn nothing_is_found_beside_or_below_what_is_there() {
        for pointer in ["/x", "/a/b", "/r/2", "/r/01", "/r/+0", "/r/-", "/r/0/1"] {
            assert_eq!(find(pointer, r#"{"a":1,"r":[1]}"#), None, "{pointer}");
        }
        assert_eq!(find("/a", r#"{"a":null}"#), Some(Scalar::Null));
        assert_eq!(find("/a", r#"{"a":1,"a":2}"#), Some(Scalar::Integer(2)));
    }

    #[test]
    fn what_is_not_json_is_an_error_even_behind_the_value() {
        let pointer = Pointer::parse("/a").unwrap();
        for document in ["", "{", r#"{"a":1"#, r#"{"a":1}x"#, r#"{"a":1,}"#, r#"{"a":NaN}"#, r#"{"a":1e999}"#]
        {
            assert!(pointer.find(document.as_bytes()).is_err(), "{document}");
        }
        assert_eq!(Pointer::parse("a"), Err(PointerError::NoSlash));
        assert_eq!(Pointer::parse("/~2"), Err(PointerError::Tilde));
    }

    #[test]
    fn deep_nesting_is_an_error_not_a_crash() {
        let deep = "[".repeat(200_000);
        assert!(Pointer::parse("/0").unwrap().find(deep.as_bytes()).is_err());
        let along = format!("/{}", vec!["0"; 100_000].join("/"));
        assert!(Pointer::parse(&along).unwrap().find(deep.as_bytes()).is_err());
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
        fn no_octets_make_it_panic(document in prop::collection::vec(any::<u8>(), 0..64), pointer in any::<String>()) {
            if let Ok(pointer) = Pointer::parse(&pointer) {
                let _ = pointer.find(&document);
            }
        }
    }
}
