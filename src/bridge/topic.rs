//! Topic filters with named captures, and the topic a command goes to (MQTT 3.1.1 §4.7).
//!
//! `sensors/{room}/temperature` subscribes to `sensors/+/temperature` and remembers what stood for the `+`.

use std::fmt;

/// Longest topic or filter, in octets: a topic's length is sent in 16 bits (MQTT 3.1.1 §1.5.3).
const MAX_OCTETS: usize = 65_535;

/// Most levels of a filter: mosquitto takes no topic with more than 200 slashes.
const MAX_LEVELS: usize = 201;

/// A topic filter: plain levels, captures `{name}` and the wildcards `+` and `#`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    levels: Vec<Level>,
}

/// One level of a [`Filter`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Level {
    /// This text.
    Plain(String),
    /// `{name}`: any text, remembered.
    Capture(String),
    /// `+`
    AnyOne,
    /// `#`: every level from here on, also none.
    AnyRest,
}

/// Why a text is no usable topic filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Nothing there.
    #[error("the topic is empty")]
    Empty,
    /// More than 65535 octets.
    #[error("the topic is longer than 65535 octets")]
    TooLong,
    /// More than 201 levels.
    #[error("the topic has more than 201 levels")]
    TooDeep,
    /// U+0000 is not allowed in a topic.
    #[error("the topic contains a NUL character")]
    Nul,
    /// It would subscribe to everything that the broker has.
    #[error("without a plain level, `#` would subscribe to everything that the broker has")]
    Everything,
    /// `#` before the end, or beside other characters.
    #[error("`#` must be the last level, and alone in it")]
    RestNotLast,
    /// `+` beside other characters.
    #[error("`+` must be alone in its level, which is not so in {0:?}")]
    PartialWildcard(String),
    /// A brace that is not part of a capture that fills its level.
    #[error("a capture fills a whole level like `{{room}}`, which is not so in {0:?}")]
    Capture(String),
    /// Two captures of one name.
    #[error("the capture {{{0}}} occurs twice")]
    Twice(String),
}

impl Filter {
    /// Reads a filter as written in the configuration.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        match text {
            "" => return Err(FilterError::Empty),
            _ if text.len() > MAX_OCTETS => return Err(FilterError::TooLong),
            _ if text.contains('\0') => return Err(FilterError::Nul),
            _ if text.split('/').count() > MAX_LEVELS => return Err(FilterError::TooDeep),
            _ => {}
        }
        let levels = text.split('/').map(Level::parse).collect::<Result<Vec<_>, _>>()?;
        let (_, before_last) = levels.split_last().ok_or(FilterError::Empty)?;
        if before_last.contains(&Level::AnyRest) {
            return Err(FilterError::RestNotLast);
        }
        if levels.last() == Some(&Level::AnyRest)
            && !levels.iter().any(|level| matches!(level, Level::Plain(_)))
        {
            return Err(FilterError::Everything);
        }
        let filter = Self { levels };
        let twice =
            filter.captures().enumerate().find(|(i, name)| filter.captures().take(*i).any(|n| n == *name));
        match twice {
            Some((_, name)) => Err(FilterError::Twice(name.to_owned())),
            None => Ok(filter),
        }
    }

    /// What to subscribe to: the filter with `+` for every capture.
    pub fn subscription(&self) -> String {
        let level = |level: &Level| match level {
            Level::Plain(text) => text.clone(),
            Level::Capture(_) | Level::AnyOne => "+".to_owned(),
            Level::AnyRest => "#".to_owned(),
        };
        self.levels.iter().map(level).collect::<Vec<_>>().join("/")
    }

    /// The levels in order; [`Level::AnyRest`] can only be the last.
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// One topic alone matches.
    pub fn is_plain(&self) -> bool {
        self.levels.iter().all(|level| matches!(level, Level::Plain(_)))
    }

    /// The names of the captures, in the order of the topic.
    pub fn captures(&self) -> impl Iterator<Item = &str> {
        self.levels.iter().filter_map(|level| match level {
            Level::Capture(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Where the captures stand among the levels, in the order of [`Filter::captures`].
    pub fn capture_levels(&self) -> impl Iterator<Item = usize> {
        self.levels
            .iter()
            .enumerate()
            .filter(|(_, level)| matches!(level, Level::Capture(_)))
            .map(|(at, _)| at)
    }
}

/// As it stands in the configuration.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, level) in self.levels.iter().enumerate() {
            let slash = if at == 0 { "" } else { "/" };
            match level {
                Level::Plain(text) => write!(f, "{slash}{text}")?,
                Level::Capture(name) => write!(f, "{slash}{{{name}}}")?,
                Level::AnyOne => write!(f, "{slash}+")?,
                Level::AnyRest => write!(f, "{slash}#")?,
            }
        }
        Ok(())
    }
}

impl Level {
    fn parse(text: &str) -> Result<Self, FilterError> {
        match text {
            "+" => return Ok(Self::AnyOne),
            "#" => return Ok(Self::AnyRest),
            _ if text.contains('#') => return Err(FilterError::RestNotLast),
            _ if text.contains('+') => return Err(FilterError::PartialWildcard(text.to_owned())),
            _ if !text.contains(['{', '}']) => return Ok(Self::Plain(text.to_owned())),
            _ => {}
        }
        let name =
            text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).filter(|name| is_name(name));
        name.map(|name| Self::Capture(name.to_owned())).ok_or_else(|| FilterError::Capture(text.to_owned()))
    }
}

/// Letters, digits, `_` and `-`, not empty.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// Text with placeholders `{name}`. A brace that does not enclose a name is plain text, so JSON needs no escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

/// A part of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Taken as it is.
    Plain(String),
    /// Replaced by what the name stands for.
    Placeholder(String),
}

impl Template {
    /// Reads a template; any text is one.
    pub fn parse(text: &str) -> Self {
        let mut pieces = vec![];
        let mut plain = String::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (before, from_brace) = rest.split_at(open);
            plain.push_str(before);
            let after = from_brace.get(1..).unwrap_or_default();
            match after.split_once('}').filter(|(name, _)| is_name(name)) {
                Some((name, behind)) => {
                    if !plain.is_empty() {
                        pieces.push(Piece::Plain(std::mem::take(&mut plain)));
                    }
                    pieces.push(Piece::Placeholder(name.to_owned()));
                    rest = behind;
                }
                None => {
                    plain.push('{');
                    rest = after;
                }
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Plain(plain));
        }
        Self { pieces }
    }

    /// The parts in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// A filter for every topic that this can become: a level with a placeholder is any one.
    pub fn filter(&self) -> String {
        // NUL cannot occur in a topic.
        let marked = self.fill(|_| "\0".to_owned());
        let levels = marked.split('/').map(|level| if level.contains('\0') { "+" } else { level });
        levels.collect::<Vec<_>>().join("/")
    }

    /// The names of the placeholders, in order.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Placeholder(name) => Some(name.as_str()),
            Piece::Plain(_) => None,
        })
    }

    /// The text with every placeholder replaced by what `value` gives for its name.
    pub fn fill(&self, mut value: impl FnMut(&str) -> String) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Plain(text) => text.clone(),
            Piece::Placeholder(name) => value(name),
        };
        self.pieces.iter().map(piece).collect()
    }
}

/// `text` can be published to: not empty, no wildcards, no NUL, not too long.
pub fn is_topic(text: &str) -> bool {
    fault(text).is_none()
}

/// Why nothing can be published to `text`; `None` if it can.
pub fn fault(text: &str) -> Option<&'static str> {
    match text {
        "" => Some("is empty"),
        _ if text.len() > MAX_OCTETS => Some("is longer than 65535 octets"),
        _ if text.contains(['+', '#']) => Some("contains a wildcard, so it names many topics"),
        _ if text.contains('\0') => Some("contains a NUL character"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filter(text: &str) -> Filter {
        Filter::parse(text).unwrap()
    }

    #[test]
    fn captures_become_plus_and_know_their_levels() {
        let filter = filter("site/{site}/+/{room}/#");
        assert_eq!(filter.subscription(), "site/+/+/+/#");
        assert_eq!(filter.to_string(), "site/{site}/+/{room}/#");
        assert_eq!(filter.captures().collect::<Vec<_>>(), ["site", "room"]);
        assert_eq!(filter.capture_levels().collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn bad_filters_are_refused_with_the_reason() {
        for (text, error) in [
            ("", FilterError::Empty),
            ("#", FilterError::Everything),
            ("+/#", FilterError::Everything),
            ("{site}/{room}/#", FilterError::Everything),
            ("a/#/b", FilterError::RestNotLast),
            ("a/b#", FilterError::RestNotLast),
            ("a/b+", FilterError::PartialWildcard("b+".to_owned())),
            ("a/{b", FilterError::Capture("{b".to_owned())),
            ("a/x-{b}", FilterError::Capture("x-{b}".to_owned())),
            ("a/{}", FilterError::Capture("{}".to_owned())),
            ("{a}/{a}", FilterError::Twice("a".to_owned())),
            ("a\0", FilterError::Nul),
        ] {
            assert_eq!(Filter::parse(text), Err(error), "{text}");
        }
        assert_eq!(Filter::parse(&"a".repeat(MAX_OCTETS + 1)), Err(FilterError::TooLong));
        assert_eq!(Filter::parse(&"/".repeat(MAX_LEVELS)), Err(FilterError::TooDeep));
    }

    #[test]
    fn braces_of_json_are_plain_text_in_a_template() {
        let template = Template::parse(r#"{"dim": {value}, "to": {"id": "{lamp}"}}"#);
        assert_eq!(template.placeholders().collect::<Vec<_>>(), ["value", "lamp"]);
        let filled = template.fill(|name| if name == "value" { "30".to_owned() } else { "21".to_owned() });
        assert_eq!(filled, r#"{"dim": 30, "to": {"id": "21"}}"#);
    }

    proptest! {
        #[test]
        fn no_text_makes_filter_or_template_panic(text in any::<String>()) {
            let _ = Filter::parse(&text);
            let _ = Template::parse(&text).fill(str::to_owned);
        }

        #[test]
        fn a_template_filled_with_its_own_placeholders_is_itself(text in "[a-z{}\" /]{0,30}") {
            prop_assert_eq!(Template::parse(&text).fill(|name| format!("{{{name}}}")), text);
        }
    }
}
