//! Documents good and bad: what is kept, what is skipped and why, what is refused whole.

use serde_json::{Value, json};

use super::super::testing::{base64url, ed25519_jwk, modulus, p256_jwk, rsa_jwk, set};
use super::*;

fn parse(document: &str) -> Result<Jwks, DocumentError> {
    Jwks::parse(document.as_bytes(), AlgorithmSet::ALL, 100)
}

fn kids(jwks: &Jwks) -> Vec<&str> {
    jwks.keys.iter().filter_map(|key| key.kid()).collect()
}

/// `jwk` with `member` set to `value`, or removed where that is null.
fn with(mut jwk: Value, member: &str, value: Value) -> Value {
    if value.is_null() {
        jwk.as_object_mut().unwrap().remove(member);
    } else {
        jwk[member] = value;
    }
    jwk
}

#[test]
fn every_bad_entry_is_skipped_for_its_reason_and_the_good_ones_stay() {
    let (ed, ec, rsa) = (ed25519_jwk("odd"), p256_jwk("odd"), rsa_jwk("odd"));
    let weak = base64url(&modulus(2047));
    let even = base64url(&[&modulus(2048)[..255], &[2]].concat());
    let compressed = base64url(&[&[2], &[9; 32][..]].concat());
    let infinity = with(ec.clone(), "x", json!(base64url(&[0; 32])));
    for (entry, reason) in [
        (json!({"kty": "oct", "kid": "odd", "k": "c2VjcmV0"}), SkipReason::SymmetricKey),
        (json!({"kty": "AKP", "kid": "odd", "alg": "ML-DSA-65"}), SkipReason::UnsupportedType),
        (with(ed.clone(), "crv", json!("X25519")), SkipReason::UnsupportedType),
        (with(ed.clone(), "crv", json!("P-256")), SkipReason::UnsupportedType),
        (with(ec.clone(), "crv", json!("secp256k1")), SkipReason::UnsupportedType),
        (with(ec.clone(), "crv", json!("Ed25519")), SkipReason::UnsupportedType),
        (with(ec.clone(), "kty", json!("ec")), SkipReason::UnsupportedType),
        (with(ec.clone(), "kty", Value::Null), SkipReason::Malformed),
        (with(ec.clone(), "kty", json!(["EC"])), SkipReason::Malformed),
        (with(ec.clone(), "crv", Value::Null), SkipReason::Malformed),
        (with(ec.clone(), "y", Value::Null), SkipReason::Malformed),
        (with(ec.clone(), "x", json!(7)), SkipReason::Malformed),
        (with(ec.clone(), "x", json!("+/+/")), SkipReason::Malformed),
        (with(ec.clone(), "kid", json!(7)), SkipReason::Malformed),
        (with(ec.clone(), "kid", json!("")), SkipReason::Malformed),
        (with(ec.clone(), "kid", json!("k".repeat(257))), SkipReason::Malformed),
        (with(ec.clone(), "use", json!(["sig"])), SkipReason::Malformed),
        (with(ec.clone(), "key_ops", json!("verify")), SkipReason::Malformed),
        (with(ec.clone(), "key_ops", json!([1])), SkipReason::Malformed),
        (with(ec.clone(), "alg", json!(256)), SkipReason::Malformed),
        (with(ec.clone(), "use", json!("enc")), SkipReason::ForEncryption),
        (
            with(with(ec.clone(), "use", json!("enc")), "alg", json!("ES256")),
            SkipReason::ForEncryption,
        ),
        (
            with(ec.clone(), "key_ops", json!(["deriveKey", "deriveBits"])),
            SkipReason::ForEncryption,
        ),
        (with(rsa.clone(), "key_ops", json!(["encrypt", "wrapKey"])), SkipReason::ForEncryption),
        (with(rsa.clone(), "alg", json!("RSA-OAEP-256")), SkipReason::ForEncryption),
        (with(rsa.clone(), "alg", json!("RSA1_5")), SkipReason::ForEncryption),
        (with(ec.clone(), "alg", json!("ECDH-ES+A128KW")), SkipReason::ForEncryption),
        // X25519, of which nothing else is known.
        (
            with(with(ed.clone(), "crv", json!("X25519")), "use", json!("enc")),
            SkipReason::ForEncryption,
        ),
        // What it does not say so plainly is somebody's mistake: of what it is for, or of what signs.
        (with(ec.clone(), "use", json!("tls")), SkipReason::NotForVerification),
        (with(ec.clone(), "use", json!("ENC")), SkipReason::NotForVerification),
        (with(ec.clone(), "key_ops", json!(["encrypt", "sign"])), SkipReason::NotForVerification),
        (
            with(with(rsa.clone(), "use", json!("sig")), "alg", json!("RSA-OAEP")),
            SkipReason::AlgorithmMismatch,
        ),
        (
            with(with(rsa.clone(), "use", json!("sig")), "key_ops", json!(["encrypt"])),
            SkipReason::NotForVerification,
        ),
        // A secret is one whatever it is for.
        (with(with(rsa.clone(), "use", json!("enc")), "d", json!("AQ")), SkipReason::PrivateKey),
        (with(ec.clone(), "key_ops", json!(["sign"])), SkipReason::NotForVerification),
        (with(ec.clone(), "key_ops", json!([])), SkipReason::NotForVerification),
        (with(ec.clone(), "alg", json!("RS256")), SkipReason::AlgorithmMismatch),
        (with(ec.clone(), "alg", json!("ES384")), SkipReason::AlgorithmMismatch),
        (with(ec.clone(), "alg", json!("none")), SkipReason::AlgorithmMismatch),
        (with(rsa.clone(), "alg", json!("HS256")), SkipReason::AlgorithmMismatch),
        (with(ec.clone(), "d", json!("AQ")), SkipReason::PrivateKey),
        (with_null_d(&ed), SkipReason::PrivateKey),
        (with(with(ed.clone(), "crv", json!("X25519")), "d", json!("AQ")), SkipReason::PrivateKey),
        (with(with(ed.clone(), "kty", json!("AKP")), "priv", json!("AQ")), SkipReason::PrivateKey),
        (with(rsa.clone(), "p", json!("AQ")), SkipReason::PrivateKey),
        (with(rsa.clone(), "oth", json!([])), SkipReason::PrivateKey),
        (with(ec.clone(), "x", json!("AQAB")), SkipReason::InvalidKey),
        (with(ec.clone(), "y", ec["x"].clone()), SkipReason::InvalidKey),
        (with(rsa.clone(), "e", json!("AQAAAAE")), SkipReason::InvalidKey),
        (with(rsa.clone(), "e", json!("Aw")), SkipReason::WeakKey),
        (with(rsa.clone(), "e", json!("AQ")), SkipReason::WeakKey),
        (with(rsa.clone(), "e", json!("AQAC")), SkipReason::WeakKey),
        (with(rsa.clone(), "e", json!("AA")), SkipReason::WeakKey),
        (with(rsa.clone(), "e", json!("")), SkipReason::WeakKey),
        (with(rsa.clone(), "n", json!(weak)), SkipReason::WeakKey),
        (with(rsa.clone(), "n", json!(even)), SkipReason::InvalidKey),
        (with(rsa, "n", json!(base64url(&modulus(8200)))), SkipReason::InvalidKey),
        (with(ec.clone(), "x", json!(compressed)), SkipReason::InvalidKey),
        (with(infinity, "y", json!(base64url(&[0; 32]))), SkipReason::InvalidKey),
        (with(ed.clone(), "x", json!(base64url(&[0; 32]))), SkipReason::WeakKey),
        (with(ed.clone(), "x", json!(base64url(&[9; 31]))), SkipReason::InvalidKey),
        (with(ed, "x", json!(base64url(&[0xff; 32]))), SkipReason::InvalidKey),
        (json!("a string"), SkipReason::Malformed),
        (json!(null), SkipReason::Malformed),
        (json!([]), SkipReason::Malformed),
        (json!({}), SkipReason::Malformed),
    ] {
        let entries = [ed25519_jwk("before"), entry.clone(), p256_jwk("after")];
        let jwks = parse(&set(&entries)).unwrap();
        assert_eq!(kids(&jwks), ["before", "after"], "{entry}");
        let reasons: Vec<_> = jwks.skipped.iter().map(|key| key.reason).collect();
        assert_eq!(reasons, [reason], "{entry}");
    }
}

/// As Keycloak publishes a realm's keys: the one that it signs with, and one that clients encrypt to it with.
#[test]
fn a_realm_s_key_for_encryption_is_told_apart_from_a_signing_key_that_cannot_be_used() {
    let realm_key = |kid: &str, alg: &str, purpose: &str| {
        let jwk = with(with(rsa_jwk(kid), "alg", json!(alg)), "use", json!(purpose));
        let jwk =
            with(with(jwk, "x5c", json!(["MIICmzCCAYMCBgGA"])), "x5t", json!("dGh1bWJwcmludA"));
        with(jwk, "x5t#S256", json!("YSBsb25nZXIgdGh1bWJwcmludA"))
    };
    let realm = [
        realm_key("FJ86GcF3jTbNLOco4NvZkUCIUmfYCqoqtOQeMfbhNlE", "RS256", "sig"),
        realm_key("kVtOK9Gf2xUz3hbcL1mBqvMtxV6eGXLRkUxzHyTrQ3o", "RSA-OAEP", "enc"),
    ];
    let jwks = parse(&set(&realm)).unwrap();
    assert_eq!(kids(&jwks), ["FJ86GcF3jTbNLOco4NvZkUCIUmfYCqoqtOQeMfbhNlE"]);
    let [SkippedKey { kid, reason }] = &*jwks.skipped else { panic!("{:?}", jwks.skipped) };
    assert_eq!(kid.as_deref(), Some("kVtOK9Gf2xUz3hbcL1mBqvMtxV6eGXLRkUxzHyTrQ3o"));
    assert_eq!(*reason, SkipReason::ForEncryption);
}

fn with_null_d(jwk: &Value) -> Value {
    let mut jwk = jwk.clone();
    jwk["d"] = Value::Null;
    jwk
}

#[test]
fn an_entry_with_a_repeated_member_is_skipped_even_behind_escapes() {
    let good = ed25519_jwk("good");
    let x = good["x"].as_str().unwrap();
    for repeated in ["\"kid\":\"b\"", "\"k\\u0069d\":\"b\"", "\"kty\":\"OKP\"", "\"x\":\"AQ\""] {
        let entry = format!(
            "{{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"a\",\"x\":\"{x}\",{repeated}}}"
        );
        let jwks = parse(&format!("{{\"keys\":[{entry},{good}]}}")).unwrap();
        assert_eq!(kids(&jwks), ["good"], "{repeated}");
        assert_eq!(jwks.skipped, [SkippedKey { kid: None, reason: SkipReason::Malformed }]);
    }
}

#[test]
fn unknown_members_and_certificates_are_passed_over() {
    let jwk = with(ed25519_jwk("a"), "x5c", json!(["not looked at", 7]));
    let jwk = with(jwk, "ext", json!(true));
    let jwk = with(jwk, "key_ops", json!(["verify", "encrypt"]));
    let document = json!({"keys": [jwk], "issuer": {"anything": [1, 2]}}).to_string();
    assert_eq!(kids(&parse(&document).unwrap()), ["a"]);
}

#[test]
fn documents_that_are_no_jwk_set_are_refused_whole() {
    let good = set(&[ed25519_jwk("good")]);
    let truncated = good.get(..good.len() - 2).unwrap();
    let bare = ed25519_jwk("good").to_string();
    for document in [
        "",
        " ",
        "null",
        "7",
        "\"keys\"",
        "[]",
        &format!("[{good}]"),
        "<!DOCTYPE html><html><body>502 Bad Gateway</body></html>",
        truncated,
        &format!("{good}x"),
        &format!("{good}{good}"),
        &format!("{good}\0"),
        &format!("\u{feff}{good}"),
        &format!("callback({good})"),
        &format!("/* keys */ {good}"),
        &good.replacen("{", "{\"keys\":[],", 1),
        &good.replacen("{", "{\"k\\u0065ys\":[],", 1),
    ] {
        let error = parse(document).unwrap_err();
        assert!(matches!(error, DocumentError::NotJson(_)), "{document}: {error}");
    }
    for document in ["{}", &bare, "{\"keys\":null}", "{\"keys\":{}}", "{\"keys\":\"\"}"] {
        assert_eq!(parse(document).unwrap_err(), DocumentError::NoKeys, "{document}");
    }
    let invalid_utf8 = [good.as_bytes(), &[0xff]].concat();
    assert!(Jwks::parse(&invalid_utf8, AlgorithmSet::ALL, 100).is_err());
    assert!(Jwks::parse(&[0x1f, 0x8b, 8, 0], AlgorithmSet::ALL, 100).is_err());
}

#[test]
fn a_document_without_a_usable_key_is_refused_with_the_count_of_each_reason() {
    assert_eq!(parse("{\"keys\":[]}").unwrap_err().to_string(), "no usable key (it is empty)");
    let odd = [json!({"kty": "oct"}), json!({"kty": "oct"}), json!({"kty": "AKP"})];
    let error = parse(&set(&odd)).unwrap_err().to_string();
    assert_eq!(error, "no usable key (2 symmetric_key, 1 unsupported_type)");
}

#[test]
fn the_limit_counts_every_entry_usable_or_not() {
    let limited = |entries: &[Value]| {
        Jwks::parse(set(entries).as_bytes(), AlgorithmSet::ALL, 2).map(|jwks| jwks.keys.len())
    };
    let key = ed25519_jwk("a");
    assert_eq!(limited(&[key.clone(), json!(null)]), Ok(1));
    let too_many = Err(DocumentError::TooManyKeys { found: 3, limit: 2 });
    assert_eq!(limited(&[key, json!(null), json!(null)]), too_many);
}

#[test]
fn deep_nesting_neither_overflows_the_stack_nor_costs_the_good_keys() {
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let good = ed25519_jwk("good");
    for entry in [nested.clone(), format!("{{\"kty\":{nested}}}")] {
        match parse(&format!("{{\"keys\":[{entry},{good}]}}")) {
            Ok(jwks) => assert_eq!(kids(&jwks), ["good"]),
            Err(error) => assert!(matches!(error, DocumentError::NotJson(_)), "{error}"),
        }
    }
}

#[test]
fn the_same_key_twice_is_one_and_two_keys_under_one_kid_are_none() {
    let (a, b) = (ed25519_jwk("a"), ed25519_jwk("b"));
    let jwks = parse(&set(&[a.clone(), a.clone(), b.clone()])).unwrap();
    assert_eq!(kids(&jwks), ["a", "b"]);
    assert_eq!(jwks.skipped, []);

    let jwks = parse(&set(&[a.clone(), ed25519_jwk("a"), a.clone(), b])).unwrap();
    assert_eq!(kids(&jwks), ["b"]);
    let skipped = SkippedKey { kid: Some("a".into()), reason: SkipReason::DuplicateKid };
    assert_eq!(jwks.skipped, vec![skipped; 3]);

    let only = parse(&set(&[a, ed25519_jwk("a")])).unwrap_err();
    assert_eq!(only.to_string(), "no usable key (2 duplicate_kid)");
}

#[test]
fn keys_under_one_kid_that_their_algorithms_tell_apart_are_both_kept() {
    let jwks = parse(&set(&[ed25519_jwk("a"), p256_jwk("a"), rsa_jwk("a")])).unwrap();
    assert_eq!(jwks.skipped, []);
    let algorithms: Vec<_> = jwks.keys.iter().map(|key| key.family()).collect();
    let expected = [Family::Ed25519, Family::P256, Family::RsaPkcs1, Family::RsaPss];
    assert_eq!(algorithms, expected);
    let pinned = |alg: &str| with(rsa_jwk("r"), "alg", json!(alg));
    let jwks = parse(&set(&[pinned("RS256"), pinned("RS512"), pinned("PS256")])).unwrap();
    assert_eq!((jwks.keys.len(), jwks.skipped.len()), (3, 0));
    let jwks = parse(&set(&[pinned("RS256"), rsa_jwk("r")])).unwrap();
    // The second one is still known by the padding that the first is not for.
    assert_eq!(jwks.keys.iter().map(|key| key.family()).collect::<Vec<_>>(), [Family::RsaPss]);
    assert_eq!(jwks.skipped.len(), 2);
}

#[test]
fn keys_without_a_kid_never_make_each_other_ambiguous() {
    let keyless = || with(ed25519_jwk("-"), "kid", Value::Null);
    let jwks = parse(&set(&[keyless(), keyless()])).unwrap();
    assert_eq!((jwks.keys.len(), jwks.skipped.len()), (2, 0));
}

#[test]
fn a_key_serves_only_what_the_issuer_accepts_and_its_own_alg_names() {
    let accepted = AlgorithmSet::from_iter([Algorithm::Rs256, Algorithm::Rs384]);
    let parse = |entry: Value| Jwks::parse(set(&[entry]).as_bytes(), accepted, 10);
    let algorithms = |jwks: Jwks| -> Vec<_> {
        jwks.keys.iter().flat_map(|key| key.algorithms().collect::<Vec<_>>()).collect()
    };
    let rsa = rsa_jwk("a");
    let both = [Algorithm::Rs256, Algorithm::Rs384];
    assert_eq!(algorithms(parse(rsa.clone()).unwrap()), both);
    let pinned = with(rsa.clone(), "alg", json!("RS384"));
    assert_eq!(algorithms(parse(pinned).unwrap()), [Algorithm::Rs384]);
    for entry in [with(rsa, "alg", json!("PS256")), ed25519_jwk("b"), p256_jwk("c")] {
        let error = parse(entry).unwrap_err().to_string();
        assert_eq!(error, "no usable key (1 algorithm_not_accepted)");
    }
}

#[test]
fn no_error_and_no_debug_output_quotes_the_document() {
    let entry = with(ed25519_jwk("a"), "d", json!("c2VjcmV0LXNlY3JldA"));
    let error = parse(&set(std::slice::from_ref(&entry))).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("c2VjcmV0"));
    let jwks = parse(&set(&[entry, ed25519_jwk("b")])).unwrap();
    assert!(!format!("{jwks:?}").contains("c2VjcmV0"));
    let error = parse("{\"keys\": hunter2}").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}
