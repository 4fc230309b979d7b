//! Which requirement applies, whose token it takes, and requests that need none.

use serde_json::json;

use super::Cases;
use crate::case::Verdict;
use crate::tokens::Tokens;

pub(super) fn add(cases: &Cases, tokens: &Tokens) {
    let accounts = tokens.token("accounts", &json!({}));
    let partner = tokens.token("partner", &json!({"aud": "invoices"}));
    let expired = tokens.token("accounts", &json!({"exp": 1}));

    cases.get("any_of, the first", "/any-of").bearer(&accounts).passes();
    cases.get("any_of, the second", "/any-of/x").bearer(&partner).passes();
    cases.get("any_of, no token", "/any-of").refused();
    cases.get("any_of, expired", "/any-of").bearer(&expired).refused();
    let other = tokens.token("no-audience", &json!({}));
    cases.get("any_of, an issuer that is none of them", "/any-of").bearer(&other).statuses(
        "other-issuer",
        401,
        403,
    );
    let wrong = tokens.token("partner", &json!({"aud": "orders"}));
    cases.get("any_of, the other's audience", "/any-of").bearer(&wrong).statuses(
        "audience-status",
        403,
        401,
    );
    cases.get("another issuer's token", "/i/accounts").bearer(&partner).statuses(
        "other-issuer",
        401,
        403,
    );
    cases.get("another issuer's token, the other way", "/i/partner").bearer(&accounts).statuses(
        "other-issuer",
        401,
        403,
    );

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
        cases.get(format!("open: {target}"), target).verdicts(
            "open-route-escape",
            Verdict::Passes,
            Verdict::Refused(403),
        );
        cases
            .get(format!("closed: {target}"), target.replace("open", "i/accounts"))
            .bearer(good)
            .passes();
    }
}

fn preflights(cases: &Cases, good: &str) {
    let at = "/i/accounts/x";
    cases
        .get("a CORS preflight", at)
        .method("OPTIONS")
        .header("Origin", "https://app.example.com")
        .header("Access-Control-Request-Method", "POST")
        .claimgate_refuses("preflight");
    cases
        .get("a CORS preflight with a token", at)
        .method("OPTIONS")
        .header("Origin", "https://app.example.com")
        .header("Access-Control-Request-Method", "POST")
        .bearer(good)
        .upstream(
            "preflight",
            &[
                ("authorization", &[&format!("Bearer {good}")], &[]),
                ("x-jwt-payload", &[], &[good.split('.').nth(1).unwrap()]),
                ("x-jwt-sub", &[], &["alice"]),
            ],
        );
    cases
        .get("OPTIONS, no Origin", at)
        .method("OPTIONS")
        .header("Access-Control-Request-Method", "POST")
        .refused();
    cases
        .get("OPTIONS, no requested method", at)
        .method("OPTIONS")
        .header("Origin", "https://app.example.com")
        .refused();
    cases
        .get("a preflight's headers on a GET", at)
        .header("Origin", "https://app.example.com")
        .header("Access-Control-Request-Method", "POST")
        .refused();
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
