//! The doors and the answers, without a socket.

use std::sync::Arc;

use axum::http::{HeaderMap, Uri};

use super::*;
use crate::check::answer::AnswerSettings;
use crate::check::forward::{HeaderMutations, TokenHeaders};
use crate::check::{Allowance, Decision};

fn parts(uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method("GET").uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn original(uri: &str, headers: &[(&str, &str)]) -> Result<CheckRequest<'static>, Fault> {
    // For as long as the request that is borrowed from it.
    let parts: &'static Parts = Box::leak(Box::new(parts(uri, headers)));
    Door::of(&parts.uri).expect("a door").original(parts)
}

#[test]
fn a_door_has_one_spelling() {
    for (path, expected) in [
        ("/auth/nginx", Some(Door::Nginx)),
        ("/auth/caddy", Some(Door::Caddy)),
        ("/auth/caddy?the=clients", Some(Door::Caddy)),
        ("/auth/traefik", Some(Door::Traefik)),
        ("/auth/envoy/", Some(Door::Envoy("/"))),
        ("/auth/envoy//a/../b?c=/d", Some(Door::Envoy("//a/../b?c=/d"))),
        ("http://a/auth/envoy/b", Some(Door::Envoy("/b"))),
        ("/auth/envoy", None),
        ("/auth/envoy?a", None),
        ("/auth/envoyx", None),
        ("/auth/nginx/", None),
        ("/auth/nginx/x", None),
        ("/auth//nginx", None),
        ("/auth/./nginx", None),
        ("/auth/%6eginx", None),
        ("/AUTH/nginx", None),
        ("/auth/", None),
        ("/", None),
        ("*", None),
        ("orders.example.com:443", None),
    ] {
        let uri: Uri = path.parse().unwrap();
        assert_eq!(Door::of(&uri), expected, "{path}");
    }
}

#[test]
fn what_is_asked_about_is_the_request_itself_or_what_the_headers_of_the_door_say() {
    let both = [
        ("host", "claimgate"),
        ("x-original-method", "PUT"),
        ("x-original-uri", "/nginx?a=b"),
        ("x-original-host", "nginx.example.com"),
        ("x-forwarded-method", "PATCH"),
        ("x-forwarded-uri", "/forwarded"),
        ("x-forwarded-host", "forwarded.example.com"),
        ("x-tenant", "contoso"),
    ];
    for (uri, method, host, path) in [
        ("/auth/envoy/envoy?c", "GET", "claimgate", "/envoy?c"),
        ("/auth/nginx", "PUT", "nginx.example.com", "/nginx?a=b"),
        ("/auth/caddy?a=b", "PATCH", "forwarded.example.com", "/forwarded"),
        ("/auth/traefik", "PATCH", "forwarded.example.com", "/forwarded"),
    ] {
        let request = original(uri, &both).unwrap();
        assert_eq!((&*request.method, &*request.host, &*request.path), (method, host, path));
        assert_eq!(request.headers, [("x-tenant".into(), "contoso".into())], "{uri}");
    }
}

#[test]
fn what_is_missing_or_there_twice_is_never_taken_from_elsewhere() {
    for (uri, names) in [
        ("/auth/nginx", ["x-original-method", "x-original-uri", "x-original-host"]),
        ("/auth/caddy", ["x-forwarded-method", "x-forwarded-uri", "x-forwarded-host"]),
        ("/auth/traefik", ["x-forwarded-method", "x-forwarded-uri", "x-forwarded-host"]),
    ] {
        let whole = [(names[0], "GET"), (names[1], "/a"), (names[2], "b"), ("host", "c")];
        assert!(original(uri, &whole).is_ok());
        for name in names {
            let without: Vec<_> = whole.into_iter().filter(|(other, _)| *other != name).collect();
            assert_eq!(original(uri, &without).unwrap_err(), Fault::Missing(name));
            let empty: Vec<_> = without.iter().copied().chain([(name, "")]).collect();
            assert_eq!(original(uri, &empty).unwrap_err(), Fault::Missing(name));
            for second in ["GET", "/a", "b", ""] {
                let twice: Vec<_> = whole.into_iter().chain([(name, second)]).collect();
                assert_eq!(original(uri, &twice).unwrap_err(), Fault::Repeated(name));
            }
        }
        for path in ["*", "http://a/b", "a", "?a", " /a"] {
            let odd = [(names[0], "GET"), (names[1], path), (names[2], "b")];
            assert_eq!(original(uri, &odd).unwrap_err(), Fault::Invalid(names[1]), "{path}");
        }
        let odd = [(names[0], "GET, PUT"), (names[1], "/a"), (names[2], "b")];
        assert_eq!(original(uri, &odd).unwrap_err(), Fault::Invalid(names[0]));
    }
    assert_eq!(original("/auth/envoy/", &[]).unwrap_err(), Fault::Missing("host"));
    let two = [("host", "a"), ("host", "a")];
    assert_eq!(original("/auth/envoy/", &two).unwrap_err(), Fault::Repeated("host"));
    let other = original("http://a/auth/envoy/", &[("host", "b")]);
    assert_eq!(other.unwrap_err(), Fault::Repeated("host"));
    assert_eq!(original("http://a/auth/envoy/", &[("host", "a")]).unwrap().host, "a");
    assert_eq!(original("http://a/auth/envoy/", &[]).unwrap().host, "a");
}

#[test]
fn connection_may_only_say_how_the_connection_goes_on() {
    for (value, is_fit) in [
        ("close", true),
        ("Keep-Alive, close", true),
        ("upgrade,", true),
        ("authorization", false),
        ("close, x-jwt-sub", false),
    ] {
        let request = original("/auth/envoy/", &[("host", "a"), ("connection", value)]);
        let expected = if is_fit { None } else { Some(Fault::Connection) };
        assert_eq!(request.err(), expected, "{value}");
    }
}

#[test]
fn what_says_how_a_request_came_is_no_header_of_the_request() {
    let names = [
        "connection",
        "forwarded",
        "keep-alive",
        "proxy-authorization",
        "te",
        "trailer",
        "upgrade",
        "transfer-encoding",
        "via",
        "x-envoy-expected-rq-timeout-ms",
        "x-forwarded-anything",
        "x-original-url",
        "x-real-ip",
    ];
    let headers = names.into_iter().map(|name| (name, "close"));
    let with: Vec<_> = headers.chain([("host", "a"), ("x-real", "b")]).collect();
    let request = original("/auth/envoy/", &with).unwrap();
    assert_eq!(request.headers, [("x-real".into(), "b".into())]);
}

#[test]
fn how_long_the_asker_waits_is_believed_where_envoy_asks() {
    for (door, value, expected) in [
        (Door::Envoy("/"), "250", Some(Duration::from_millis(250))),
        (Door::Envoy("/"), "0", Some(Duration::ZERO)),
        (Door::Envoy("/"), "soon", None),
        (Door::Nginx, "250", None),
    ] {
        let headers = HeaderMap::from_iter([(
            "x-envoy-expected-rq-timeout-ms".parse().unwrap(),
            value.parse().unwrap(),
        )]);
        assert_eq!(door.deadline(&headers), expected);
    }
}

/// A token's subject as a header.
fn sub(value: &str) -> HeaderMutations {
    let token = Some(Arc::new(TokenHeaders::new(&[("x-jwt-sub", value)], &[])));
    HeaderMutations { token, ..HeaderMutations::default() }
}

/// What `door` answers to a request with these headers, names and values in order.
fn answered(door: Door<'_>, sent: &[(&str, &str)], mutations: HeaderMutations) -> String {
    let headers = sent.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let request = CheckRequest { headers, ..CheckRequest::default() };
    let allowance = Allowance { rule: None, token: None, mutations, would_deny: None };
    let decision = Decision::Allow(allowance);
    let response = respond(&decision, Some(&request), door, AnswerSettings::default());
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["cache-control"], "no-store");
    let mut lines: Vec<_> = response
        .headers()
        .iter()
        .filter(|(name, _)| *name != "cache-control")
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    lines.sort();
    lines.join("\n")
}

#[test]
fn each_proxy_is_told_what_is_to_go_in_the_way_that_it_hears() {
    let mutations = || HeaderMutations {
        remove: ["authorization", "x-jwt-name", "x_jwt_sub"].map(Arc::from).into(),
        ..sub("alice")
    };
    let sent = [("authorization", "Bearer a"), ("cookie", "a=1"), ("cookie", "b=2")];
    assert_eq!(
        answered(Door::Envoy("/"), &sent, mutations()),
        "x-envoy-auth-headers-to-remove: authorization,x-jwt-name,x_jwt_sub\nx-jwt-sub: alice"
    );
    for door in [Door::Nginx, Door::Traefik] {
        assert_eq!(answered(door, &sent, mutations()), "cookie: a=1; b=2\nx-jwt-sub: alice");
    }
    assert_eq!(
        answered(Door::Caddy, &sent, mutations()),
        "authorization: \ncookie: a=1; b=2\nx-jwt-name: \nx-jwt-sub: alice\nx_jwt_sub: "
    );
    assert_eq!(answered(Door::Caddy, &[], HeaderMutations::default()), "authorization: \ncookie: ");
    assert_eq!(answered(Door::Envoy("/"), &sent, HeaderMutations::default()), "");
}

#[test]
fn a_token_that_stays_is_in_the_answer_and_one_in_a_cookie_is_taken_out_of_it() {
    let sent = [("authorization", "Basic a"), ("cookie", "token=t; b=2")];
    let rest = || HeaderMutations { cookie: Some("b=2".to_owned()), ..HeaderMutations::default() };
    for door in [Door::Nginx, Door::Traefik, Door::Caddy] {
        assert_eq!(answered(door, &sent, rest()), "authorization: Basic a\ncookie: b=2");
        let none = HeaderMutations { remove: vec!["cookie".into()], ..Default::default() };
        let basic = "authorization: Basic a";
        let expected =
            if door == Door::Caddy { format!("{basic}\ncookie: ") } else { basic.into() };
        assert_eq!(answered(door, &sent, none), expected);
    }
    assert_eq!(answered(Door::Envoy("/"), &sent, rest()), "cookie: b=2");
}

#[test]
fn what_cannot_be_written_or_was_not_read_is_denied() {
    let allowed = |mutations| {
        let (rule, token, would_deny) = (None, None, None);
        Decision::Allow(Allowance { rule, token, mutations, would_deny })
    };
    let answers = AnswerSettings::default();
    let request = CheckRequest::default();
    for decision in [allowed(sub("a\r\nx-admin: true")), allowed(sub("a\0"))] {
        let response = respond(&decision, Some(&request), Door::Nginx, answers);
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["x-ext-auth-reason"], "internal");
    }
    let response = respond(&allowed(sub("alice")), None, Door::Nginx, answers);
    assert_eq!(response.status(), 503);
    let response = respond(&allowed(sub("\u{e9}")), Some(&request), Door::Nginx, answers);
    assert_eq!(response.headers()["x-jwt-sub"].as_bytes(), "\u{e9}".as_bytes());
}
