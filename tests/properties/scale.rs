//! What a check costs does not grow with what there is: as many allocations with one rule, one issuer and one key as with
//! hundreds of each, and a token that comes again takes as many among a thousand as alone.

use allocation_counter::measure;
use claimgate::check::{Authorizer, CheckRequest, Decision, VerifiedTokenCache};
use claimgate::issuer::SigningKey;
use claimgate::keys::key::Algorithm;
use claimgate::util::clock::UnixTime;
use serde_json::{Value, json};

use crate::report;
use crate::world::{self, NOW, WORLD};

/// So many rules, issuers and keys of the one that counts.
fn authorizer(count: usize, remembers: bool) -> Authorizer {
    let own: Vec<Value> = WORLD.keys.iter().map(SigningKey::public_jwk).collect();
    let others = (1..count).map(|n| {
        let mut other = own[0].clone();
        other["kid"] = json!(format!("other-{n}"));
        other
    });
    let keys: Vec<Value> = own.iter().cloned().chain(others).collect();
    let issuer = |n: usize| {
        let (name, keys) =
            if n == 0 { ("accounts".to_owned(), &keys) } else { (format!("issuer-{n}"), &own) };
        json!({
            "name": name, "issuer": format!("https://{name}.example.com"),
            "audiences": ["orders"], "algorithms": ["EdDSA"], "keys": [{"jwks": {"keys": keys}}],
        })
    };
    let rule = |n: usize| {
        json!({"name": format!("rule-{n}"), "match": {"path_prefix": format!("/service-{n}")},
               "require": {"issuer": "accounts"}})
    };
    let config = json!({
        "issuers": (0..count).map(issuer).collect::<Vec<_>>(),
        "forward": {"headers": [{"claim": "sub", "header": "x-jwt-sub"}], "strip": ["x-jwt-*"]},
        "rules": (0..count).map(rule).collect::<Vec<_>>(),
    });
    world::authorizer(&config, remembers.then(|| VerifiedTokenCache::new(64 << 20)))
}

fn bearer(over: &Value) -> String {
    let key = WORLD.keys.iter().find(|key| key.algorithm() == Algorithm::EdDsa).unwrap();
    format!("Bearer {}", WORLD.token(key, over))
}

fn allocations(authorizer: &Authorizer, bearer: &str) -> u64 {
    let request = CheckRequest {
        method: "GET".into(),
        path: "/service-0/orders/4711".into(),
        headers: vec![("authorization".into(), bearer.into()), ("accept".into(), "*/*".into())],
        ..CheckRequest::default()
    };
    let now = UnixTime::from_secs(NOW).unwrap();
    let mut decision = None;
    let info = measure(|| decision = Some(authorizer.check(&request, now)));
    assert!(matches!(decision, Some(Decision::Allow(_))), "{decision:?}");
    info.count_total
}

#[test]
fn a_check_allocates_as_often_with_hundreds_of_rules_issuers_and_keys_as_with_one() {
    let token = bearer(&json!({}));
    let of = |count: usize| {
        let (remembers, verifies) = (authorizer(count, true), authorizer(count, false));
        allocations(&remembers, &token);
        let known = allocations(&remembers, &token);
        for n in 0..1000 {
            allocations(&remembers, &bearer(&json!({"jti": format!("{n}")})));
        }
        assert_eq!(allocations(&remembers, &token), known, "among a thousand tokens");
        [known, allocations(&verifies, &token)]
    };
    let one = of(1);
    for count in [20, 200] {
        assert_eq!(of(count), one, "with {count} rules, issuers and keys");
    }
    report(&format!("allocations of a check ({} remembered, {} verified)", one[0], one[1]), 3000);
}
