//! What configurations ask for, decided on real tokens: the way from YAML to a decision, without a server.

#![allow(clippy::needless_pass_by_value, reason = "`json!` at the call reads best")]

use std::path::Path;
use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};

use super::*;
use crate::config::Config;
use crate::keys::source::SourceKind;

static ACCOUNTS: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::EdDsa).unwrap().with_kid("a"));
static PARTNER: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::EdDsa).unwrap().with_kid("p"));

/// Two issuers, and whatever else a test lays over it.
pub(super) fn policy(over: Value) -> Authorizer {
    let issuer = |name: &str, key: &SigningKey| {
        json!({
            "name": name, "issuer": format!("https://{name}.example.com"), "audiences": ["orders"],
            "algorithms": ["EdDSA"], "keys": [{"jwks": {"keys": [key.public_jwk()]}}],
        })
    };
    let mut yaml = json!({
        "issuers": [issuer("accounts", &ACCOUNTS), issuer("partner", &PARTNER)],
        "forward": {"headers": [{"claim": "sub", "header": "x-jwt-sub"}], "strip": ["x-jwt-*"]},
    });
    for (key, value) in over.as_object().unwrap() {
        yaml[key] = value.clone();
    }
    let config = Config::from_yaml(&yaml.to_string(), Path::new(".")).unwrap();
    let keys = KeyStore::new(&[1, 1]);
    for source in &config.sources {
        let SourceKind::Inline(jwks) = &source.kind else { panic!() };
        keys.publish(&source.id, SourceKeys::new(jwks.clone(), None));
    }
    Authorizer::new(PolicySnapshot {
        rules: config.rules,
        tokens: config.tokens,
        verifier: Verifier::new(config.issuers, 16 * 1024),
        keys: Arc::new(keys),
        cache: Some(VerifiedTokenCache::new(1 << 20)),
        revocations: None,
        forward: config.forward,
        allows_preflight: config.allows_preflight,
    })
}

/// One rule for everything.
fn rule(rule: Value) -> Authorizer {
    let mut one = json!({"name": "one"});
    for (key, value) in rule.as_object().unwrap() {
        one[key] = value.clone();
    }
    policy(json!({ "rules": [one] }))
}

fn require(requirement: Value) -> Authorizer {
    rule(json!({ "require": requirement }))
}

fn token_of(name: &str, key: &SigningKey, over: &Value) -> String {
    let mut claims = json!({
        "iss": format!("https://{name}.example.com"), "aud": "orders", "sub": "alice", "exp": NOW + 300,
    });
    for (name, value) in over.as_object().unwrap() {
        claims[name] = value.clone();
    }
    mint(key, &claims).unwrap()
}

pub(super) fn ours(over: Value) -> String {
    token_of("accounts", &ACCOUNTS, &over)
}

/// Of `accounts`, for nobody.
fn without_aud(over: Value) -> String {
    let mut claims =
        json!({"iss": "https://accounts.example.com", "sub": "alice", "exp": NOW + 300});
    for (name, value) in over.as_object().unwrap() {
        claims[name] = value.clone();
    }
    mint(&ACCOUNTS, &claims).unwrap()
}

pub(super) fn partners(over: Value) -> String {
    token_of("partner", &PARTNER, &over)
}

/// The reason, or `allowed`; with a bearer token.
fn with_token(authorizer: &Authorizer, token: &str) -> &'static str {
    reason(authorizer, &request("/orders", &[("authorization", &format!("Bearer {token}"))]))
}

fn holds(requirement: Value, claims: Value) -> bool {
    match with_token(&require(requirement), &ours(claims)) {
        "allowed" => true,
        "claim_mismatch" | "insufficient_scope" => false,
        other => panic!("{other}"),
    }
}

#[test]
fn the_audiences_of_a_rule_stand_in_place_of_the_issuers() {
    let own = require(json!({"issuer": "accounts", "audiences": ["admin"]}));
    let default = require(json!({"issuer": "accounts"}));
    for (aud, of_own, of_default) in [
        (json!("admin"), "allowed", "audience_mismatch"),
        (json!("orders"), "audience_mismatch", "allowed"),
        (json!(["orders", "admin"]), "allowed", "allowed"),
        (json!([]), "audience_mismatch", "audience_mismatch"),
    ] {
        let token = ours(json!({"aud": aud}));
        assert_eq!(with_token(&own, &token), of_own, "{aud}");
        assert_eq!(with_token(&default, &token), of_default, "{aud}");
    }
}

/// As Cognito does it: `accounts` has access tokens without an `aud`, `partner` is as everybody else.
fn with_audience_claim(rule: Value) -> Authorizer {
    let issuer = |name: &str, key: &SigningKey, over: Value| {
        let mut issuer = json!({
            "name": name, "issuer": format!("https://{name}.example.com"), "audiences": ["app"],
            "algorithms": ["EdDSA"], "keys": [{"jwks": {"keys": [key.public_jwk()]}}],
        });
        for (key, value) in over.as_object().unwrap() {
            issuer[key] = value.clone();
        }
        issuer
    };
    policy(json!({
        "issuers": [
            issuer("accounts", &ACCOUNTS, json!({"audience_claim": "client_id"})),
            issuer("partner", &PARTNER, json!({})),
        ],
        "rules": [rule],
    }))
}

#[test]
fn an_issuer_may_name_its_audience_in_another_claim_and_its_id_tokens_still_do_not_pass() {
    let any = with_audience_claim(
        json!({"name": "one", "require": {"any_of": [{"issuer": "accounts"}, {"issuer": "partner"}]}}),
    );
    let access_only = with_audience_claim(json!({"name": "one", "require": {
        "issuer": "accounts", "claims": [{"claim": "token_use", "equals": "access"}],
    }}));
    let of_rule = with_audience_claim(
        json!({"name": "one", "require": {"issuer": "accounts", "audiences": ["admin"]}}),
    );
    let access = |client: Value| without_aud(json!({"client_id": client, "token_use": "access"}));
    let table = [
        (access(json!("app")), "allowed", "allowed", "audience_mismatch"),
        (access(json!("admin")), "audience_mismatch", "audience_mismatch", "allowed"),
        (access(json!(["app", 7])), "audience_mismatch", "audience_mismatch", "audience_mismatch"),
        (
            without_aud(json!({"token_use": "access"})),
            "missing_claim",
            "missing_claim",
            "missing_claim",
        ),
        // An ID token, of this client; and one that has what an access token has.
        (
            ours(json!({"aud": "app", "token_use": "id"})),
            "audience_mismatch",
            "audience_mismatch",
            "audience_mismatch",
        ),
        (
            ours(json!({"aud": "app", "client_id": "app", "token_use": "access"})),
            "audience_mismatch",
            "audience_mismatch",
            "audience_mismatch",
        ),
        // Without an `aud` only the claim tells what it is for.
        (
            without_aud(json!({"client_id": "app", "token_use": "id"})),
            "allowed",
            "claim_mismatch",
            "audience_mismatch",
        ),
    ];
    for (token, of_any, of_access, of_admin) in table {
        // Twice: from the cache nothing else comes.
        for _ in 0..2 {
            assert_eq!(with_token(&any, &token), of_any, "{token}");
            assert_eq!(with_token(&access_only, &token), of_access, "{token}");
            assert_eq!(with_token(&of_rule, &token), of_admin, "{token}");
        }
    }
    // What was looked for, and where, is told; and of an `aud` that it is there.
    let told = |token: &str| {
        let bearer = format!("Bearer {token}");
        let request = request("/orders", &[("authorization", &bearer)]);
        format!("{:?}", any.explain(&request, UnixTime::from_secs(NOW).unwrap()).1)
    };
    let wanted = r#"wanted: "audiences: one of app in client_id, and no aud", found: "#;
    let of_other = told(&access(json!("admin")));
    assert!(of_other.contains(&format!("{wanted}{:?}", "\"admin\"")), "{of_other}");
    let of_id = told(&ours(json!({"aud": "app", "client_id": "mine"})));
    assert!(of_id.contains(&format!("{wanted}{:?}", "\"app\"")), "{of_id}");
    // The claim is that issuer's alone.
    assert_eq!(with_token(&any, &partners(json!({"aud": "app"}))), "allowed");
    let client_only = partners(json!({"aud": "others", "client_id": "app"}));
    assert_eq!(with_token(&any, &client_only), "audience_mismatch");
}

#[test]
fn subjects_are_matched_whole() {
    let subjects =
        json!(["alice", {"prefix": "svc-"}, {"suffix": "@example.com"}, {"regex": "b[ou]b"}]);
    let authorizer = require(json!({"issuer": "accounts", "subjects": subjects}));
    for (sub, expected) in [
        ("alice", "allowed"),
        ("svc-a", "allowed"),
        ("x@example.com", "allowed"),
        ("bub", "allowed"),
        ("Alice", "claim_mismatch"),
        ("xsvc-a", "claim_mismatch"),
        ("x@example.com.evil", "claim_mismatch"),
        ("bobby", "claim_mismatch"),
        ("", "claim_mismatch"),
    ] {
        assert_eq!(with_token(&authorizer, &ours(json!({"sub": sub}))), expected, "{sub}");
    }
}

#[test]
fn scopes_are_found_however_they_are_written() {
    let all = require(json!({"issuer": "accounts", "scopes": ["read", "write"]}));
    let any = require(json!({"issuer": "accounts", "any_scope": ["read", "write"]}));
    for (claims, has_all, has_any) in [
        (json!({"scope": "read write"}), true, true),
        (json!({"scope": "write  x read"}), true, true),
        (json!({"scp": "read write"}), true, true),
        (json!({"scp": ["write", "read"]}), true, true),
        (json!({"scope": ["read"], "scp": "write"}), true, true),
        (json!({"scope": "read"}), false, true),
        (json!({"scp": ["read write"]}), false, false),
        (json!({"scope": "readwrite"}), false, false),
        (json!({"scope": "Read Write"}), false, false),
        (json!({"scope": "read,write"}), false, false),
        (json!({"scope": {"read": true}}), false, false),
        (json!({"scope": null}), false, false),
        (json!({"scopes": "read write"}), false, false),
        (json!({}), false, false),
    ] {
        for (authorizer, has) in [(&all, has_all), (&any, has_any)] {
            let expected = if has { "allowed" } else { "insufficient_scope" };
            assert_eq!(with_token(authorizer, &ours(claims.clone())), expected, "{claims}");
        }
    }
}

#[test]
fn claims_are_what_the_rule_says_and_not_what_reads_like_it() {
    let check = |test: Value, yes: &[Value], no: &[Value]| {
        let mut condition = json!({"claim": "c"});
        condition.as_object_mut().unwrap().extend(test.as_object().unwrap().clone());
        let requirement = json!({"issuer": "accounts", "claims": [condition]});
        for (values, expected) in [(yes, true), (no, false)] {
            for value in values {
                let claims = json!({ "c": value });
                assert_eq!(holds(requirement.clone(), claims), expected, "{test} {value}");
            }
        }
    };
    check(
        json!({"equals": "a"}),
        &[json!("a")],
        &[json!("A"), json!(["a"]), json!(null), json!("")],
    );
    check(json!({"equals": 7}), &[json!(7)], &[json!("7"), json!(7.0), json!(70), json!([7])]);
    check(json!({"equals": true}), &[json!(true)], &[json!("true"), json!(1), json!(false)]);
    check(json!({"one_of": ["a", 2]}), &[json!("a"), json!(2)], &[json!("2"), json!(["a"])]);
    check(
        json!({"contains": "a"}),
        &[json!(["a"]), json!(["b", "a"]), json!("a")],
        &[json!("a b"), json!("a,b"), json!([["a"]]), json!({"a": 1}), json!([])],
    );
    check(
        json!({"contains_all": ["a", "b"]}),
        &[json!(["b", "x", "a"])],
        &[json!(["a"]), json!("a b"), json!("a,b"), json!("ab")],
    );
    check(
        json!({"contains_any": ["a", "b"]}),
        &[json!(["b"]), json!("a")],
        &[json!(["c"]), json!([])],
    );
    check(json!({"exists": true}), &[json!(0), json!(""), json!([]), json!(false)], &[json!(null)]);
    check(json!({"exists": false}), &[json!(null)], &[json!(0), json!(""), json!(false)]);
    check(
        json!({"matches": "a+"}),
        &[json!("aa")],
        &[json!("ba"), json!(["aa"]), json!(""), json!(1)],
    );
    assert!(holds(
        json!({"issuer": "accounts", "claims": [{"claim": "c", "exists": false}]}),
        json!({})
    ));
    assert!(!holds(
        json!({"issuer": "accounts", "claims": [{"claim": "c", "equals": "a"}]}),
        json!({})
    ));
}

#[test]
fn a_claim_is_found_by_a_dotted_path_or_by_literal_names() {
    let nested =
        json!({"realm": {"roles": ["a"]}, "realm.roles": ["b"], "https://x.example/t": "c"});
    for (path, element, expected) in [
        (json!("realm.roles"), "a", true),
        (json!("realm.roles"), "b", false),
        (json!(["realm.roles"]), "b", true),
        (json!(["realm", "roles"]), "a", true),
        (json!(["https://x.example/t"]), "c", true),
        (json!("realm"), "a", false),
        (json!("realm.roles.0"), "a", false),
    ] {
        let claims = json!([{"claim": path, "contains": element}]);
        let requirement = json!({"issuer": "accounts", "claims": claims});
        assert_eq!(holds(requirement, nested.clone()), expected, "{path} {element}");
    }
    let roles = json!({"issuer": "accounts", "roles": ["a", "b"]});
    assert!(holds(roles.clone(), json!({"roles": ["b", "a"]})));
    assert!(!holds(roles, json!({"roles": ["a"]})));
}

#[test]
fn one_of_several_ways_is_enough_and_the_nearest_miss_is_told() {
    let authorizer = require(json!({"any_of": [
        {"issuer": "accounts", "scopes": ["admin"]},
        {"issuer": "partner", "audiences": ["shared"]},
        {"all_of": [{"issuer": "accounts"}, {"claims": [{"claim": "staff", "equals": true}]}]},
    ]}));
    for (token, expected) in [
        (ours(json!({"scope": "admin"})), "allowed"),
        (ours(json!({"staff": true})), "allowed"),
        (partners(json!({"aud": "shared"})), "allowed"),
        (ours(json!({})), "insufficient_scope"),
        (partners(json!({})), "audience_mismatch"),
        (partners(json!({"scope": "admin", "staff": true})), "audience_mismatch"),
        (ours(json!({"aud": "x", "staff": true, "scope": "admin"})), "audience_mismatch"),
    ] {
        assert_eq!(with_token(&authorizer, &token), expected);
    }
}

#[test]
fn where_a_token_is_optional_nobody_passes_as_nobody_and_a_bad_token_is_refused() {
    let authorizer = require(json!({"issuer": "accounts", "optional": true}));
    let spoofed = request("/orders", &[("x-jwt-sub", "mallory"), ("X_JWT_Sub", "mallory")]);
    let mutations = allowed(&authorizer, &spoofed);
    assert_eq!(mutations.set().count(), 0);
    assert!(upstream_sees(&spoofed, &mutations).is_empty());
    assert_eq!(with_token(&authorizer, &ours(json!({}))), "allowed");
    assert_eq!(with_token(&authorizer, &ours(json!({"exp": 1}))), "expired");
    assert_eq!(with_token(&authorizer, &partners(json!({}))), "claim_mismatch");
    assert_eq!(with_token(&authorizer, "a.b.c"), "malformed");
    let empty = request("/orders", &[("authorization", "Bearer")]);
    assert_eq!(reason(&authorizer, &empty), "malformed");
    // What is read in two ways may be something else to the upstream.
    assert_eq!(reason(&authorizer, &request("/orders/../x", &[])), "missing_token");
    assert_eq!(reason(&authorizer, &request("/orders/%20x", &[])), "allowed");
}

#[test]
fn several_tokens_are_refused_unless_all_are_verified_and_name_the_same_subject() {
    let tokens = json!([{"header": "authorization"}, {"cookie": "jwt"}]);
    let with = |require: Value, all: &str| {
        rule(json!({"tokens": tokens, "all_tokens": all, "require": require}))
    };
    let one = json!({"any_of": [{"issuer": "accounts"}, {"issuer": "partner"}]});
    let both = json!({"all_of": [{"issuer": "accounts"}, {"issuer": "partner"}]});
    let (refuse, verify, each) =
        (with(one.clone(), "refuse"), with(one, "verify"), with(both, "verify"));
    let ask = |authorizer: &Authorizer, first: &str, second: &str| {
        let (bearer, cookie) = (format!("Bearer {first}"), format!("jwt={second}"));
        reason(authorizer, &request("/", &[("authorization", &bearer), ("cookie", &cookie)]))
    };
    let (alice, again) = (ours(json!({})), ours(json!({"jti": "2"})));
    let bob = ours(json!({"sub": "bob"}));
    let (partner_alice, partner_bob) = (partners(json!({})), partners(json!({"sub": "bob"})));
    let nobody = token_of("accounts", &ACCOUNTS, &json!({"sub": ""}));
    for (first, second, refused, verified, needed) in [
        (&alice, &again, "multiple_tokens", "allowed", "claim_mismatch"),
        (&alice, &bob, "multiple_tokens", "claim_mismatch", "claim_mismatch"),
        // Subjects of two issuers are two people, unless the rule asks for both.
        (&alice, &partner_alice, "multiple_tokens", "claim_mismatch", "allowed"),
        (&partner_alice, &alice, "multiple_tokens", "claim_mismatch", "allowed"),
        (&alice, &partner_bob, "multiple_tokens", "claim_mismatch", "claim_mismatch"),
        (&alice, &"a.b.c".to_owned(), "multiple_tokens", "malformed", "malformed"),
        (&alice, &ours(json!({"exp": 1})), "multiple_tokens", "expired", "expired"),
        (&alice, &nobody, "multiple_tokens", "claim_mismatch", "claim_mismatch"),
    ] {
        assert_eq!(ask(&refuse, first, second), refused);
        assert_eq!(ask(&verify, first, second), verified, "{first} {second}");
        assert_eq!(ask(&each, first, second), needed, "{first} {second}");
    }
    // Two in one place are never told apart.
    let twice = format!("Bearer {alice},Bearer {again}");
    let twice = request("/", &[("authorization", &twice)]);
    assert_eq!(reason(&verify, &twice), "multiple_tokens");
}

#[test]
fn the_first_of_several_tokens_is_the_one_that_is_forwarded_and_none_is_kept() {
    let authorizer = rule(json!({
        "tokens": [{"query": "t"}, {"cookie": "jwt"}, {"header": "authorization"}],
        "all_tokens": "verify",
        "require": {"all_of": [{"issuer": "accounts"}, {"issuer": "partner"}]},
    }));
    let (one, other) = (ours(json!({"n": 1})), partners(json!({})));
    let cookie = format!("a=1; jwt={other}; b=2");
    let request = request(&format!("/x?t={one}&y=1"), &[("cookie", &cookie)]);
    let Decision::Allow(allowance) = decide(&authorizer, &request) else { panic!() };
    assert_eq!(allowance.token.unwrap().issuer().name(), "accounts");
    assert_eq!(allowance.mutations.remove_query, ["t"]);
    let seen = upstream_sees(&request, &allowance.mutations);
    assert!(seen.contains(&("cookie".to_owned(), "a=1; b=2".to_owned())), "{seen:?}");
}

#[test]
fn no_token_comes_along_that_proves_nothing_the_rule_asks_for() {
    let acme = json!([{"claim": "tenant", "equals": "acme"}]);
    let one = json!({"issuer": "accounts", "claims": acme});
    let two = json!({"all_of": [{"issuer": "accounts", "claims": acme}, {"issuer": "partner"}]});
    let with = |require: Value| {
        let tokens = json!([{"header": "authorization"}, {"cookie": "jwt"}]);
        rule(json!({"tokens": tokens, "all_tokens": "verify", "require": require}))
    };
    let (one, two) = (with(one), with(two));
    let ask = |authorizer: &Authorizer, first: &str, second: &str| {
        let (bearer, cookie) = (format!("Bearer {first}"), format!("jwt={second}"));
        reason(authorizer, &request("/", &[("authorization", &bearer), ("cookie", &cookie)]))
    };
    let good = ours(json!({"tenant": "acme"}));
    let (partner, to_others) = (partners(json!({})), partners(json!({"aud": "others"})));
    // The first is what the upstream would have got.
    for (over, refused) in [
        (json!({"tenant": "acme", "aud": "others"}), "audience_mismatch"),
        (json!({"tenant": "evil"}), "claim_mismatch"),
        (json!({"tenant": "acme", "n": 2}), "allowed"),
    ] {
        let other = ours(over.clone());
        assert_eq!(ask(&one, &other, &good), refused, "{over}");
        assert_eq!(ask(&one, &good, &other), refused, "{over}");
    }
    assert_eq!(ask(&two, &partner, &good), "allowed");
    assert_eq!(ask(&two, &to_others, &good), "audience_mismatch");
    let three = rule(json!({
        "tokens": [{"header": "authorization"}, {"cookie": "jwt"}, {"query": "t"}],
        "all_tokens": "verify",
        "require": {"all_of": [{"issuer": "accounts", "claims": acme}, {"issuer": "partner"}]},
    }));
    let (bearer, cookie) = (format!("Bearer {to_others}"), format!("jwt={good}"));
    let headers = [("authorization", bearer.as_str()), ("cookie", cookie.as_str())];
    assert_eq!(reason(&three, &request(&format!("/?t={partner}"), &headers)), "audience_mismatch");
}

#[test]
fn a_rule_keeps_the_token_where_it_says_so() {
    let rules = json!([
        {"name": "kept", "match": {"path": "/kept"}, "keep_token": true, "require": {"issuer": "accounts"}},
        {"name": "rest", "require": {"issuer": "accounts"}},
    ]);
    let authorizer = policy(json!({"rules": rules, "tokens": [{"query": "t"}, {"cookie": "t"}]}));
    let token = ours(json!({}));
    for (path, kept) in [("/kept", true), ("/rest", false)] {
        let mutations = allowed(&authorizer, &request(&format!("{path}?t={token}"), &[]));
        assert_eq!(mutations.remove_query.is_empty(), kept, "{path}");
        let cookie = format!("t={token}");
        let mutations = allowed(&authorizer, &request(path, &[("cookie", &cookie)]));
        assert_eq!(!mutations.remove.contains(&"cookie".into()), kept, "{path}");
    }
}

#[test]
fn a_shadow_rule_lets_pass_what_it_refuses_without_claims_and_says_so() {
    let authorizer =
        rule(json!({"mode": "shadow", "require": {"issuer": "accounts", "scopes": ["a"]}}));
    let expired = ours(json!({"exp": 1}));
    for (token, expected) in [
        (None, Some("missing_token")),
        (Some("a.b.c".to_owned()), Some("malformed")),
        (Some(expired), Some("expired")),
        (Some(ours(json!({}))), Some("insufficient_scope")),
        (Some(partners(json!({}))), Some("claim_mismatch")),
        (Some(ours(json!({"scope": "a"}))), None),
    ] {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let mut headers = vec![("x-jwt-sub", "mallory"), ("x_jwt_sub", "mallory")];
        headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        let request = request("/orders", &headers);
        let Decision::Allow(allowance) = decide(&authorizer, &request) else { panic!() };
        let would_deny = allowance.would_deny.as_ref().map(|denial| denial.reason.as_str());
        assert_eq!(would_deny, expected);
        assert_eq!(allowance.token.is_some(), expected.is_none());
        let seen = upstream_sees(&request, &allowance.mutations);
        let claims: &[(String, String)] =
            if expected.is_none() { &[("x-jwt-sub".to_owned(), "alice".to_owned())] } else { &[] };
        assert_eq!(seen, claims, "{expected:?}");
    }
    // Where a header cannot be taken away, a shadow rule helps nobody.
    let nominated = request("/orders", &[("connection", "x-jwt-sub")]);
    assert_eq!(reason(&authorizer, &nominated), "malformed");
}

#[test]
fn a_shadow_rule_lets_pass_a_token_whose_claims_cannot_be_forwarded() {
    let forward = json!({"headers": [
        {"claim": "sub", "header": "x-jwt-sub"},
        {"claim": "name", "header": "x-jwt-name", "required": true, "max_bytes": 5},
    ]});
    let with = |mode: &str| {
        let rules = json!([{"name": "one", "mode": mode, "require": {"issuer": "accounts"}}]);
        policy(json!({"rules": rules, "forward": forward}))
    };
    let (shadow, enforce) = (with("shadow"), with("enforce"));
    for (claims, expected) in [
        (json!({}), "missing_claim"),
        (json!({"name": "123456"}), "header_too_large"),
        (json!({"name": "a\n"}), "malformed"),
    ] {
        let bearer = format!("Bearer {}", ours(claims));
        let request = request("/", &[("authorization", &bearer), ("x-jwt-sub", "mallory")]);
        assert_eq!(reason(&enforce, &request), expected);
        let Decision::Allow(allowance) = decide(&shadow, &request) else { panic!("{expected}") };
        let denial = allowance.would_deny.unwrap();
        assert_eq!(denial.reason.as_str(), expected);
        assert_eq!(denial.issuer.unwrap().name(), "accounts");
        assert_eq!(allowance.token, None);
        assert!(upstream_sees(&request, &allowance.mutations).is_empty());
    }
}

#[test]
fn where_two_rules_apply_the_tokens_of_neither_stay() {
    let authorizer = policy(json!({"rules": [
        {"name": "a", "match": {"path": "/a"}, "require": {"issuer": "accounts"}, "keep_token": true},
        {"name": "rest", "tokens": [{"cookie": "jwt"}], "require": {"issuer": "accounts"}},
    ]}));
    let token = ours(json!({}));
    let (bearer, cookie) = (format!("Bearer {token}"), format!("jwt={token}"));
    let request = request("/x/../a", &[("authorization", &bearer), ("cookie", &cookie)]);
    let seen = upstream_sees(&request, &allowed(&authorizer, &request));
    assert_eq!(
        seen,
        [("authorization".to_owned(), bearer), ("x-jwt-sub".to_owned(), "alice".to_owned())]
    );
}

#[test]
fn an_enforcing_rule_is_not_weakened_by_a_shadow_rule_for_another_reading() {
    let authorizer = policy(json!({"rules": [
        {"name": "new", "match": {"path_prefix": "/new"}, "mode": "shadow", "require": {"issuer": "accounts"}},
        {"name": "old", "require": {"issuer": "partner"}},
    ]}));
    for (path, token, expected) in [
        ("/new/x", None, "allowed"),
        ("/new/../x", None, "missing_token"),
        ("/new/../x", Some(ours(json!({}))), "claim_mismatch"),
        ("/x/../new", Some(partners(json!({}))), "allowed"),
    ] {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<(&str, &str)> =
            bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
        let request = request(path, &headers);
        assert_eq!(reason(&authorizer, &request), expected, "{path}");
        if expected == "allowed" {
            assert_eq!(allowed(&authorizer, &request).set().count(), 0, "{path}");
        }
    }
}

#[test]
fn a_preflight_passes_before_any_rule_only_where_it_is_allowed() {
    let rules = json!([{"name": "all", "require": {"issuer": "accounts"}}]);
    let preflight = |headers: &[(&str, &str)]| {
        let mut all = vec![
            ("origin", "https://app.example.com"),
            ("access-control-request-method", "PUT"),
            ("x-jwt-sub", "mallory"),
        ];
        all.extend_from_slice(headers);
        CheckRequest { method: "OPTIONS".into(), ..request("/orders", &all) }
    };
    let allows = policy(json!({"rules": rules, "cors_preflight": "allow"}));
    let checks = policy(json!({"rules": rules, "cors_preflight": "check"}));
    assert_eq!(reason(&checks, &preflight(&[])), "missing_token");
    let bearer = format!("Bearer {}", ours(json!({})));
    let request = preflight(&[("authorization", &bearer)]);
    let Decision::Allow(allowance) = decide(&allows, &request) else { panic!() };
    assert_eq!((allowance.rule, allowance.token), (None, None));
    let seen = upstream_sees(&request, &allowance.mutations);
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_eq!(reason(&allows, &preflight(&[("connection", "x-jwt-sub")])), "malformed");
}

#[test]
fn what_is_forwarded_is_whole_or_not_at_all() {
    let authorizer = policy(json!({
        "rules": [{"name": "all", "require": {"issuer": "accounts"}}],
        "forward": {
            "headers": [
                {"claim": "sub", "header": "x-jwt-sub", "required": true},
                {"claim": "name", "header": "x-jwt-name", "max_bytes": 5},
                {"claim": "nick", "header": "x-jwt-nick", "max_bytes": 5, "too_long": "drop"},
                {"claim": "roles", "header": "x-jwt-roles", "format": "base64"},
                {"value": "claimgate", "header": "x-auth-source"},
            ],
            "payload_header": "x-jwt-payload", "payload_padded": true,
            "response_headers": [{"claim": "sub", "header": "x-user"}, {"value": "a b", "header": "x-by"}],
        },
    }));
    let ask = |claims: Value| {
        let bearer = format!("Bearer {}", ours(claims));
        let request = request(
            "/",
            &[("authorization", &bearer), ("x-auth-source", "me"), ("x-jwt-nick", "me")],
        );
        match decide(&authorizer, &request) {
            Decision::Allow(allowance) => Ok(allowance.mutations),
            Decision::Deny(denial) => Err(denial.reason.as_str()),
        }
    };
    let mutations = ask(json!({"name": "12345", "nick": "123456", "roles": ["a"]})).unwrap();
    let set = |name: &str| mutations.set().find(|(n, _)| *n == name).map(|(_, v)| v);
    assert_eq!(set("x-jwt-name"), Some("12345"));
    assert_eq!(set("x-jwt-nick"), None);
    assert!(mutations.remove.contains(&"x-jwt-nick".into()));
    assert_eq!(set("x-jwt-roles"), Some("WyJhIl0="));
    assert_eq!(set("x-auth-source"), Some("claimgate"));
    assert!(set("x-jwt-payload").unwrap().len().is_multiple_of(4));
    let expected = [("x-user", "alice"), ("x-by", "a b")];
    assert!(mutations.response().eq(expected));
    assert_eq!(ask(json!({"name": "123456"})), Err("header_too_large"));
    assert_eq!(ask(json!({"sub": ""})), Err("missing_claim"));
}

#[test]
fn nobody_gets_a_constant_that_speaks_of_a_verified_token() {
    let authorizer = policy(json!({
        "rules": [{"name": "all", "allow": "anyone"}],
        "forward": {"headers": [{"value": "claimgate", "header": "x-auth-source"}],
                    "response_headers": [{"value": "x", "header": "x-by"}]},
    }));
    let request = request("/", &[("X_Auth_Source", "me")]);
    let mutations = allowed(&authorizer, &request);
    assert_eq!(mutations.set().chain(mutations.response()).count(), 0);
    assert!(upstream_sees(&request, &mutations).is_empty());
}
