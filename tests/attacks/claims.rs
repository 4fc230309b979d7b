//! Claims that are judged: times, audience, issuer, names (RFC 7519 §4.1, RFC 8725 §3.8 and §3.9).

use serde_json::{Value, json};

use crate::kept::mint;
use crate::table::{Attack, Expected};
use crate::world::{ISSUER, World};

pub(crate) fn rows(world: &World) -> Vec<Attack> {
    let mut rows = dates(world);
    rows.extend(names(world));
    rows.extend(forwarded(world));
    rows
}

/// No number, or none that has a meaning.
const NO_DATES: [&str; 16] = [
    "\"4000000000\"",
    "\"never\"",
    "\"0xEE6B2800\"",
    "\"\"",
    "null",
    "true",
    "[4000000000]",
    "{}",
    "1e400",
    "-1e400",
    "1e308",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "10000000000000000000000000000000000000000",
    "4000000000000000000000",
];

fn dates(world: &World) -> Vec<Attack> {
    // As text: most of these no JSON library writes.
    let with = |name: &str, text: &str| {
        let claims = world.claims_without(name).to_string();
        world.with_payload(claims.replacen('{', &format!("{{\"{name}\":{text},"), 1))
    };
    let all = |name: &'static str, texts: &[&str]| -> Vec<String> {
        texts.iter().map(|text| with(name, text)).collect()
    };
    let digits = "9".repeat(5000);
    let dates = |name: &'static str| {
        let mut tokens = all(name, &NO_DATES);
        tokens.push(with(name, &digits));
        tokens
    };
    let now = world.now;
    let at = |seconds: i64| (now + seconds).to_string();
    vec![
        Attack::denied("no exp", "RFC 8725 §3.9, RFC 7519 §4.1.4", "missing_claim", {
            [mint(&world.ed, &world.claims_without("exp")).unwrap()]
        }),
        Attack::denied("exp in the past", "RFC 7519 §4.1.4", "expired", {
            let past = [at(-31), at(-3600), format!("{}.9", now - 40), format!("{}e0", now - 40)];
            let mut tokens: Vec<String> = past.iter().map(|exp| with("exp", exp)).collect();
            tokens.extend(all("exp", &["0", "-1", "1", "0.0", "-0", "-9000000000", "1e3"]));
            tokens
        }),
        Attack::denied(
            "exp that is no date",
            "CVE-2026-25537, RFC 7519 §2",
            "malformed",
            dates("exp"),
        ),
        Attack::denied(
            "nbf that is no date",
            "CVE-2026-25537, RFC 7519 §2",
            "malformed",
            dates("nbf"),
        ),
        Attack::denied(
            "iat that is no date",
            "CVE-2026-25537, RFC 7519 §2",
            "malformed",
            dates("iat"),
        ),
        Attack::denied("nbf in the future", "RFC 7519 §4.1.5", "not_yet_valid", {
            [at(300), at(3000), "4000000000.5".to_owned(), "4e9".to_owned()]
                .map(|nbf| with("nbf", &nbf))
        }),
        Attack::denied("iat in the future", "RFC 7519 §4.1.6", "not_yet_valid", {
            [at(300), "4000000000".to_owned()].map(|iat| with("iat", &iat))
        }),
        Attack::allowed("control: dates as they may be written", "RFC 7519 §2", {
            let mut tokens = all("exp", &["4000000000", "4000000000.5", "4e9", "4E+9", "4.0e9"]);
            tokens.extend(all("nbf", &["0", "-1", "1.5", "1e9"]));
            // Within the tolerance for clocks that disagree.
            tokens.extend([with("exp", &at(-5)), with("nbf", &at(5)), with("iat", &at(5))]);
            tokens
        }),
    ]
}

fn names(world: &World) -> Vec<Attack> {
    let with = |name: &str, value: &Value| {
        let mut over = json!({});
        over[name] = value.clone();
        world.with_claims(&over)
    };
    let row = |name, reference, reason, claim: &str, values: &[Value]| {
        let tokens: Vec<String> = values.iter().map(|value| with(claim, value)).collect();
        Attack::denied(name, reference, reason, tokens)
    };
    let no_strings = [json!(null), json!(1), json!(true), json!({}), json!([]), json!(["alice"])];
    vec![
        Attack::denied("no aud", "RFC 8725 §3.9", "missing_claim", {
            [mint(&world.ed, &world.claims_without("aud")).unwrap()]
        }),
        row(
            "aud that looks like ours",
            "CVE-2020-26160, RFC 7519 §4.1.3",
            "audience_mismatch",
            "aud",
            &[
                json!("Orders"),
                json!("ORDERS"),
                json!("order"),
                json!("orders/"),
                json!("ordersx"),
                json!("xorders"),
                json!(" orders"),
                json!("orders\u{0}"),
                json!("%6frders"),
                json!("\u{43e}rders"),
                json!("orders,billing"),
                json!("orders billing"),
                json!("*"),
                json!(""),
                json!([]),
                json!(["x", "y"]),
                json!(["o", "rders"]),
            ],
        ),
        row(
            "aud of another type",
            "CVE-2020-26160, RFC 7519 §4.1.3",
            "malformed",
            "aud",
            &[
                json!(null),
                json!(1),
                json!(true),
                json!({"orders": 1}),
                json!([["orders"]]),
                json!(["orders", 1]),
                json!([null, "orders"]),
            ],
        ),
        row(
            "a token for somebody else",
            "RFC 8725 §3.9",
            "audience_mismatch",
            "aud",
            &[json!("billing")],
        ),
        Attack::denied("no iss", "RFC 8725 §3.8", "unknown_issuer", {
            [mint(&world.ed, &world.claims_without("iss")).unwrap()]
        }),
        row(
            "iss that looks like ours",
            "CVE-2024-53861, RFC 8725 §3.8",
            "unknown_issuer",
            "iss",
            &[
                json!(format!("{ISSUER}/")),
                json!(ISSUER.to_uppercase()),
                json!(&ISSUER[..ISSUER.len() - 1]),
                json!(format!("{ISSUER}.evil.example")),
                json!("https://accounts.example.com@evil.example"),
                json!(format!("{ISSUER}\u{0}")),
                json!(format!(" {ISSUER}")),
                json!("https://\u{430}ccounts.example.com"),
                json!("http://accounts.example.com"),
                json!("https://accounts.example.com:443"),
                json!("accounts"),
                json!("h"),
                json!(""),
            ],
        ),
        row(
            "iss of another type",
            "CVE-2025-30144, RFC 7519 §4.1.1",
            "malformed",
            "iss",
            &[
                json!([ISSUER]),
                json!([ISSUER, "https://evil.example"]),
                json!({"iss": ISSUER}),
                json!(null),
                json!(7),
                json!(true),
            ],
        ),
        row("sub that is no string", "RFC 7519 §4.1.2", "malformed", "sub", &no_strings),
        row("jti that is no string", "RFC 7519 §4.1.7", "malformed", "jti", &no_strings),
        Attack::allowed("control: audiences, one of which is ours", "RFC 7519 §4.1.3", {
            [json!("orders"), json!(["orders"]), json!(["x", "orders", "x"])]
                .map(|aud| with("aud", &aud))
        }),
    ]
}

/// Claims that would be something else as a header.
fn forwarded(world: &World) -> Vec<Attack> {
    let with = |sub: String| world.with_claims(&json!({"sub": sub}));
    let injection = "CVE-2019-9900, CVE-2023-27493";
    vec![
        Attack::denied("a line break in a claim that is forwarded", injection, "malformed", {
            [
                "a\r\nx-evil: b",
                "a\nx-evil: b",
                "a\r",
                "a\r\n\r\nGET / HTTP/1.1",
                "a\u{85}b",
                "a\u{2028}b",
                "a\u{2029}b",
            ]
            .map(|sub| with(sub.to_owned()))
        }),
        Attack::denied("a control character in it", injection, "malformed", {
            ["a\u{0}b", "a\u{7f}b", "a\tb", "\u{1b}[2J", "a\u{9b}b"].map(|sub| with(sub.to_owned()))
        }),
        Attack::new(
            "a claim too long for a header",
            "RFC 9110 §5.4",
            Expected::Denied(403, "header_too_large"),
            [
                with("a".repeat(9000)),
                world.with_claims(&json!({"roles": vec!["role-of-somebody"; 600]})),
            ],
        ),
        // As an ext-value of RFC 8187, in ASCII: the answer is held to that.
        Attack::allowed(
            "control: letters that ASCII lacks, and truncated to eight bits are CR and LF",
            injection,
            {
                ["\u{10d}\u{10a}", "\u{560d}\u{560a}", "Zo\u{eb}", "a%0d%0ab", "a,b", "UTF-8''a"]
                    .map(|sub| with(sub.to_owned()))
            },
        ),
    ]
}
