//! Octets as they are, Content-Format 42: one Opaque value (OPQ-01).

use super::CodecError;
use crate::lwm2m::model::ResourceDef;
use crate::lwm2m::path::Path;
use crate::lwm2m::value::{Value, ValueType};

/// The octets of an Opaque value.
pub(super) fn encode((path, value): (Path, &Value)) -> Result<Vec<u8>, CodecError> {
    let Value::Opaque(octets) = value else { return Err(CodecError::NotOpaque(path)) };
    Ok(octets.clone())
}

/// The payload as the value of this resource.
pub(super) fn decode(path: Path, definition: &ResourceDef, payload: &[u8]) -> Result<Value, CodecError> {
    if definition.value_type != ValueType::Opaque {
        return Err(CodecError::NotOpaque(path));
    }
    Ok(Value::Opaque(payload.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::super::{Format, decode, encode};
    use super::*;
    use crate::lwm2m::model::Model;
    use crate::lwm2m::value::{Content, Entry};

    #[test]
    fn only_opaque_resources_travel_and_may_be_empty_opq_01() {
        let model = Model::builtin();
        let package = Path::resource_of(5, 0, 0);
        for octets in [vec![], vec![0, 255]] {
            let entry = Entry { path: package, content: Content::Single(Value::Opaque(octets.clone())) };
            assert_eq!(encode(Format::Opaque, package, std::slice::from_ref(&entry)), Ok(octets.clone()));
            assert_eq!(decode(Format::Opaque, package, &octets, &model), Ok(vec![entry]));
        }
        let battery = Path::resource_of(3, 0, 9);
        assert_eq!(decode(Format::Opaque, battery, b"1", &model), Err(CodecError::NotOpaque(battery)));
        let entry = Entry { path: battery, content: Content::Single(Value::Integer(1)) };
        assert_eq!(encode(Format::Opaque, battery, &[entry]), Err(CodecError::NotOpaque(battery)));
    }
}
