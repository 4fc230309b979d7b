//! The keys of every issuer, and tokens that are good until a case spoils them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claimgate::issuer::SigningKey;
use claimgate::issuer::mint::overlay;
use claimgate::keys::key::Algorithm;
use claimgate::util::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::kept::{mint_bytes, mint_with_header};
use crate::world::iss;

/// One key an algorithm, whose `kid` is the algorithm's name, and some that no issuer publishes as they should be.
pub(crate) struct Tokens {
    keys: Vec<SigningKey>,
    /// Not published by anybody.
    pub(crate) stranger: SigningKey,
    /// An EdDSA key beside that of the algorithm.
    pub(crate) second: SigningKey,
}

impl Tokens {
    pub(crate) fn new() -> Self {
        let key = |algorithm: Algorithm| {
            SigningKey::generate(algorithm).unwrap().with_kid(algorithm.name())
        };
        Self {
            keys: Algorithm::ALL.into_iter().map(key).collect(),
            stranger: key(Algorithm::EdDsa),
            second: key(Algorithm::EdDsa).with_kid("second"),
        }
    }

    pub(crate) fn key(&self, algorithm: Algorithm) -> &SigningKey {
        self.keys.iter().find(|key| key.algorithm() == algorithm).unwrap()
    }

    /// The JWKs of all of them.
    pub(crate) fn published(&self) -> Vec<Value> {
        self.keys.iter().map(SigningKey::public_jwk).collect()
    }

    /// The JWK of one, changed; `null` removes a member.
    pub(crate) fn jwk(&self, algorithm: Algorithm, over: &Value) -> Value {
        changed(self.key(algorithm).public_jwk(), over)
    }

    /// So many seconds from now, by the clock that Envoy and claimgate read.
    pub(crate) fn at(&self, seconds: i64) -> i64 {
        SystemClock.now().as_millis() / 1000 + seconds
    }

    /// The claims of a good token of `issuer`.
    pub(crate) fn claims(&self, issuer: &str) -> Value {
        json!({"iss": iss(issuer), "aud": "orders", "sub": "alice", "exp": self.at(3600)})
    }

    /// A good token of `issuer` with its claims changed; `null` removes one.
    pub(crate) fn token(&self, issuer: &str, over: &Value) -> String {
        self.signed(issuer, self.key(Algorithm::EdDsa), &json!({}), over)
    }

    /// One whose header is changed as well, signed by whatever key.
    pub(crate) fn signed(
        &self,
        issuer: &str,
        key: &SigningKey,
        header: &Value,
        over: &Value,
    ) -> String {
        mint_with_header(key, header, &changed(self.claims(issuer), over)).unwrap()
    }

    /// Genuinely signed text, JSON or not. `{iss}` and `{exp}` stand for what a good token has there.
    pub(crate) fn raw(&self, issuer: &str, header: &str, payload: &str) -> String {
        let payload = payload.replace("{iss}", &iss(issuer));
        let payload = payload.replace("{exp}", &self.at(3600).to_string());
        self.octets(header.as_bytes(), payload.as_bytes())
    }

    pub(crate) fn octets(&self, header: &[u8], payload: &[u8]) -> String {
        mint_bytes(self.key(Algorithm::EdDsa), header, payload).unwrap()
    }
}

pub(crate) fn changed(value: Value, over: &Value) -> Value {
    let Value::Object(mut members) = value else { panic!("an object") };
    overlay(&mut members, over);
    Value::Object(members)
}

/// The token with its signature changed, its encoding as it should be.
pub(crate) fn with_signature(token: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let (input, signature) = token.rsplit_once('.').unwrap();
    let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    change(&mut signature);
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The token with the text of its three segments changed.
pub(crate) fn with_segments(token: &str, change: impl FnOnce(&mut [String; 3])) -> String {
    let mut segments: [String; 3] =
        token.split('.').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap();
    change(&mut segments);
    segments.join(".")
}
