//! The keyset document of key-management tools: `{"active_kid": "k2", "keys": {"k1": …, "k2": …}}`, each key a
//! JWK or a PEM text.
//!
//! Which key signs is the signer's affair: all of them verify. [`super::Jwks::parse_local`] calls [`entries`].

use serde_json::value::RawValue;

use super::{DocumentError, SkipReason, SkippedKey, parse_entry, pem};
use crate::keys::key::{AlgorithmSet, MAX_KID_BYTES, VerificationKey};
use crate::util::json::{self, RawMembers};

type Entry = Result<Vec<VerificationKey>, SkippedKey>;

/// What each member of `keys` comes to; `document` is what it is a member of.
///
/// # Errors
/// A member named twice, more than `max_keys`, no `active_kid` or one that `keys` does not have.
pub(super) fn entries(
    document: &RawMembers<'_>,
    keys: &RawValue,
    accepted: AlgorithmSet,
    max_keys: usize,
) -> Result<Vec<Entry>, DocumentError> {
    let keys = RawMembers::parse(keys.get().as_bytes()).map_err(DocumentError::NotJson)?;
    let found = keys.iter().count();
    if found > max_keys {
        return Err(DocumentError::TooManyKeys { found, limit: max_keys });
    }
    let active = document.get("active_kid").and_then(|active| json::string_of(active).ok());
    if found > 0 && active.is_none_or(|active| keys.get(&active).is_none()) {
        return Err(DocumentError::ActiveKid);
    }
    Ok(keys.iter().map(|(kid, key)| entry(kid, key, accepted)).collect())
}

fn entry(kid: &str, key: &RawValue, accepted: AlgorithmSet) -> Entry {
    if kid.is_empty() || kid.len() > MAX_KID_BYTES {
        return Err(SkippedKey { kid: None, reason: SkipReason::Malformed });
    }
    let Ok(text) = json::string_of(key) else {
        return parse_entry(key, Some(kid), accepted);
    };
    let malformed = || Err(SkippedKey { kid: Some(kid.into()), reason: SkipReason::Malformed });
    match pem::blocks(text.as_bytes()) {
        Ok(mut blocks) => match (blocks.pop(), blocks.is_empty()) {
            (Some(block), true) => pem::keys(block, Some(kid), accepted),
            _ => malformed(),
        },
        Err(_) => malformed(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Jwks, Reasons};
    use super::*;
    use crate::keys::testing::{ed25519_jwk, p256_jwk};

    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nhidden\n-----END PRIVATE KEY-----\n";

    fn parse(document: &Value) -> Result<Jwks, DocumentError> {
        Jwks::parse_local(document.to_string().as_bytes(), AlgorithmSet::ALL, 4)
    }

    fn kids(jwks: &Jwks) -> Vec<&str> {
        jwks.keys.iter().filter_map(|key| key.kid()).collect()
    }

    #[test]
    fn every_key_verifies_under_the_name_that_the_map_gives_it() {
        let mut nameless = ed25519_jwk("");
        nameless.as_object_mut().unwrap().remove("kid");
        let keys = json!({"pem": PUBLIC, "jwk": p256_jwk("jwk"), "nameless": nameless});
        let jwks = parse(&json!({"active_kid": "jwk", "keys": keys})).unwrap();
        assert_eq!(kids(&jwks), ["pem", "jwk", "nameless"]);
        assert_eq!(jwks.skipped, []);
    }

    #[test]
    fn what_cannot_be_used_is_passed_over_with_a_reason() {
        let mut private = ed25519_jwk("bad");
        private["d"] = json!("hidden");
        for (bad, reason) in [
            (json!(PRIVATE), SkipReason::PrivateKey),
            (private, SkipReason::PrivateKey),
            (ed25519_jwk("other"), SkipReason::KidMismatch),
            (json!(format!("{PUBLIC}{PUBLIC}")), SkipReason::Malformed),
            (json!("hidden"), SkipReason::Malformed),
            (json!(7), SkipReason::Malformed),
            (json!({"kty": "oct", "k": "hidden"}), SkipReason::SymmetricKey),
        ] {
            let keys = json!({"good": PUBLIC, "bad": bad});
            let jwks = parse(&json!({"active_kid": "bad", "keys": keys})).unwrap();
            assert_eq!(kids(&jwks), ["good"]);
            assert_eq!(jwks.skipped, [SkippedKey { kid: Some("bad".into()), reason }]);
            let alone = parse(&json!({"active_kid": "bad", "keys": {"bad": bad}})).unwrap_err();
            assert_eq!(alone, DocumentError::NoUsableKey(Reasons::of(&jwks.skipped)));
            assert!(!alone.to_string().contains("hidden"), "{alone}");
        }
    }

    #[test]
    fn the_active_key_is_one_of_the_keys() {
        for active in [json!("b"), json!(null), json!(["a"])] {
            let document = json!({"active_kid": active, "keys": {"a": PUBLIC}});
            assert_eq!(parse(&document).unwrap_err(), DocumentError::ActiveKid, "{document}");
        }
        let error = parse(&json!({"keys": {"a": PUBLIC}})).unwrap_err();
        assert_eq!(error, DocumentError::ActiveKid);
    }

    #[test]
    fn a_map_with_a_name_twice_or_too_many_keys_or_none_is_refused() {
        let twice = format!(
            "{{\"active_kid\":\"a\",\"keys\":{{\"a\":{0},\"\\u0061\":{0}}}}}",
            json!(PUBLIC)
        );
        let error = Jwks::parse_local(twice.as_bytes(), AlgorithmSet::ALL, 4).unwrap_err();
        assert!(matches!(error, DocumentError::NotJson(json::Malformed::Duplicate)), "{error}");
        let keys: Value = (0..5).map(|nth| (format!("k{nth}"), json!(PUBLIC))).collect();
        let error = parse(&json!({"active_kid": "k0", "keys": keys})).unwrap_err();
        assert_eq!(error, DocumentError::TooManyKeys { found: 5, limit: 4 });
        let error = parse(&json!({"active_kid": "a", "keys": {}})).unwrap_err();
        assert_eq!(error, DocumentError::NoUsableKey(Reasons::default()));
    }

    #[test]
    fn a_jwk_set_is_still_one_and_what_is_neither_is_refused() {
        let jwks = parse(&json!({"keys": [ed25519_jwk("a")]})).unwrap();
        assert_eq!(kids(&jwks), ["a"]);
        for document in [json!({}), json!({"keys": "x"}), json!({"active_kid": "a"})] {
            assert_eq!(parse(&document).unwrap_err(), DocumentError::NoKeys, "{document}");
        }
        // Only documents on this machine may have the other form.
        let keyset = json!({"active_kid": "a", "keys": {"a": PUBLIC}}).to_string();
        let error = Jwks::parse(keyset.as_bytes(), AlgorithmSet::ALL, 4).unwrap_err();
        assert_eq!(error, DocumentError::NoKeys);
    }
}
