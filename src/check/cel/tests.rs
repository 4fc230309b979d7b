//! Conditions: what is refused when they are compiled, what they find, and what they may not do to a request.

use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;
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

fn request() -> CheckRequest {
    let pairs = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    CheckRequest {
        method: "POST".to_owned(),
        host: "Api.Example.com:8443".to_owned(),
        path: "/teams/blue/orders?tenant=other".to_owned(),
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

fn holds_of(condition: &str, members: &str, request: &CheckRequest) -> bool {
    let expression = Expression::compile(condition);
    let expression = expression.unwrap_or_else(|error| panic!("{condition}: {error}"));
    expression.holds(&token(members), request)
}

fn mistake(condition: &str) -> String {
    Expression::compile(condition).expect_err(condition).to_string()
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

/// Each of them is refused when it is compiled, in words that name the mistake.
#[test]
fn a_mistake_that_can_be_seen_is_said_when_the_condition_is_read() {
    let mut wrong = Vec::new();
    for (condition, said) in [
        ("", "line 1, column 1: "),
        ("1 +", "line 1, column 4: "),
        ("claims.a == 'x", "line 1, column 13: "),
        ("claim.a == 'x'", "no variable claim; there are claims, issuer and request"),
        ("claims.a == tenant", "no variable tenant; "),
        (".claims.a == 'x'", "no variable .claims; "),
        ("type(claims.a) == string", "no function type; "),
        ("request.pth == 'x'", "no request.pth; there are method, host, path"),
        ("request.query == 'x'", "no request.query; "),
        ("request == claims", "request is no value itself"),
        ("request['path'] == '/a'", "request is no value itself"),
        ("'path' in request", "request is no value itself"),
        ("has(request.path)", "there is no has() of what every request has in a condition"),
        ("has(request.headers)", "there is no has() of what every request has in a condition"),
        ("now() > 1", "no function now; there are has, all, exists"),
        ("timestamp('2026-01-01T00:00:00Z') == 1", "no function timestamp; "),
        ("duration('1s') == 1", "no function duration; "),
        ("claims.a.reverse() == 'x'", "no function reverse; "),
        ("'%s'.format([claims.a]) == 'x'", "no function format; "),
        ("claims.a.replace('a', 'b') == 'x'", "no function replace; "),
        ("claims.a.join() == 'x'", "no function join; "),
        ("optional.of(1) == 1", "no variable optional; "),
        ("dyn(claims.a)", "no function dyn; "),
        ("claims.a.startsWith()", "startsWith takes a string behind a string: "),
        ("startsWith(claims.a, 'b')", "startsWith takes a string behind a string: "),
        ("claims.a.startsWith('b', 'c')", "startsWith takes a string behind a string: "),
        ("size()", "size takes one value: "),
        ("size(claims.a, claims.b) == 1", "size takes one value: "),
        ("claims.a.split(' ', 3) == []", "split takes a string behind a string: "),
        ("claims.a.exists(x)", "exists takes a list, a variable and a condition: "),
        ("claims.a.exists('x', true)", "line 1, column "),
        ("has('a')", "line 1, column "),
        ("claims.a.matches()", "matches takes a string behind a string: "),
        ("claims.a.matches(claims.b)", "what matches is given must be a string in quotes"),
        ("matches('a', request.method)", "what matches is given must be a string in quotes"),
        ("claims.a.matches('(')", "no regular expression: unclosed group"),
        ("claims.a.matches('(?=a)')", "no regular expression: look-around"),
        ("claims.a.matches('(a{1000}){1000}')", "no regular expression: Compiled regex exceeds"),
        ("'a'", "the whole is a string, and has to be true or false"),
        ("1", "the whole is an int, and has to be true or false"),
        ("claims.a + 1", "the whole is an int, and has to be true or false"),
        ("issuer", "the whole is a string, "),
        ("claims", "the whole is a map, "),
        ("request.headers", "the whole is a map, "),
        ("[true]", "the whole is a list, "),
        ("{'a': true}", "the whole is a map, "),
        ("null", "the whole is null, "),
        ("claims.a.map(x, x == 1)", "the whole is a list, "),
        ("true ? 'a' : 'b'", "the whole is a string, "),
        ("size(claims.a)", "the whole is an int, "),
        ("issuer == 3", "a string is never equal to an int"),
        ("request.headers['a'] == true", "a string is never equal to true or false"),
        ("claims == 'a'", "a map is never equal to a string"),
        ("issuer > 3", "> takes a string, not an int"),
        ("claims.a > [1]", "> takes a number, a string, true or false, not a list"),
        ("issuer + 1 == 'a'", "+ takes a string, not an int"),
        ("claims.a + 1 + 0.5 == 2.0", "+ takes an int, not a double"),
        ("issuer - 'a' == 'b'", "- takes a number, not a string"),
        ("-issuer == 'a'", "- takes an int or a double, not a string"),
        ("1.5 % 2.0 == 1.0", "% takes a whole number, not a double"),
        ("issuer && true", "&& takes true or false, not a string"),
        ("!issuer", "! takes true or false, not a string"),
        ("issuer ? true : false", "?: takes true or false, not a string"),
        ("'a' in 'abc'", "in takes a list or a map, not a string"),
        ("issuer[0] == 'a'", "[] takes a list or a map, not a string"),
        ("issuer.name == 'a'", ".name takes a map, not a string"),
        ("request.headers['a'].b == 'a'", ".b takes a map, not a string"),
        ("issuer.exists(x, true)", "a loop takes a list or a map, not a string"),
        ("claims.a.exists(x, 'a')", "|| takes true or false, not a string"),
        ("claims.a.all(x, 1)", "&& takes true or false, not an int"),
        ("claims.a.filter(x, 1) == []", "?: takes true or false, not an int"),
        ("(1).startsWith('a')", "startsWith takes a string, not an int"),
        ("(1).matches('a')", "matches takes a string, not an int"),
        ("size(1) == 1", "size takes a list, a map or a string, not an int"),
        ("int([1]) == 1", "int takes a number, a string, true or false, not a list"),
        ("{1.5: true}[1.5]", "a map takes names that are a string, "),
        ("claims.a == b'x'", "there is no bytes in a condition"),
        ("claims.A{a: 1} == 1", "there is no message in a condition"),
        ("claims.?a == 1", "line 1, column "),
        ("claims.a.exists(claims, true)", "claims is the name of something else already"),
        ("claims.a.exists(request, true)", "request is the name of something else already"),
        ("claims.a.exists(x, claims.b.exists(x, x))", "x is the name of something else already"),
        ("request.headers['X-Tenant'] == 'a'", "request.headers holds names in lower case"),
        ("request.headers[':path'] == 'a'", "request.headers holds names in lower case"),
        ("'X-Tenant' in request.headers", "request.headers holds names in lower case"),
        (
            "claims.a.exists(x, claims.b.exists(y, claims.c.exists(z, true)))",
            "loops are nested deeper than 2 levels",
        ),
    ] {
        let found = mistake(condition);
        if !found.contains(said) || found.contains('\n') || found.len() > 300 {
            wrong.push(format!("{condition}: {found}"));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn a_condition_is_bounded_in_length_depth_and_parts() {
    let long = format!("claims.a == '{}'", "x".repeat(MAX_SOURCE_BYTES));
    assert_eq!(Expression::compile(&long), Err(ExpressionError::TooLong));
    for nested in [
        format!("{}true{}", "(".repeat(2000), ")".repeat(2000)),
        format!("{}true{}", "[".repeat(2000), "]".repeat(2000)),
        format!("{}true", "(".repeat(4000)),
        format!("{}true", "{1:".repeat(1300)),
        format!("{}true", "true?".repeat(800)),
        format!("{}true{}", "true?true:".repeat(400), ""),
        format!("{}true", "!".repeat(4001)),
        format!("{}1 == 1", "-".repeat(4001)),
        format!("1{} == 1", "+1".repeat(2000)),
        format!("claims{} == 1", ".a".repeat(2000)),
        format!("claims{} == 1", "[0]".repeat(1300)),
        format!("true{}", "&&true".repeat(600)),
        format!("{}true{}", "claims.a.exists(x,".repeat(200), ")".repeat(200)),
        format!("{}true", "f(".repeat(1500)),
        format!("[{}] == []", "1,".repeat(1500)),
    ] {
        assert!(nested.len() <= MAX_SOURCE_BYTES);
        let start: String = nested.chars().take(20).collect();
        // Signs in a row are one or none.
        if let Err(error) = Expression::compile(&nested) {
            assert!(error.to_string().len() < 300, "{start}: {error}");
        } else {
            assert!(nested.starts_with(['!', '-']), "{start}");
        }
    }
    assert!(holds("((((((((((claims.admin))))))))))", CLAIMS));
    assert!(holds(&format!("true{}", " && claims.admin".repeat(100)), CLAIMS));
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
        let request = CheckRequest { path: path.to_owned(), ..request() };
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
    let odd = CheckRequest { host: "a.example.com@b".to_owned(), ..request() };
    assert!(!holds_of("request.host != 'b'", CLAIMS, &odd));
    assert!(holds_of("claims.admin", CLAIMS, &odd));
    let mut twice = request();
    twice.context.push(("tier".to_owned(), "lead".to_owned()));
    assert!(!holds_of("request.context.tier != ''", CLAIMS, &twice));
    assert!(!holds_of("size(request.context) >= 0", CLAIMS, &twice));
    assert!(holds_of("!('other' in request.context)", CLAIMS, &twice));
}

#[test]
fn only_what_a_condition_asks_for_is_looked_at() {
    let uses = |condition| {
        let expression = Expression::compile(condition).unwrap();
        let checked = &expression.0.checked;
        format!("{:?} {:?} {:?}", checked.uses.claims, checked.uses.headers, checked.uses.context)
    };
    assert_eq!(
        uses("claims.a == request.headers['b'] && has(claims.c.d) && 'e' in claims"),
        r#"Named(["a", "c", "e"]) Named(["b"]) Named([])"#
    );
    assert_eq!(
        uses("claims[request.context.a] == 'x' && claims.b == 1"),
        r#"All Named([]) Named(["a"])"#
    );
    assert_eq!(uses("request.headers.all(h, claims.a != h)"), r#"Named(["a"]) All Named([])"#);
}

/// Lists of that many elements, as a client with large tokens would have them.
fn lists(count: usize) -> String {
    let list =
        |start: usize| (start..start + count).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    format!(r#""a":[{}],"b":[{}],"t":"{}""#, list(0), list(count), "x".repeat(count * 4))
}

#[test]
fn what_would_cost_too_much_does_not_hold() {
    let mut wrong = Vec::new();
    for (condition, ordinary, large) in [
        ("claims.a.all(x, !(x in claims.b))", 200, 4000),
        ("claims.a.all(x, claims.b.all(y, x != y))", 40, 4000),
        ("claims.a.map(x, claims.t + claims.t) != []", 100, 4000),
        ("claims.a.map(x, claims.b.map(y, x + y)) != []", 20, 1000),
        ("claims.a.all(x, size(claims.t.split(' ')) == 1)", 20, 2000),
        ("claims.a.all(x, [claims.b, claims.b, claims.b] != [])", 50, 4000),
    ] {
        if !holds(condition, &lists(ordinary)) || holds(condition, &lists(large)) {
            wrong.push(condition);
        }
    }
    assert_eq!(wrong, [""; 0]);
    // What goes through a long list once is none of that.
    assert!(holds("claims.a.exists(x, x == 1999) && 1999 in claims.a", &lists(2000)));
    assert_eq!(
        Expression::compile("claims.a.map(x, claims.b.map(y, claims.c + claims.d)) == []"),
        Err(ExpressionError::TooCostly)
    );
}

#[test]
fn every_example_of_the_manual_holds_where_it_says() {
    let manual = include_str!("../../../deploy/cel.md");
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
    let manual = include_str!("../../../deploy/cel.md");
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

/// Conditions of every operator and function over values of every type and extreme.
fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "claims.a",
        "claims.b",
        "claims['c']",
        "claims.d.e",
        "claims.missing",
        "claims",
        "issuer",
        "true",
        "false",
        "null",
        "0",
        "1",
        "-1",
        "9223372036854775807",
        "-9223372036854775808",
        "0.5",
        "1e308",
        "-1e308",
        "5e-324",
        "1u",
        "18446744073709551615u",
        "''",
        "'a'",
        "'é\u{1F600}'",
        "[]",
        "{}",
        "[1, 'a', 0.5]",
        "{'a': 1, 2: 'b'}",
        "request.path",
        "request.headers['x-tenant']",
        "request.headers",
        "request.context",
        "x",
        "y",
    ]);
    let leaf = leaf.prop_map(str::to_owned);
    leaf.prop_recursive(5, 40, 3, |inner| {
        let operator = prop::sample::select(vec![
            "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "in",
        ]);
        let member = prop::sample::select(vec![
            "contains",
            "startsWith",
            "endsWith",
            "split",
            "lowerAscii",
            "upperAscii",
            "size",
        ]);
        let looped = prop::sample::select(vec!["all", "exists", "exists_one", "map", "filter"]);
        let global = prop::sample::select(vec!["size", "int", "double", "string", "-", "!"]);
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(a, o, b)| format!("({a} {o} {b})")),
            (inner.clone(), member, inner.clone()).prop_map(|(a, f, b)| {
                let argument =
                    if ["lowerAscii", "upperAscii", "size"].contains(&f) { "" } else { &b };
                format!("({a}).{f}({argument})")
            }),
            (inner.clone(), looped, inner.clone(), any::<bool>()).prop_map(|(a, f, b, first)| {
                format!("({a}).{f}({}, {b})", if first { "x" } else { "y" })
            }),
            (global, inner.clone()).prop_map(|(f, a)| format!("{f}({a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}]")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("(({a}) ? ({b}) : ({c}))")),
            inner.clone().prop_map(|a| format!("has(({a}).e)")),
            inner.prop_map(|a| format!("string({a}).matches('^a|é.*$')")),
        ]
    })
}

fn values() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        prop::sample::select(vec![
            "null",
            "true",
            "false",
            "0",
            "-0",
            "1",
            "-9223372036854775808",
            "9223372036854775807",
            "18446744073709551615",
            "0.5",
            "1e308",
            "1e400",
            "5e-324",
            r#""""#,
            r#""a""#,
            r#""\u0000é😀""#,
        ])
        .prop_map(str::to_owned),
        "[a-zé ]{0,12}".prop_map(|text| format!("{text:?}")),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5)
                .prop_map(|all| format!("[{}]", all.join(","))),
            (inner.clone(), inner).prop_map(|(a, b)| format!(r#"{{"e":{a},"a":{b}}}"#)),
        ]
    })
}

/// How many cases of each property; set `PROPTEST_CASES` for more.
fn cases() -> ProptestConfig {
    ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn no_condition_over_any_claims_panics(
        condition in expressions(),
        comparison in prop::sample::select(vec!["", " == claims.a", " != claims.b", " in claims.c"]),
        a in values(),
        b in values(),
        c in values(),
    ) {
        let condition = format!("[1].exists(x, [claims.d].exists(y, ({condition}){comparison}))");
        let expression = Expression::compile(&condition);
        prop_assert_ne!(&expression, &Err(ExpressionError::Unreadable));
        prop_assume!(expression.is_ok());
        let token = token(&format!(r#""a":{a},"b":{b},"c":{c},"d":{{"e":{a}}}"#));
        let expression = expression.unwrap();
        let held = expression.holds(&token, &request());
        prop_assert_eq!(held, expression.holds(&token, &request()));
    }

    #[test]
    fn no_text_makes_the_compiler_panic(
        text in prop::collection::vec(prop::sample::select(vec![
            "(", ")", "[", "]", "{", "}", "'", "\"", "'''", "r'", "b'", "\\", "\\u12", "?", ":", ".", ",", "?[",
            "claims", "request", ".a", "has(", ".map(", ".exists(x,", "1", "0x", "1e", "1u", "-", "!", "&&",
            "||", "in", "==", "\u{0}", "é", "`", "//", "\n", "@", "18446744073709551616", "matches('(",
        ]), 0..40)
    ) {
        prop_assert_ne!(Expression::compile(&text.concat()), Err(ExpressionError::Unreadable));
    }
}
