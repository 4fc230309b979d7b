//! An issuer with a key for every algorithm, who is trusted by the verifier under test.

use std::sync::LazyLock;
use std::time::Duration;

use claimgate::issuer::SigningKey;
use claimgate::issuer::mint::mint;
use claimgate::keys::jwks::Jwks;
use claimgate::keys::key::{Algorithm, AlgorithmSet};
use claimgate::keys::store::{KeyStore, SourceId, SourceKeys};
use claimgate::token::{Audiences, Issuer, RawToken, Refusal, RequiredClaims};
use claimgate::token::{VerifiedToken, Verifier};
use claimgate::util::clock::UnixTime;
use claimgate::util::label::Label;
use serde_json::{Value, json};

pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Made once: RSA keys take their time.
pub(crate) static WORLD: LazyLock<World> = LazyLock::new(World::new);

pub(crate) struct World {
    pub(crate) keys: Vec<SigningKey>,
    verifier: Verifier,
    store: KeyStore,
}

impl World {
    fn new() -> Self {
        let keys: Vec<SigningKey> = Algorithm::ALL
            .into_iter()
            .map(|algorithm| SigningKey::generate(algorithm).unwrap().with_kid(algorithm.name()))
            .collect();
        let jwks: Vec<Value> = keys.iter().map(SigningKey::public_jwk).collect();
        let document = json!({"keys": jwks}).to_string();
        let jwks = Jwks::parse(document.as_bytes(), AlgorithmSet::ALL, 16).unwrap();
        let label = Label::new(0, "accounts");
        let store = KeyStore::new(&[1]);
        let source = SourceId { issuer: label.clone(), source: Label::new(0, "0") };
        store.publish(&source, SourceKeys::new(jwks, None));
        let issuer = Issuer {
            label,
            issuer: "https://accounts.example.com".to_owned(),
            audiences: Audiences::AnyOf(vec!["orders".to_owned()]),
            algorithms: AlgorithmSet::ALL,
            danger_accept_hs256: false,
            clock_skew: Duration::from_secs(30),
            require: RequiredClaims::default(),
        };
        Self { keys, verifier: Verifier::new(vec![issuer], MAX_TOKEN_BYTES), store }
    }

    pub(crate) fn verify(&self, token: &str) -> Result<VerifiedToken, Refusal> {
        let now = UnixTime::from_secs(NOW).unwrap();
        let verified = self.verifier.verify(RawToken::new(token), &self.store.load(), now);
        verified.map_err(|refused| refused.refusal)
    }

    /// A good token with these claims besides the usual ones.
    pub(crate) fn token(&self, key: &SigningKey, own: &Value) -> String {
        let mut claims = json!({
            "iss": "https://accounts.example.com", "aud": "orders", "sub": "alice",
            "iat": NOW - 60, "exp": NOW + 300,
        });
        for (name, value) in own.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        mint(key, &claims).unwrap()
    }
}
