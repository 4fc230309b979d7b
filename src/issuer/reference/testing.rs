//! A small issuer for tests: a key directory, two clients, no port.

use std::path::Path;
use std::time::Duration;

use super::secret_hash::SecretHash;
use super::settings::{Client, IssuerSettings, RateLimits, RefreshSettings, RevocationSettings, Scope};
use crate::util::label::Label;

/// Of every client.
pub(crate) const SECRET: &str = "a-secret-that-every-client-of-a-test-has";

pub(crate) const ISSUER: &str = "https://id.example.com";

fn client(place: usize, id: &str, refresh_tokens: bool) -> Client {
    let scopes = ["orders:read", "orders:write", "stock:read"].map(|s| Scope::parse(s).unwrap());
    Client {
        label: Label::new(place, id),
        secrets: vec![SecretHash::of(SECRET.as_bytes()).unwrap()],
        subject: format!("service:{id}"),
        default_scopes: scopes[..1].to_vec(),
        scopes: scopes.into(),
        audiences: vec!["orders".to_owned(), "https://stock.example.com/".to_owned()],
        roles: vec!["reader".to_owned()],
        lifetime: Duration::from_secs(300),
        refresh_tokens,
    }
}

/// With `worker`, and `agent`, which gets refresh tokens; keys beside the file of revocations.
pub(crate) fn settings(revocations: &Path) -> IssuerSettings {
    IssuerSettings {
        issuer: ISSUER.to_owned(),
        path: String::new(),
        key_dir: revocations.with_file_name("keys"),
        clients: vec![client(0, "worker", false), client(1, "agent", true), client(2, "spy", true)],
        lifetime: Duration::from_secs(300),
        refresh: RefreshSettings::default(),
        revocation: RevocationSettings::File(revocations.to_owned()),
        limits: RateLimits { client_attempts: 1000, attempts: 1000, ..RateLimits::default() },
    }
}
