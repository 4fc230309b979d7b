//! Everything of one configuration that requests and pages look at. `app::generation` builds a whole new one,
//! `app::reload` swaps it in; whoever answers loads it once, so that no answer is made of half of two configurations.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::check::Authorizer;
use crate::check::answer::AnswerSettings;
use crate::keys::demand::KeyDemand;
use crate::keys::status::StatusBoard;
use crate::keys::store::KeyStore;
use crate::revocation::Revocations;
use crate::revocation::status::SyncBoard;
use crate::telemetry::metrics::{Metrics, RevocationMetrics, TokenCacheCounts};
use crate::telemetry::traces::settings::TraceSettings;
use crate::token::{CacheStats, Issuer};
use crate::util::clock::UnixTime;

/// What is in force since a configuration was read.
#[derive(Debug)]
pub struct Generation {
    /// Decides.
    pub authorizer: Authorizer,
    /// Is asked for keys that are missing.
    pub demand: Arc<KeyDemand>,
    /// What callers get told.
    pub answers: AnswerSettings,
    /// More checks at once are `overloaded`.
    pub concurrent_checks: usize,
    /// And so are those whose turn comes later than this.
    pub queue_time: Duration,
    /// Counts under the names of this configuration; the counts themselves go on.
    pub metrics: Metrics,
    /// How its key sources are doing.
    pub board: Arc<StatusBoard>,
    /// The issuers it trusts.
    pub issuers: Vec<Issuer>,
    /// Their keys.
    pub keys: Arc<KeyStore>,
    /// Where spans go; `None`: there are none.
    pub traces: Option<Arc<TraceSettings>>,
    /// What was taken back; `None`: nothing is looked up.
    pub revocation: Option<RevocationInForce>,
    /// `production` or `development`.
    pub profile: &'static str,
}

/// The revocations of one configuration.
#[derive(Debug)]
pub struct RevocationInForce {
    /// What requests look into.
    pub revocations: Revocations,
    /// How their source is doing.
    pub board: Arc<SyncBoard>,
    /// Counts them.
    pub metrics: RevocationMetrics,
}

impl Generation {
    /// Has the metrics know what was counted elsewhere; to be called every few seconds, and before they are shown.
    pub fn upkeep(&self) {
        let CacheStats { hits, misses, evictions, bytes } = self.authorizer.cache_stats();
        self.metrics.token_cache(TokenCacheCounts { hits, misses, evictions, bytes });
        if let Some(revocation) = &self.revocation {
            let passed = revocation.revocations.store.take_passed_unchecked();
            revocation.metrics.unchecked(passed);
        }
        self.metrics.upkeep();
    }
}

/// How the last attempt to read the configuration again went, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadState {
    /// Counts the configurations that have been in force, from 1.
    pub generation: u64,
    /// Since when the one in force is.
    pub since: UnixTime,
    /// Why the last one read is not in force, and when that was tried; `None` when it is.
    pub refused: Option<(UnixTime, String)>,
    /// What it asks for that takes a restart.
    pub needs_restart: Vec<&'static str>,
}

/// The one generation that is in force.
pub type Current = Arc<ArcSwap<Generation>>;
