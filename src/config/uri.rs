//! The address of a CoAP server, as a configuration names it: `coap://host:port/path?query`.

/// UDP port of CoAP (RFC 7252 §12.6).
const DEFAULT_PORT: u16 = 5683;

/// A CoAP server's address (RFC 7252 §6.1).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CoapUri {
    pub(super) host: String,
    pub(super) port: u16,
}

/// Splits a `coap://` URI; the error says what is wrong with it.
pub(super) fn parse(uri: &str) -> Result<CoapUri, String> {
    if uri.starts_with("coaps://") {
        return Err("coaps (DTLS) is not supported".into());
    }
    let rest = uri.strip_prefix("coap://").ok_or_else(|| format!("{uri:?} does not start with coap://"))?;
    // Path and query are the client's business: they go in front of those of its own requests.
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    let (host, port) = host_and_port(authority, DEFAULT_PORT)?;
    Ok(CoapUri { host, port })
}

fn host_and_port(authority: &str, default_port: u16) -> Result<(String, u16), String> {
    // An IPv6 literal stands in brackets, because of its colons.
    let (host, port) = match authority.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((host, after))) => (host, after.strip_prefix(':')),
        Some(None) => return Err("[ without ]".into()),
        None => authority.rsplit_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(plain) {
        return Err(format!("{host:?} is no host name or address"));
    }
    let port = match port {
        None => default_port,
        Some(text) => text
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(|| format!("{text:?} is no UDP or TCP port"))?,
    };
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_of_a_coap_uri_are_found() {
        let uri = parse("coap://lwm2m.example:5690/p/q?x=1&y").unwrap();
        assert_eq!((uri.host.as_str(), uri.port), ("lwm2m.example", 5690));
        assert_eq!(parse("coap://h?x=1").unwrap(), CoapUri { host: "h".into(), port: 5683 });
        assert_eq!(parse("coap://10.0.0.1").unwrap().port, 5683);
        assert_eq!(parse("coap://[2001:db8::1]:7").unwrap().host, "2001:db8::1");
    }

    #[test]
    fn what_cannot_be_served_is_refused_with_the_reason() {
        for uri in
            ["coaps://h", "http://h", "coap://", "coap://h:0", "coap://h:x", "coap://[::1", "coap://a b"]
        {
            assert!(parse(uri).is_err(), "{uri}");
        }
    }
}
