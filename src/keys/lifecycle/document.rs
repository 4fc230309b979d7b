//! The public document of a key directory, and what of a JWK is public. Pure.

use serde_json::{Map, Value, json};

use super::manifest::{KeyState, Manifest};

/// The JWK Set of the keys that verifiers are to know: the active one first, then the next one, then those that
/// retire. The same bytes for the same state. `None` when no key is published, which no verifier would accept.
#[must_use]
pub fn jwks(manifest: &Manifest) -> Option<String> {
    let order = [KeyState::Active, KeyState::Next, KeyState::Retiring];
    let keys = order.into_iter().flat_map(|state| manifest.in_state(state));
    let keys: Vec<&Value> = keys.map(|key| key.public_jwk()).collect();
    (!keys.is_empty()).then(|| format!("{:#}\n", json!({"keys": keys})))
}

/// The members that every JWK may show, and those of each type: RFC 7517 §4, RFC 7518 §6, RFC 8037 §2.
const COMMON: [&str; 5] = ["kty", "kid", "use", "key_ops", "alg"];
const OF_TYPE: [(&str, &[&str]); 3] =
    [("RSA", &["n", "e"]), ("EC", &["crv", "x", "y"]), ("OKP", &["crv", "x"])];

/// What of `jwk` is public, member by member out of a list, so that nothing unknown slips through. `None` when it
/// is no object or has no public part: symmetric keys, and types that nobody here knows.
pub(super) fn public_part(jwk: &Value) -> Option<Value> {
    let kty = jwk.get("kty")?.as_str()?;
    let (_, own) = OF_TYPE.iter().find(|(known, _)| *known == kty)?;
    let shown = jwk.as_object()?.iter();
    let shown =
        shown.filter(|(name, _)| COMMON.contains(&name.as_str()) || own.contains(&name.as_str()));
    let shown: Map<String, Value> =
        shown.map(|(name, value)| (name.clone(), value.clone())).collect();
    Some(Value::Object(shown))
}
