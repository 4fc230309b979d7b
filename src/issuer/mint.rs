//! Header and claims → a signed compact token (RFC 7515 §7.1).
//!
//! It checks nothing: a test may mint any nonsense, as long as the signature is genuine. Tokens whose
//! signature is *not* genuine come from [`super::forgery`].

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::keys::signing::{SigningError, SigningKey};

/// A token with the usual header: `alg`, `typ: JWT` and the key's `kid`.
pub fn mint(key: &SigningKey, claims: &Value) -> Result<String, SigningError> {
    mint_with_header(key, &json!({}), claims)
}

/// A token whose header is the usual one with `header` laid over it; a `null` there removes a member.
/// `alg` can be changed too, although the signature stays the key's own.
pub fn mint_with_header(
    key: &SigningKey,
    header: &Value,
    claims: &Value,
) -> Result<String, SigningError> {
    let mut members = Map::new();
    members.insert("alg".to_owned(), json!(key.algorithm().name()));
    members.insert("typ".to_owned(), json!("JWT"));
    members.insert("kid".to_owned(), json!(key.kid()));
    overlay(&mut members, header);
    mint_bytes(key, &to_json(&Value::Object(members))?, &to_json(claims)?)
}

/// A token over exactly these bytes, JSON or not.
pub fn mint_bytes(key: &SigningKey, header: &[u8], payload: &[u8]) -> Result<String, SigningError> {
    let input = signing_input(header, payload);
    let signature = key.sign(input.as_bytes())?;
    Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// Lays the members of `over` (ignored unless it is an object) over `base`; `null` removes a member.
pub fn overlay(base: &mut Map<String, Value>, over: &Value) {
    for (name, value) in over.as_object().into_iter().flatten() {
        if value.is_null() {
            base.shift_remove(name);
        } else {
            base.insert(name.clone(), value.clone());
        }
    }
}

pub(super) fn signing_input(header: &[u8], payload: &[u8]) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
}

pub(super) fn to_json(value: &Value) -> Result<Vec<u8>, SigningError> {
    serde_json::to_vec(value).map_err(|_| SigningError::Json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::key::Algorithm;

    fn segment(token: &str, index: usize) -> Value {
        let text = token.split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
    }

    #[test]
    fn the_kid_is_in_the_header_and_not_in_the_claims() {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap().with_kid("k1");
        let token = mint(&key, &json!({"sub": "alice"})).unwrap();
        assert_eq!(segment(&token, 0), json!({"alg": "EdDSA", "typ": "JWT", "kid": "k1"}));
        assert_eq!(segment(&token, 1), json!({"sub": "alice"}));
    }

    #[test]
    fn header_members_can_be_changed_and_removed() {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let header = json!({"kid": null, "typ": "at+jwt", "crit": ["b64"]});
        let token = mint_with_header(&key, &header, &json!({})).unwrap();
        assert_eq!(segment(&token, 0), json!({"alg": "EdDSA", "typ": "at+jwt", "crit": ["b64"]}));
    }

    #[test]
    fn claims_need_not_be_json() {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let token = mint_bytes(&key, b"{}", b"not json").unwrap();
        assert_eq!(token.split('.').count(), 3);
    }
}
