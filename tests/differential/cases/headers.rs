//! Where the token stands, and how that is spelled.

use serde_json::json;

use super::Cases;
use crate::tokens::Tokens;

pub(super) fn add(cases: &Cases, tokens: &Tokens) {
    let good = tokens.token("accounts", &json!({}));
    authorization(cases, &good);
    several(cases, tokens, &good);
    other_headers(cases, tokens, &good);
    elsewhere(cases, &good);
}

const AT: &str = "/i/accounts/x";

fn authorization(cases: &Cases, good: &str) {
    cases.get("no token", AT).refused();
    for (value, name) in [
        (String::new(), "empty"),
        ("Bearer".to_owned(), "the scheme alone"),
        ("Bearer ".to_owned(), "the scheme and a space"),
        (format!("Bearer{good}"), "no space"),
        (format!("Bearer\t{good}"), "a tab"),
        (format!("Bearer:{good}"), "a colon"),
        (format!("Bearer={good}"), "an equals sign"),
        (format!("Token {good}"), "another scheme"),
        (format!("JWT {good}"), "the scheme JWT"),
        (good.to_owned(), "no scheme"),
        (format!("Basic {good}"), "Basic"),
        ("Basic dXNlcjpwYXNz".to_owned(), "Basic, a password"),
        (format!("Bearer \"{good}\""), "in quotes"),
        (format!("Bearer <{good}>"), "in angle brackets"),
        (format!("Bearer token={good}"), "with a parameter's name"),
        (format!("DPoP {good}"), "DPoP"),
        (format!("Negotiate {good}"), "Negotiate"),
    ] {
        cases.get(format!("Authorization: {name}"), AT).header("Authorization", value).refused();
    }
    let bearer = format!("Bearer {good}");
    for name in ["authorization", "AUTHORIZATION", "AuThOrIzAtIoN"] {
        cases.get(format!("{name}: Bearer"), AT).header(name, &bearer).passes();
    }
    for (name, value) in
        [("a space behind", format!("{bearer} ")), ("a space in front", format!(" {bearer}"))]
    {
        let case = || {
            cases.get(format!("Authorization: {name}"), AT).header("Authorization", value.clone())
        };
        // HTTP/1.1 takes them off; over HTTP/2 they must not be there (RFC 9113 §8.2.1).
        case().http1().passes();
        case().http2().claimgate_refuses("spaces-over-http2");
    }
    for scheme in ["bearer", "BEARER", "bEaReR"] {
        cases
            .get(format!("Authorization: {scheme}"), AT)
            .header("Authorization", format!("{scheme} {good}"))
            .jwt_authn_refuses("scheme-case");
    }
    cases
        .get("Authorization: two spaces", AT)
        .header("Authorization", format!("Bearer  {good}"))
        .passes();
    for (name, value) in [
        ("a word in front", format!("x {bearer}")),
        ("another scheme in front", format!("Basic dXNlcjpwYXNz {bearer}")),
        ("glued to a word", format!("x{bearer}")),
    ] {
        cases
            .get(format!("Authorization: {name}"), AT)
            .header("Authorization", value)
            .claimgate_refuses("prefix-anywhere");
    }
    for (name, value) in [
        ("a word behind", format!("{bearer} x")),
        ("a semicolon behind", format!("{bearer};x=y")),
        ("a parameter behind", format!("{bearer}, realm=\"x\"")),
        ("a comma behind", format!("{bearer},")),
    ] {
        cases.get(format!("Authorization: {name}"), AT).header("Authorization", value).refused();
    }
    cases
        .get("Authorization: octets that are no text", AT)
        .header("Authorization", [bearer.as_bytes(), b"\xff\xfe"].concat())
        .refused();
}

/// More than one credential.
fn several(cases: &Cases, tokens: &Tokens, good: &str) {
    let other = tokens.token("accounts", &json!({"sub": "bob"}));
    let bad = tokens.token("accounts", &json!({"exp": 1}));
    let bearer = |token: &str| format!("Bearer {token}");
    for (name, first, second) in [
        ("the same twice", good, good),
        ("of two people", good, other.as_str()),
        ("good, then bad", good, bad.as_str()),
        ("bad, then good", bad.as_str(), good),
    ] {
        cases
            .get(format!("two Authorization headers: {name}"), AT)
            .header("Authorization", bearer(first))
            .header("Authorization", bearer(second))
            .refused();
        let joined = format!("{},{}", bearer(first), bearer(second));
        cases
            .get(format!("two credentials in one header: {name}"), AT)
            .header("Authorization", joined)
            .refused();
    }
    cases
        .get("Basic beside Bearer, two headers", AT)
        .header("Authorization", "Basic dXNlcjpwYXNz")
        .header("Authorization", bearer(good))
        .claimgate_refuses("several-tokens");
    cases
        .get("Bearer beside Basic, two headers", AT)
        .header("Authorization", bearer(good))
        .header("Authorization", "Basic dXNlcjpwYXNz")
        .refused();
    cases
        .get("an empty Authorization before the good one", AT)
        .header("Authorization", "")
        .header("Authorization", bearer(good))
        .passes();
}

/// In the world where tokens may stand in four headers, and stay there.
fn other_headers(cases: &Cases, tokens: &Tokens, good: &str) {
    let bob = tokens.token("accounts", &json!({"sub": "bob"}));
    for (header, value) in [
        ("Authorization", format!("Bearer {good}")),
        ("X-Access-Token", good.to_owned()),
        ("x-access-token", good.to_owned()),
        ("X-Custom", format!("Token {good}")),
        ("X-Glued", format!("v1:{good}")),
    ] {
        cases.get(format!("kept: {header}"), AT).kept().header(header, value).passes();
    }
    for (header, value) in [
        ("X-Access-Token", format!("Bearer {good}")),
        ("X-Access-Token", format!("\"{good}\"")),
        ("X-Custom", good.to_owned()),
        ("X-Custom", format!("Bearer {good}")),
        ("X-Glued", good.to_owned()),
        ("X-Glued", format!("V1:{good}")),
        ("X-Other", good.to_owned()),
        ("X-Auth-Token", good.to_owned()),
        ("Proxy-Authorization", format!("Bearer {good}")),
    ] {
        let name = format!("kept: {header}, {}", value.split('.').next().unwrap_or_default());
        cases.get(name, AT).kept().header(header, value).refused();
    }
    cases
        .get("kept: X-Custom, token in lower case", AT)
        .kept()
        .header("X-Custom", format!("token {good}"))
        .jwt_authn_refuses("scheme-case");
    cases
        .get("kept: X-Glued, a space in between", AT)
        .kept()
        .header("X-Glued", format!("v1: {good}"))
        .claimgate_refuses("prefix-and-spaces");
    cases
        .get("kept: the same token in two places", AT)
        .kept()
        .bearer(good)
        .header("X-Access-Token", good)
        .claimgate_refuses("several-tokens");
    cases
        .get("kept: tokens of two people", AT)
        .kept()
        .bearer(good)
        .header("X-Access-Token", &bob)
        .claimgate_refuses("several-tokens");
    cases
        .get("kept: a good one, and one that is none", AT)
        .kept()
        .bearer(good)
        .header("X-Access-Token", "none")
        .refused();
    cases
        .get("kept: another header with Basic", AT)
        .kept()
        .header("Authorization", "Basic dXNlcjpwYXNz")
        .header("X-Access-Token", good)
        .passes();
    cases
        .get("kept: X-Access-Token twice", AT)
        .kept()
        .header("X-Access-Token", good)
        .header("X-Access-Token", &bob)
        .claimgate_refuses("several-tokens");
    cases.get("kept: no token, nothing needed", "/open/x").kept().passes();
    cases.get("kept: a token, nothing needed", "/open/x").kept().bearer(good).passes();
}

/// Places that nobody configured.
fn elsewhere(cases: &Cases, good: &str) {
    cases.get("elsewhere: a cookie", AT).header("Cookie", format!("access_token={good}")).refused();
    cases
        .get("elsewhere: a query parameter", format!("{AT}?access_token={good}"))
        .claimgate_refuses("query-by-default");
    let payload = good.split('.').nth(1).unwrap();
    let with_query = format!("{AT}?access_token={good}");
    cases
        .get("elsewhere: a query parameter and a header", with_query.clone())
        .bearer(good)
        .upstream(
            "query-by-default",
            &[
                (":path", &[AT], &[&with_query]),
                ("x-jwt-payload", &[payload, payload], &[payload]),
                ("x-jwt-sub", &["alice", "alice"], &["alice"]),
            ],
        );
    for header in ["X-Access-Token", "Proxy-Authorization", "X-Forwarded-Access-Token", "X-Jwt"] {
        cases
            .get(format!("elsewhere: {header}"), AT)
            .header(header, format!("Bearer {good}"))
            .refused();
    }
    cases
        .get("elsewhere: Sec-WebSocket-Protocol", AT)
        .header("Sec-WebSocket-Protocol", format!("bearer, {good}"))
        .refused();
}
