//! An identity provider in this process, and the configurations of services that trust it.

use std::net::SocketAddr;

use claimgate::issuer::SigningKey;
use claimgate::issuer::development::{DevelopmentIssuer, Settings};
use claimgate::keys::key::Algorithm;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::kept;

/// A provider that serves until it is dropped.
pub(crate) struct Provider {
    pub(crate) issuer: DevelopmentIssuer,
    pub(crate) address: SocketAddr,
    _stop: DropGuard,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let algorithm = Algorithm::EdDsa;
        let issuer =
            DevelopmentIssuer::new(Settings { algorithm, ..Settings::at(address, "orders") });
        let (issuer, stop) = (issuer.unwrap(), CancellationToken::new());
        #[expect(clippy::disallowed_methods, reason = "ends with its guard")]
        let _detached = tokio::spawn(issuer.clone().run(listener, stop.clone()));
        Self { issuer, address, _stop: stop.drop_guard() }
    }

    pub(crate) fn token(&self, over: &Value) -> String {
        let token = self.issuer.token(over, None).unwrap();
        kept::token(&token);
        token
    }

    /// A service that reads this provider's keys each second.
    pub(crate) fn config(&self) -> Value {
        let source = json!({"jwks_url": format!("http://{}/jwks.json", self.address)});
        config(&format!("http://{}", self.address), &source)
    }
}

/// A service that has `key` in its configuration.
pub(crate) fn inline(key: &SigningKey) -> Value {
    config("https://accounts.example.com", &json!({"jwks": {"keys": [key.public_jwk()]}}))
}

/// A service with one issuer and one source.
pub(crate) fn config(issuer: &str, source: &Value) -> Value {
    json!({
        "profile": "development",
        "issuers": [{
            "name": "accounts", "issuer": issuer, "audiences": ["orders"],
            "algorithms": ["EdDSA"], "keys": [source],
            "refresh": {"interval": "1s", "min": "1s"},
        }],
        "forward": {
            "headers": [
                {"claim": "sub", "header": "x-jwt-sub"},
                {"claim": "roles", "header": "x-jwt-roles"},
            ],
            "strip": ["x-jwt-*"],
        },
        "rules": [
            {"name": "health", "match": {"path": "/healthz", "methods": ["GET"]}, "allow": "anyone"},
            {"name": "rest", "match": {"path_prefix": "/"}, "require": {"issuer": "accounts"}},
        ],
    })
}
