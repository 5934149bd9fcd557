//! What a command looks like as a CoAP request: the options of its operation (LwM2M Core 1.1.1 §6.4), values typed by
//! the registry, so that a mistake shows here and not at the client.

use super::command::Command;
use crate::coap::{Method, Request};
use crate::lwm2m::codecs::{self, CodecError, Format};
use crate::lwm2m::model::{Model, Version};
use crate::lwm2m::path::Path;
use crate::lwm2m::value::{Content, Entry};

impl Command {
    /// The request to a client with these objects that speaks this version, `prefix` in front of its paths.
    pub(super) fn request(
        &self,
        prefix: &str,
        model: &Model,
        version: Version,
    ) -> Result<Request, CodecError> {
        let path = self.path();
        let own = own_format(version);
        let get = Request::new(Method::Get, segments(prefix, path));
        Ok(match self {
            Self::Read { format, .. } => {
                let default = (path.depth() < 3).then_some(own);
                Request { accept: format.or(default).map(Format::number), ..get }
            }
            Self::Observe { format, .. } => {
                Request { observe: Some(0), accept: Some(format.unwrap_or(own).number()), ..get }
            }
            Self::Cancel { .. } => Request { observe: Some(1), accept: Some(own.number()), ..get },
            Self::Discover { .. } => Request { accept: Some(Format::Link.number()), ..get },
            Self::Execute { arguments, .. } => Request {
                method: Method::Post,
                content_format: (!arguments.is_empty()).then_some(Format::Text.number()),
                payload: arguments.clone().into_bytes(),
                ..get
            },
            Self::Write { values, format, replace, .. } => {
                let (format, payload) = written(path, values, *format, own, model)?;
                let partial = path.depth() == 2 && !replace;
                let method = if partial { Method::Post } else { Method::Put };
                Request { method, content_format: Some(format.number()), payload, ..get }
            }
            Self::Create { values, format, .. } => {
                let (format, payload) = created(path, values, *format, own, model)?;
                let path = segments(prefix, Path::object_only(path.object().unwrap_or_default()));
                Request { method: Method::Post, path, content_format: Some(format.number()), payload, ..get }
            }
            Self::Delete { .. } => Request { method: Method::Delete, ..get },
            Self::Attributes { attributes, .. } => {
                Request { method: Method::Put, query: attributes.clone(), ..get }
            }
        })
    }
}

/// What the server asks for, and writes, when nobody says otherwise.
fn own_format(version: Version) -> Format {
    if version < Version::V1_1 { Format::Tlv } else { Format::SenmlCbor }
}

fn segments(prefix: &str, path: Path) -> Vec<String> {
    let ids = path.ids().map(|id| id.to_string());
    prefix.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).chain(ids).collect()
}

/// The payload of a Write.
fn written(
    path: Path,
    values: &str,
    format: Option<Format>,
    own: Format,
    model: &Model,
) -> Result<(Format, Vec<u8>), CodecError> {
    let several = match (path.object(), path.resource()) {
        (Some(object), Some(resource)) => {
            let definition = model.resource(object, resource).ok_or(CodecError::Unknown(path))?;
            definition.multiple && path.depth() == 3
        }
        _ => true,
    };
    let entries = if several {
        several_entries(path, values, model)?
    } else {
        codecs::decode(Format::Text, path, values.as_bytes(), model)?
    };
    let format = format.unwrap_or(if several { own } else { Format::Text });
    Ok((format, codecs::encode(format, path, &entries)?))
}

/// The payload of a Create, which goes to the object.
fn created(
    path: Path,
    values: &str,
    format: Option<Format>,
    own: Format,
    model: &Model,
) -> Result<(Format, Vec<u8>), CodecError> {
    let object = Path::object_only(path.object().unwrap_or_default());
    let Some(id) = path.instance() else {
        // Resources without their instance: what TLV makes of an instance that is read.
        let instance = Path::instance_of(object.object().unwrap_or_default(), 0);
        let entries = several_entries(instance, values, model)?;
        let format = format.unwrap_or(Format::Tlv);
        return match format {
            Format::Tlv | Format::OldTlv => Ok((format, codecs::encode(format, instance, &entries)?)),
            _ => Err(CodecError::InstanceMissing),
        };
    };
    let entries = several_entries(path, values, model)?;
    if entries.is_empty() {
        // Only TLV can name an instance that holds nothing.
        let octets =
            u8::try_from(id).map_or_else(|_| [&[0x20], &id.to_be_bytes()[..]].concat(), |id| vec![0, id]);
        return Ok((Format::Tlv, octets));
    }
    let format = format.unwrap_or(own);
    Ok((format, codecs::encode(format, object, &entries)?))
}

/// `id=value id=value` under an instance or a multiple-instance resource; `id/id=value` for a resource instance.
fn several_entries(path: Path, values: &str, model: &Model) -> Result<Vec<Entry>, CodecError> {
    let mut entries: Vec<Entry> = vec![];
    for item in values.split_whitespace() {
        let named = item.split_once('=').and_then(|(ids, value)| Some((below(path, ids)?, value)));
        let (child, value) = named.ok_or(CodecError::NotOneValue { format: Format::Text })?;
        for entry in codecs::decode(Format::Text, child, value.as_bytes(), model)? {
            match (entries.last_mut(), entry) {
                (
                    Some(Entry { path: last, content: Content::Multiple(all) }),
                    Entry { path: next, content: Content::Multiple(more) },
                ) if *last == next => all.extend(more),
                (_, entry) => entries.push(entry),
            }
        }
    }
    if entries.is_empty() && path.depth() == 3 {
        entries.push(Entry { path, content: Content::Multiple(vec![]) });
    }
    Ok(entries)
}

/// The path with these IDs behind it.
fn below(path: Path, ids: &str) -> Option<Path> {
    ids.split('/').try_fold(path, |path, id| path.child(id.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::command::Order;
    use super::*;

    fn order(line: &str) -> Order {
        line.parse().unwrap()
    }

    fn request(line: &str) -> Result<Request, CodecError> {
        order(line).command.request("", &Model::builtin(), Version::V1_0)
    }

    fn request_1_1(line: &str) -> Result<Request, CodecError> {
        order(line).command.request("", &Model::builtin(), Version::V1_1)
    }

    #[test]
    fn writes_are_typed_by_the_registry() {
        let text = request("write /3416/0/1 40").unwrap();
        assert_eq!((text.method, text.content_format, &text.payload[..]), (Method::Put, Some(0), &b"40"[..]));
        let tlv = request("write /3306/0/5850 tlv: 1").unwrap();
        assert_eq!((tlv.content_format, &tlv.payload[..]), (Some(11542), &[0xe1, 0x16, 0xda, 0x01][..]));
        let instance = request("write /3306/0 5850=1 5851=50").unwrap();
        assert_eq!((instance.method, instance.content_format), (Method::Post, Some(11542)));
        let several = request("write /3/0/6 0=1 1=5").unwrap();
        assert_eq!(several.payload, [0x86, 6, 0x41, 0, 1, 0x41, 1, 5]);
        assert!(matches!(request("write /3306/0/5850 on"), Err(CodecError::Value { .. })));
        assert!(matches!(request("write /3306/0/9 1"), Err(CodecError::Unknown(_))));
    }

    #[test]
    fn creates_name_their_instance_or_leave_it_to_the_client() {
        let named = request("create /3303/3 5700=22.5").unwrap();
        assert_eq!((named.path.as_slice(), named.method), (&["3303".to_owned()][..], Method::Post));
        assert_eq!(named.payload, [7, 3, 0xe4, 0x16, 0x44, 0x41, 0xb4, 0, 0]);
        let open = request_1_1("create /3303 5700=22.5").unwrap();
        assert_eq!((open.content_format, &open.payload[..2]), (Some(11542), &[0xe4, 0x16][..]));
        assert_eq!(request_1_1("create /3303/3 5700=22.5").unwrap().content_format, Some(112));
        assert_eq!(request_1_1("create /3303/3").unwrap().payload, [0, 3]);
        assert_eq!(request_1_1("create /3303/259").unwrap().payload, [0x20, 1, 3]);
        assert!(request("create /3303").unwrap().payload.is_empty());
        assert_eq!(request("create /3303 senml-json: 5700=1"), Err(CodecError::InstanceMissing));
    }

    #[test]
    fn delete_write_attributes_and_replace_have_their_methods() {
        let delete = request("delete /16/3").unwrap();
        assert_eq!((delete.method, delete.path.join("/").as_str()), (Method::Delete, "16/3"));
        let attributes = request("attributes /3303/0/5700 pmin=5 gt").unwrap();
        assert_eq!((attributes.method, attributes.content_format), (Method::Put, None));
        assert_eq!(attributes.query, ["pmin=5", "gt"]);
        let replace = request_1_1("replace /3/0 14=+01:00 15=Europe/Berlin").unwrap();
        assert_eq!((replace.method, replace.content_format), (Method::Put, Some(112)));
    }

    #[test]
    fn a_client_of_lwm2m_1_1_is_asked_for_senml_cbor() {
        assert_eq!(request_1_1("read /3303").unwrap().accept, Some(112));
        assert_eq!(request_1_1("observe /3303").unwrap().accept, Some(112));
        assert_eq!(request_1_1("write /3306/0 5850=1 5851=50").unwrap().content_format, Some(112));
        assert_eq!(request_1_1("read /3303 old-tlv").unwrap().accept, Some(1542));
        assert_eq!(request_1_1("write /3306/0 senml-json: 5850=1").unwrap().content_format, Some(110));
    }

    #[test]
    fn requests_have_the_options_of_their_operation_dm_01() {
        let observe = request("observe /3303").unwrap();
        assert_eq!((observe.observe, observe.accept), (Some(0), Some(11542)));
        assert_eq!(request("cancel /3303 active").unwrap().observe, Some(1));
        assert_eq!(request("discover /3/0").unwrap().accept, Some(40));
        assert_eq!(
            (request("read /3").unwrap().accept, request("read /3/0/9").unwrap().accept),
            (Some(11542), None)
        );
        let execute = request("execute /3/0/4 0='x'").unwrap();
        assert_eq!((execute.method, execute.content_format), (Method::Post, Some(0)));
        assert_eq!(request("execute /3/0/4").unwrap().content_format, None);
        let prefixed = order("read /3/0").command.request("x", &Model::builtin(), Version::V1_1).unwrap();
        assert_eq!(prefixed.path, ["x", "3", "0"]);
    }
}
