//! What holds for every request, whatever its headers: no claim header passes that the decision did not set, what is set
//! and what is removed share no name and together are all that is ours, and the order of the headers decides nothing.

use std::sync::LazyLock;

use claimgate::check::{Authorizer, CheckRequest, Decision};
use claimgate::issuer::SigningKey;
use claimgate::keys::key::Algorithm;
use claimgate::util::clock::UnixTime;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use crate::report;
use crate::world::{NOW, WORLD, authorizer};

const CASES: u32 = 4000;

static AUTHORIZER: LazyLock<Authorizer> = LazyLock::new(|| {
    let keys: Vec<_> = WORLD.keys.iter().map(SigningKey::public_jwk).collect();
    let config = json!({
        "issuers": [{
            "name": "accounts", "issuer": "https://accounts.example.com", "audiences": ["orders"],
            "algorithms": ["EdDSA"], "keys": [{"jwks": {"keys": keys}}],
        }],
        "tokens": [{"header": "authorization"}, {"cookie": "jwt"}],
        "forward": {
            "headers": [{"claim": "sub", "header": "x-jwt-sub"}, {"claim": "roles", "header": "x-user-roles"}],
            "strip": ["x-jwt-*"],
        },
        "rules": [
            {"name": "open", "match": {"path": "/open"}, "allow": "anyone"},
            {"name": "optional", "match": {"path": "/optional"},
             "require": {"issuer": "accounts", "optional": true}},
            {"name": "shadow", "match": {"path": "/shadow"}, "mode": "shadow",
             "require": {"issuer": "accounts", "scopes": ["never"]}},
            {"name": "rest", "require": {"issuer": "accounts"}},
        ],
    });
    authorizer(&config, None)
});

fn decide(path: &str, headers: &[(String, String)]) -> Decision {
    let request = CheckRequest {
        method: "GET".into(),
        path: path.into(),
        headers: headers.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        ..CheckRequest::default()
    };
    AUTHORIZER.check(&request, UnixTime::from_secs(NOW).unwrap())
}

/// As the least strict upstream reads it.
fn fold(name: &str) -> String {
    let folded = name.to_lowercase();
    folded.chars().map(|c| if c.is_ascii_punctuation() { '-' } else { c }).collect()
}

fn is_ours(name: &str) -> bool {
    let folded = fold(name);
    folded.starts_with("x-jwt-") || folded == "x-user-roles"
}

fn headers() -> impl Strategy<Value = Vec<(String, String)>> {
    let good = WORLD.token(
        WORLD.keys.iter().find(|key| key.algorithm() == Algorithm::EdDsa).unwrap(),
        &json!({"roles": ["reader"]}),
    );
    let name = prop_oneof![
        "[xX][-_.][jJ][wW][tT][-_.][a-z]{0,4}",
        "[xX][-_.]user[-_.]roles",
        Just("x-jwt-sub".to_owned()),
        "x-[a-z]{1,6}",
        Just("accept".to_owned()),
        Just("connection".to_owned()),
    ];
    let own = (name, "[a-z, -]{0,12}").prop_map(|(name, value)| (name, value));
    let bearer = format!("Bearer {good}");
    let token = prop_oneof![
        Just(("authorization".to_owned(), bearer)),
        Just(("cookie".to_owned(), format!("a=1; jwt={good}"))),
        Just(("authorization".to_owned(), "Bearer a.b.c".to_owned())),
        Just(("cookie".to_owned(), "a=1".to_owned())),
    ];
    (vec(own, 0..8), vec(token, 0..2)).prop_map(|(mut all, tokens)| {
        all.extend(tokens);
        all
    })
}

fn path() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("/open"), Just("/optional"), Just("/shadow"), Just("/orders")]
}

fn run<S: Strategy>(name: &str, strategy: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    runner.run(&strategy, test).unwrap();
    report(name, CASES as usize);
}

#[test]
fn no_claim_header_passes_that_the_decision_did_not_set() {
    run("set and removed are all that is ours", (path(), headers()), |(path, headers)| {
        let Decision::Allow(allowance) = decide(path, &headers) else { return Ok(()) };
        let mutations = &allowance.mutations;
        let is_set = |name: &str| mutations.set().any(|(set, _)| set == name);
        for name in &mutations.remove {
            prop_assert!(!is_set(name), "{name} is set and removed");
        }
        for (name, _) in headers.iter().filter(|(name, _)| is_ours(name)) {
            let lower = name.to_ascii_lowercase();
            let is_gone = mutations.remove.iter().any(|removed| **removed == *lower);
            prop_assert!(is_gone || is_set(&lower), "{name} passes");
        }
        let proves = mutations.set().any(|(name, _)| is_ours(name));
        prop_assert_eq!(proves, allowance.token.is_some());
        Ok(())
    });
}

#[test]
fn the_order_of_the_headers_decides_nothing() {
    let shuffled = headers().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()));
    run("two orders decide alike", (path(), shuffled), |(path, (one, other))| {
        prop_assert_eq!(decide(path, &one), decide(path, &other));
        Ok(())
    });
}
