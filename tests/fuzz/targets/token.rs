//! Any text as a token. Only what the issuer signed and what is good for now may ever be verified.
//!
//! The first byte says how the rest becomes a token: as it is; as three parts that are only encoded, to get past the
//! base64url; or as a header and a payload that are signed as well, to get past the signature.

#![no_main]

use std::sync::LazyLock;

use claimgate::keys::store::KeyStore;
use claimgate::token::{RawToken, UnverifiedJws, Verifier};
use claimgate_fuzz::{AUDIENCE, ISSUER, NOW, good_token, now, signed, verifier};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

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
    let is_verified = verifier.verify(token, &keys.load(), now()).is_ok();
    assert!(!is_verified || UnverifiedJws::parse(token, 16 * 1024).is_ok());
    is_verified
}

/// What another parser, which is more lenient, makes of a token that was verified.
fn hold_good(header: &[u8], payload: &[u8]) {
    let header: Value = serde_json::from_slice(header).expect("a header is JSON");
    let payload: Value = serde_json::from_slice(payload).expect("claims are JSON");
    assert_eq!(header["alg"], "EdDSA");
    assert!(header.get("crit").is_none() && header.get("b64").is_none());
    assert_eq!(payload["iss"], ISSUER);
    let audiences = match &payload["aud"] {
        Value::Array(several) => several.clone(),
        one => vec![one.clone()],
    };
    assert!(audiences.iter().any(|audience| audience == AUDIENCE));
    assert!(payload["exp"].as_f64().expect("a number") > (NOW - 30) as f64);
    for name in ["nbf", "iat"] {
        let starts = payload.get(name).map(|date| date.as_f64().expect("a number"));
        assert!(starts.is_none_or(|starts| starts <= (NOW + 31) as f64));
    }
    for name in ["sub", "jti"] {
        assert!(payload.get(name).is_none_or(Value::is_string));
    }
}

/// Base64url without padding (RFC 4648 §5).
fn encoded(bytes: &[u8]) -> String {
    let token = signed(b"", bytes);
    token.split('.').nth(1).unwrap_or_default().to_owned()
}
