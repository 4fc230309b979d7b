//! Texts that are nearly tokens: segments, base64url, JSON, and what a JOSE header may say.

use claimgate::keys::key::Algorithm;
use serde_json::json;

use super::Cases;
use crate::case::Verdict;
use crate::tokens::{Tokens, with_segments};

const HEADER: &str = r#"{"alg":"EdDSA","kid":"EdDSA"}"#;
const PAYLOAD: &str = r#"{"iss":"{iss}","aud":"orders","sub":"alice","exp":{exp}}"#;

pub(super) fn add(cases: &Cases, tokens: &Tokens) {
    segments(cases, tokens);
    base64url(cases, tokens);
    headers(cases, tokens);
    header_members(cases, tokens);
    payloads(cases, tokens);
    sizes(cases, tokens);
}

fn segments(cases: &Cases, tokens: &Tokens) {
    let good = tokens.token("accounts", &json!({}));
    let [header, payload, signature] = parts(&good);
    for (what, token) in [
        ("two segments", format!("{header}.{payload}")),
        ("one segment", header.clone()),
        ("two dots alone", "..".to_owned()),
        ("one dot alone", ".".to_owned()),
        ("no header", format!(".{payload}.{signature}")),
        ("no payload", format!("{header}..{signature}")),
        ("no signature", format!("{header}.{payload}.")),
        ("five segments", format!("{header}.{payload}.{signature}.{payload}.{signature}")),
        ("a JWE's four dots", format!("{header}.{payload}.{signature}.a.b")),
        ("payload and signature swapped", format!("{header}.{signature}.{payload}")),
        ("in JSON serialization", format!(r#"{{"payload":"{payload}"}}"#)),
        ("in quotes", format!("\"{good}\"")),
        ("cut short", good.split_at(good.len() / 2).0.to_owned()),
        ("a word", "undefined".to_owned()),
    ] {
        cases.token(format!("form: {what}"), "accounts", &token).refused();
    }
    for (what, token) in [
        ("a dot in front", format!(".{good}")),
        ("a dot behind", format!("{good}.")),
        ("two dots for one", format!("{header}..{payload}.{signature}")),
        ("dots all around", format!("..{header}..{payload}..{signature}..")),
    ] {
        cases.token(format!("form: {what}"), "accounts", &token).claimgate_refuses("extra-dots");
    }
    cases.token("form: good", "accounts", &good).passes();
}

fn parts(token: &str) -> [String; 3] {
    token.split('.').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap()
}

fn base64url(cases: &Cases, tokens: &Tokens) {
    // 64 octets in 86 letters: the last of which has four bits to spare.
    let good = tokens.token("accounts", &json!({}));
    for (place, what) in [(0, "header"), (1, "payload"), (2, "signature")] {
        for (how, with) in [
            ("a letter more", "A"),
            ("a star", "*"),
            ("a percent escape", "%3D"),
            ("an umlaut", "\u{e4}"),
        ] {
            let token = with_segments(&good, |segments| segments[place].push_str(with));
            cases.token(format!("base64url, {what}: {how} behind"), "accounts", &token).refused();
        }
    }
    let padded = with_segments(&good, |segments| segments[2].push_str("=="));
    cases.token("base64url, signature: padded", "accounts", &padded).claimgate_refuses("base64url");
    let three = with_segments(&good, |segments| segments[2].push_str("==="));
    cases.token("base64url, signature: padded too much", "accounts", &three).refused();
    let spare = with_segments(&good, |segments| {
        let last = segments[2].pop().unwrap();
        // `A`, `Q`, `g` and `w` are the letters whose four low bits are zero.
        segments[2].push(char::from(u8::try_from(last).unwrap() + 1));
    });
    cases
        .token("base64url, signature: spare bits set", "accounts", &spare)
        .claimgate_refuses("base64url");
    // A payload with octets that the two alphabets write differently, and one whose length is no multiple of 3.
    let marks = r#"{"iss":"{iss}","aud":"orders","exp":{exp},"v":"???>>>~~~"}"#;
    let standard = tokens.raw("accounts", HEADER, marks);
    let replaced = with_segments(&standard, |segments| {
        segments[1] = segments[1].replace('-', "+").replace('_', "/");
    });
    assert_ne!(standard, replaced, "nothing to tell the alphabets apart by");
    cases.token("base64, the standard alphabet in the payload", "accounts", &replaced).refused();
    for length in 0..3 {
        let payload = format!(
            r#"{{"iss":"{{iss}}","aud":"orders","exp":{{exp}},"pad":"{}"}}"#,
            "x".repeat(length)
        );
        let token = tokens.raw("accounts", HEADER, &payload);
        cases.token(format!("base64url, {length} letters of padding"), "accounts", &token).passes();
    }
    let signature = (0..).find_map(|number| {
        let token = tokens.token("accounts", &json!({"number": number}));
        let replaced = with_segments(&token, |segments| {
            segments[2] = segments[2].replace('-', "+").replace('_', "/");
        });
        (replaced != token).then_some(replaced)
    });
    cases
        .token("base64, the standard alphabet in the signature", "accounts", &signature.unwrap())
        .refused();
}

/// Octets in the place of the header.
fn headers(cases: &Cases, tokens: &Tokens) {
    for header in [
        "",
        "{}",
        "[]",
        "null",
        "1",
        "\"EdDSA\"",
        "{",
        r#"{"alg":"EdDSA","kid":"EdDSA"} x"#,
        r#"{"alg":"EdDSA","kid":"EdDSA"}{"alg":"none"}"#,
        r#"{"Alg":"EdDSA","kid":"EdDSA"}"#,
        "\u{feff}{\"alg\":\"EdDSA\",\"kid\":\"EdDSA\"}",
        r#"{"alg":"EdDSA","kid":"EdDSA" /* comment */}"#,
    ] {
        let token = tokens.raw("accounts", header, PAYLOAD);
        cases.token(format!("header: {header}"), "accounts", &token).refused();
    }
    let octets =
        [b"{\"alg\":\"EdDSA\",\"kid\":\"EdDSA\",\"x\":\"\xff\"}".as_slice(), b"\0", b"\xff"];
    for header in octets {
        let payload = tokens.claims("accounts").to_string();
        let token = tokens.octets(header, payload.as_bytes());
        let name = format!("header of octets: {}", header.escape_ascii());
        cases.token(name, "accounts", &token).refused();
    }
    for header in [
        " {\"alg\":\"EdDSA\",\"kid\":\"EdDSA\"}\n",
        r#"{"\u0061lg":"EdDSA","kid":"EdDSA"}"#,
        r#"{"alg":"Ed\u0044SA","kid":"EdDSA"}"#,
        r#"{"alg":"EdDSA","kid":"EdDSA","x":{"y":[1,2,{"z":null}]}}"#,
        r#"{"alg":"EdDSA","kid":"EdDSA","":""}"#,
    ] {
        let token = tokens.raw("accounts", header, PAYLOAD);
        cases.token(format!("header: {header}"), "accounts", &token).passes();
    }
    for header in [
        r#"{"alg":"none","alg":"EdDSA","kid":"EdDSA"}"#,
        r#"{"alg":"EdDSA","alg":"EdDSA","kid":"EdDSA"}"#,
        r#"{"alg":"EdDSA","kid":"x","kid":"EdDSA"}"#,
    ] {
        let token = tokens.raw("accounts", header, PAYLOAD);
        cases.token(format!("header: {header}"), "accounts", &token).refused();
    }
    for header in [
        r#"{"alg":"EdDSA","kid":"EdDSA",}"#,
        r#"{'alg':'EdDSA','kid':'EdDSA'}"#,
        r#"{alg:"EdDSA",kid:"EdDSA"}"#,
    ] {
        let token = tokens.raw("accounts", header, PAYLOAD);
        cases
            .token(format!("header: {header}"), "accounts", &token)
            .claimgate_refuses("lenient-json");
    }
    let header = r#"{"alg":"EdDSA","kid":"EdDSA","x":"\ud800"}"#;
    let token = tokens.raw("accounts", header, PAYLOAD);
    cases
        .token(format!("header: {header}"), "accounts", &token)
        .jwt_authn_refuses("unread-header-member");
}

/// What is in the header of a token that is otherwise good.
fn header_members(cases: &Cases, tokens: &Tokens) {
    let key = tokens.key(Algorithm::EdDsa);
    let sign = |over| tokens.signed("accounts", key, &over, &json!({}));
    for typ in ["JWT", "jwt", "at+jwt", "application/at+jwt", "AT+JWT", "application/jwt"] {
        let token = sign(json!({"typ": typ}));
        cases.token(format!("typ {typ}"), "accounts", &token).passes();
    }
    let token = sign(json!({"typ": null}));
    cases.token("no typ", "accounts", &token).passes();
    for typ in [
        json!("dpop+jwt"),
        json!("logout+jwt"),
        json!("secevent+jwt"),
        json!("JOSE"),
        json!("id_token"),
        json!(""),
        json!(1),
        json!(["JWT"]),
    ] {
        let token = sign(json!({"typ": typ}));
        cases.token(format!("typ {typ}"), "accounts", &token).claimgate_refuses("typ");
    }
    for over in [
        json!({"crit": ["exp"], "exp": 1}),
        json!({"crit": []}),
        json!({"crit": ["unknown"], "unknown": 1}),
        json!({"crit": "b64"}),
        json!({"crit": ["b64"], "b64": true}),
        json!({"b64": false}),
    ] {
        let token = sign(over.clone());
        cases.token(format!("header with {over}"), "accounts", &token).claimgate_refuses("crit");
    }
    for over in [
        json!({"cty": "JWT"}),
        json!({"cty": "application/json"}),
        json!({"zip": "DEF"}),
        json!({"x5t": "AAAA"}),
        json!({"x5c": ["AAAA"]}),
        json!({"enc": "A256GCM"}),
        json!({"iss": "https://evil.example.com"}),
        json!({"jwk": {"kty": "oct", "k": "AAAA"}}),
    ] {
        let token = sign(over.clone());
        cases.token(format!("header with {over}"), "accounts", &token).passes();
    }
}

fn payloads(cases: &Cases, tokens: &Tokens) {
    for payload in [
        "",
        "{}",
        "[]",
        "null",
        "1",
        "\"x\"",
        "true",
        "{",
        r#"{"iss":"{iss}","aud":"orders","exp":{exp}"#,
        r#"{"iss":"{iss}","aud":"orders","exp":{exp}} {}"#,
        r#"{"iss":"{iss}","aud":"orders",,"exp":{exp}}"#,
        r#"{"iss":"{iss}","aud":"orders","exp":{exp},"v":"\x41"}"#,
        r#"{"iss":"{iss}","aud":"orders","exp":{exp},"v":01}"#,
        r#"{"iss":"{iss}","aud":"orders","exp":{exp},"v":.5}"#,
        r#"{"iss":"{iss}","aud":"orders","exp":{exp},"v":tru}"#,
        r#"{"iss":"{iss}","aud":"orders","exp":{exp}//
        }"#,
        "\u{feff}{\"iss\":\"{iss}\",\"aud\":\"orders\",\"exp\":{exp}}",
        r#"{"iss":"{iss}","aud":"orders","exp":{exp},"v":"\ud800"}"#,
        r#"{"ISS":"{iss}","aud":"orders","exp":{exp}}"#,
    ] {
        let token = tokens.raw("accounts", HEADER, payload);
        cases.token(format!("payload: {payload}"), "accounts", &token).refused();
    }
    for payload in [
        " \t\r\n{ \"iss\" : \"{iss}\" , \"aud\" : \"orders\" , \"exp\" : {exp} }\n",
        r#"{"iss":"{iss}","aud":"orders","exp":{exp},"":1}"#,
        r#"{"\u0069ss":"{iss}","aud":"orders","exp":{exp}}"#,
        r#"{"iss":"{iss}","aud":"orders","exp":{exp},"x":"\u0000"}"#,
        r#"{"iss":"{iss}","aud":"orders","exp":{exp},"x":"\ud83d\ude00"}"#,
        r#"{"iss":"{iss}","aud":"orders","exp":{exp},"x":-0}"#,
        r#"{"iss":"{iss}","aud":"orders","exp":{exp},"x":123456789012345678901234567890}"#,
        r#"{"iss":"{iss}","aud":"orders","exp":{exp},"__proto__":{"sub":"admin"}}"#,
    ] {
        let token = tokens.raw("accounts", HEADER, payload);
        cases.token(format!("payload: {payload}"), "accounts", &token).passes();
    }
    for payload in [
        r#"{"iss":"https://evil.example.com","iss":"{iss}","aud":"orders","exp":{exp}}"#,
        r#"{"iss":"{iss}","aud":"other","aud":"orders","exp":{exp}}"#,
        r#"{"iss":"{iss}","aud":"orders","exp":1,"exp":{exp}}"#,
        r#"{"iss":"{iss}","aud":"orders","exp":{exp},"x":1,"x":1}"#,
        r#"{"iss":"{iss}","aud":"orders","exp":{exp},"x":{"y":1,"y":2}}"#,
    ] {
        let token = tokens.raw("accounts", HEADER, payload);
        cases.token(format!("payload: {payload}"), "accounts", &token).refused();
    }
    for payload in [
        r#"{"iss":"{iss}","aud":"orders","exp":{exp},}"#,
        r#"{'iss':'{iss}','aud':'orders','exp':{exp}}"#,
        r#"{iss:"{iss}",aud:"orders",exp:{exp}}"#,
        "{\"iss\":\"{iss}\",\"aud\":\"orders\",\"exp\":{exp},\"x\":\"a\nb\"}",
    ] {
        let token = tokens.raw("accounts", HEADER, payload);
        cases
            .token(format!("payload: {payload}"), "accounts", &token)
            .claimgate_refuses("lenient-json");
    }
    let payload = tokens.claims("accounts").to_string();
    let spoiled = payload.replace("alice", "al\u{1}ce").into_bytes();
    let spoiled = spoiled.into_iter().map(|octet| if octet == 1 { 0xff } else { octet });
    let token = tokens.octets(HEADER.as_bytes(), &spoiled.collect::<Vec<_>>());
    cases.token("payload that is no UTF-8", "accounts", &token).refused();
}

fn sizes(cases: &Cases, tokens: &Tokens) {
    let token = |length| tokens.token("accounts", &json!({"x": "x".repeat(length)}));
    cases.token("a token of about 6 KB", "accounts", &token(4 * 1024)).passes();
    cases
        .token("a token of about 12 KB, its payload forwarded", "accounts", &token(8 * 1024))
        .verdicts("header-bytes", Verdict::Passes, Verdict::Refused(403));
    let token = tokens.token("accounts", &json!({"x": "x".repeat(20 * 1024)}));
    cases.token("a token of about 27 KB", "accounts", &token).claimgate_refuses("size");
    for depth in [20, 50, 2000] {
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let payload = PAYLOAD.replace("\"alice\"", &format!("\"alice\",\"x\":{nested}"));
        let token = tokens.raw("accounts", HEADER, &payload);
        let case = cases.token(format!("arrays nested {depth} deep"), "accounts", &token);
        match depth {
            20 => case.passes(),
            50 => case.claimgate_refuses("depth"),
            _ => case.refused(),
        }
    }
    let members: serde_json::Map<_, _> =
        (0..300).map(|index| (format!("claim{index}"), json!(index))).collect();
    let token = tokens.token("accounts", &json!(members));
    cases.token("300 claims", "accounts", &token).passes();
}
