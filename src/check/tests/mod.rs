//! The whole decision on real tokens: which requests pass, and which headers an upstream gets to see.

mod explained;
mod policy;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::{Value, json};

use super::forward::{
    ClaimFormat, Forward, ForwardSettings, ForwardedClaim, ForwardedHeader, ForwardedValue,
    HeaderMutations, PayloadHeader, StripPattern, TargetHeader, TooLong,
};
use super::locations::TokenLocations;
use super::requirement::{Requirement, TokenRequirement};
use super::rules::{
    PathMatch, Rule, RuleAction, RuleMatch, RuleMode, RuleSet, SeveralTokens, TokenRule,
};
use super::*;
use crate::issuer::SigningKey;
use crate::issuer::mint::mint;
use crate::keys::jwks::Jwks;
use crate::keys::key::Algorithm;
use crate::keys::key::AlgorithmSet;
use crate::keys::store::{KeyStore, SourceId, SourceKeys};
use crate::token::{Audiences, Issuer, IssuerName, RequiredClaims, Verifier};
use crate::util::clock::UnixTime;
use crate::util::label::Label;

const NOW: i64 = 1_800_000_000;

static ACCOUNTS: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::Rs256).unwrap().with_kid("a"));
static PARTNER: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::Es256).unwrap().with_kid("p"));

struct Settings {
    keep_token: bool,
    payload: bool,
    max_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { keep_token: false, payload: false, max_bytes: 8192 }
    }
}

/// `/healthz` and `/public` are open, `/partner` needs the partner, the rest either issuer.
fn authorizer(settings: &Settings) -> Authorizer {
    let issuers = [("accounts", &*ACCOUNTS), ("partner", &*PARTNER)];
    let keys = KeyStore::new(&[1, 1]);
    let mut trusted = Vec::new();
    for (index, (name, key)) in issuers.into_iter().enumerate() {
        let label = Label::new(index, name);
        let document = json!({ "keys": [key.public_jwk()] }).to_string();
        let jwks = Jwks::parse(document.as_bytes(), AlgorithmSet::ALL, 8).unwrap();
        let id = SourceId { issuer: label.clone(), source: Label::new(0, "0") };
        keys.publish(&id, SourceKeys::new(jwks, None));
        trusted.push(Issuer {
            label,
            issuer: IssuerName::Exact(format!("https://{name}.example.com")),
            audiences: Audiences::AnyOf(vec!["orders".to_owned()]),
            audience_claim: None,
            algorithms: AlgorithmSet::ALL,
            danger_accept_hs256: false,
            clock_skew: Duration::from_secs(30),
            require: RequiredClaims::default(),
        });
    }
    let [accounts, partner] = [0, 1].map(|n| {
        let issuer = Some(trusted[n].label.clone());
        Requirement::Token(TokenRequirement { issuer, ..TokenRequirement::default() })
    });
    let require = |any_of| {
        let requirement = Requirement::AnyOf(any_of);
        RuleAction::Require(TokenRule {
            requirement,
            optional: false,
            several: SeveralTokens::Refuse,
            checks_revocation: true,
        })
    };
    let rule = |index, name: &str, path, action| Rule {
        label: Label::new(index, name),
        matches: RuleMatch { path, ..RuleMatch::default() },
        by_name_only: false,
        action,
        tokens: Arc::new(TokenLocations::default()),
        keep_token: settings.keep_token,
        mode: RuleMode::Enforce,
    };
    let rules = RuleSet::new(vec![
        rule(0, "health", PathMatch::Exact("/healthz".to_owned()), RuleAction::AllowAnyone),
        rule(1, "public", PathMatch::Prefix("/public".to_owned()), RuleAction::AllowAnyone),
        rule(
            2,
            "partner",
            PathMatch::Prefix("/partner".to_owned()),
            require(vec![partner.clone()]),
        ),
        rule(3, "rest", PathMatch::Prefix(String::new()), require(vec![accounts, partner])),
    ]);
    let payload = settings.payload.then(|| TargetHeader::parse("x-jwt-payload").unwrap());
    let forward = Forward::new(ForwardSettings {
        headers: vec![
            claim(&["sub"], "x-jwt-sub", ","),
            claim(&["realm_access", "roles"], "x-jwt-roles", ","),
            claim(&["https://example.com/tenant"], "x-jwt-tenant", ","),
            claim(&["email"], "x-user-email", ","),
        ],
        payload: payload.map(|header| PayloadHeader { header, padded: false }),
        strip: ["x-jwt-*", "x-internal"].map(|one| StripPattern::parse(one).unwrap()).into(),
        max_bytes: settings.max_bytes,
        ..ForwardSettings::default()
    });
    let verifier = Verifier::new(trusted, 16 * 1024);
    let (tokens, keys) = (TokenLocations::default(), Arc::new(keys));
    let allows_preflight = false;
    let (cache, revocations) = (None, None);
    Authorizer::new(PolicySnapshot {
        rules,
        tokens,
        verifier,
        keys,
        revocations,
        cache,
        forward,
        allows_preflight,
    })
}

fn claim(path: &[&str], header: &str, join: &str) -> ForwardedHeader {
    let claim = ForwardedClaim {
        claim: path.iter().map(|step| (*step).to_owned()).collect(),
        format: ClaimFormat::Join(join.to_owned()),
        required: false,
        max_bytes: None,
        too_long: TooLong::Deny,
    };
    let header = TargetHeader::parse(header).unwrap();
    ForwardedHeader { header, value: ForwardedValue::Claim(claim) }
}

fn claims(over: &Value) -> Value {
    let mut claims = json!({
        "iss": "https://accounts.example.com", "aud": "orders", "sub": "alice", "exp": NOW + 300,
        "realm_access": {"roles": ["admin", "user"]},
    });
    for (name, value) in over.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn bearer(over: &Value) -> String {
    format!("Bearer {}", mint(&ACCOUNTS, &claims(over)).unwrap())
}

fn partner_bearer() -> String {
    let over = json!({"iss": "https://partner.example.com"});
    format!("Bearer {}", mint(&PARTNER, &claims(&over)).unwrap())
}

fn request(path: &str, headers: &[(&str, &str)]) -> CheckRequest<'static> {
    CheckRequest {
        method: "GET".into(),
        host: "api.example.com".into(),
        path: path.to_owned().into(),
        headers: headers
            .iter()
            .map(|(n, v)| ((*n).to_owned().into(), (*v).to_owned().into()))
            .collect(),
        context: Vec::new(),
    }
}

/// Every decision that is tested is explained as well.
fn decide(authorizer: &Authorizer, request: &CheckRequest<'_>) -> Decision {
    let now = UnixTime::from_secs(NOW).unwrap();
    let decision = authorizer.check(request, now);
    explained::agrees(authorizer, request, now, &decision);
    decision
}

fn allowed(authorizer: &Authorizer, request: &CheckRequest<'_>) -> HeaderMutations {
    match decide(authorizer, request) {
        Decision::Allow(allowance) => allowance.mutations,
        Decision::Deny(denial) => panic!("denied: {denial:?}"),
    }
}

fn reason(authorizer: &Authorizer, request: &CheckRequest<'_>) -> &'static str {
    match decide(authorizer, request) {
        Decision::Allow(_) => "allowed",
        Decision::Deny(denial) => denial.reason.as_str(),
    }
}

/// What an upstream sees once Envoy has applied the answer: set (all copies), then remove.
fn upstream_sees(request: &CheckRequest<'_>, mutations: &HeaderMutations) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> =
        request.headers.iter().map(|(n, v)| (n.to_lowercase(), v.to_string())).collect();
    for (name, value) in mutations.set() {
        headers.retain(|(header, _)| header != name);
        headers.push((name.to_owned(), value.to_owned()));
    }
    headers.retain(|(header, _)| !mutations.remove.iter().any(|n| n.eq_ignore_ascii_case(header)));
    headers.sort();
    headers
}

const SPOOFED: [(&str, &str); 12] = [
    ("X-JWT-Sub", "mallory"),
    ("x-jwt-sub", "mallory2"),
    ("x_jwt_sub", "mallory"),
    ("x.jwt.sub", "mallory"),
    ("X-Jwt_Sub", "mallory"),
    ("x-jwt-roles", "root"),
    ("x_jwt_roles", "root"),
    ("x-jwt-unknown", "mallory"),
    ("X_JWT_", "mallory"),
    ("x_user.email", "mallory@example.com"),
    ("X-Internal", "yes"),
    ("x_internal", "yes"),
];

#[test]
fn a_good_token_passes_and_its_claims_are_set() {
    let authorizer = authorizer(&Settings::default());
    let token = bearer(&json!({"https://example.com/tenant": 7}));
    let request = request("/orders", &[("authorization", &token), ("accept", "*/*")]);
    let Decision::Allow(allowance) = decide(&authorizer, &request) else { panic!() };
    assert_eq!(allowance.rule.unwrap().name(), "rest");
    assert_eq!(allowance.token.unwrap().issuer().name(), "accounts");
    let expected = [
        ("accept", "*/*"),
        ("x-jwt-roles", "admin,user"),
        ("x-jwt-sub", "alice"),
        ("x-jwt-tenant", "7"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(upstream_sees(&request, &allowance.mutations), expected);
}

#[test]
fn promise_6_an_upstream_sees_no_claim_header_but_ours() {
    let authorizer = authorizer(&Settings::default());
    let token = bearer(&json!({}));
    let mut headers = SPOOFED.to_vec();
    headers.push(("authorization", &token));
    let request = request("/orders", &headers);
    let mutations = allowed(&authorizer, &request);
    let expected = [("x-jwt-roles", "admin,user"), ("x-jwt-sub", "alice")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(upstream_sees(&request, &mutations), expected);
}

#[test]
fn promise_6_holds_where_anyone_may_pass() {
    let authorizer = authorizer(&Settings::default());
    for path in ["/healthz", "/public/x"] {
        let mut headers = SPOOFED.to_vec();
        headers.push(("accept", "*/*"));
        let request = request(path, &headers);
        let mutations = allowed(&authorizer, &request);
        assert_eq!(mutations.set().count(), 0);
        let seen = upstream_sees(&request, &mutations);
        assert_eq!(seen, [("accept".to_owned(), "*/*".to_owned())], "{path}");
    }
}

#[test]
fn promise_6_holds_for_headers_that_envoy_did_not_show() {
    // With `allowed_headers`, Envoy hides the client's headers from the check.
    let authorizer = authorizer(&Settings::default());
    let mutations = allowed(&authorizer, &request("/healthz", &[]));
    let ours = ["x-jwt-roles", "x-jwt-sub", "x-jwt-tenant", "x-user-email"];
    assert_eq!(mutations.remove, ours.map(Arc::from));
}

#[test]
fn what_is_set_and_what_is_removed_share_no_name() {
    let authorizer = authorizer(&Settings { payload: true, ..Settings::default() });
    let token = bearer(&json!({"email": "a@example.com"}));
    let mut headers = SPOOFED.to_vec();
    headers.push(("authorization", &token));
    let mutations = allowed(&authorizer, &request("/orders", &headers));
    assert_eq!(mutations.set().count(), 4);
    for (name, _) in mutations.set() {
        assert!(!mutations.remove.iter().any(|removed| **removed == *name), "{name}");
    }
}

#[test]
fn names_that_only_fold_to_ours_beyond_ascii_are_refused() {
    let authorizer = authorizer(&Settings::default());
    // U+017F, the long s, is an S to whoever compares upper case.
    assert_eq!(reason(&authorizer, &request("/healthz", &[("x-jwt-\u{17f}ub", "m")])), "malformed");
    assert_eq!(reason(&authorizer, &request("/healthz", &[("x jwt sub", "m")])), "malformed");
}

#[test]
fn a_connection_header_must_not_name_ours() {
    let authorizer = authorizer(&Settings::default());
    for value in ["x-jwt-sub", "close, X_JWT_Sub", "upgrade,x-jwt-anything"] {
        let request = request("/healthz", &[("Connection", value)]);
        assert_eq!(reason(&authorizer, &request), "malformed", "{value}");
    }
    let request = request("/healthz", &[("connection", "Upgrade, keep-alive")]);
    assert_eq!(reason(&authorizer, &request), "allowed");
}

#[test]
fn the_token_stays_behind_unless_it_is_to_be_kept() {
    let token = bearer(&json!({}));
    for (keep_token, kept) in [(false, 0), (true, 1)] {
        let authorizer = authorizer(&Settings { keep_token, ..Settings::default() });
        for path in ["/orders", "/public"] {
            let request = request(path, &[("Authorization", &token)]);
            let seen = upstream_sees(&request, &allowed(&authorizer, &request));
            let tokens = seen.iter().filter(|(name, _)| name == "authorization").count();
            assert_eq!(tokens, kept, "{path} {keep_token}");
        }
        let request = request("/public", &[("authorization", "Basic dXNlcjpwYXNz")]);
        assert_eq!(upstream_sees(&request, &allowed(&authorizer, &request)).len(), 1);
    }
}

#[test]
fn the_payload_is_forwarded_as_it_was_signed() {
    let authorizer = authorizer(&Settings { payload: true, ..Settings::default() });
    let token = bearer(&json!({}));
    let mutations = allowed(&authorizer, &request("/orders", &[("authorization", &token)]));
    let payload = token.split('.').nth(1).unwrap();
    assert!(mutations.set().any(|set| set == ("x-jwt-payload", payload)));
}

#[test]
fn claims_that_no_header_can_carry_deny_the_request() {
    let authorizer = authorizer(&Settings { max_bytes: 200, ..Settings::default() });
    for (over, expected) in [
        (json!({"sub": "a\r\nx-admin: 1"}), "malformed"),
        (json!({"sub": "a\u{0}"}), "malformed"),
        (json!({"realm_access": {"roles": ["a,b"]}}), "malformed"),
        (json!({"email": "x".repeat(300)}), "header_too_large"),
        (json!({"realm_access": {"roles": vec!["role"; 100]}}), "header_too_large"),
        (json!({"email": "x".repeat(100)}), "allowed"),
        (json!({"realm_access": "none"}), "allowed"),
        (json!({"realm_access": null}), "allowed"),
    ] {
        let token = bearer(&over);
        let request = request("/orders", &[("authorization", &token)]);
        assert_eq!(reason(&authorizer, &request), expected, "{over}");
    }
}

#[test]
fn a_rule_accepts_the_issuers_that_it_names_and_no_other() {
    let authorizer = authorizer(&Settings::default());
    let (ours, partners) = (bearer(&json!({})), partner_bearer());
    for (path, token, expected) in [
        ("/orders", &ours, "allowed"),
        ("/orders", &partners, "allowed"),
        ("/partner/x", &partners, "allowed"),
        ("/partner/x", &ours, "claim_mismatch"),
        ("//partner", &ours, "claim_mismatch"),
        ("/x/%2e%2e/partner", &ours, "claim_mismatch"),
        ("/x/../partner", &partners, "allowed"),
        ("/public/../partner", &ours, "claim_mismatch"),
    ] {
        let request = request(path, &[("authorization", token)]);
        assert_eq!(reason(&authorizer, &request), expected, "{path}");
    }
}

#[test]
fn promise_1_nothing_unverified_passes() {
    let authorizer = authorizer(&Settings::default());
    let good = bearer(&json!({}));
    let two = format!("{good},{good}");
    for (path, headers, expected) in [
        ("/orders", vec![], "missing_token"),
        ("/orders", vec![("authorization", "Basic x")], "missing_token"),
        ("/orders", vec![("authorization", "Bearer")], "malformed"),
        ("/orders", vec![("authorization", "Bearer a.b.c")], "malformed"),
        ("/orders", vec![("authorization", two.as_str())], "multiple_tokens"),
        ("/orders", vec![("authorization", &good), ("Authorization", &good)], "multiple_tokens"),
        ("/public/../orders", vec![], "missing_token"),
        ("/healthz/../orders", vec![], "missing_token"),
        ("/healthz;x", vec![], "missing_token"),
        ("/healthz%00", vec![("authorization", &good)], "no_rule"),
        ("/healthz/%zz", vec![("authorization", &good)], "no_rule"),
        ("", vec![], "missing_token"),
    ] {
        assert_eq!(reason(&authorizer, &request(path, &headers)), expected, "{path} {headers:?}");
    }
    assert_eq!(reason(&authorizer, &CheckRequest::default()), "missing_token");
}

#[test]
fn headers_that_a_client_can_send_decide_nothing() {
    let authorizer = authorizer(&Settings::default());
    for (name, value) in [
        ("x-envoy-original-path", "/healthz"),
        ("x-original-url", "/healthz"),
        ("x-forwarded-uri", "/healthz"),
        ("x-forwarded-proto", "https"),
        ("x-http-method-override", "OPTIONS"),
        ("user-agent", "kube-probe/1.30"),
        (":path", "/healthz"),
    ] {
        assert_eq!(
            reason(&authorizer, &request("/orders", &[(name, value)])),
            "missing_token",
            "{name}"
        );
    }
}
