//! What of a server's URI goes in front of `/rd` (REG-02).

/// `coap://host:5683/a/b?x=1&y` gives `[a, b]` and `[x=1, y]` (RFC 7252 §6.4, without percent-encoding).
pub(super) fn path_and_query(uri: &str) -> (Vec<String>, Vec<String>) {
    let after_scheme = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let (before_query, query) = after_scheme.split_once('?').unwrap_or((after_scheme, ""));
    let path = before_query.split_once('/').map_or("", |(_, path)| path);
    let parts = |text: &str, separator| {
        text.split(separator).filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    (parts(path, '/'), parts(query, '&'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_and_query_are_what_stands_behind_the_authority_reg_02() {
        let of = |uri| {
            let (path, query) = path_and_query(uri);
            (path.join(" "), query.join(" "))
        };
        assert_eq!(of("coap://host:5683/a/b?x=1&y"), ("a b".into(), "x=1 y".into()));
        assert_eq!(of("coap://host?x=/1"), (String::new(), "x=/1".into()));
        assert_eq!(of("coap://[2001:db8::1]:5683/"), (String::new(), String::new()));
        assert_eq!(of("coap://host"), (String::new(), String::new()));
    }
}
