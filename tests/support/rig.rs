//! A service on a clock that stands still, following a key server with faults. Its intervals are so long that it
//! fetches at its start, when it is told to and when a token gives it reason to: what the server counts is exact.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use claimgate::issuer::SigningKey;
use claimgate::keys::key::Algorithm;
use claimgate::util::clock::{Clock as _, ManualClock, SystemClock};
use serde_json::{Value, json};

use crate::faulty::KeyServer;
use crate::kept::mint;
use crate::provider::config;
use crate::service::{TestService, eventually};

pub(crate) struct Rig {
    pub(crate) server: KeyServer,
    pub(crate) service: TestService,
    pub(crate) clock: Arc<ManualClock>,
}

/// Longer than any gap of the limiter.
const PAST_EVERY_LIMIT: Duration = Duration::from_secs(11 * 60);

const ISSUER: &str = "https://accounts.example.com";

impl Rig {
    /// Ready, with these keys. `refresh` is laid over the settings of the source.
    pub(crate) async fn start(keys: &[&SigningKey], refresh: Value) -> Self {
        let rig = Self::start_with(KeyServer::start(keys).await, refresh, None).await;
        rig.service.until_ready().await;
        assert_eq!(rig.server.requests(), 1, "the start fetches once");
        rig
    }

    /// Follows a server that may be failing already: not ready then, unless there are keys in `state_dir`.
    pub(crate) async fn start_with(
        server: KeyServer,
        refresh: Value,
        state_dir: Option<&Path>,
    ) -> Self {
        let mut config = Self::config(&json!({"jwks_url": server.url()}), &refresh);
        if let Some(state_dir) = state_dir {
            config["state_dir"] = json!(state_dir);
        }
        Self::start_as(server, config).await
    }

    /// Follows `server` with a configuration of any form.
    pub(crate) async fn start_as(server: KeyServer, config: Value) -> Self {
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let service = TestService::start_at(config, Arc::clone(&clock) as _).await;
        Self { server, service, clock }
    }

    /// With one source, and with `refresh` laid over its settings.
    pub(crate) fn config(source: &Value, refresh: &Value) -> Value {
        let mut config = config(ISSUER, source);
        let settings = &mut config["issuers"][0]["refresh"];
        *settings = json!({"interval": "30d", "max": "30d", "max_stale": "unlimited"});
        for (name, value) in refresh.as_object().into_iter().flatten() {
            settings[name] = value.clone();
        }
        config
    }

    /// The claims of a good token.
    pub(crate) fn claims(&self) -> Value {
        let now = self.clock.now().as_millis() / 1000;
        json!({"iss": ISSUER, "aud": "orders", "sub": "alice", "exp": now + 24 * 3600})
    }

    /// A good token, as far as the key is.
    pub(crate) fn token(&self, key: &SigningKey) -> String {
        mint(key, &self.claims()).unwrap()
    }

    pub(crate) async fn allows(&self, token: &str) -> bool {
        self.service.ask_with(token).await.is_allowed()
    }

    /// Starts a refresh, late enough for no limiter to be in its way.
    pub(crate) async fn begin_refresh(&self) {
        self.clock.advance(PAST_EVERY_LIMIT);
        let (status, body) = self.service.post("/keys/refresh").await;
        assert_eq!(status, 202, "{body}");
    }

    /// A refresh, to its end, however that is.
    pub(crate) async fn refresh(&self) {
        let before = self.refreshes().await;
        self.begin_refresh().await;
        self.until_refreshed(before + 1.0).await;
    }

    /// Waits until so many refreshes have ended.
    pub(crate) async fn until_refreshed(&self, count: f64) {
        eventually("refreshed", async || self.refreshes().await >= count).await;
    }

    /// Refreshes that have ended, well or not.
    pub(crate) async fn refreshes(&self) -> f64 {
        self.service.metric(&["claimgate_jwks_refresh_total"]).await
    }
}

pub(crate) fn key(kid: &str) -> SigningKey {
    SigningKey::generate(Algorithm::EdDsa).unwrap().with_kid(kid)
}
