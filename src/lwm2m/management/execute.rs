//! Execute (LwM2M Core 1.1.1 §6.3.5).

use nom::Parser as _;
use nom::bytes::complete::{tag, take_while};
use nom::character::complete::satisfy;
use nom::combinator::{all_consuming, opt};
use nom::multi::separated_list0;
use nom::sequence::{delimited, preceded};

use super::{Decision, Mode, Owner, View};
use crate::coap::{Code, Request};
use crate::lwm2m::codecs::Format;
use crate::lwm2m::downlink::Operation;
use crate::lwm2m::objects;
use crate::lwm2m::path::Path;

impl View<'_> {
    /// POST on a resource. On a multiple-instance resource that can be written it is a partial Write instead.
    pub(super) fn execute(self, path: Path, request: &Request) -> Result<Decision, Code> {
        let (Some(object), Some(id)) = (path.object(), path.resource()) else { return Err(Code::NOT_FOUND) };
        let definition = self.model.resource(object, id).ok_or(Code::NOT_FOUND)?;
        if definition.multiple && definition.operations.is_writable() && request.content_format.is_some() {
            return self.write(path, Mode::Partial, request);
        }
        let owner = self.owner(path);
        let is_taken = match owner {
            Owner::Native => objects::executables(object).contains(&id),
            Owner::Held => false,
            Owner::Mapped => self.access_to(object, id).executable,
        };
        if !definition.operations.is_executable() || !is_taken {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        if request.content_format.is_some_and(|format| format != Format::Text.number()) {
            return Err(Code::UNSUPPORTED_CONTENT_FORMAT);
        }
        let arguments = arguments(&request.payload).ok_or(Code::BAD_REQUEST)?;
        if owner == Owner::Native {
            return Ok(Decision::Run(path));
        }
        Ok(Decision::Transact(vec![Operation::Execute { path, arguments: arguments.to_owned() }]))
    }
}

/// The arguments, if they keep to the grammar (EX-02): `5`, `2='10.3'`, `7,0='https://h/p'`, or nothing.
fn arguments(payload: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(payload).ok()?;
    // Inside the quotes: no quote, blank or backslash.
    let allowed = |c: char| matches!(c, '!' | '#'..='&' | '('..='[' | ']'..='~');
    let quoted = delimited(tag("'"), take_while(allowed), tag("'"));
    let digit = satisfy(|c: char| c.is_ascii_digit());
    let argument = (digit, opt(preceded(tag("="), quoted)));
    let mut list = all_consuming(separated_list0(tag::<_, _, nom::error::Error<&str>>(","), argument));
    list.parse(text).is_ok().then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_keep_to_the_grammar_ex_02_ex_03() {
        let long = format!("0='{}'", "x".repeat(1024));
        for good in [
            "",
            "5",
            "2='10.3'",
            "7,0='https://www.example.org/p'",
            "0,1,2,3,4",
            "1,1",
            "0=''",
            "0='a,b'",
            &long,
        ] {
            assert_eq!(arguments(good.as_bytes()), Some(good));
        }
        for bad in
            [",", "5,", "a", "10", "0=5", "0='", "0='a b'", "0='a\"b'", "0='a\\b'", "0 ", "5='a''b'", "ä"]
        {
            assert_eq!(arguments(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(arguments(&[0xff]), None);
    }
}
