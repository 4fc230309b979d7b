//! A service that follows a Redis, tokens for it, and the hand that revokes them.

use std::path::Path;
use std::time::Duration;

use claimgate::config::Config;
use claimgate::issuer::SigningKey;
use claimgate::keys::key::Algorithm;
use claimgate::revocation::redis::Writer;
use claimgate::revocation::source::SourceSettings;
use claimgate::revocation::{RevocationEntry, Revoked};
use claimgate::util::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::kept::mint;
use crate::provider;
use crate::service::{Answer, TestService, eventually};

pub(crate) const ISSUER: &str = "https://accounts.example.com";

pub(crate) struct World {
    pub(crate) service: TestService,
    pub(crate) writer: Writer,
    key: SigningKey,
}

impl World {
    /// Follows the Redis that `redis` says, which is set up and holds one entry: `revoked before`.
    pub(crate) async fn start(redis: &Value) -> Self {
        Self::start_with(json!({"redis": redis}), redis).await
    }

    /// The same with more of a configuration; `writing` is the store as the writer sees it.
    pub(crate) async fn start_with(revocation: Value, writing: &Value) -> Self {
        let mut writer = writer(writing);
        writer.init("one").await.unwrap();
        writer.write(&entry("revoked before"), SystemClock.now()).await.unwrap();
        let world = Self::start_as_it_is(revocation, writing).await;
        world.until_ready().await;
        world.holds().await;
        world
    }

    /// Whatever the store may hold, and whether it can be read or not.
    pub(crate) async fn start_as_it_is(revocation: Value, writing: &Value) -> Self {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap().with_kid("k");
        let service = TestService::start(configuration(&key, revocation)).await;
        Self { service, writer: writer(writing), key }
    }

    pub(crate) async fn until_ready(&self) {
        self.service.until_ready().await;
    }

    pub(crate) async fn ask(&self, jti: &str) -> Answer {
        let exp = SystemClock.now().as_millis() / 1000 + 3600;
        let claims =
            json!({"iss": ISSUER, "aud": "orders", "sub": "alice", "jti": jti, "exp": exp});
        self.service.ask_with(&mint(&self.key, &claims).unwrap()).await
    }

    /// What was revoked before is refused, and what was not passes.
    pub(crate) async fn holds(&self) {
        assert_eq!(self.ask("revoked before").await, Answer::denied(401, "revoked"));
        assert!(self.ask("another").await.is_allowed());
    }

    /// Writes, and waits until the service refuses.
    pub(crate) async fn revoke(&mut self, jti: &str) {
        assert!(self.ask(jti).await.is_allowed(), "{jti} was good until now");
        self.write(jti).await;
        self.until_refused(jti).await;
    }

    pub(crate) async fn write(&mut self, jti: &str) {
        // Whoever writes tries again.
        for _ in 0..100 {
            if self.writer.write(&entry(jti), SystemClock.now()).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{jti} was not written");
    }

    pub(crate) async fn until_refused(&self, jti: &str) {
        let refused = Answer::denied(401, "revoked");
        eventually(&format!("{jti} refused"), async || self.ask(jti).await == refused).await;
    }

    pub(crate) async fn until_synced_with(&self, result: &str) {
        let label = format!("result=\"{result}\"");
        let before = self.syncs(&label).await;
        eventually(result, async || self.syncs(&label).await > before).await;
    }

    async fn syncs(&self, label: &str) -> f64 {
        self.service.metric(&["claimgate_revocation_syncs_total", label]).await
    }

    pub(crate) async fn epoch_changes(&self) -> f64 {
        self.service.metric(&["claimgate_revocation_epoch_changes_total"]).await
    }
}

pub(crate) fn configuration(key: &SigningKey, revocation: Value) -> Value {
    let mut config = provider::inline(key);
    config["revocation"] = revocation;
    config
}

pub(crate) fn entry(jti: &str) -> RevocationEntry {
    let expires_at = SystemClock.now().saturating_add(Duration::from_secs(3600));
    RevocationEntry::new(ISSUER, Revoked::Token { jti: jti.into() }, expires_at).unwrap()
}

/// To the store that `redis` says.
pub(crate) fn writer(redis: &Value) -> Writer {
    let key = SigningKey::generate(Algorithm::EdDsa).unwrap().with_kid("k");
    let text = configuration(&key, json!({"redis": redis})).to_string();
    let config = Config::from_yaml(&text, Path::new(".")).unwrap_or_else(|error| panic!("{error}"));
    match config.revocation.unwrap().source.unwrap() {
        SourceSettings::Redis(settings) => Writer::new(*settings),
        SourceSettings::File(_) => panic!("a Redis"),
    }
}

pub(crate) fn key(name: &str) -> String {
    format!("{{claimgate:revocation}}:v1:{name}")
}
