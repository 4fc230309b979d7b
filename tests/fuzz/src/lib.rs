//! What the fuzz targets share: a world that is the same in each run (fixed keys, a clock that stands still), so that a
//! crash comes back from its input alone, and the only tokens that are genuine in it. It holds no target and no
//! expectation. Nothing but the targets and `seeds` uses it.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use claimgate::app::{App, Options};
use claimgate::config::Config;
use claimgate::issuer::SigningKey;
use claimgate::issuer::mint::{mint, mint_bytes};
use claimgate::keys::jwks::Jwks;
use claimgate::keys::key::{Algorithm, AlgorithmSet};
use claimgate::keys::store::{KeyStore, SourceId, SourceKeys};
use claimgate::server::ext_authz::ExtAuthz;
use claimgate::server::forward_auth::ForwardAuth;
use claimgate::token::Verifier;
use claimgate::util::clock::{ManualClock, UnixTime};
use claimgate::util::label::Label;
use serde_json::{Value, json};

/// Seconds since 1970. It stays that.
pub const NOW: i64 = 1_800_000_000;

/// The one issuer, who signs with one key for one audience.
pub const ISSUER: &str = "https://accounts.example.com";
pub const AUDIENCE: &str = "orders";
pub const KID: &str = "one";

/// The key of RFC 8037 §A.1, known to everybody. Ed25519 signs the same bytes in the same way each time.
const PRIVATE_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
    -----END PRIVATE KEY-----\n";

#[must_use]
pub fn key() -> SigningKey {
    SigningKey::from_pem(PRIVATE_KEY, Algorithm::EdDsa).expect("the key of the RFC").with_kid(KID)
}

#[must_use]
pub fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": NOW - 60, "exp": NOW + 300,
        "roles": ["reader", "writer"],
    })
}

/// The one token that is good in requests.
#[must_use]
pub fn good_token() -> String {
    mint(&key(), &claims()).expect("it signs")
}

/// A token over these bytes, signed by the issuer.
#[must_use]
pub fn signed(header: &[u8], payload: &[u8]) -> String {
    mint_bytes(&key(), header, payload).expect("it signs")
}

/// `now` in the type that the library takes.
#[must_use]
pub fn now() -> UnixTime {
    UnixTime::from_secs(NOW).expect("in range")
}

/// A verifier that trusts the issuer, and the issuer's keys.
#[must_use]
pub fn verifier() -> (Verifier, KeyStore) {
    let config = configuration();
    let document = json!({"keys": [key().public_jwk()]}).to_string();
    let jwks = Jwks::parse(document.as_bytes(), AlgorithmSet::ALL, 8).expect("a JWK Set");
    let keys = KeyStore::new(&[1]);
    let issuer = config.issuers[0].label.clone();
    let source = SourceId { issuer, source: Label::new(0, "0") };
    keys.publish(&source, SourceKeys::new(jwks, None));
    (Verifier::new(config.issuers, config.limits.token_bytes), keys)
}

/// The header that carries a claim to the upstream; what folds to `x-jwt-…` is reserved.
pub const CLAIM_HEADER: &str = "x-jwt-sub";

/// The one thing that anyone may ask for, with GET.
pub const OPEN_PATH: &str = "/healthz";

/// The service, whole but for its ports.
#[must_use]
pub fn service(runtime: &tokio::runtime::Runtime) -> ExtAuthz {
    runtime.block_on(App::ext_authz(configuration(), &options()))
}

/// The address that is believed in headers over HTTP.
pub const TRUSTED: [u8; 4] = [192, 0, 2, 1];

/// The same, as other proxies ask it.
#[must_use]
pub fn forward_auth(runtime: &tokio::runtime::Runtime) -> ForwardAuth {
    runtime.block_on(App::forward_auth(configuration(), &options()))
}

fn options() -> Options {
    let clock = Arc::new(ManualClock::new(now()));
    Options { clock, log_sample: 0, ..Options::default() }
}

fn configuration() -> Config {
    let rules = json!([
        {"name": "open", "match": {"path": OPEN_PATH, "methods": ["GET"]}, "allow": "anyone"},
        {"name": "rest", "match": {"path_prefix": "/"}, "require": {"issuer": "accounts"}},
    ]);
    let config = Config::from_yaml(&policy(&rules).to_string(), Path::new("/nowhere"));
    config.expect("a good configuration")
}

/// A configuration with these rules.
#[must_use]
pub fn policy(rules: &Value) -> Value {
    json!({
        "profile": "development",
        "listen": {"http": "127.0.0.1:0", "trusted_forwarders": [Ipv4Addr::from(TRUSTED)]},
        "issuers": [{
            "name": "accounts", "issuer": ISSUER, "audiences": [AUDIENCE],
            "algorithms": ["EdDSA"], "keys": [{"jwks": {"keys": [key().public_jwk()]}}],
        }],
        "forward": {
            "headers": [{"claim": "sub", "header": CLAIM_HEADER}],
            "strip": ["x-jwt-*"],
        },
        "rules": rules,
    })
}
