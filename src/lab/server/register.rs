//! What a client says in Register and Update, checked as a strict server does (LwM2M Core 1.1.1 §6.2).

use std::time::Duration;

use crate::coap::{Code, Request};
use crate::lwm2m::codecs::{Format, ObjectList};
use crate::lwm2m::model::Version;

/// Lifetime when the client names none (REG-05).
const DEFAULT_LIFETIME: Duration = Duration::from_secs(86_400);
/// Longest endpoint name; the protocol has no limit, memory has.
const MAX_NAME_OCTETS: usize = 255;
/// Longest list of objects: some 16,000 instances.
pub(super) const MAX_LIST_OCTETS: usize = 256 * 1024;
/// 4.12 Precondition Failed: the version of the enabler is not spoken (REG-17).
const PRECONDITION_FAILED: Code = Code::new(4, 12);

/// What a server demands of a Register beyond the standard, or lets pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// A Register without `lwm2m` is one of LwM2M 1.0, as platforms take it.
    pub version_optional: bool,
    /// The endpoint name must be IMEI and IMSI, 15 digits each, with a semicolon between; any other gets 4.03.
    pub imei_and_imsi: bool,
}

/// A good Register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    /// Endpoint name.
    pub endpoint: String,
    /// Version of the enabler.
    pub version: Version,
    /// How long the registration holds without an Update.
    pub lifetime: Duration,
    /// Binding as the client wrote it.
    pub binding: String,
    /// Queue mode: the client sleeps between its messages.
    pub queue_mode: bool,
    /// Objects and instances.
    pub objects: ObjectList,
}

/// A good Update: what it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// New lifetime.
    pub lifetime: Option<Duration>,
    /// New binding.
    pub binding: Option<String>,
    /// New list of objects, complete.
    pub objects: Option<ObjectList>,
}

/// Why a request was not accepted, and with which code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {why}")]
pub struct Refusal {
    /// The code of the answer.
    pub code: Code,
    /// In words, for the log.
    pub why: String,
}

impl Refusal {
    fn bad(why: impl Into<String>) -> Self {
        Self { code: Code::BAD_REQUEST, why: why.into() }
    }
}

impl Register {
    /// From a POST to `/rd`.
    ///
    /// # Errors
    /// What a strict server does not let pass: 4.00, 4.12, 4.13 or 4.15; what the rules do not: 4.03.
    pub fn read(request: &Request, rules: Rules) -> Result<Self, Refusal> {
        let queries = queries(request)?;
        let value = |name: &str| queries.iter().find(|(found, _)| *found == name).map(|(_, value)| *value);
        let endpoint = value("ep").filter(|name| !name.is_empty() && name.len() <= MAX_NAME_OCTETS);
        let endpoint = endpoint.ok_or_else(|| Refusal::bad("ep is missing, empty or too long"))?;
        if rules.imei_and_imsi && !is_imei_and_imsi(endpoint) {
            let why = format!("{endpoint:?} is not an IMEI and an IMSI");
            return Err(Refusal { code: Code::FORBIDDEN, why });
        }
        let version = value("lwm2m").or(rules.version_optional.then_some("1.0"));
        let version = version.ok_or_else(|| Refusal::bad("lwm2m is missing"))?;
        let version: Version = version.parse().map_err(|error| Refusal::bad(format!("lwm2m: {error}")))?;
        if ![Version::V1_0, Version::V1_1].contains(&version) {
            let why = format!("LwM2M {version} is not spoken here");
            return Err(Refusal { code: PRECONDITION_FAILED, why });
        }
        let queue = value("Q");
        if queue.is_some_and(|value| !value.is_empty()) || (queue.is_some() && version < Version::V1_1) {
            return Err(Refusal::bad("Q is a flag of LwM2M 1.1"));
        }
        let binding = value("b").unwrap_or("U");
        check_binding(binding, version)?;
        Ok(Self {
            endpoint: endpoint.to_owned(),
            version,
            lifetime: value("lt").map_or(Ok(DEFAULT_LIFETIME), lifetime)?,
            binding: binding.to_owned(),
            queue_mode: queue.is_some() || binding.contains('Q'),
            objects: objects(request)?.ok_or_else(|| Refusal::bad("the list of objects is missing"))?,
        })
    }
}

impl Update {
    /// From a POST to the location of a registration made under this version.
    ///
    /// # Errors
    /// What a strict server does not let pass: 4.00, 4.13 or 4.15.
    pub fn read(request: &Request, version: Version) -> Result<Self, Refusal> {
        let queries = queries(request)?;
        if let Some((name, _)) = queries.iter().find(|(name, _)| ["ep", "lwm2m", "Q"].contains(name)) {
            return Err(Refusal::bad(format!("{name} has no place in an Update")));
        }
        let value = |name: &str| queries.iter().find(|(found, _)| *found == name).map(|(_, value)| *value);
        value("b").map_or(Ok(()), |binding| check_binding(binding, version))?;
        Ok(Self {
            lifetime: value("lt").map(lifetime).transpose()?,
            binding: value("b").map(str::to_owned),
            objects: objects(request)?,
        })
    }
}

fn is_imei_and_imsi(name: &str) -> bool {
    let is_number = |part: &str| part.len() == 15 && part.bytes().all(|octet| octet.is_ascii_digit());
    name.split_once(';').is_some_and(|(imei, imsi)| is_number(imei) && is_number(imsi))
}

/// Names and values of the queries; the same name twice says two things at once.
fn queries(request: &Request) -> Result<Vec<(&str, &str)>, Refusal> {
    let mut queries: Vec<(&str, &str)> = vec![];
    for query in &request.query {
        let (name, value) = query.split_once('=').unwrap_or((query, ""));
        if queries.iter().any(|(found, _)| *found == name) {
            return Err(Refusal::bad(format!("{name} comes twice")));
        }
        queries.push((name, value));
    }
    Ok(queries)
}

fn lifetime(text: &str) -> Result<Duration, Refusal> {
    let plain = text.bytes().all(|octet| octet.is_ascii_digit());
    let seconds = if plain { text.parse::<u32>().ok() } else { None };
    // 0 means infinite from LwM2M 1.2 on; nothing before.
    let seconds = seconds.filter(|seconds| *seconds > 0);
    let seconds = seconds.ok_or_else(|| Refusal::bad(format!("lt={text} is no lifetime in seconds")))?;
    Ok(Duration::from_secs(u64::from(seconds)))
}

/// The list under 1.0 (REG-06), letters of transports from 1.1 on (REG-07).
fn check_binding(binding: &str, version: Version) -> Result<(), Refusal> {
    let known = if version < Version::V1_1 {
        ["U", "UQ", "S", "SQ", "US", "UQS"].contains(&binding)
    } else {
        let once = |letter: char| binding.matches(letter).count() == 1;
        !binding.is_empty() && binding.chars().all(|letter| "UTSN".contains(letter) && once(letter))
    };
    if known { Ok(()) } else { Err(Refusal::bad(format!("b={binding} is no binding of LwM2M {version}"))) }
}

/// The payload as the list of objects; `None` if there is none.
fn objects(request: &Request) -> Result<Option<ObjectList>, Refusal> {
    if request.payload.is_empty() {
        return Ok(None);
    }
    match request.content_format {
        Some(format) if format == Format::Link.number() => {}
        Some(format) => {
            let why = format!("Content-Format {format} is not link format");
            return Err(Refusal { code: Code::UNSUPPORTED_CONTENT_FORMAT, why });
        }
        None => return Err(Refusal::bad("a list of objects without Content-Format")),
    }
    if request.payload.len() > MAX_LIST_OCTETS {
        let why = format!("a list of {} octets", request.payload.len());
        return Err(Refusal { code: Code::REQUEST_ENTITY_TOO_LARGE, why });
    }
    let list = ObjectList::decode(&request.payload).map_err(|error| Refusal::bad(error.to_string()))?;
    if let Some(secret) = list.objects.keys().find(|object| [0, 21].contains(*object)) {
        return Err(Refusal::bad(format!("object {secret} is never listed")));
    }
    Ok(Some(list))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coap::Method;

    fn request(query: &str, payload: &str) -> Request {
        Request {
            query: query.split('&').filter(|item| !item.is_empty()).map(str::to_owned).collect(),
            content_format: (!payload.is_empty()).then_some(40),
            payload: payload.as_bytes().to_vec(),
            ..Request::new(Method::Post, vec!["rd".into()])
        }
    }

    fn register(query: &str) -> Result<Register, Refusal> {
        register_under(Rules::default(), query)
    }

    fn register_under(rules: Rules, query: &str) -> Result<Register, Refusal> {
        Register::read(&request(query, "</1/0>,</3/0>,</3303>;ver=1.1,</3303/0>"), rules)
    }

    #[test]
    fn a_full_register_reads_in_any_order_of_its_queries_reg_09() {
        let read = register("Q&ep=gw1&lt=300&b=U&lwm2m=1.1").unwrap();
        assert_eq!((read.endpoint.as_str(), read.version), ("gw1", Version::V1_1));
        assert_eq!((read.lifetime, read.queue_mode), (Duration::from_secs(300), true));
        assert_eq!(read.objects.objects.keys().copied().collect::<Vec<_>>(), [1, 3, 3303]);
        let short = register("ep=gw1&lwm2m=1.0").unwrap();
        assert_eq!((short.lifetime, short.binding.as_str()), (DEFAULT_LIFETIME, "U"));
    }

    #[test]
    fn what_a_strict_server_refuses_is_refused() {
        for query in [
            "lwm2m=1.1",
            "ep=&lwm2m=1.1",
            "ep=gw1",
            "ep=gw1&lwm2m=one",
            "ep=gw1&ep=gw2&lwm2m=1.1",
            "ep=gw1&lwm2m=1.1&lt=0",
            "ep=gw1&lwm2m=1.1&lt=-5",
            "ep=gw1&lwm2m=1.1&b=UQ",
            "ep=gw1&lwm2m=1.1&b=UU",
            "ep=gw1&lwm2m=1.0&b=UT",
            "ep=gw1&lwm2m=1.0&Q",
            "ep=gw1&lwm2m=1.1&Q=1",
        ] {
            assert_eq!(register(query).unwrap_err().code, Code::BAD_REQUEST, "{query}");
        }
        assert_eq!(register("ep=gw1&lwm2m=1.2").unwrap_err().code, PRECONDITION_FAILED);
    }

    #[test]
    fn a_platform_takes_a_register_without_a_version_from_an_imei_with_an_imsi() {
        let rules = Rules { version_optional: true, imei_and_imsi: true };
        let read = register_under(rules, "ep=350000000000006;001010123456789&b=U&lt=300").unwrap();
        assert_eq!(read.version, Version::V1_0);
        assert!(register_under(rules, "ep=350000000000006;001010123456789&lwm2m=1.1&Q").unwrap().queue_mode);
        for name in ["350000000000006", "350000000000006;1", "35000000000000x;001010123456789", ";"] {
            let refused = register_under(rules, &format!("ep={name}")).unwrap_err();
            assert_eq!(refused.code, Code::FORBIDDEN, "{name}");
        }
    }

    #[test]
    fn lists_that_are_none_are_refused() {
        let of = |payload: &str| Register::read(&request("ep=gw1&lwm2m=1.1", payload), Rules::default());
        for payload in ["", "nonsense", "</0/0>,</3/0>", "</3/0>;ver=1.1", "</3/0/1>"] {
            assert_eq!(of(payload).unwrap_err().code, Code::BAD_REQUEST, "{payload}");
        }
        let mut text = request("ep=gw1&lwm2m=1.1", "</3/0>");
        text.content_format = Some(0);
        assert_eq!(
            Register::read(&text, Rules::default()).unwrap_err().code,
            Code::UNSUPPORTED_CONTENT_FORMAT
        );
    }

    #[test]
    fn an_update_tells_only_what_changes_and_never_who_it_is() {
        let read = |query: &str, payload: &str| Update::read(&request(query, payload), Version::V1_1);
        assert_eq!(read("", ""), Ok(Update { lifetime: None, binding: None, objects: None }));
        assert_eq!(read("lt=60", "").unwrap().lifetime, Some(Duration::from_secs(60)));
        assert!(read("", "</3/0>").unwrap().objects.is_some());
        for query in ["ep=gw1", "lwm2m=1.1", "Q", "b=UQ"] {
            assert!(read(query, "").is_err(), "{query}");
        }
    }
}
