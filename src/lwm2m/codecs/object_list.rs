//! What a registration lists: the objects with their versions and instances, and the formats spoken (REG-11..15).

use std::collections::{BTreeMap, BTreeSet};

use super::Format;
use super::link::{self, Link, LinkError};
use crate::lwm2m::model::{Model, Version};
use crate::lwm2m::objects::is_secret;
use crate::lwm2m::path::Path;

/// Resource type of the root link.
const ROOT_TYPE: &str = "oma.lwm2m";

/// The objects of a client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObjectList {
    /// Segment in front of every path, for a client that says so (REG-14); usually empty.
    pub alternate_path: String,
    /// Numbers of the multi-value formats that the client announces (REG-13).
    pub formats: Vec<u16>,
    /// By Object ID.
    pub objects: BTreeMap<u16, Listed>,
}

/// One object of the list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listed {
    /// What `ver` says; `None` for the version that the enabler implies.
    pub version: Option<Version>,
    /// Its instances; may be none.
    pub instances: BTreeSet<u16>,
}

/// Why the links are no registration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectListError {
    /// They are no links at all.
    #[error(transparent)]
    Links(#[from] LinkError),
    /// A target that is neither the root nor an object nor an instance.
    #[error("{0:?} is no object and no object instance")]
    Target(String),
    /// `ver` is no version, or stands on an instance.
    #[error("ver has no place or no sense on {0}")]
    Version(String),
}

impl ObjectList {
    /// Of these objects and instances, with versions as `model` announces them.
    pub fn new(instances: impl IntoIterator<Item = Path>, model: &Model, formats: &[Format]) -> Self {
        let mut list =
            Self { formats: formats.iter().map(|format| format.number()).collect(), ..Self::default() };
        for path in instances {
            // Security and OSCORE are never listed (REG-11).
            let Some(object) = path.object().filter(|object| !is_secret(*object)) else {
                continue;
            };
            let listed = list.objects.entry(object).or_default();
            listed.version = model.announced_version(object);
            listed.instances.extend(path.instance());
        }
        list
    }

    /// As the payload of Register and Update.
    pub fn encode(&self) -> Vec<u8> {
        let mut links = vec![];
        links.extend(self.root_link());
        for (object, listed) in &self.objects {
            let path = Path::object_only(*object);
            match listed.version {
                Some(version) => links.push(self.link(path).version(version)),
                None if listed.instances.is_empty() => links.push(self.link(path)),
                None => {}
            }
            links
                .extend(listed.instances.iter().filter_map(|id| path.child(*id)).map(|path| self.link(path)));
        }
        link::encode(&links)
    }

    /// From such a payload. Links that it says nothing about are taken as they are: any order, unknown attributes.
    ///
    /// # Errors
    /// The payload is no list of links, or one of them is no object.
    pub fn decode(payload: &[u8]) -> Result<Self, ObjectListError> {
        let links = link::decode(payload)?;
        let root = links.iter().find(|link| link.attribute("rt") == Some(ROOT_TYPE));
        let mut list = Self::default();
        if let Some(root) = root {
            list.alternate_path = root.target.trim_matches('/').to_owned();
            let formats = root.attribute("ct").unwrap_or_default().split(' ');
            list.formats = formats.filter_map(|number| number.parse().ok()).collect();
        }
        for link in links.iter().filter(|link| Some(*link) != root) {
            list.add(link)?;
        }
        Ok(list)
    }

    fn add(&mut self, link: &Link) -> Result<(), ObjectListError> {
        let unknown = || ObjectListError::Target(link.target.clone());
        let prefix =
            if self.alternate_path.is_empty() { String::new() } else { format!("/{}", self.alternate_path) };
        let path: Path =
            link.target.strip_prefix(&prefix).and_then(|path| path.parse().ok()).ok_or_else(unknown)?;
        let object = path.object().filter(|_| path.depth() <= 2).ok_or_else(unknown)?;
        let listed = self.objects.entry(object).or_default();
        listed.instances.extend(path.instance());
        if let Some(version) = link.attribute("ver") {
            let wrong = || ObjectListError::Version(link.target.clone());
            listed.version = Some(version.parse().ok().filter(|_| path.depth() == 1).ok_or_else(wrong)?);
        }
        Ok(())
    }

    fn link(&self, path: Path) -> Link {
        let mut link = Link::to(path);
        if !self.alternate_path.is_empty() {
            link.target.insert_str(0, &format!("/{}", self.alternate_path));
        }
        link
    }

    /// One format bare, several quoted (REG-13); no link if there is nothing to say.
    fn root_link(&self) -> Option<Link> {
        if self.formats.is_empty() && self.alternate_path.is_empty() {
            return None;
        }
        let root =
            Link { target: format!("/{}", self.alternate_path), attributes: vec![] }.quoted("rt", ROOT_TYPE);
        Some(match self.formats.as_slice() {
            [] => root,
            [format] => root.bare("ct", format),
            formats => root.quoted("ct", formats.iter().map(u16::to_string).collect::<Vec<_>>().join(" ")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn paths(texts: &[&str]) -> Vec<Path> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn text(list: &ObjectList) -> String {
        String::from_utf8(list.encode()).unwrap()
    }

    #[test]
    fn instances_are_listed_and_security_never_reg_11() {
        let model = Model::builtin();
        let list = ObjectList::new(paths(&["/0/0", "/1/0", "/2", "/3/0", "/21/0"]), &model, &[]);
        assert_eq!(text(&list), "</1/0>,</2>,</3/0>");
    }

    #[test]
    fn versions_stand_before_the_instances_without_quotes_reg_12() {
        let instances = paths(&["/3/0", "/3303/0", "/3303/1"]);
        let list = ObjectList::new(instances.clone(), &Model::builtin(), &[Format::Tlv]);
        assert_eq!(text(&list), "</>;rt=\"oma.lwm2m\";ct=11542,</3/0>,</3303>;ver=1.1,</3303/0>,</3303/1>");
        let old = ObjectList::new(instances, &Model::for_enabler(Version::V1_0), &[]);
        assert_eq!(text(&old), "</3/0>,</3303>;ver=1.1,</3303/0>,</3303/1>");
        let quoted = ObjectList::decode(b"</3/0>,</3303>;ver=\"1.1\",</3303/0>,</3303/1>").unwrap();
        assert_eq!(quoted, old);
    }

    #[test]
    fn formats_and_alternate_path_read_reg_13_reg_14() {
        let list = ObjectList::decode(b"</x>;rt=\"oma.lwm2m\";ct=\"110 112 11542\",</x/3/0>,</x/5>").unwrap();
        assert_eq!((list.alternate_path.as_str(), &list.formats[..]), ("x", &[110, 112, 11542][..]));
        assert_eq!(list.objects.keys().copied().collect::<Vec<_>>(), [3, 5]);
    }

    #[test]
    fn targets_and_versions_without_sense_are_refused() {
        for payload in ["</x/3>", "</3/0/1>", "</70000>", "</>"] {
            assert!(
                matches!(ObjectList::decode(payload.as_bytes()), Err(ObjectListError::Target(_))),
                "{payload}"
            );
        }
        for payload in ["</3>;ver=x", "</3/0>;ver=1.1"] {
            assert!(matches!(ObjectList::decode(payload.as_bytes()), Err(ObjectListError::Version(_))));
        }
        assert!(matches!(ObjectList::decode(b"3/0"), Err(ObjectListError::Links(_))));
    }

    proptest! {
        #[test]
        fn every_list_reads_back(
            instances in prop::collection::vec((1_u16..4000, prop::option::of(0_u16..65535)), 0..12),
            formats in 0_usize..2,
        ) {
            let paths = instances.into_iter().map(|(object, instance)| {
                instance.map_or(Path::object_only(object), |instance| Path::instance_of(object, instance))
            });
            let list = ObjectList::new(paths, &Model::builtin(), &[Format::Tlv, Format::Text][..formats]);
            prop_assert_eq!(ObjectList::decode(&list.encode()).unwrap(), list);
        }
    }
}
