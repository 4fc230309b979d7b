//! The explanation of a decision is about that decision: the same outcome, and the last step that speaks against the
//! request has the reason of the denial. Every test of this module that decides asks [`agrees`]; a table of all
//! combinations of paths, headers, tokens and routes is tried besides.

use serde_json::json;

use super::policy::{ours, partners, policy};
use super::*;
use crate::check::steps::{Fact, Step};

/// Whether what explains `decision` leads to it.
pub(super) fn agrees(
    authorizer: &Authorizer,
    request: &CheckRequest<'_>,
    now: UnixTime,
    decision: &Decision,
) {
    let (explained, steps) = authorizer.explain(request, now);
    assert_eq!(explained, *decision);
    let mut reasons = steps.iter().filter_map(|step| step.reason);
    match decision {
        Decision::Deny(denial) => {
            assert_eq!(steps.last().and_then(|step| step.reason), Some(denial.reason), "{steps:?}");
        }
        Decision::Allow(allowance) => {
            let would_deny = allowance.would_deny.as_ref().map(|denial| denial.reason);
            assert_eq!(reasons.next(), would_deny, "{steps:?}");
        }
    }
}

/// A bit of everything that a rule may ask for.
fn everything() -> Authorizer {
    let locations = json!([
        {"header": "authorization", "prefix": "Bearer "}, {"cookie": "t"}, {"query": "t"},
    ]);
    let either = json!({"any_of": [
        {"issuer": "accounts", "claims": [{"claim": "tenant", "equals": "acme"}]},
        {"all_of": [
            {"issuer": "partner", "any_scope": ["read"]},
            {"issuer": "partner", "subjects": ["alice"]},
        ]},
    ]});
    let both = json!({"all_of": [{"issuer": "accounts"}, {"issuer": "partner"}]});
    policy(json!({
        "tokens": locations,
        "cors_preflight": "allow",
        "rules": [
            {"name": "open", "match": {"path_prefix": "/open"}, "allow": "anyone"},
            {"name": "optional", "match": {"path": "/optional"},
             "require": {"issuer": "accounts", "optional": true}},
            {"name": "shadow", "match": {"path_prefix": "/shadow"}, "mode": "shadow",
             "require": {"issuer": "accounts", "scopes": ["write"]}},
            {"name": "scoped", "match": {"path": "/scoped"},
             "require": {"issuer": "accounts", "scopes": ["write"]}},
            {"name": "both", "match": {"path_prefix": "/both"}, "all_tokens": "verify", "require": both},
            {"name": "either", "match": {"path_prefix": "/either", "methods": ["GET"]},
             "all_tokens": "verify", "require": either},
            {"name": "named", "by_name_only": true, "require": {"issuer": "partner"}},
            {"name": "rest", "match": {"path_prefix": "/rest"},
             "require": {"issuer": "accounts", "audiences": ["admin"]}},
        ],
    }))
}

fn tokens() -> Vec<String> {
    let good = ours(json!({}));
    vec![
        ours(json!({"aud": ["orders", "admin"], "tenant": "acme", "scope": "write"})),
        ours(json!({"exp": 1})),
        ours(json!({"nbf": NOW + 1000})),
        ours(json!({"iss": "https://evil.example"})),
        ours(json!({"iss": 7})),
        ours(json!({"sub": 7})),
        ours(json!({"sub": "a\r\nb"})),
        partners(json!({"scope": "read"})),
        partners(json!({"sub": "bob", "scp": ["read"]})),
        partners(json!({"aud": "others"})),
        crate::issuer::forgery::with_wrong_signature(&good),
        crate::issuer::forgery::unsigned("a", &claims(&json!({}))).unwrap(),
        mint(&SigningKey::generate(Algorithm::EdDsa).unwrap(), &claims(&json!({}))).unwrap(),
        "a".repeat(20_000),
        "a.b.c".to_owned(),
        String::new(),
        good,
    ]
}

#[test]
fn every_explanation_in_a_table_of_all_combinations_leads_to_the_decision() {
    let authorizer = everything();
    let paths = [
        "/open",
        "/open/../rest",
        "/optional",
        "/optional//",
        "/scoped",
        "/shadow",
        "/shadow/../rest",
        "/both",
        "/either/x",
        "/either/%2e%2e/both",
        "/rest",
        "/rest/%41",
        "/rest%00",
        "/none",
        "",
        "*",
    ];
    let (tokens, mut reasons) = (tokens(), std::collections::BTreeMap::new());
    let mut headers = vec![vec![]];
    for token in &tokens {
        let bearer = ("authorization".to_owned(), format!("Bearer {token}"));
        headers.push(vec![bearer.clone()]);
        headers.push(vec![bearer.clone(), ("x_jwt_sub".to_owned(), "mallory".to_owned())]);
        headers.push(vec![bearer.clone(), ("connection".to_owned(), "x-jwt-sub".to_owned())]);
        headers.push(vec![bearer.clone(), bearer.clone()]);
        headers.extend(
            tokens
                .iter()
                .map(|other| vec![bearer.clone(), ("cookie".to_owned(), format!("t={other}"))]),
        );
    }
    let route = |name: &str| vec![("claimgate.rule".to_owned(), name.to_owned())];
    let contexts = [vec![], route("named"), route("nobody"), route("open")];
    let mut cases = 0;
    let mut decide = |path: &str, host: &str, headers: &[(String, String)], context: &[_]| {
        let (method, host, path) = ("GET".into(), host.into(), path.into());
        let pairs = |pairs: &[(String, String)]| {
            pairs.iter().map(|(name, value)| (name.clone().into(), value.clone().into())).collect()
        };
        let (headers, context) = (pairs(headers), pairs(context));
        let request = CheckRequest { method, host, path, headers, context };
        *reasons.entry(reason(&authorizer, &request)).or_insert(0) += 1;
        cases += 1;
    };
    for path in paths {
        decide(path, "a,b", &[], &[]);
        for headers in &headers {
            for context in &contexts {
                decide(path, "api.example.com", headers, context);
            }
        }
    }
    // All that this policy can lead to is in the table.
    let expected = [
        "alg_not_allowed",
        "allowed",
        "audience_mismatch",
        "bad_signature",
        "claim_mismatch",
        "expired",
        "insufficient_scope",
        "malformed",
        "missing_token",
        "multiple_tokens",
        "no_rule",
        "not_yet_valid",
        "too_large",
        "unknown_issuer",
        "unknown_kid",
    ];
    let found: Vec<&str> = reasons.keys().copied().collect();
    assert_eq!(found, expected, "of {cases} cases: {reasons:?}");
}

#[test]
fn preflights_and_tokens_in_the_query_are_explained() {
    let authorizer = everything();
    let preflight = CheckRequest {
        method: "OPTIONS".into(),
        ..request(
            "/rest",
            &[("origin", "https://x.example"), ("access-control-request-method", "PUT")],
        )
    };
    assert_eq!(reason(&authorizer, &preflight), "allowed");
    let query = request(&format!("/rest?t={}", ours(json!({"aud": "admin"}))), &[]);
    assert_eq!(reason(&authorizer, &query), "allowed");
}

#[test]
fn a_requirement_is_shown_whole_although_its_first_way_would_do() {
    let authorizer = everything();
    let steps = |token: String| {
        let request = request("/either", &[("authorization", &format!("Bearer {token}"))]);
        authorizer.explain(&request, UnixTime::from_secs(NOW).unwrap()).1
    };
    let parts = |steps: &[Step]| {
        let node = steps.iter().find_map(|step| {
            let Fact::Requirement(node) = &step.looked_at else { return None };
            Some(node.clone())
        });
        node.unwrap().parts
    };
    let good = parts(&steps(ours(json!({"tenant": "acme"}))));
    assert_eq!(good.len(), 2);
    assert_eq!(good[0].reason, None);
    assert_eq!(good[0].parts.len(), 3);
    assert_eq!(good[1].reason, Some(DenialReason::ClaimMismatch));
    let bob = parts(&steps(partners(json!({"sub": "bob"}))));
    // The scope and the subject are both wrong, and both are told.
    let lacks: Vec<bool> = bob[1].parts.iter().map(|part| part.reason.is_some()).collect();
    assert_eq!(lacks, [true, true]);
}

#[test]
fn no_step_holds_a_token() {
    let authorizer = everything();
    for token in tokens().iter().filter(|token| token.len() > 100) {
        let bearer = format!("Bearer {token}");
        let request = request(&format!("/rest?t={token}"), &[("authorization", &bearer)]);
        let (_, steps) = authorizer.explain(&request, UnixTime::from_secs(NOW).unwrap());
        let shown = format!("{steps:?}");
        for segment in token.split('.').filter(|segment| segment.len() > 16) {
            assert!(!shown.contains(segment), "{shown}");
        }
    }
}
