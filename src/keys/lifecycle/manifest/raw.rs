//! How the manifest is written, and what is looked at when it is read back: every word, so that nobody's editing
//! publishes a private member, uses a foreign file or turns a state back.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{KeyState, Kid, ManagedKey};
use crate::keys::jwks::Jwks;
use crate::keys::key::AlgorithmSet;
use crate::keys::lifecycle::document;
use crate::keys::signing::KeyType;
use crate::util::rfc3339::{parse_rfc3339, rfc3339};

pub(super) const VERSION: u64 = 1;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawManifest {
    pub(super) version: u64,
    pub(super) jwks_max_age_seconds: u64,
    pub(super) token_lifetime_seconds: u64,
    pub(super) keys: Vec<RawKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKey {
    kid: String,
    r#type: String,
    alg: String,
    state: KeyState,
    transitions: Vec<RawTransition>,
    public_jwk: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTransition {
    state: KeyState,
    at: String,
}

impl RawKey {
    /// Checks it against itself.
    pub(super) fn parse(self) -> Result<ManagedKey, &'static str> {
        let kid = Kid::parse(&self.kid).ok_or("its kid is no safe file name")?;
        let key_type = KeyType::ALL.into_iter().find(|known| known.name() == self.r#type);
        let key_type = key_type.ok_or("its type is unknown")?;
        if self.alg != key_type.algorithm().name() {
            return Err("its alg does not fit its type");
        }
        let times = self.transitions.iter().map(|transition| {
            let at = parse_rfc3339(&transition.at).ok_or("a time is not RFC 3339 in UTC")?;
            Ok((transition.state, at))
        });
        let transitions: Vec<_> = times.collect::<Result<_, &str>>()?;
        let ordered = transitions.iter().zip(transitions.iter().skip(1)).all(|(a, b)| a.0 < b.0);
        let ends = (transitions.first().map(|(state, _)| *state), transitions.last());
        if !ordered || ends.0 != Some(KeyState::Next) {
            return Err("its transitions are out of order");
        }
        if ends.1.is_none_or(|(state, _)| *state != self.state) {
            return Err("its state is not that of its last transition");
        }
        // A private member would be published with the rest.
        let public = document::public_part(&self.public_jwk)
            .filter(|public| *public == self.public_jwk)
            .ok_or("its public_jwk is no public key, or more than that")?;
        let named = public["kid"] == *kid.as_str() && public["alg"] == *self.alg;
        let document = json!({"keys": [&public]}).to_string();
        let usable = Jwks::parse(document.as_bytes(), AlgorithmSet::ALL, 1).is_ok();
        if !named || !usable {
            return Err("its public_jwk is not that of a usable key of its kid and alg");
        }
        Ok(ManagedKey { kid, key_type, transitions, public })
    }
}

/// As it is read back.
pub(super) fn written(key: &ManagedKey) -> Value {
    let transitions: Vec<Value> = key
        .transitions
        .iter()
        .map(|(state, at)| json!({"state": state.as_str(), "at": rfc3339(*at)}))
        .collect();
    json!({
        "kid": key.kid.as_str(),
        "type": key.key_type.name(),
        "alg": key.key_type.algorithm().name(),
        "state": key.state().as_str(),
        "transitions": transitions,
        "public_jwk": key.public,
    })
}
