//! When claimgate is ready: once every issuer has had at least one usable key, and the revocations were loaded.
//!
//! Once ready it stays ready until it drains. When all keys of an issuer become too old later, its tokens are
//! answered 503 `keys_unavailable` and it is named again here, but the instance is not taken out of service:
//! every other instance lost the same provider, and taking all of them out would turn one provider's outage into
//! an outage for the tokens of all the others. A certificate that expires while it is in use is named here too, and for
//! the same reason no more than that.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time;
use tokio_util::sync::CancellationToken;

use crate::keys::status::{SourceStatus, by_issuer};
use crate::revocation::policy::WhenStale;
use crate::server::generation::{Current, Generation, RevocationInForce};
use crate::server::health::{Health, ReadyState};
use crate::server::tls::Tls;
use crate::util::clock::{Clock, UnixTime};
use crate::util::label::Label;
use crate::util::rfc3339::rfc3339;

/// Watches the keys and tells health checks and the admin port.
#[derive(Debug)]
pub struct Readiness {
    current: Current,
    tls: Vec<Arc<Tls>>,
    clock: Arc<dyn Clock>,
    health: Health,
    state: watch::Sender<ReadyState>,
}

/// How soon a change is noticed. Looking costs a few pointer reads.
const EVERY: Duration = Duration::from_millis(100);

impl Readiness {
    /// Not ready yet, whatever the keys are.
    pub fn new(
        current: Current,
        tls: Vec<Arc<Tls>>,
        clock: Arc<dyn Clock>,
        health: Health,
    ) -> Self {
        let pending = vec!["starting".to_owned()];
        let (state, _) = watch::channel(ReadyState { ready: false, pending });
        Self { current, tls, clock, health, state }
    }

    /// The state, now and as it changes.
    pub fn subscribe(&self) -> watch::Receiver<ReadyState> {
        self.state.subscribe()
    }

    /// Looks again and again until `draining`, and says then that this instance is not ready any more.
    pub async fn run(self, draining: CancellationToken) -> Result<(), Infallible> {
        while !draining.is_cancelled() {
            self.look().await;
            // Either way the loop goes on by looking at the token.
            let _cancelled = draining.run_until_cancelled(time::sleep(EVERY)).await.is_none();
        }
        self.health.set_serving(false).await;
        Ok(())
    }

    /// Looks once.
    pub async fn look(&self) {
        let pending = self.pending();
        let was_ready = self.state.borrow().ready;
        let ready = was_ready || pending.is_empty();
        let new = ReadyState { ready, pending };
        let changed = self.state.send_if_modified(|state| {
            let changed = *state != new;
            *state = new.clone();
            changed
        });
        if ready && !was_ready {
            self.health.set_serving(true).await;
            tracing::info!("ready");
        } else if changed && new.pending.is_empty() {
            tracing::info!("nothing is missing any more");
        } else if changed {
            tracing::info!(pending = new.pending.join("; "), ready, "something is missing");
        }
    }

    /// A line for each issuer without a usable key (whether it had any, and the last error of its sources), one for
    /// revocations that are not known, and one for each certificate that has expired.
    fn pending(&self) -> Vec<String> {
        let (generation, now) = (self.current.load(), self.clock.now());
        let keys = generation.keys.load();
        let labels = generation.issuers.iter().map(|issuer| &issuer.label);
        let missing: Vec<&Label> = labels.filter(|issuer| !keys.is_ready(issuer, now)).collect();
        let entries = if missing.is_empty() { Vec::new() } else { generation.board.entries() };
        let entries = by_issuer(&entries);
        let of = |issuer: &Label| entries.get(&issuer.index()).copied().unwrap_or_default();
        let keys =
            missing.into_iter().map(|issuer| format!("issuer {issuer}: {}", why(of(issuer))));
        let expired = self.tls.iter().map(|tls| tls.state()).filter(|tls| tls.has_expired(now));
        let certificates = expired.map(|tls| {
            let at = rfc3339(tls.certificate.expires);
            format!("{}: the certificate in use expired at {at}", tls.listener)
        });
        let revocations = revocations(&generation, now);
        keys.chain(revocations).chain(certificates).collect()
    }
}

/// Nobody looks any more, because the service is ending or because the task that did is gone; then it is ending soon.
impl Drop for Readiness {
    fn drop(&mut self) {
        let draining = ReadyState { ready: false, pending: vec!["draining".to_owned()] };
        self.state.send_replace(draining);
    }
}

/// Why it cannot be told which tokens are revoked, where that keeps requests away.
fn revocations(generation: &Generation, now: UnixTime) -> Option<String> {
    let RevocationInForce { revocations, board, .. } = generation.revocation.as_ref()?;
    let policy = &revocations.policy;
    let text = if !revocations.is_ready() {
        "not loaded yet"
    } else if policy.when_stale == WhenStale::Deny
        && revocations.store.load().is_loaded()
        && !revocations.store.is_fresh(policy.max_stale, now)
    {
        "older than max_stale"
    } else {
        return None;
    };
    let error = board.read().last_error.map(|(_, error)| format!(": {error}"));
    Some(format!("revocations: {text}{}", error.unwrap_or_default()))
}

/// What the sources of an issuer without a usable key say.
fn why(sources: &[SourceStatus]) -> String {
    let (mut text, mut errors) = ("no keys yet", Vec::new());
    for entry in sources {
        if entry.last_success.is_some() {
            text = "keys older than max_stale";
        }
        errors.extend(entry.last_error.as_ref().map(|(_, error)| error.as_str()));
    }
    if errors.is_empty() { text.to_owned() } else { format!("{text}: {}", errors.join("; ")) }
}
