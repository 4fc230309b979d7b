//! Claims as headers: every JSON type, nesting, and what a header cannot hold.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::Cases;
use crate::case::Verdict;
use crate::tokens::Tokens;

pub(super) fn add(cases: &Cases, tokens: &Tokens) {
    alike(cases, tokens);
    numbers(cases, tokens);
    texts(cases, tokens);
    structures(cases, tokens);
    encoded(cases, tokens);
    places(cases, tokens);
    payloads(cases, tokens);
}

/// A token whose claim `v` is this text.
fn with(tokens: &Tokens, json: &str) -> String {
    let payload = format!(r#"{{"iss":"{{iss}}","aud":"orders","exp":{{exp}},"v":{json}}}"#);
    tokens.raw("accounts", r#"{"alg":"EdDSA","kid":"EdDSA"}"#, &payload)
}

fn alike(cases: &Cases, tokens: &Tokens) {
    for json in [
        "\"alice\"",
        "\"a b\"",
        "\"\"",
        "\"0\"",
        "\"true\"",
        "\"a;b=c\"",
        "\"a=b&c\"",
        "\"a%0d%0ab\"",
        "\"\\\"quoted\\\"\"",
        "\"\\u0041\\/\\\\\"",
        "\"~!@#$%^&*()_+|\"",
        "\"-7\"",
        "true",
        "false",
        "0",
        "5",
        "4294967296",
        "null",
    ] {
        cases.token(format!("claim {json}"), "accounts", &with(tokens, json)).passes();
    }
    let long = "x".repeat(2000);
    let token = with(tokens, &format!("\"{long}\""));
    cases.token("claim of 2,000 letters", "accounts", &token).passes();
    let token = with(tokens, &format!("\"{}\"", "x".repeat(9000)));
    cases.token("claim of 9,000 letters", "accounts", &token).verdicts(
        "header-bytes",
        Verdict::Passes,
        Verdict::Refused(403),
    );
}

fn numbers(cases: &Cases, tokens: &Tokens) {
    for (json, jwt_authn) in [
        ("-7", "-7.000000"),
        ("1.5", "1.500000"),
        ("1.0", "1"),
        ("1e3", "1000"),
        ("0.1234567", "0.123457"),
        ("-0", "0"),
        ("9007199254740993", "9007199254740992"),
        ("18446744073709551615", "18446744073709551616.000000"),
        ("1e30", "1000000000000000019884624838656.000000"),
    ] {
        cases
            .token(format!("claim {json}"), "accounts", &with(tokens, json))
            .upstream("number-text", &[("x-jwt-v", &[jwt_authn], &[json])]);
    }
    let token = with(tokens, "1e400");
    cases.token("claim 1e400", "accounts", &token).jwt_authn_refuses("number-range");
}

fn texts(cases: &Cases, tokens: &Tokens) {
    for (json, jwt_authn, claimgate) in [
        ("\"José\"", "JosÃ©", "UTF-8''Jos%C3%A9"),
        ("\"\\u010d\"", "Ä\u{8d}", "UTF-8''%C4%8D"),
        ("\"a,b\"", "a,b", "UTF-8''a%2Cb"),
        ("\"[1]\"", "[1]", "UTF-8''%5B1%5D"),
        ("\"{}\"", "{}", "UTF-8''%7B%7D"),
        ("\"UTF-8''x\"", "UTF-8''x", "UTF-8''UTF-8%27%27x"),
        ("\" a\"", "a", "UTF-8''%20a"),
        ("\"a \"", "a", "UTF-8''a%20"),
    ] {
        cases
            .token(format!("claim {json}"), "accounts", &with(tokens, json))
            .upstream("text", &[("x-jwt-v", &[jwt_authn], &[claimgate])]);
    }
    for json in
        ["\"a\\nb\"", "\"a\\r\\nx-admin: 1\"", "\"a\\u0000b\"", "\"a\\u0001b\"", "\"a\\u007fb\""]
    {
        cases.token(format!("claim {json}"), "accounts", &with(tokens, json)).statuses(
            "control-characters",
            503,
            401,
        );
    }
    for json in ["\"a\\tb\"", "\"a\\u0085b\"", "\"a\\u2028b\""] {
        cases
            .token(format!("claim {json}"), "accounts", &with(tokens, json))
            .claimgate_refuses("control-characters");
    }
}

fn structures(cases: &Cases, tokens: &Tokens) {
    for (json, claimgate) in [
        (r#"["a","b"]"#, "a,b"),
        (r#"["admin"]"#, "admin"),
        ("[1,true]", "1,true"),
        (r#"{"a":1}"#, r#"{"a":1}"#),
        (r#"{"a":{"b":["c"]}}"#, r#"{"a":{"b":["c"]}}"#),
        ("{}", "{}"),
    ] {
        let encoded = STANDARD.encode(json);
        cases
            .token(format!("claim {json}"), "accounts", &with(tokens, json))
            .upstream("structure", &[("x-jwt-v", &[&encoded], &[claimgate])]);
    }
    let encoded = STANDARD.encode("[]");
    cases
        .token("claim []", "accounts", &with(tokens, "[]"))
        .upstream("structure", &[("x-jwt-v", &[&encoded], &[])]);
    for json in [r#"["a,b"]"#, r#"[""]"#, "[[1]]", "[null]", r#"[{"a":1}]"#, r#"["a"," b"]"#] {
        cases
            .token(format!("claim {json}"), "accounts", &with(tokens, json))
            .claimgate_refuses("array-unseparable");
    }
}

/// Where claimgate is told to write base64 of the JSON as well.
fn encoded(cases: &Cases, tokens: &Tokens) {
    for json in [
        "[]",
        "{}",
        r#"["a","b"]"#,
        r#"["a,b",""]"#,
        "[1,true,null,[2]]",
        "[ 1, -7 ]",
        r#"{"a":{"b":["c"]}}"#,
        r#"[{"a":1}]"#,
    ] {
        let payload =
            format!(r#"{{"iss":"{{iss}}","aud":"orders","exp":{{exp}},"structure":{json}}}"#);
        let token = tokens.raw("accounts", r#"{"alg":"EdDSA","kid":"EdDSA"}"#, &payload);
        cases.token(format!("claim in base64: {json}"), "accounts", &token).passes();
    }
    // One member each: the order of several is the hash's of the day behind jwt_authn.
    for (json, jwt_authn, claimgate) in [
        (r#"["é"]"#, r#"["é"]"#, r#"["\u00e9"]"#),
        ("[1.0]", "[1]", "[1.0]"),
        ("[9007199254740993]", "[9007199254740992]", "[9007199254740993]"),
    ] {
        let payload =
            format!(r#"{{"iss":"{{iss}}","aud":"orders","exp":{{exp}},"structure":{json}}}"#);
        let token = tokens.raw("accounts", r#"{"alg":"EdDSA","kid":"EdDSA"}"#, &payload);
        let (theirs, ours) = (STANDARD.encode(jwt_authn), STANDARD.encode(claimgate));
        cases
            .token(format!("claim in base64: {json}"), "accounts", &token)
            .upstream("json-text", &[("x-jwt-structure", &[&theirs], &[&ours])]);
    }
}

fn places(cases: &Cases, tokens: &Tokens) {
    let case = |name: &str, claims: Value| {
        let token = tokens.token("accounts", &claims);
        cases.token(format!("claims: {name}"), "accounts", &token).passes();
    };
    case("nested", json!({"deep": {"er": {"est": "x"}}}));
    case("nested, a number", json!({"deep": {"er": {"est": 3}}}));
    case("nested, a step missing", json!({"deep": {"er": {}}}));
    case("nested, a step of another type", json!({"deep": {"er": "est"}}));
    case("nested, through an array", json!({"deep": [{"er": {"est": "x"}}]}));
    case("a name with dots for a nested one", json!({"deep.er.est": "x"}));
    case("a name that is a URL", json!({"https://example.com/tenant": "acme"}));
    case("a name that is a URL, nested", json!({"https://example": {"com/tenant": "acme"}}));
    case("in other case", json!({"SUB": "mallory", "V": "x"}));
    case(
        "all of them",
        json!({
            "v": 1, "deep": {"er": {"est": true}}, "https://example.com/tenant": "acme",
        }),
    );
    case("none of them", json!({"sub": null}));
}

/// The payload goes on as it was received, whatever is in it.
fn payloads(cases: &Cases, tokens: &Tokens) {
    for payload in [
        "{ \"iss\":\"{iss}\",\n\"aud\":\"orders\", \"exp\":{exp} }",
        r#"{"iss":"{iss}","aud":"orders","exp":{exp},"x":1.0,"y":9007199254740993}"#,
        r#"{"iss":"{iss}","aud":"orders","exp":{exp},"x":"é\u00e9"}"#,
    ] {
        let token = tokens.raw("accounts", r#"{"alg":"EdDSA","kid":"EdDSA"}"#, payload);
        let sent = token.split('.').nth(1).unwrap();
        assert!(URL_SAFE_NO_PAD.decode(sent).is_ok(), "canonical");
        cases.token(format!("payload header: {payload}"), "accounts", &token).passes();
    }
}
