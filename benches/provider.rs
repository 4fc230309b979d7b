//! An identity provider for benches/check.rs: one RS256 key, a configuration that trusts it, and a token.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use claimgate::config::Config;
use claimgate::issuer::SigningKey;
use claimgate::issuer::mint::mint;
use claimgate::keys::key::Algorithm;
use serde_json::json;

use crate::servers::BoxError;

const ISSUER: &str = "https://accounts.example.com";

/// One RSA key of 2048 bits, made for this run.
pub(crate) struct Provider {
    key: SigningKey,
}

impl Provider {
    pub(crate) fn new() -> Result<Self, BoxError> {
        Ok(Self { key: SigningKey::generate(Algorithm::Rs256)? })
    }

    /// What an operator would write: one issuer, three claims as headers, one rule. JSON is YAML.
    pub(crate) fn config(&self) -> Result<Config, BoxError> {
        let config = json!({
            "listen": {"grpc": "127.0.0.1:0", "admin": "127.0.0.1:0"},
            "issuers": [{
                "name": "accounts",
                "issuer": ISSUER,
                "audiences": ["orders"],
                "keys": [{"jwks": {"keys": [self.key.public_jwk()]}}],
            }],
            "forward": {
                "headers": [
                    {"claim": "sub", "header": "x-jwt-sub"},
                    {"claim": "scope", "header": "x-jwt-scope"},
                    {"claim": "realm_access.roles", "header": "x-jwt-roles"},
                ],
                "strip": ["x-jwt-*"],
            },
            "rules": [
                {"name": "health", "match": {"path": "/healthz"}, "allow": "anyone"},
                {"name": "rest", "match": {"path_prefix": "/"}, "require": {"issuer": "accounts"}},
            ],
        });
        Ok(Config::from_yaml(&config.to_string(), Path::new("."))?)
    }

    /// A token of the usual size, good for an hour.
    #[expect(clippy::disallowed_methods, reason = "the token must be good at the time of the run")]
    pub(crate) fn token(&self) -> Result<String, BoxError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let claims = json!({
            "iss": ISSUER,
            "aud": "orders",
            "sub": "248289761001",
            "iat": now,
            "exp": now + 3_600,
            "jti": "6f1c2a52-6f0e-4a55-8d4f-52f7f8a0a5b1",
            "azp": "shop",
            "scope": "openid profile orders:read orders:write",
            "realm_access": {"roles": ["customer", "beta"]},
            "preferred_username": "ada",
            "email_verified": true,
        });
        Ok(mint(&self.key, &claims)?)
    }
}
