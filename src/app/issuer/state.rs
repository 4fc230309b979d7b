//! Whether the issuer is ready, what is wrong although it is, and the page that shows both.
//!
//! It is ready from its start, which needs a key that signs, until it drains. A key that was withdrawn since, or a
//! directory that cannot be read any more, is named and does not take the instance out of service: what it publishes is
//! what verifiers need then, and every other instance is in the same position.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time;
use tokio_util::sync::CancellationToken;

use crate::config::Profile;
use crate::issuer::reference::key_ring::RingState;
use crate::issuer::reference::{KeyFollower, ReferenceIssuer};
use crate::server::health::ReadyState;
use crate::server::tls::Tls;
use crate::util::clock::Clock;
use crate::util::rfc3339::rfc3339;

/// Tells the admin port.
#[derive(Debug)]
pub(super) struct ReadyWatch {
    keys: watch::Receiver<RingState>,
    issuer: ReferenceIssuer,
    tls: Vec<Arc<Tls>>,
    clock: Arc<dyn Clock>,
    state: watch::Sender<ReadyState>,
}

/// How soon a change is noticed.
const EVERY: Duration = Duration::from_millis(100);

impl ReadyWatch {
    pub(super) fn new(
        keys: watch::Receiver<RingState>,
        issuer: ReferenceIssuer,
        tls: Vec<Arc<Tls>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let pending = vec!["starting".to_owned()];
        let (state, _) = watch::channel(ReadyState { ready: false, pending });
        Self { keys, issuer, tls, clock, state }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<ReadyState> {
        self.state.subscribe()
    }

    /// Looks again and again until `draining`; dropped, it says so.
    pub(super) async fn run(self, draining: CancellationToken) {
        tracing::info!("ready");
        while !draining.is_cancelled() {
            self.look();
            // Either way the loop goes on by looking at the token.
            let _cancelled = draining.run_until_cancelled(time::sleep(EVERY)).await.is_none();
        }
    }

    pub(super) fn look(&self) {
        let now = self.clock.now();
        let mut pending = Vec::new();
        let keys = self.keys.borrow().clone();
        if !keys.signs {
            pending.push("keys: none is active, nothing is signed".to_owned());
        }
        if let Some((_, why)) = keys.refused {
            pending.push(format!("keys: the directory as it is now is refused: {why}"));
        }
        let unwritten = self.issuer.unwritten_revocations();
        if unwritten > 0 {
            pending.push(format!("revocations: {unwritten} could not be written yet"));
        }
        let expired = self.tls.iter().map(|tls| tls.state()).filter(|tls| tls.has_expired(now));
        pending.extend(expired.map(|tls| {
            let at = rfc3339(tls.certificate.expires);
            format!("{}: the certificate in use expired at {at}", tls.listener)
        }));
        let new = ReadyState { ready: true, pending };
        self.state.send_if_modified(|state| {
            let changed = *state != new;
            state.clone_from(&new);
            changed
        });
    }
}

/// Nobody looks any more: it is ending.
impl Drop for ReadyWatch {
    fn drop(&mut self) {
        let draining = ReadyState { ready: false, pending: vec!["draining".to_owned()] };
        self.state.send_replace(draining);
    }
}

/// What makes `/status`. Nothing in it is secret.
pub(super) fn status(
    profile: Profile,
    keys: &KeyFollower,
    tls: &[Arc<Tls>],
    ready: watch::Receiver<ReadyState>,
) -> Arc<dyn Fn() -> Value + Send + Sync> {
    let (ring, state, tls) = (keys.ring(), keys.subscribe(), tls.to_vec());
    Arc::new(move || {
        let (ring, state, ready) =
            (ring.load_full(), state.borrow().clone(), ready.borrow().clone());
        let manifest = ring.manifest();
        let keys: Vec<Value> = manifest
            .keys()
            .iter()
            .map(|key| {
                json!({
                    "kid": key.kid().as_str(),
                    "alg": key.key_type().algorithm().name(),
                    "state": key.state().as_str(),
                    "since": rfc3339(key.since()),
                })
            })
            .collect();
        let tls = tls.iter().map(|tls| tls.state());
        let tls: Vec<Value> = tls
            .map(|tls| {
                json!({
                    "listener": tls.listener,
                    "names": tls.certificate.names,
                    "not_after": rfc3339(tls.certificate.expires),
                    "last_error": tls.refused.as_ref().map(|(_, error)| error),
                })
            })
            .collect();
        json!({
            "profile": profile.as_str(),
            "version": env!("CARGO_PKG_VERSION"),
            "ready": ready.ready,
            "pending": ready.pending,
            "keys": {
                "active_kid": ring.signing_key().map(|key| key.kid()),
                "since": rfc3339(state.since),
                "last_error": state.refused.as_ref().map(|(_, error)| error),
                "last_error_at": state.refused.as_ref().map(|(at, _)| rfc3339(*at)),
                "jwks_max_age_seconds": manifest.policy.jwks_max_age.as_secs(),
                "token_lifetime_seconds": manifest.policy.token_lifetime.as_secs(),
                "keys": keys,
            },
            "tls": tls,
        })
    })
}
