//! What comes out of documents from elsewhere, and that nothing private does.

use serde_json::json;

use super::*;

fn text(document: &Value) -> Result<Read, Unreadable> {
    read(document.to_string().as_bytes())
}

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::Es256).unwrap()
}

#[test]
fn a_keyset_of_pems_and_jwks_is_read_with_its_active_kid() {
    let (rsa, ec) = (SigningKey::generate(Algorithm::Rs256).unwrap(), key());
    let jwk = ec.with_kid("k2").public_jwk();
    let document =
        json!({"active_kid": "k2", "keys": {"k1": rsa.public_pem().unwrap(), "k2": jwk}});
    let read = text(&document).unwrap();
    assert_eq!(read.keyset.active_kid.as_deref(), Some("k2"));
    assert_eq!(read.keyset.keys["k1"]["n"], rsa.public_jwk()["n"]);
    assert_eq!(read.keyset.keys["k1"]["kid"], "k1");
    assert_eq!(read.keyset.keys["k2"], jwk);
    assert_eq!(read.keyset.states["published"], ["k1"]);
    assert!(read.private.is_empty());
}

#[test]
fn what_was_written_is_read_back() {
    let jwk = key().with_kid("k1").public_jwk();
    let first = text(&json!({"active_kid": "k1", "keys": {"k1": jwk}})).unwrap();
    assert_eq!(read(first.keyset.to_json().as_bytes()).unwrap(), first);
}

#[test]
fn of_a_private_key_only_the_public_part_is_kept() {
    let key = key();
    let pem = key.private_pem().unwrap().expose().to_owned();
    let secret: &str = "c2VjcmV0LXZhbHVl";
    let mut jwk = key.public_jwk();
    jwk["d"] = json!(secret);
    jwk["x_custom"] = json!(secret);
    let document = json!({"keys": {"pem": pem, key.kid(): jwk}});
    let read = text(&document).unwrap();
    assert_eq!(read.private.len(), 2);
    let shown = read.keyset.to_json();
    assert!(!shown.contains(secret) && !shown.contains("PRIVATE") && !shown.contains("\"d\""));
    assert_eq!(read.keyset.keys["pem"]["x"], key.public_jwk()["x"]);
}

#[test]
fn a_jwk_set_names_keys_without_a_kid_by_their_thumbprint() {
    let key = key();
    let mut jwk = key.public_jwk();
    jwk.as_object_mut().unwrap().remove("kid");
    let read = text(&json!({"keys": [jwk]})).unwrap();
    assert!(read.keyset.keys.contains_key(key.kid()));
    assert_eq!(read.keyset.active_kid, None);
}

#[test]
fn what_is_no_set_of_public_keys_is_refused_without_quoting_it() {
    let jwk = key().with_kid("k1").public_jwk();
    let secret = "c2VjcmV0LXZhbHVl";
    for document in [
        json!({}),
        json!({"keys": []}),
        json!({"keys": {}}),
        json!({"keys": "k1"}),
        json!({"keys": [{"kty": "oct", "k": secret}]}),
        json!({"keys": {"k1": secret}}),
        json!({"keys": {"k1": 7}}),
        json!({"keys": {"other": jwk}}),
        json!({"keys": [jwk, jwk]}),
        json!({"active_kid": "k9", "keys": {"k1": jwk}}),
        json!({"active_kid": 1, "keys": {"k1": jwk}}),
    ] {
        let error = text(&document).unwrap_err().to_string();
        assert!(!error.contains(secret), "{error}");
    }
    assert!(
        read(br#"{"keys":[{"kty":"EC","kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}"#).is_err()
    );
}

#[test]
fn a_jwk_is_looked_into_as_deep_as_any_value() {
    let jwk = key().public_jwk();
    let nested = |levels: usize| {
        let mut jwk = jwk.clone();
        jwk["x_custom"] = (0..levels).fold(json!(1), |inner, _| json!([inner]));
        text(&json!({"keys": [jwk]}))
    };
    assert!(nested(json::MAX_DEPTH - 1).is_ok());
    assert!(nested(json::MAX_DEPTH).is_err());
}
