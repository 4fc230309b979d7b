//! What is said of tokens of every form: the right ones, the broken ones, and those that try to write to the terminal.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;
use crate::issuer::SigningKey;
use crate::issuer::mint::{mint, mint_bytes, mint_with_header};
use crate::keys::key::Algorithm;

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::EdDsa).unwrap().with_kid("one")
}

fn now() -> UnixTime {
    UnixTime::from_secs(1_800_000_000).unwrap()
}

fn text(token: &str) -> String {
    Inspected::of(token).text(now())
}

fn parsed(token: &str) -> serde_json::Value {
    serde_json::from_str(&Inspected::of(token).json(now())).unwrap()
}

#[test]
fn a_token_is_shown_with_its_times_beside_the_numbers() {
    let claims = json!({
        "iss": "https://a.example", "exp": 1_800_000_300, "iat": 1_799_996_400.5, "nbf": "soon",
        "realm_access": {"roles": ["a", "b"]},
    });
    let token = mint(&key(), &claims).unwrap();
    let expected = r#"header:
  alg: "EdDSA"
  typ: "JWT"
  kid: "one"
payload:
  iss: "https://a.example"
  exp: 1800000300  (2027-01-15T08:05:00Z, in 5m)
  iat: 1799996400.5  (2027-01-15T07:00:00Z, 59m59s ago)
  nbf: "soon"
  realm_access: {
    "roles": ["a","b"]
  }
signature: 64 bytes, not checked
malformed: "nbf" in the payload is not a number of seconds (RFC 7519 §2)"#;
    assert_eq!(text(&token), expected);
}

#[test]
fn programs_get_exact_numbers_and_are_told_that_nothing_is_verified() {
    let token = mint_bytes(
        &key(),
        br#"{"alg":"EdDSA"}"#,
        br#"{"id":9007199254740993,"big":1e400,"exp":1799999995,"name":"\u001b[31m"}"#,
    );
    let token = token.unwrap();
    let line = Inspected::of(&token).json(now());
    assert!(line.contains(r#""id":9007199254740993,"big":1e400"#), "{line}");
    assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
    let line = line.replace("1e400", "1");
    let report: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(report["verified"], false);
    assert!(report["warning"].as_str().unwrap().starts_with("NOT VERIFIED"));
    assert_eq!(
        report["times"]["exp"],
        json!({"time": "2027-01-15T07:59:55Z", "seconds_from_now": -5})
    );
    assert_eq!(report["malformed"], json!(null));
}

#[test]
fn what_is_wrong_is_said_and_what_can_be_read_is_shown() {
    let good = mint(&key(), &json!({"sub": "alice"})).unwrap();
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let of = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let with = |header: serde_json::Value| mint_with_header(&key(), &header, &json!({})).unwrap();
    let join = |parts: [&str; 3]| parts.join(".");
    for (token, why, shows) in [
        (join([header, payload, ""]), "the signature is empty", "alice"),
        (format!("{header}.{payload}"), "fewer than three segments", "alice"),
        (header.to_owned(), "fewer than three segments", "no dots"),
        (join([header, &format!("{payload}=="), signature]), "payload is not canonical", "alice"),
        (join(["???", payload, signature]), "the header is not canonical", "alice"),
        (join([&of("{"), payload, signature]), "the header is not one strict JSON", "alice"),
        (join([header, &of(r#"{"a":1,"a":2}"#), signature]), "named twice", r#"{"a":1,"a":2}"#),
        (join([header, &of("[1]"), signature]), "the payload is not one strict JSON", "[1]"),
        (with(json!({"crit": ["b64"]})), r#"the header holds "crit""#, "b64"),
        (with(json!({"typ": "dpop+jwt"})), "another purpose", "dpop+jwt"),
        (with(json!({"alg": null})), r#"the header has no "alg""#, "one"),
        (with(json!({"alg": 7})), r#""alg" in the header is not a string"#, "7"),
        (with(json!({"kid": ""})), r#""kid" is empty"#, "EdDSA"),
        (mint(&key(), &json!({"sub": 7})).unwrap(), r#""sub" in the payload is not"#, "7"),
        (mint(&key(), &json!({"aud": [7]})).unwrap(), r#""aud" in the payload is"#, "7"),
        ("a.b.c.d.e".to_owned(), "not canonical", "an encrypted token (JWE)"),
    ] {
        let text = text(&token);
        assert!(text.contains("malformed: ") && text.contains(why), "{why}: {text}");
        assert!(text.contains(shows), "{shows}: {text}");
        assert!(parsed(&token)["malformed"].as_str().unwrap().contains(why), "{why}");
    }
}

#[test]
fn no_token_writes_to_the_terminal() {
    let evil = "\u{1b}]0;x\u{7}\n\u{9b}31m\u{202e}";
    let claims = json!({"a": evil, evil: [evil, {evil: evil}]});
    for token in [
        mint_with_header(&key(), &json!({"kid": evil, evil: evil}), &claims).unwrap(),
        mint_bytes(&key(), evil.as_bytes(), evil.as_bytes()).unwrap(),
        format!("{evil}.{evil}.{evil}"),
    ] {
        let text = text(&token);
        let is_plain = |c: char| c == '\n' || c == '§' || (' '..='~').contains(&c);
        assert!(text.chars().all(is_plain), "{text:?}");
    }
}
