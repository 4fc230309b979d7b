//! Key sets that are not all they should be, and `kid`s that name nothing in them.

use claimgate::keys::key::Algorithm;
use serde_json::json;

use super::Cases;
use crate::tokens::Tokens;
use crate::worlds::{RSA_1024_TOKEN, RSA_E3_TOKEN};

pub(super) fn add(cases: &Cases, tokens: &Tokens) {
    let eddsa = tokens.key(Algorithm::EdDsa);
    let none = json!({});
    for (what, kid) in [
        ("unknown", json!("unknown")),
        ("in other case", json!("eddsa")),
        ("with a space", json!("EdDSA ")),
        ("of a key of another algorithm", json!("ES256")),
        ("a number", json!(1)),
        ("an array", json!(["EdDSA"])),
        ("an object", json!({})),
        ("a boolean", json!(true)),
        ("a path", json!("../../../../dev/null")),
        ("a query", json!("' OR '1'='1")),
    ] {
        let token = tokens.signed("accounts", eddsa, &json!({"kid": kid}), &none);
        cases.token(format!("kid {what}"), "accounts", &token).refused();
    }
    let token = tokens.raw(
        "accounts",
        r#"{"alg":"EdDSA","kid":null}"#,
        r#"{"iss":"{iss}","aud":"orders","exp":{exp}}"#,
    );
    cases.token("kid null", "accounts", &token).refused();
    let token = tokens.signed("accounts", eddsa, &json!({"kid": ""}), &none);
    cases.token("kid empty", "accounts", &token).claimgate_refuses("empty-kid");
    let long = json!({"kid": "k".repeat(5000)});
    let token = tokens.signed("accounts", eddsa, &long, &none);
    cases.token("kid of 5,000 letters", "accounts", &token).refused();

    for issuer in ["use-enc", "key-ops", "padded-key"] {
        let token = tokens.token(issuer, &none);
        cases.token(format!("a key: {issuer}"), issuer, &token).claimgate_refuses("unfit-key");
    }
    let token = tokens.token("key-ops-verify", &none);
    cases.token("a key: key_ops verify", "key-ops-verify", &token).passes();
    cases.token("a key: RSA, 1024 bits", "rsa-1024", RSA_1024_TOKEN).claimgate_refuses("weak-rsa");
    cases.token("a key: RSA, e = 3", "rsa-e3", RSA_E3_TOKEN).claimgate_refuses("weak-rsa");

    let token = tokens.token("no-kid", &none);
    cases
        .token("a key without kid, a token with one", "no-kid", &token)
        .claimgate_refuses("key-without-kid");
    let no_kid = json!({"kid": null});
    let token = tokens.signed("no-kid", eddsa, &no_kid, &none);
    cases.token("a key without kid, a token without", "no-kid", &token).passes();
    let token = tokens.signed("one-key", eddsa, &no_kid, &none);
    cases.token("one key, a token without kid", "one-key", &token).passes();
    for key in [eddsa, &tokens.second] {
        let token = tokens.signed("two-keys", key, &none, &none);
        cases.token(format!("two keys, kid {}", key.kid()), "two-keys", &token).passes();
        let token = tokens.signed("two-keys", key, &no_kid, &none);
        cases
            .token(format!("two keys, signed by {}, no kid", key.kid()), "two-keys", &token)
            .claimgate_refuses("which-key");
        let token = tokens.signed("same-kid", key, &json!({"kid": "EdDSA"}), &none);
        cases
            .token(format!("two keys of one kid, signed by {}", key.kid()), "same-kid", &token)
            .claimgate_refuses("which-key");
    }
    let token = tokens.signed("two-keys", &tokens.stranger, &no_kid, &none);
    cases.token("two keys, signed by neither, no kid", "two-keys", &token).refused();
}
