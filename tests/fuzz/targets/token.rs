//! Any text as a token. Only what the issuer signed and what is good for now may ever be verified.
//!
//! The first byte says how the rest becomes a token: as it is; as three parts that are only encoded, to get past the
//! base64url; or as a header and a payload that are signed as well, to get past the signature.

#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use claimgate::keys::store::KeyStore;
use claimgate::token::{RawToken, Segments, UnverifiedJws, Verifier};
use claimgate_fuzz::{AUDIENCE, ISSUER, NOW, good_token, now, signed, verifier};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use serde_json::value::RawValue;

static WORLD: LazyLock<(Verifier, KeyStore)> = LazyLock::new(verifier);
static GOOD: LazyLock<String> = LazyLock::new(good_token);

/// Between the parts of an input.
const SEPARATOR: u8 = 0xff;

fuzz_target!(|input: &[u8]| {
    let Some((how, rest)) = input.split_first() else { return };
    let mut parts = rest.splitn(3, |byte| *byte == SEPARATOR);
    let mut part = || parts.next().unwrap_or_default();
    match how % 3 {
        0 => {
            let Ok(text) = std::str::from_utf8(rest) else { return };
            let is_verified = verify(text);
            assert!(!is_verified || text == *GOOD, "verified, and nobody signed it");
        }
        1 => {
            let (header, payload) = (part(), part());
            let token = signed(header, payload);
            let (input, own) = token.rsplit_once('.').expect("three parts");
            let other = format!("{input}.{}", encoded(part()));
            assert!(!verify(&other) || other.ends_with(own), "verified, and nobody signed it");
        }
        _ => {
            let (header, payload) = (part(), part());
            if verify(&signed(header, payload)) {
                hold_good(header, payload);
            }
        }
    }
});

fn verify(token: &str) -> bool {
    let (verifier, keys) = &*WORLD;
    let token = RawToken::new(token);
    let verified = verifier.verify(token, &keys.load(), now());
    // Whom it is for is looked at for each rule: here the issuer's own word holds.
    let audiences = &verifier.issuers()[0].audiences;
    let is_verified = verified.is_ok_and(|token| token.claims().judge_audience(audiences, None).is_ok());
    let segments = Segments::decode(token, 16 * 1024);
    assert!(!is_verified || segments.is_ok_and(|segments| UnverifiedJws::parse(&segments).is_ok()));
    is_verified
}

/// What a plain parser makes of a token that was verified. It looks only at what has a meaning: a member that has none
/// may hold a number that no double does, or a lone surrogate.
fn hold_good(header: &[u8], payload: &[u8]) {
    let members = |text| serde_json::from_slice::<BTreeMap<String, &RawValue>>(text);
    let header = members(header).expect("a header is JSON");
    let payload = members(payload).expect("claims are JSON");
    let read = |raw: &&RawValue| serde_json::from_str::<Value>(raw.get()).expect("JSON");
    assert_eq!(header.get("alg").map(read), Some("EdDSA".into()));
    assert!(!header.contains_key("crit") && !header.contains_key("b64"));
    assert_eq!(payload.get("iss").map(read), Some(ISSUER.into()));
    let audiences = match payload.get("aud").map(read) {
        Some(Value::Array(several)) => several,
        one => one.into_iter().collect(),
    };
    assert!(audiences.iter().any(|audience| audience == AUDIENCE));
    let date = |name| payload.get(name).map(read).map(|date| date.as_f64().expect("a number"));
    assert!(date("exp").expect("required") > (NOW - 31) as f64);
    assert!(["nbf", "iat"].into_iter().filter_map(date).all(|start| start < (NOW + 31) as f64));
    assert!(
        ["sub", "jti"]
            .into_iter()
            .filter_map(|name| payload.get(name))
            .all(|raw| read(&raw).is_string())
    );
}

/// Base64url without padding (RFC 4648 §5).
fn encoded(bytes: &[u8]) -> String {
    let token = signed(b"", bytes);
    token.split('.').nth(1).unwrap_or_default().to_owned()
}
