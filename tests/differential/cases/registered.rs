//! `iss`, `aud`, `sub` and `jti`: right, wrong, missing, and of every type.

use serde_json::{Value, json};

use super::Cases;
use crate::tokens::Tokens;

pub(super) fn add(cases: &Cases, tokens: &Tokens) {
    issuers(cases, tokens);
    audiences(cases, tokens);
    for claim in ["sub", "jti"] {
        for value in [json!(1), json!(true), json!([]), json!(["alice"]), json!({"id": "alice"})] {
            let token = tokens.token("accounts", &json!({claim: value}));
            cases.token(format!("{claim}: {value}"), "accounts", &token).refused();
        }
        for value in [Value::Null, json!(""), json!("a b"), json!("0")] {
            let token = tokens.token("accounts", &json!({claim: value}));
            cases.token(format!("{claim}: {value}"), "accounts", &token).passes();
        }
        let payload = format!(r#"{{"iss":"{{iss}}","aud":"orders","exp":{{exp}},"{claim}":null}}"#);
        let token = tokens.raw("accounts", r#"{"alg":"EdDSA","kid":"EdDSA"}"#, &payload);
        cases.token(format!("{claim} is null"), "accounts", &token).refused();
    }
}

fn issuers(cases: &Cases, tokens: &Tokens) {
    for iss in [
        Value::Null,
        json!(""),
        json!("https://accounts.example.com/"),
        json!("https://ACCOUNTS.example.com"),
        json!("http://accounts.example.com"),
        json!("https://accounts.example.com "),
        json!("https://accounts.example.com\u{0}"),
        json!("accounts.example.com"),
        json!("https://evil.example.com"),
        json!(1),
        json!(true),
        json!(["https://accounts.example.com"]),
        json!({"iss": "https://accounts.example.com"}),
    ] {
        let token = tokens.token("accounts", &json!({"iss": iss}));
        cases.token(format!("iss: {iss}"), "accounts", &token).refused();
    }
}

fn audiences(cases: &Cases, tokens: &Tokens) {
    let passes = |issuer: &str, aud: Value| {
        let token = tokens.token(issuer, &json!({"aud": aud}));
        cases.token(format!("{issuer}, aud: {aud}"), issuer, &token).passes();
    };
    passes("accounts", json!("orders"));
    passes("accounts", json!(["orders"]));
    passes("accounts", json!(["other", "orders"]));
    passes("accounts", json!(["orders", "orders"]));
    passes("accounts", json!(["", "orders"]));
    passes("partner", json!("invoices"));
    passes("partner", json!("https://api.example.com/"));
    for aud in [json!("x"), json!([]), Value::Null, json!(["x", "y"])] {
        passes("no-audience", aud);
    }
    for aud in [
        json!("other"),
        json!(""),
        json!("ORDERS"),
        json!("orders "),
        json!("order"),
        json!("orders,other"),
        json!([]),
        json!(["other"]),
        json!([""]),
    ] {
        let token = tokens.token("accounts", &json!({"aud": aud}));
        cases.token(format!("accounts, aud: {aud}"), "accounts", &token).statuses(
            "audience-status",
            403,
            401,
        );
    }
    let token = tokens.token("accounts", &json!({"aud": null}));
    cases.token("accounts, no aud", "accounts", &token).statuses("audience-status", 403, 401);
    for aud in [json!(1), json!(true), json!({"orders": 1}), json!([1]), json!(["orders", 1])] {
        let token = tokens.token("accounts", &json!({"aud": aud}));
        cases.token(format!("accounts, aud: {aud}"), "accounts", &token).refused();
    }
    for (issuer, aud) in [
        ("accounts", "https://orders"),
        ("accounts", "http://orders/"),
        ("accounts", "orders/"),
        ("partner", "https://api.example.com"),
        ("partner", "http://api.example.com/"),
        ("partner", "api.example.com"),
    ] {
        let token = tokens.token(issuer, &json!({"aud": aud}));
        cases
            .token(format!("{issuer}, aud: {aud}"), issuer, &token)
            .claimgate_refuses("audience-normalised");
    }
    let token = tokens.token("no-audience", &json!({"aud": 1}));
    cases.token("no-audience, aud: 1", "no-audience", &token).refused();
}
