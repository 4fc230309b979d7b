//! What a rule asks for beyond one issuer's token: several, one of several, perhaps one, other audiences, a subject.

use serde_json::json;

use super::Cases;
use crate::case::Verdict;
use crate::tokens::Tokens;

pub(super) fn add(cases: &Cases, tokens: &Tokens) {
    any_of(cases, tokens);
    all_of(cases, tokens);
    optional(cases, tokens);
    whatever(cases, tokens);
    audiences(cases, tokens);
    subjects(cases, tokens);
}

fn any_of(cases: &Cases, tokens: &Tokens) {
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
    for (name, issuer, token) in [
        ("another issuer's token", "accounts", &partner),
        ("another issuer's token, the other way", "partner", &accounts),
    ] {
        cases.get(name, format!("/i/{issuer}")).bearer(token).statuses("other-issuer", 401, 403);
    }
}

/// A token of each of two issuers, in two headers.
fn all_of(cases: &Cases, tokens: &Tokens) {
    let accounts = tokens.token("accounts", &json!({}));
    let partner = tokens.token("partner", &json!({"aud": "invoices"}));
    let bob = tokens.token("partner", &json!({"aud": "invoices", "sub": "bob"}));
    let expired = tokens.token("partner", &json!({"aud": "invoices", "exp": 1}));
    let segment = |token: &str| token.split('.').nth(1).unwrap().to_owned();
    let both = |name: &str, second: &str| {
        cases
            .get(format!("all_of, {name}"), "/all-of")
            .bearer(&accounts)
            .header("x-partner", second)
    };
    let (first, second) = (segment(&accounts), segment(&partner));
    both("one person", &partner)
        .upstream("all-of-whose", &[("x-jwt-payload", &[&second], &[&first])]);
    both("two people", &bob).verdicts("two-people", Verdict::Passes, Verdict::Refused(403));
    both("the second expired", &expired).refused();
    both("the second is the first again", &accounts).statuses("other-issuer", 401, 403);
    cases.get("all_of, the first alone", "/all-of").bearer(&accounts).statuses(
        "all-of-status",
        401,
        403,
    );
    cases.get("all_of, the second alone", "/all-of").header("x-partner", &partner).statuses(
        "all-of-status",
        401,
        403,
    );
    cases.get("all_of, none", "/all-of").refused();
    cases
        .get("all_of, each in the other's place", "/all-of")
        .bearer(&partner)
        .header("x-partner", &accounts)
        .jwt_authn_refuses("all-of-places");
}

/// No token passes; a bad one does not.
fn optional(cases: &Cases, tokens: &Tokens) {
    let get = |name: &str| cases.get(format!("optional, {name}"), "/optional");
    get("no token").passes();
    get("no token, a spoofed header").header("x-jwt-sub", "mallory").passes();
    get("a good token").bearer(&tokens.token("accounts", &json!({}))).passes();
    get("expired").bearer(&tokens.token("accounts", &json!({"exp": 1}))).refused();
    get("garbage").bearer("x").refused();
    get("Basic").header("Authorization", "Basic dXNlcjpwYXNz").passes();
    get("the scheme alone").header("Authorization", "Bearer").claimgate_refuses("scheme-alone");
    get("an empty header").header("Authorization", "").passes();
    let other = tokens.token("partner", &json!({"aud": "invoices"}));
    get("another issuer's").bearer(&other).statuses("other-issuer", 401, 403);
    get("another audience's").bearer(&tokens.token("accounts", &json!({"aud": "x"}))).statuses(
        "audience-status",
        403,
        401,
    );
}

/// Nothing is refused; what is good is forwarded. claimgate's way to that is a rule in shadow mode.
fn whatever(cases: &Cases, tokens: &Tokens) {
    let get = |name: &str| cases.get(format!("whatever, {name}"), "/whatever");
    get("no token").passes();
    get("no token, a spoofed header").header("x-jwt-sub", "mallory").passes();
    get("a good token").bearer(&tokens.token("accounts", &json!({}))).passes();
    for (name, token) in [
        ("expired", tokens.token("accounts", &json!({"exp": 1}))),
        ("another issuer's", tokens.token("partner", &json!({"aud": "invoices"}))),
        ("another audience's", tokens.token("accounts", &json!({"aud": "x"}))),
        ("garbage", "x".to_owned()),
    ] {
        let bearer = format!("Bearer {token}");
        get(name)
            .bearer(&token)
            .header("x-jwt-sub", "mallory")
            .upstream("failed-token", &[("authorization", &[&bearer], &[])]);
    }
}

fn audiences(cases: &Cases, tokens: &Tokens) {
    let get = |aud: serde_json::Value| {
        let token = tokens.token("accounts", &json!({"aud": aud}));
        cases.get(format!("other audiences, aud: {aud}"), "/audiences").bearer(&token)
    };
    get(json!("admin")).passes();
    get(json!(["x", "ops"])).passes();
    for aud in [json!("orders"), json!(["orders", "x"]), json!([]), json!(null)] {
        get(aud).statuses("audience-status", 403, 401);
    }
    get(json!(1)).refused();
}

fn subjects(cases: &Cases, tokens: &Tokens) {
    let get = |rule: &str, sub: serde_json::Value| {
        let token = tokens.token("accounts", &json!({"sub": sub}));
        cases.get(format!("subject {rule}: {sub}"), format!("/subject/{rule}")).bearer(&token)
    };
    for (rule, does, does_not) in [
        ("exact", ["alice", "alice"], ["Alice", "alice2", "malice", "bob", ""]),
        ("prefix", ["alice", "al"], ["Alice", "malice", "a", "bob", ""]),
        ("suffix", ["alice", "ce"], ["alicE", "alice2", "e", "bob", ""]),
        ("regex", ["alice", "ae"], ["Alice", "malice", "alice2", "bob", ""]),
    ] {
        for sub in does {
            get(rule, json!(sub)).passes();
        }
        for sub in does_not {
            get(rule, json!(sub)).statuses("subject-status", 401, 403);
        }
        get(rule, json!(null)).statuses("subject-status", 401, 403);
    }
}
