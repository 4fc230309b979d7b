//! What a CORS preflight is: a browser's `OPTIONS` request that asks whether a script of another origin may send the
//! real one (Fetch standard, §4.8). It carries no credentials by design, so it can be let through where it is wanted.

use std::borrow::Cow;

use super::path::RequestPath;
use super::request::CheckRequest;

/// Headers that make something else of a request, to upstreams that heed them. No browser puts them into a preflight:
/// they would be announced there.
const NEVER: [&str; 5] =
    ["content-type", "upgrade", "x-http-method", "x-http-method-override", "x-method-override"];

/// Whether this is a true preflight, and nothing that only looks like one: method, one origin and one announced method,
/// no body, no other method in a header, no path that an upstream may read in another way.
pub(super) fn is_preflight(request: &CheckRequest<'_>) -> bool {
    let is_one = |name: &str, is_fit: fn(char) -> bool| {
        let mut values = request.header_values(name);
        match (values.next(), values.next()) {
            (Some(value), None) => !value.is_empty() && value.chars().all(is_fit),
            (_, _) => false,
        }
    };
    let has_body = request.header_values("content-length").any(|length| length != "0")
        || request.header_values("transfer-encoding").next().is_some();
    let is_odd = |(name, _): &(Cow<'_, str>, Cow<'_, str>)| {
        let name = name.replace('_', "-");
        NEVER.iter().any(|never| name.eq_ignore_ascii_case(never))
    };
    let is_readable = match RequestPath::parse(&request.path) {
        RequestPath::Plain(_) | RequestPath::Escaped { .. } => true,
        RequestPath::Ambiguous(_) | RequestPath::Unreadable => false,
    };
    request.method == "OPTIONS"
        && is_one("origin", |c| c.is_ascii_graphic() && c != ',')
        && is_one("access-control-request-method", |c| {
            c.is_ascii_alphanumeric() || "-_".contains(c)
        })
        && !has_body
        && !request.headers.iter().any(is_odd)
        && is_readable
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request<'a>(
        method: &'a str,
        path: &'a str,
        headers: &[(&'a str, &'a str)],
    ) -> CheckRequest<'a> {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        CheckRequest {
            method: method.into(),
            path: path.into(),
            headers: headers.collect(),
            ..CheckRequest::default()
        }
    }

    const ORIGIN: (&str, &str) = ("origin", "https://app.example.com");
    const METHOD: (&str, &str) = ("access-control-request-method", "PUT");

    #[test]
    fn a_browsers_question_is_a_preflight() {
        assert!(is_preflight(&request("OPTIONS", "/a?b=c", &[ORIGIN, METHOD])));
        assert!(is_preflight(&request(
            "OPTIONS",
            "/a",
            &[ORIGIN, METHOD, ("content-length", "0")]
        )));
    }

    #[test]
    fn what_only_looks_like_a_preflight_is_none() {
        let twice = ("origin", "https://a.example, https://b.example");
        for (method, path, headers) in [
            ("GET", "/", vec![ORIGIN, METHOD]),
            ("options", "/", vec![ORIGIN, METHOD]),
            ("OPTIONS", "/", vec![ORIGIN]),
            ("OPTIONS", "/", vec![METHOD]),
            ("OPTIONS", "/", vec![ORIGIN, ORIGIN, METHOD]),
            ("OPTIONS", "/", vec![twice, METHOD]),
            ("OPTIONS", "/", vec![("origin", ""), METHOD]),
            ("OPTIONS", "/", vec![ORIGIN, ("access-control-request-method", "PUT,GET")]),
            ("OPTIONS", "/", vec![ORIGIN, METHOD, ("content-length", "5")]),
            ("OPTIONS", "/", vec![ORIGIN, METHOD, ("transfer-encoding", "chunked")]),
            // What a browser never sends, and what makes another request of it.
            ("OPTIONS", "/", vec![ORIGIN, METHOD, ("x-http-method-override", "DELETE")]),
            ("OPTIONS", "/", vec![ORIGIN, METHOD, ("X_HTTP_Method", "DELETE")]),
            ("OPTIONS", "/", vec![ORIGIN, METHOD, ("x-method-override", "")]),
            ("OPTIONS", "/", vec![ORIGIN, METHOD, ("upgrade", "h2c")]),
            ("OPTIONS", "/", vec![ORIGIN, METHOD, ("content-type", "text/plain")]),
            ("OPTIONS", "/a/../b", vec![ORIGIN, METHOD]),
            ("OPTIONS", "*", vec![ORIGIN, METHOD]),
            ("OPTIONS", "", vec![ORIGIN, METHOD]),
        ] {
            assert!(!is_preflight(&request(method, path, &headers)), "{method} {path} {headers:?}");
        }
    }
}
