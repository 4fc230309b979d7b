//! [`KeyRing`]: what the issuer has of its key directory at one moment. The key that signs, the document that is
//! published and the keys that its own tokens verify with are one immutable value, so that no token is ever signed with a
//! key that the same process does not publish. [`KeyFollower`] builds the next one when `claimgate keys` has changed the
//! directory, and swaps it in.
//!
//! It never makes a key: a restart that did would invalidate every token. Nothing gives the private key away; what signs
//! is [`KeyRing::signing_key`], by reference.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio::{task, time};
use tokio_util::sync::CancellationToken;

use crate::keys::jwks::Jwks;
use crate::keys::key::{Algorithm, AlgorithmSet};
use crate::keys::lifecycle::directory::{DirectoryError, Finding, KeyDirectory};
use crate::keys::lifecycle::document;
use crate::keys::lifecycle::manifest::{KeyState, Manifest, Policy};
use crate::keys::signing::SigningKey;
use crate::keys::store::{KeyStore, SourceId, SourceKeys};
use crate::telemetry::metrics::{IssuerMetrics, KeyReload};
use crate::util::clock::{Clock, UnixTime};
use crate::util::label::Label;
use crate::util::watch::Watch;

/// How often the directory is looked at although nothing was told of it: some file systems tell nothing.
pub const LOOK: Duration = Duration::from_secs(1);

/// A verifier may fetch the old document until the directory's change was noticed here, so it is told to keep it for so
/// much less than the rotation waits.
const NOTICED_WITHIN: Duration = Duration::from_secs(2);

/// More keys than this are published by mistake.
const MAX_KEYS: usize = 64;

/// The keys at one moment.
pub struct KeyRing {
    manifest: Manifest,
    findings: Vec<Finding>,
    signing: Option<SigningKey>,
    published: Option<Published>,
    /// The published keys, for tokens that come back.
    own: KeyStore,
}

/// The JWK Set, ready to be sent.
#[derive(Clone, Debug)]
pub struct Published {
    /// JSON.
    pub body: Bytes,
    /// A strong validator (RFC 9110 §8.8.3): the digest of the body.
    pub etag: HeaderValue,
    /// What verifiers may keep it for.
    pub cache_control: HeaderValue,
}

/// Why the issuer does not start with a key directory, or stays with what it had.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    /// It cannot be used: not there, not private, damaged.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Nothing signs.
    #[error("{}: no key is active; `claimgate keys rotate` activates the next one", .0.display())]
    NothingSigns(PathBuf),
    /// What is published would be refused by verifiers.
    #[error("{}: its keys are no usable JWK Set: {reason}", path.display())]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// What a verifier would say.
        reason: String,
    },
    /// `keys retire` would be allowed while tokens are still good.
    #[error(
        "{}: its keys are made for tokens of at most {} s, and {} s are configured; \
         `claimgate keys rotate --token-lifetime` sets it, from the next step on",
        path.display(), remembered.as_secs(), configured.as_secs()
    )]
    LifetimeTooLong {
        /// The directory.
        path: PathBuf,
        /// Of the manifest.
        remembered: Duration,
        /// Of the configuration.
        configured: Duration,
    },
    /// The task that read it is gone.
    #[error("{}: reading it panicked: this is a bug in claimgate", .0.display())]
    Panicked(PathBuf),
}

impl KeyRing {
    /// Reads a directory with which the issuer can start. Reads files: not for an async worker.
    ///
    /// # Errors
    /// A directory that cannot be used, without a key that signs, or made for shorter-lived tokens than `lifetime`.
    pub fn load(path: &Path, lifetime: Duration) -> Result<Self, KeyRingError> {
        let ring = Self::read(path)?;
        if ring.signing.is_none() {
            return Err(KeyRingError::NothingSigns(path.to_owned()));
        }
        let remembered = ring.longest_lifetime();
        if lifetime > remembered {
            let path = path.to_owned();
            return Err(KeyRingError::LifetimeTooLong { path, remembered, configured: lifetime });
        }
        Ok(ring)
    }

    /// Reads a directory as it is later on: without an active key (one that was compromised and withdrawn) nothing is
    /// signed, and that is in force as well.
    pub(super) fn read(path: &Path) -> Result<Self, KeyRingError> {
        let directory = KeyDirectory::read(path)?;
        let signing = directory.signing_key()?;
        let manifest = directory.manifest().clone();
        let own = KeyStore::new(&[1]);
        let published = match document::jwks(&manifest) {
            Some(body) => {
                let unusable = |reason| KeyRingError::Unusable { path: path.to_owned(), reason };
                // As a verifier would: what it refuses, a weak key among others, must not be what we go by.
                let keys = Jwks::parse(body.as_bytes(), AlgorithmSet::ALL, MAX_KEYS);
                let keys = keys.map_err(|error| unusable(error.to_string()))?;
                own.publish(&own_source(), SourceKeys::new(keys, None));
                Some(Published::new(body, manifest.policy).map_err(unusable)?)
            }
            None => None,
        };
        Ok(Self { findings: directory.findings().to_vec(), manifest, signing, published, own })
    }

    /// The key that signs; `None` when none is active.
    #[must_use]
    pub fn signing_key(&self) -> Option<&SigningKey> {
        self.signing.as_ref()
    }

    /// What verifiers get; `None` when no key is published.
    #[must_use]
    pub fn published(&self) -> Option<&Published> {
        self.published.as_ref()
    }

    /// The longest that a token may be good for: retiring keys are withdrawn after it.
    #[must_use]
    pub fn longest_lifetime(&self) -> Duration {
        self.manifest.policy.token_lifetime
    }

    /// What the published keys sign with, the active one's first.
    #[must_use]
    pub fn algorithms(&self) -> Vec<Algorithm> {
        let order = [KeyState::Active, KeyState::Next, KeyState::Retiring];
        let keys = order.into_iter().flat_map(|state| self.manifest.in_state(state));
        let mut algorithms = Vec::new();
        for algorithm in keys.map(|key| key.key_type().algorithm()) {
            if !algorithms.contains(&algorithm) {
                algorithms.push(algorithm);
            }
        }
        algorithms
    }

    /// Which keys there are, in which state, since when.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The published keys, to verify our own tokens with.
    #[must_use]
    pub fn own(&self) -> &KeyStore {
        &self.own
    }

    fn count(&self, metrics: &IssuerMetrics) {
        for state in KeyState::ALL {
            metrics.keys(state.as_str(), self.manifest.in_state(state).count());
        }
        let since = self.manifest.active().map(|key| key.since());
        metrics.active_key_since(since);
    }
}

impl Published {
    fn new(body: String, policy: Policy) -> Result<Self, String> {
        let digest = URL_SAFE_NO_PAD.encode(digest(&SHA256, body.as_bytes()));
        let max_age = policy.jwks_max_age.saturating_sub(NOTICED_WITHIN);
        let header = |text: String| HeaderValue::try_from(text).map_err(|error| error.to_string());
        Ok(Self {
            body: body.into(),
            etag: header(format!("\"{digest}\""))?,
            cache_control: header(format!("public, max-age={}", max_age.as_secs()))?,
        })
    }
}

/// The one issuer and the one source that its own tokens are verified with.
pub(super) fn own_source() -> SourceId {
    SourceId { issuer: Label::new(0, "own"), source: Label::new(0, "0") }
}

/// `Debug` shows no key.
impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signing = self.signing.as_ref().map(SigningKey::kid);
        f.debug_struct("KeyRing").field("signing", &signing).finish_non_exhaustive()
    }
}

/// What is known of the directory, for readiness and the status page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingState {
    /// Whether a key signs.
    pub signs: bool,
    /// Since when the ring in force is.
    pub since: UnixTime,
    /// Why the directory as it is now is not in force, and since when.
    pub refused: Option<(UnixTime, String)>,
}

/// Follows a key directory.
#[derive(Debug)]
pub struct KeyFollower {
    path: PathBuf,
    ring: Arc<ArcSwap<KeyRing>>,
    watch: Watch,
    asked: Arc<Notify>,
    state: watch::Sender<RingState>,
    metrics: Arc<IssuerMetrics>,
    clock: Arc<dyn Clock>,
}

impl KeyFollower {
    /// Follows the directory that `ring` was loaded from. Does no I/O.
    #[must_use]
    pub fn new(
        path: &Path,
        ring: KeyRing,
        metrics: Arc<IssuerMetrics>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        ring.count(&metrics);
        tell_findings(&ring.findings);
        let signs = ring.signing.is_some();
        let (state, _) = watch::channel(RingState { signs, since: clock.now(), refused: None });
        let manifest = KeyDirectory::manifest_file(path);
        Self {
            path: path.to_owned(),
            ring: Arc::new(ArcSwap::from_pointee(ring)),
            watch: Watch::new(manifest),
            asked: Arc::default(),
            state,
            metrics,
            clock,
        }
    }

    /// The keys in force, now and later. A request loads them once.
    #[must_use]
    pub fn ring(&self) -> Arc<ArcSwap<KeyRing>> {
        Arc::clone(&self.ring)
    }

    /// To have the directory looked at now.
    #[must_use]
    pub fn asked(&self) -> Arc<Notify> {
        Arc::clone(&self.asked)
    }

    /// How it stands, now and as it changes.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<RingState> {
        self.state.subscribe()
    }

    /// Follows until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        self.watch.arm().await;
        while !stop.is_cancelled() {
            // Once before the first wait: it may have changed since it was loaded.
            self.look().await;
            tokio::select! {
                () = self.watch.changed() => {}
                () = time::sleep(LOOK) => {}
                () = self.asked.notified() => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Takes what the directory holds now, if that is another thing than before and good. An error is told once, until it
    /// is another one or over; what was in force stays.
    async fn look(&self) {
        let path = self.path.clone();
        let read = task::spawn_blocking(move || KeyRing::read(&path)).await;
        let read = read.unwrap_or_else(|_| Err(KeyRingError::Panicked(self.path.clone())));
        match read {
            Ok(ring) => self.take(ring),
            Err(error) => self.refuse(&error.to_string()),
        }
    }

    fn take(&self, ring: KeyRing) {
        let is_new = *ring.manifest() != *self.ring.load().manifest();
        let (now, signs) = (self.clock.now(), ring.signing.is_some());
        let over = self.state.send_if_modified(|state| {
            let over = state.refused.take().is_some();
            if is_new {
                (state.signs, state.since) = (signs, now);
            }
            over || is_new
        });
        if is_new {
            ring.count(&self.metrics);
            self.metrics.keys_reloaded(KeyReload::Ok);
            tell_findings(&ring.findings);
            let kid = ring.signing_key().map(SigningKey::kid);
            match kid {
                Some(kid) => tracing::info!(kid, "other keys are in force"),
                None => tracing::error!("no key is active: nothing is signed any more"),
            }
            self.ring.store(Arc::new(ring));
        } else if over {
            self.metrics.keys_in_force(true);
            tracing::info!("the key directory can be read again");
        }
    }

    fn refuse(&self, error: &str) {
        let now = self.clock.now();
        let is_news = self.state.send_if_modified(|state| {
            let is_news = state.refused.as_ref().is_none_or(|(_, known)| *known != error);
            if is_news {
                state.refused = Some((now, error.to_owned()));
            }
            is_news
        });
        if is_news {
            self.metrics.keys_reloaded(KeyReload::Failed);
            tracing::error!(%error, "the key directory as it is now is refused, the keys before stay in force");
        }
    }
}

fn tell_findings(findings: &[Finding]) {
    for finding in findings {
        tracing::warn!(%finding, "in the key directory");
    }
}

#[cfg(test)]
mod tests;
