//! An issuer with a key for every algorithm, who is trusted by the verifier under test.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use claimgate::check::{self, Authorizer, PolicySnapshot};
use claimgate::config::Config;
use claimgate::issuer::SigningKey;
use claimgate::issuer::mint::mint;
use claimgate::keys::jwks::Jwks;
use claimgate::keys::key::{Algorithm, AlgorithmSet};
use claimgate::keys::source::SourceKind;
use claimgate::keys::store::{KeyStore, SourceId, SourceKeys};
use claimgate::token::{RawToken, Refusal, VerifiedToken, VerifiedTokenCache, Verifier};
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
        let config = Self::config();
        let store = KeyStore::new(&[1]);
        let issuer = config.issuers[0].label.clone();
        let source = SourceId { issuer, source: Label::new(0, "0") };
        store.publish(&source, SourceKeys::new(jwks, None));
        assert_eq!(config.limits.token_bytes, MAX_TOKEN_BYTES);
        Self { keys, verifier: Verifier::new(config.issuers, MAX_TOKEN_BYTES), store }
    }

    /// One issuer, who may sign with anything.
    fn config() -> Config {
        let algorithms: Vec<&str> = Algorithm::ALL.into_iter().map(Algorithm::name).collect();
        let config = json!({
            "profile": "development",
            "issuers": [{
                "name": "accounts", "issuer": "https://accounts.example.com",
                "audiences": ["orders"], "algorithms": algorithms,
                "keys": [{"jwks_url": "http://127.0.0.1:9/never-fetched"}],
            }],
            "rules": [
                {"name": "all", "match": {"path_prefix": "/"}, "require": {"issuer": "accounts"}},
            ],
        });
        Config::from_yaml(&config.to_string(), Path::new(".")).unwrap()
    }

    pub(crate) fn verify(&self, token: &str) -> Result<VerifiedToken, Refusal> {
        let now = UnixTime::from_secs(NOW).unwrap();
        let verified = self.verifier.verify(RawToken::new(token), &self.store.load(), now);
        verified.map_err(|refused| refused.refusal)
    }

    /// The same, with the help of what `cache` knows.
    pub(crate) fn verify_known(&self, cache: &VerifiedTokenCache<()>, token: &str) {
        let (now, keys) = (UnixTime::from_secs(NOW).unwrap(), self.store.load());
        self.verifier.verify_known(Some(cache), RawToken::new(token), &keys, now).unwrap();
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

/// What a configuration whose keys stand in it decides.
pub(crate) fn authorizer(config: &Value, cache: Option<check::VerifiedTokenCache>) -> Authorizer {
    let config = Config::from_yaml(&config.to_string(), Path::new(".")).unwrap();
    let store = KeyStore::new(&vec![1; config.issuers.len()]);
    for source in &config.sources {
        let SourceKind::Inline(jwks) = &source.kind else { panic!() };
        store.publish(&source.id, SourceKeys::new(jwks.clone(), None));
    }
    Authorizer::new(PolicySnapshot {
        rules: config.rules,
        tokens: config.tokens,
        verifier: Verifier::new(config.issuers, MAX_TOKEN_BYTES),
        keys: Arc::new(store),
        cache,
        revocations: None,
        forward: config.forward,
        allows_preflight: false,
    })
}
