//! Conditions: what they find in a token and a request, and what they do not.

mod bounds;
mod mistakes;

use std::sync::LazyLock;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::issuer::SigningKey;
use crate::issuer::mint::mint_bytes;
use crate::keys::jwks::Jwks;
use crate::keys::key::{Algorithm, AlgorithmSet};
use crate::keys::store::{KeyStore, SourceId, SourceKeys};
use crate::token::{Audiences, Issuer, IssuerName, RawToken, RequiredClaims, Verifier};
use crate::util::clock::UnixTime;
use crate::util::label::Label;

static KEY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::EdDsa).unwrap().with_kid("k"));

static KEYS: LazyLock<KeyStore> = LazyLock::new(|| {
    let keys = KeyStore::new(&[1]);
    let document = json!({ "keys": [KEY.public_jwk()] }).to_string();
    let jwks = Jwks::parse(document.as_bytes(), AlgorithmSet::ALL, 8).unwrap();
    let id = SourceId { issuer: Label::new(0, "accounts"), source: Label::new(0, "0") };
    keys.publish(&id, SourceKeys::new(jwks, None));
    keys
});

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let issuer = Issuer {
        label: Label::new(0, "accounts"),
        issuer: IssuerName::Exact("i".to_owned()),
        audiences: Audiences::AnyOf(vec!["orders".to_owned()]),
        audience_claim: None,
        algorithms: AlgorithmSet::ALL,
        danger_accept_hs256: false,
        clock_skew: Duration::from_secs(30),
        require: RequiredClaims::default(),
    };
    Verifier::new(vec![issuer], 1 << 20)
});

/// A token with these members besides those that every token has.
fn token(members: &str) -> VerifiedToken {
    let comma = if members.is_empty() { "" } else { "," };
    let payload = format!(r#"{{"iss":"i","exp":9000000000{comma}{members}}}"#);
    let token = mint_bytes(&KEY, br#"{"alg":"EdDSA","kid":"k"}"#, payload.as_bytes()).unwrap();
    let now = UnixTime::from_secs(1_800_000_000).unwrap();
    VERIFIER.verify(RawToken::new(&token), &KEYS.load(), now).unwrap()
}

fn request() -> CheckRequest<'static> {
    let pairs = |pairs: &[(&'static str, &'static str)]| {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    };
    CheckRequest {
        method: "POST".into(),
        host: "Api.Example.com:8443".into(),
        path: "/teams/blue/orders?tenant=other".into(),
        headers: pairs(&[
            (":path", "/admin"),
            ("X-Tenant", "contoso"),
            ("x-role", "reader"),
            ("x-role", "admin"),
        ]),
        context: pairs(&[("tier", "gold")]),
    }
}

fn holds(condition: &str, members: &str) -> bool {
    holds_of(condition, members, &request())
}

fn holds_of(condition: &str, members: &str, request: &CheckRequest<'_>) -> bool {
    let expression = Expression::compile(condition);
    let expression = expression.unwrap_or_else(|error| panic!("{condition}: {error}"));
    expression.holds(&token(members), request)
}

const CLAIMS: &str = r#""tenant":"contoso","admin":true,"level":3,"ratio":0.5,"roles":["reader","writer"],
    "scope":"a b:c","nothing":null,"address":{"country":"DE","lines":["x"]},"https://x/y":"z","email":"A@X.com""#;

#[test]
fn a_condition_sees_token_and_request() {
    for condition in [
        "claims.tenant == request.headers['x-tenant']",
        "claims['tenant'] == 'contoso'",
        "claims['https://x/y'] == 'z'",
        "claims.admin",
        "claims.level >= 3 && claims.level < 3.5 && claims.level + 1 == 4",
        "claims.ratio == 0.5",
        "'writer' in claims.roles && !('root' in claims.roles)",
        "claims.roles.exists(r, r == 'reader')",
        "claims.roles.all(r, r.matches('^[a-z]+$'))",
        "claims.roles.exists_one(r, matches(r, 'writ'))",
        "claims.roles.map(r, r + '!') == ['reader!', 'writer!']",
        "claims.roles.filter(r, r > 'reader') == ['writer']",
        "size(claims.roles) == 2 && claims.roles.size() == 2 && size(claims.tenant) == 7",
        "'b:c' in claims.scope.split(' ')",
        "claims.email.lowerAscii() == 'a@x.com' && claims.email.upperAscii() == 'A@X.COM'",
        "claims.address.country == 'DE' && claims.address['lines'][0] == 'x'",
        "has(claims.tenant) && !has(claims.other) && has(claims.address.country)",
        "'tenant' in claims && !('other' in claims)",
        "claims.nothing == null",
        "claims.tenant.startsWith('con') && claims.tenant.endsWith('oso') && claims.tenant.contains('tos')",
        "issuer == 'accounts'",
        "request.method == 'POST' && request.host == 'api.example.com'",
        "request.path == '/teams/blue/orders'",
        "request.headers['x-role'] == 'reader,admin'",
        "request.headers.exists(name, name == 'x-role') && size(request.headers) == 2",
        "!(':path' in request.headers.map(name, name))",
        "request.context.tier == 'gold' && request.context['tier'] == 'gold'",
        "'x-tenant' in request.headers && !('x-other' in request.headers)",
        "request.headers[claims.tenant == 'contoso' ? 'x-tenant' : 'x-none'] == 'contoso'",
        "int('7') == 7 && double('0.5') == 0.5 && string(claims.level) == '3'",
        "{'contoso': ['blue']}[claims.tenant] == ['blue']",
        "claims.size() == 12 && claims.exists(name, name == 'tenant' && claims[name] == 'contoso')",
    ] {
        assert!(holds(condition, CLAIMS), "{condition}");
    }
}

#[test]
fn what_cannot_be_evaluated_does_not_hold() {
    for condition in [
        "claims.other == 'x'",
        "claims.other != 'x'",
        "!(claims.other == 'x')",
        "claims.tenant.country == 'DE'",
        "claims.tenant.other != 'DE'",
        "claims.roles[2] != 'x'",
        "request.headers['x-other'] != 'x'",
        "claims.tenant",
        "claims.level",
        "claims.nothing",
        "claims.level / 0 != 1",
        "claims.level % 0 != 1",
        "claims.level + 'a' != 'x'",
        "claims.level + 9223372036854775807 != 1",
        "claims.level < 'a' || claims.level >= 'a'",
        "int(claims.tenant) != 0",
        "claims.level.startsWith('3') || true == false",
        "claims.level.exists(x, true)",
        "claims.roles.exists(r, r.other)",
        "size(claims.level) != 7",
        "claims.level.matches('3')",
        "-claims.tenant != 'x'",
    ] {
        assert!(!holds(condition, CLAIMS), "{condition}");
    }
}

#[test]
fn a_number_is_what_was_signed() {
    let mut wrong = Vec::new();
    for (number, condition) in [
        ("1", "claims.n == 1"),
        ("-9223372036854775808", "claims.n < -9223372036854775807"),
        ("9223372036854775807", "claims.n == 9223372036854775807"),
        ("9223372036854775808", "claims.n == '9223372036854775808'"),
        ("9007199254740993", "claims.n == 9007199254740993"),
        ("9007199254740993.0", "claims.n == '9007199254740993.0'"),
        ("1.0", "claims.n == 1.0 && claims.n == 1"),
        ("1e3", "claims.n == 1000"),
        ("1.5e1", "claims.n == 15"),
        ("100e-2", "claims.n == 1"),
        ("0.000", "claims.n == 0"),
        ("-0", "claims.n == 0"),
        ("0e99999999999999999999", "claims.n == 0"),
        ("0.1", "claims.n == 0.1"),
        ("150e-2", "claims.n == 1.5"),
        ("0.99999999999999999999", "claims.n == '0.99999999999999999999'"),
        ("9007199254740991.9", "claims.n == '9007199254740991.9'"),
        ("1e400", "claims.n == '1e400'"),
        ("-1e400", "claims.n == '-1e400'"),
        ("1e-400", "claims.n == '1e-400'"),
        ("1e99999999999999999999", "claims.n == '1e99999999999999999999'"),
        ("1e-99999999999999999999", "claims.n == '1e-99999999999999999999'"),
        ("18446744073709551616", "claims.n == '18446744073709551616'"),
    ] {
        if !holds(condition, &format!(r#""n":{number}"#)) {
            wrong.push(condition);
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn a_path_with_several_readings_meets_no_condition_on_one() {
    let at = |path: &str, condition: &str| {
        let request = CheckRequest { path: path.into(), ..request() };
        holds_of(condition, CLAIMS, &request)
    };
    for path in ["/a//b", "/a/../admin", "/a%2fb", "/a;b", "", "*", "/a\\b", "/%61%2e%2e/x", "/%zz"]
    {
        for condition in [
            "request.path != '/admin'",
            "request.path == '/admin'",
            "claims.admin || request.path == ''",
        ] {
            assert!(!at(path, condition), "{path}: {condition}");
        }
        assert!(at(path, "claims.admin"), "{path}");
    }
    // Whoever decodes it and whoever does not must both be right.
    assert!(!at("/%61dmin", "request.path != '/admin'"));
    assert!(!at("/%61dmin", "request.path == '/admin'"));
    assert!(!at("/%61dmin", "request.path != '/%61dmin'"));
    assert!(at("/%61dmin/x", "request.path.endsWith('/x')"));
}

#[test]
fn a_host_or_context_with_several_readings_meets_no_condition_on_one() {
    let odd = CheckRequest { host: "a.example.com@b".into(), ..request() };
    assert!(!holds_of("request.host != 'b'", CLAIMS, &odd));
    assert!(holds_of("claims.admin", CLAIMS, &odd));
    let mut twice = request();
    twice.context.push(("tier".into(), "lead".into()));
    assert!(!holds_of("request.context.tier != ''", CLAIMS, &twice));
    assert!(!holds_of("size(request.context) >= 0", CLAIMS, &twice));
    assert!(holds_of("!('other' in request.context)", CLAIMS, &twice));
}

#[test]
fn only_what_a_condition_asks_for_is_looked_at() {
    for (condition, uses) in [
        (
            "claims.a == request.headers['b'] && has(claims.c.d) && 'e' in claims",
            r#"[(Claims, Named(["a", "c", "e"])), (Headers, Named(["b"]))]"#,
        ),
        (
            "claims[request.context.a] == issuer && claims.b == 1",
            r#"[(Claims, All), (Context, Named(["a"])), (Issuer, All)]"#,
        ),
        (
            "request.headers.all(h, claims.a != h && request.headers['b'] != h)",
            r#"[(Headers, All), (Claims, Named(["a"]))]"#,
        ),
        ("claims.a.exists(x, claims[x] == true)", "[(Claims, All)]"),
    ] {
        let expression = Expression::compile(condition).unwrap();
        let found = format!("{:?}", expression.0.checked.uses);
        assert_eq!(found, format!("Uses({uses})"), "{condition}");
    }
}

#[test]
fn every_example_of_the_manual_holds_where_it_says() {
    let manual = include_str!("../../../../deploy/cel.md");
    let blocks = manual.split("```cel\n").skip(1);
    let conditions: Vec<&str> = blocks.map(|block| block.split_once("\n```").unwrap().0).collect();
    let cases: [(&str, &str); 5] = [
        (r#""tenant":"contoso""#, r#""tenant":"fabrikam""#),
        (r#""teams":["red","blue"]"#, r#""teams":["red"]"#),
        (r#""scope":"orders:read orders:write""#, r#""scope":"orders:read""#),
        (r#""level":3,"email":"a@example.com""#, r#""level":3,"email":"a@example.com.evil""#),
        (
            r#""groups":[{"name":"ops","roles":["lead"]}]"#,
            r#""groups":[{"name":"dev","roles":["lead"]}]"#,
        ),
    ];
    assert_eq!(conditions.len(), cases.len());
    for (condition, (held, refused)) in conditions.into_iter().zip(cases) {
        assert!(holds(condition, held), "{condition}");
        assert!(!holds(condition, refused), "{condition}");
        assert!(!holds(condition, ""), "{condition}");
    }
}

#[test]
fn the_manual_names_every_function_and_limit() {
    let manual = include_str!("../../../../deploy/cel.md");
    for function in functions::FUNCTIONS.split(", ") {
        assert!(manual.contains(&format!("{function}(")), "{function}");
        assert!(functions::usage(function).is_some(), "{function}");
    }
    for limit in ["4,096 bytes", "48 levels", "512", "two levels", "256 KiB"] {
        assert!(manual.contains(limit), "{limit}");
    }
    assert_eq!((MAX_SOURCE_BYTES, checker::MAX_DEPTH), (4096, 48));
    assert_eq!((checker::MAX_PARTS, checker::MAX_LOOPS), (512, 2));
}
