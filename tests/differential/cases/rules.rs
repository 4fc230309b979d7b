//! Which rule applies, and requests that need no token.

use serde_json::json;

use super::Cases;
use crate::case::Verdict;
use crate::tokens::Tokens;

pub(super) fn add(cases: &Cases, tokens: &Tokens) {
    let accounts = tokens.token("accounts", &json!({}));
    let expired = tokens.token("accounts", &json!({"exp": 1}));

    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"] {
        cases.get(format!("{method} without a token"), "/i/accounts").method(method).refused();
        cases
            .get(format!("{method} with one"), "/i/accounts")
            .method(method)
            .bearer(&accounts)
            .passes();
        cases.get(format!("{method}, nothing needed"), "/open").method(method).passes();
    }
    for (name, target) in [
        ("the path itself", "/open"),
        ("below", "/open/x/y"),
        ("with a query", "/open?x=1&y"),
        ("exact", "/healthz"),
        ("exact, with a query", "/healthz?x"),
        ("a prefix", "/public"),
        ("below a prefix", "/public/x"),
    ] {
        cases.get(format!("nothing needed: {name}"), target).passes();
        for (what, token) in [("a good token", &accounts), ("an expired token", &expired)] {
            let bearer = format!("Bearer {token}");
            cases
                .get(format!("nothing needed, {what}: {name}"), target)
                .bearer(token)
                .upstream("open-route-token", &[("authorization", &[&bearer], &[])]);
        }
    }
    let refused = |status| (Verdict::Passes, Verdict::Refused(status));
    for (name, target) in
        [("a path that no rule is about", "/elsewhere"), ("exact, below", "/healthz/x")]
    {
        let (theirs, ours) = refused(403);
        cases.get(format!("no rule: {name}"), target).verdicts("no-rule", theirs, ours);
    }
    let (theirs, ours) = refused(403);
    cases.get("a prefix inside of a segment", "/publicity").verdicts("prefix", theirs, ours);
    for target in ["/i/accountsX", "/openX", "/Open", "/healthz/"] {
        let (theirs, ours) = refused(403);
        cases.get(format!("no rule: {target}"), target).verdicts("no-rule", theirs, ours);
    }
    paths(cases, &accounts);
    preflights(cases, &accounts);
    grpc(cases, &accounts, &expired);
}

/// What leads from an open path into a closed one, for whoever reads it that way.
fn paths(cases: &Cases, good: &str) {
    for target in ["/open/../i/accounts", "/open/./../i/accounts/x", "//i/accounts"] {
        cases.get(format!("shipped: {target}"), target).refused();
    }
    for target in ["/open/..%2fi/accounts", "/open/%2e%2e%5ci/accounts"] {
        cases.get(format!("shipped: {target}"), target).refused();
    }
    for target in [
        "/open/../i/accounts",
        "/open/%2e%2e/i/accounts",
        "/open/..%2fi/accounts",
        "/open/..;/i/accounts",
        "/open/..\\i/accounts",
        "/open/%2e%2e%5ci/accounts",
        "/open//../../i/accounts",
        "//i/accounts",
        "/open/.%2e/i/accounts",
    ] {
        cases.get(format!("bare: {target}"), target).bare().verdicts(
            "path-readings",
            Verdict::Passes,
            Verdict::Refused(403),
        );
    }
    for target in ["/open/x%20y", "/open/caf%C3%A9"] {
        cases.get(format!("open: {target}"), target).passes();
        cases
            .get(format!("closed: {target}"), target.replace("open", "i/accounts"))
            .bearer(good)
            .passes();
    }
}

fn preflights(cases: &Cases, good: &str) {
    let origin = ("Origin", "https://app.example.com");
    let method = ("Access-Control-Request-Method", "POST");
    let options = |name: &str, headers: &[(&str, &str)]| {
        let case = cases.get(format!("OPTIONS, {name}"), "/i/accounts/x").method("OPTIONS");
        headers.iter().fold(case, |case, (name, value)| case.header(name, value))
    };
    options("a preflight", &[origin, method]).passes();
    let headers = ("Access-Control-Request-Headers", "authorization");
    options("a preflight that asks for headers", &[origin, method, headers]).passes();
    options("a preflight with a spoofed header", &[origin, method, ("x-jwt-sub", "mallory")])
        .passes();
    let bearer = format!("Bearer {good}");
    options("a preflight with a token", &[origin, method])
        .bearer(good)
        .upstream("open-route-token", &[("authorization", &[&bearer], &[])]);
    for (what, headers) in [
        ("two origins", &[origin, origin, method][..]),
        ("two methods", &[origin, method, method]),
        ("a list of methods", &[origin, ("Access-Control-Request-Method", "GET, PUT")]),
    ] {
        options(what, headers).claimgate_refuses("preflight-lookalike");
    }
    options("no Origin", &[method]).refused();
    options("an empty Origin", &[("Origin", ""), method]).refused();
    options("no requested method", &[origin]).refused();
    options("neither", &[]).refused();
    for method in ["GET", "options", "POST"] {
        cases
            .get(format!("{method} with a preflight's headers"), "/i/accounts/x")
            .method(method)
            .header(origin.0, origin.1)
            .header("Access-Control-Request-Method", "POST")
            .refused();
    }
}

/// A refusal is a gRPC status then.
fn grpc(cases: &Cases, good: &str, expired: &str) {
    let at = "/i/accounts/Service/Method";
    let call = |name: &str| {
        cases
            .get(format!("gRPC: {name}"), at)
            .method("POST")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
    };
    call("no token").refused();
    call("expired").bearer(expired).refused();
    call("good").bearer(good).passes();
}
