//! CoRE link format, Content-Format 40 (RFC 6690): links of a registration and of Discover, out and in.

use std::fmt::{self, Write as _};

use crate::lwm2m::model::{Model, Version};
use crate::lwm2m::path::Path;

/// More links than any registration has; a payload with more is refused.
const MAX_LINKS: usize = 65_536;

/// `<target>` with its attributes in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What stands between the angle brackets.
    pub target: String,
    /// Names with their values.
    pub attributes: Vec<(String, Attribute)>,
}

/// The value of a link's attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// The name alone.
    Flag,
    /// `name=value`
    Bare(String),
    /// `name="value"`
    Quoted(String),
}

/// Why a text is no list of links; positions count octets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The payload is not UTF-8.
    #[error("links are not UTF-8")]
    NotText,
    /// Something else than `<target>` at the start of a link.
    #[error("<target> expected at octet {0}")]
    Target(usize),
    /// A parameter without a name.
    #[error("name of an attribute expected at octet {0}")]
    Name(usize),
    /// The closing quote is missing.
    #[error("quote at octet {0} is not closed")]
    Quote(usize),
    /// Something else than `,` or `;` or the end.
    #[error("comma or semicolon expected at octet {0}")]
    Separator(usize),
    /// More links than can be meant.
    #[error("more than {MAX_LINKS} links")]
    TooMany,
}

impl Link {
    /// A link without attributes.
    pub fn to(path: Path) -> Self {
        Self { target: path.to_string(), attributes: vec![] }
    }

    /// With `name=value`.
    #[must_use]
    pub fn bare(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.attributes.push((name.to_owned(), Attribute::Bare(value.to_string())));
        self
    }

    /// With `name="value"`.
    #[must_use]
    pub fn quoted(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.attributes.push((name.to_owned(), Attribute::Quoted(value.to_string())));
        self
    }

    /// With `ver`, bare under every version of the enabler (REG-12): LwM2M 1.0 shows it with quotes and without, and
    /// Leshan refuses it with them.
    #[must_use]
    pub fn version(self, version: Version) -> Self {
        self.bare("ver", version)
    }

    /// The value of an attribute, without its quotes; empty for a flag.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let (_, attribute) = self.attributes.iter().find(|(found, _)| found == name)?;
        Some(match attribute {
            Attribute::Flag => "",
            Attribute::Bare(value) | Attribute::Quoted(value) => value,
        })
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.target)?;
        self.attributes.iter().try_for_each(|(name, attribute)| match attribute {
            Attribute::Flag => write!(f, ";{name}"),
            Attribute::Bare(value) => write!(f, ";{name}={value}"),
            Attribute::Quoted(value) => {
                write!(f, ";{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
            }
        })
    }
}

/// The links as a payload.
pub fn encode(links: &[Link]) -> Vec<u8> {
    let mut text = String::with_capacity(links.len() * 16);
    for (at, link) in links.iter().enumerate() {
        let separator = if at == 0 { "" } else { "," };
        write!(text, "{separator}{link}").expect("a String takes everything");
    }
    text.into_bytes()
}

/// The links of a payload; blanks around separators are let pass.
///
/// # Errors
/// Where the text stops being a list of links.
pub fn decode(payload: &[u8]) -> Result<Vec<Link>, LinkError> {
    let mut text = Text { all: std::str::from_utf8(payload).map_err(|_| LinkError::NotText)?, at: 0 };
    let mut links = vec![];
    text.skip_blanks();
    if text.rest().is_empty() {
        return Ok(links);
    }
    loop {
        if links.len() == MAX_LINKS {
            return Err(LinkError::TooMany);
        }
        links.push(text.link()?);
        if !text.skip(',') {
            return if text.rest().is_empty() { Ok(links) } else { Err(LinkError::Separator(text.at)) };
        }
    }
}

/// An object, instance or resource that is present, as Discover lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// Where it is.
    pub path: Path,
    /// Its resource instances, if it is a multiple-instance resource.
    pub instances: Option<Vec<u16>>,
}

/// The answer to a Discover of `base` (DSC-03): a link for each that is `present`, which are `base` and what lies below
/// it in ascending order. `attributes` gives the notification attributes to show on a path, in their order (DSC-06,
/// DSC-07).
pub fn discover(
    base: Path,
    present: &[Present],
    model: &Model,
    attributes: impl Fn(Path) -> Vec<(&'static str, f64)>,
) -> Vec<Link> {
    let link = |path: Path, dim: Option<usize>| {
        let mut link = Link::to(path);
        let announced =
            path.object().filter(|_| path.depth() == 1).and_then(|id| model.announced_version(id));
        if let Some(version) = announced {
            link = link.version(version);
        }
        if let Some(dim) = dim {
            link = link.bare("dim", dim);
        }
        attributes(path).into_iter().fold(link, |link, (name, value)| link.bare(name, value))
    };
    let mut links: Vec<Link> = vec![];
    for Present { path, instances } in present {
        links.push(link(*path, instances.as_ref().map(Vec::len)));
        // Resource instances are named only when the resource itself was asked for.
        if base == *path {
            let ids = instances.iter().flatten();
            links.extend(ids.filter_map(|id| path.child(*id)).map(|instance| link(instance, None)));
        }
    }
    links
}

struct Text<'a> {
    all: &'a str,
    at: usize,
}

impl<'a> Text<'a> {
    fn rest(&self) -> &'a str {
        &self.all[self.at..]
    }

    fn skip_blanks(&mut self) {
        self.at = self.all.len() - self.rest().trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    /// Passes over `separator` and the blanks around it.
    fn skip(&mut self, separator: char) -> bool {
        self.skip_blanks();
        let found = self.rest().starts_with(separator);
        if found {
            self.at += separator.len_utf8();
            self.skip_blanks();
        }
        found
    }

    /// Everything up to one of `ends`, or to the end of the text.
    fn until(&mut self, ends: &[char]) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(ends).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    fn link(&mut self) -> Result<Link, LinkError> {
        let start = self.at;
        let inner = self.rest().strip_prefix('<').and_then(|rest| rest.split_once('>'));
        let (target, _) = inner.ok_or(LinkError::Target(start))?;
        self.at += target.len() + 2;
        let mut attributes = vec![];
        while self.skip(';') {
            attributes.push(self.attribute()?);
        }
        Ok(Link { target: target.to_owned(), attributes })
    }

    fn attribute(&mut self) -> Result<(String, Attribute), LinkError> {
        let start = self.at;
        let name = self.until(&['=', ';', ',', ' ', '"', '<', '>']);
        if name.is_empty() {
            return Err(LinkError::Name(start));
        }
        let attribute = match self.rest().strip_prefix('=') {
            None => Attribute::Flag,
            Some(value) if value.starts_with('"') => {
                self.at += 2;
                Attribute::Quoted(self.quoted(start)?)
            }
            Some(_) => {
                self.at += 1;
                Attribute::Bare(self.until(&[';', ',', ' ', '"', '<', '>']).to_owned())
            }
        };
        Ok((name.to_owned(), attribute))
    }

    /// The inside of a quoted string, after its first quote; a backslash takes the next character as it is.
    fn quoted(&mut self, start: usize) -> Result<String, LinkError> {
        let mut value = String::new();
        let mut characters = self.rest().char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.at += at + 1;
                    return Ok(value);
                }
                '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
                _ => value.push(character),
            }
        }
        Err(LinkError::Quote(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(links: &[Link]) -> String {
        String::from_utf8(encode(links)).unwrap()
    }

    #[test]
    fn examples_of_registrations_read_and_write_back_the_same_lnk_01() {
        for example in [
            "</1/0>,</2>,</3/0>,</5>;ver=\"1.1\",</5/0>",
            "</>;rt=\"oma.lwm2m\";ct=\"110 112\",</1/0>,</3/0>,</25>;ver=2.0,</25/0>,</25/1>",
            "</3/0/7>;dim=2;pmin=10;pmax=60;gt=50;lt=42.2,</3/0/7/0>,</3/0/7/1>;lt=45",
            "</a>;obs;title=\"say \\\"hi\\\", <you>;\\\\\"",
        ] {
            assert_eq!(text(&decode(example.as_bytes()).unwrap()), example);
        }
        assert_eq!(decode(b"").unwrap(), vec![]);
    }

    #[test]
    fn blanks_pass_and_quotes_are_not_part_of_the_value_lnk_02() {
        let links = decode(b" </3> ; ver=\"1.1\" ; x , </3/0>\n").unwrap();
        assert_eq!(links[0].attribute("ver"), Some("1.1"));
        assert_eq!(links[0].attribute("x"), Some(""));
        assert_eq!(links[1].target, "/3/0");
    }

    #[test]
    fn broken_lists_say_where() {
        assert_eq!(decode(b"/3"), Err(LinkError::Target(0)));
        assert_eq!(decode(b"</3"), Err(LinkError::Target(0)));
        assert_eq!(decode(b"</3>,"), Err(LinkError::Target(5)));
        assert_eq!(decode(b"</3>;=1"), Err(LinkError::Name(5)));
        assert_eq!(decode(b"</3>;a=\"1"), Err(LinkError::Quote(5)));
        assert_eq!(decode(b"</3></4>"), Err(LinkError::Separator(4)));
        assert_eq!(decode(&[0xff]), Err(LinkError::NotText));
        assert_eq!(decode(&b"<>,".repeat(MAX_LINKS + 1)), Err(LinkError::TooMany));
    }

    fn present(paths: &[&str]) -> Vec<Present> {
        let present = |path: &&str| Present { path: path.parse().unwrap(), instances: None };
        paths.iter().map(present).collect()
    }

    #[test]
    fn discover_lists_the_level_and_all_below_it_dsc_03_dsc_04() {
        let model = Model::builtin();
        let errors = Present { path: "/3/0/11".parse().unwrap(), instances: Some(vec![1, 3]) };
        let of = |paths: &[&str]| {
            let present = [present(paths), vec![errors.clone()]].concat();
            text(&discover(present[0].path, &present, &model, |_| vec![]))
        };
        assert_eq!(of(&["/3", "/3/0", "/3/0/0"]), "</3>,</3/0>,</3/0/0>,</3/0/11>;dim=2");
        assert_eq!(of(&["/3/0", "/3/0/4"]), "</3/0>,</3/0/4>,</3/0/11>;dim=2");
        assert_eq!(of(&[]), "</3/0/11>;dim=2,</3/0/11/1>,</3/0/11/3>");
    }

    #[test]
    fn discover_shows_version_and_attributes_dsc_05_dsc_06_dsc_12() {
        let present = present(&["/3303", "/3303/0", "/3303/0/5700", "/3303/1", "/3303/1/5700"]);
        let attributes = |path: Path| match path.depth() {
            1 => vec![("pmin", 10.0)],
            3 if path.instance() == Some(1) => vec![("gt", 50.0), ("lt", 42.2)],
            _ => vec![],
        };
        let links = text(&discover(Path::object_only(3303), &present, &Model::builtin(), attributes));
        let rest = ",</3303/0>,</3303/0/5700>,</3303/1>,</3303/1/5700>;gt=50;lt=42.2";
        assert_eq!(links, format!("</3303>;ver=1.1;pmin=10{rest}"));
    }

    fn any_link() -> impl Strategy<Value = Link> {
        let value = prop_oneof![
            Just(Attribute::Flag),
            "[a-z0-9.-]{0,8}".prop_map(Attribute::Bare),
            "\\PC{0,12}".prop_map(Attribute::Quoted),
        ];
        ("[/a-z0-9]{0,12}", prop::collection::vec(("[a-z]{1,5}", value), 0..4))
            .prop_map(|(target, attributes)| Link { target, attributes })
    }

    proptest! {
        #[test]
        fn every_list_reads_back(links in prop::collection::vec(any_link(), 0..6)) {
            prop_assert_eq!(decode(&encode(&links)), Ok(links));
        }

        #[test]
        fn no_text_panics(payload in prop::collection::vec(any::<u8>(), 0..80), text in "[</>;=\", a1\\\\]{0,40}") {
            let _ = decode(&payload);
            let _ = decode(text.as_bytes());
        }
    }
}
