//! `exp`, `nbf` and `iat`: around the skew, missing, and of every type. Envoy reads the wall clock, so nothing is
//! closer to a boundary than ten seconds.

use serde_json::{Value, json};

use super::Cases;
use crate::tokens::Tokens;

pub(super) fn add(cases: &Cases, tokens: &Tokens) {
    defaults(cases, tokens);
    around_the_skew(cases, tokens);
    types(cases, tokens);
    lifetime(cases, tokens);
}

/// Where nobody said how far clocks may be apart.
fn defaults(cases: &Cases, tokens: &Tokens) {
    let at = |name: &str, claims: Value| {
        let token = tokens.token("defaults", &claims);
        cases.token(format!("default skew, {name}"), "defaults", &token)
    };
    at("exp 45 s ago", json!({"exp": tokens.at(-45)})).claimgate_refuses("default-skew");
    at("nbf in 45 s", json!({"nbf": tokens.at(45)})).claimgate_refuses("default-skew");
    for (name, claims) in [
        ("exp 15 s ago", json!({"exp": tokens.at(-15)})),
        ("nbf in 25 s", json!({"nbf": tokens.at(25)})),
    ] {
        let token = tokens.token("defaults", &claims);
        cases.token(format!("default skew, {name}"), "defaults", &token).passes();
    }
    let token = tokens.token("defaults", &json!({"exp": null}));
    cases.token("no exp, where nobody said", "defaults", &token).claimgate_refuses("exp-default");
}

fn around_the_skew(cases: &Cases, tokens: &Tokens) {
    let case = |name: &str, claims: Value| {
        let token = tokens.token("accounts", &claims);
        (name.to_owned(), token)
    };
    let pass = [
        case("exp 40 s ago, skew 60 s", json!({"exp": tokens.at(-40)})),
        case("exp in 10 min", json!({"exp": tokens.at(600)})),
        case("exp in a hundred years", json!({"exp": tokens.at(3_155_760_000)})),
        case("nbf in 40 s, skew 60 s", json!({"nbf": tokens.at(40)})),
        case("nbf an hour ago", json!({"nbf": tokens.at(-3600)})),
        case("iat in 40 s, skew 60 s", json!({"iat": tokens.at(40)})),
        case("iat an hour ago", json!({"iat": tokens.at(-3600)})),
        case("nbf after exp", json!({"nbf": tokens.at(30), "exp": tokens.at(-30)})),
        case("nbf 0", json!({"nbf": 0})),
        case("iat 0", json!({"iat": 0})),
    ];
    let refuse = [
        case("exp 70 s ago, skew 60 s", json!({"exp": tokens.at(-70)})),
        case("exp an hour ago", json!({"exp": tokens.at(-3600)})),
        case("exp 1", json!({"exp": 1})),
        case("exp missing, required", json!({"exp": null})),
        case("nbf in 4 min", json!({"nbf": tokens.at(240)})),
        case("nbf in a year", json!({"nbf": tokens.at(31_557_600)})),
    ];
    let future = case("iat in 4 min", json!({"iat": tokens.at(240)}));
    for (name, token) in pass {
        cases.token(name, "accounts", &token).passes();
    }
    for (name, token) in refuse {
        cases.token(name, "accounts", &token).refused();
    }
    cases.token(future.0, "accounts", &future.1).claimgate_refuses("iat-future");
    let zero = json!({"exp": 0});
    cases.token("exp 0, required", "accounts", &tokens.token("accounts", &zero)).refused();
    cases
        .token("exp 0", "defaults", &tokens.token("defaults", &zero))
        .claimgate_refuses("exp-zero");
}

/// The same text for each of the three, in a token that is otherwise good.
fn types(cases: &Cases, tokens: &Tokens) {
    let soon = tokens.at(1800);
    let past = tokens.at(-1800);
    for (claim, good) in [("exp", soon), ("nbf", past), ("iat", past)] {
        let header = r#"{"alg":"EdDSA","kid":"EdDSA"}"#;
        let token = |text: &str| {
            let exp = if claim == "exp" { String::new() } else { r#","exp":{exp}"#.to_owned() };
            let payload = format!(r#"{{"iss":"{{iss}}","aud":"orders","{claim}":{text}{exp}}}"#);
            tokens.raw("accounts", header, &payload)
        };
        for text in [
            format!("\"{good}\""),
            "true".to_owned(),
            "null".to_owned(),
            "{}".to_owned(),
            format!("[{good}]"),
            "\"\"".to_owned(),
            format!("0{good}"),
            format!("+{good}"),
            "NaN".to_owned(),
            "Infinity".to_owned(),
            "1e400".to_owned(),
        ] {
            cases.token(format!("{claim}: {text}"), "accounts", &token(&text)).refused();
        }
        cases.token(format!("{claim}: an integer"), "accounts", &token(&good.to_string())).passes();
        for (what, text) in [
            ("with a fraction", format!("{good}.5")),
            ("with .0", format!("{good}.0")),
            ("with an exponent", format!("{good}e0")),
        ] {
            cases.token(format!("{claim} {what}"), "accounts", &token(&text)).passes();
        }
        let negative = cases.token(format!("{claim} -1"), "accounts", &token("-1"));
        if claim == "exp" {
            negative.refused();
        } else {
            negative.jwt_authn_refuses("time-before-1970");
        }
        let huge =
            cases.token(format!("{claim} of 2^63"), "accounts", &token("9223372036854775808"));
        if claim == "nbf" {
            huge.refused()
        } else {
            huge.claimgate_refuses("time-too-large")
        }
        for (what, text) in [("of 2^64", "18446744073709551616"), ("of 10^30", "1e30")] {
            cases.token(format!("{claim} {what}"), "accounts", &token(text)).refused();
        }
    }
}

/// Two hours at most, which the two count from different ends.
fn lifetime(cases: &Cases, tokens: &Tokens) {
    let token = |iat: Option<i64>, exp: i64| {
        let iat = iat.map(|seconds| tokens.at(seconds));
        tokens.token("lifetime", &json!({"iat": iat, "exp": tokens.at(exp)}))
    };
    let name = |what: &str| format!("max_lifetime 2 h: {what}");
    cases.token(name("new, 1 h"), "lifetime", &token(Some(-5), 3600)).passes();
    cases.token(name("1 h old, 2 h"), "lifetime", &token(Some(-3600), 3600)).passes();
    cases.token(name("new, 10 h"), "lifetime", &token(Some(-5), 36_000)).refused();
    cases
        .token(name("9 h old, 10 h"), "lifetime", &token(Some(-32_400), 3600))
        .claimgate_refuses("max-lifetime");
    cases.token(name("no iat"), "lifetime", &token(None, 3600)).passes();
    cases.token(name("no iat, 10 h"), "lifetime", &token(None, 36_000)).refused();
    cases.token(name("9 h old, 20 h"), "lifetime", &token(Some(-32_400), 39_600)).refused();
}
