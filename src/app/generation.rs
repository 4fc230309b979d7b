//! From a [`Config`] to a [`Generation`] and the refreshers of its keys: the same for the first configuration and for
//! every one that is read later. It swaps nothing in and runs nothing.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time;

use crate::check::{Authorizer, DenialReason, PolicySnapshot, VerifiedTokenCache};
use crate::config::Config;
use crate::keys::demand::{DemandSettings, KeyDemand};
use crate::keys::disk::{LastKnownGood, StateDir};
use crate::keys::refresher::{KeyRefresher, Outlets};
use crate::keys::schedule::Cause;
use crate::keys::source::SourceSettings;
use crate::keys::status::StatusBoard;
use crate::keys::store::{KeyKind, KeyStore};
use crate::server::generation::Generation;
use crate::telemetry::metrics::{Metrics, MetricsSettings};
use crate::token::{SignedWith, Verifier};
use crate::util::clock::Clock;
use crate::util::label::Label;

/// How long a configuration that is read later waits for sources that are new: nobody is answered by it before, and
/// nobody's keys are missing if they can be had in this time.
const FIRST_READ: Duration = Duration::from_secs(5);

/// What the metrics of `config` are to be called.
pub(super) fn names(config: &Config) -> MetricsSettings {
    MetricsSettings {
        rules: config.rules.rules().iter().map(|rule| rule.label.clone()).collect(),
        issuers: config.issuers.iter().map(|issuer| issuer.label.clone()).collect(),
        reasons: DenialReason::ALL.map(DenialReason::as_str).into(),
        algorithms: SignedWith::NAMES.into(),
        profile: config.profile.as_str(),
    }
}

/// Puts together what `config` asks for. Sources that `before` read go on with what they hold; of the others, those
/// that are part of the configuration or were kept on disk have their keys when this returns.
pub(super) async fn build(
    config: Config,
    metrics: Metrics,
    clock: &Arc<dyn Clock>,
    mut before: Vec<KeyRefresher>,
) -> (Generation, Vec<KeyRefresher>) {
    let labels: Vec<Label> = config.issuers.iter().map(|issuer| issuer.label.clone()).collect();
    for issuer in &config.issuers {
        for accepted in SignedWith::accepted_by(issuer) {
            metrics.accepted(&issuer.label, accepted.index());
        }
    }
    let keys = Arc::new(KeyStore::with_kinds(&kinds_of_sources(&labels, &config.sources)));
    let located = config.sources.iter().map(|source| (source.id.clone(), source.kind.location()));
    let board = Arc::new(StatusBoard::new(located));
    let demand = Arc::new(KeyDemand::new(labels.len(), &can_be_asked(&config.sources), &keys));
    let state_dir = config.state_dir.as_deref().map(StateDir::new);
    let mut refreshers = Vec::with_capacity(config.sources.len());
    for source in config.sources {
        let outlets = Outlets {
            store: Arc::clone(&keys),
            board: Arc::clone(&board),
            metrics: metrics.source(&source.id.issuer, &source.id.source),
            disk: last_known_good(state_dir.as_ref(), &source),
        };
        let asked = demand.reader(&source.id);
        let mut refresher = KeyRefresher::new(source, asked, outlets, Arc::clone(clock));
        let is_new = !refresher.adopt_from(&mut before);
        refreshers.push((refresher, is_new));
    }
    let prepared = refreshers.into_iter().map(|(mut refresher, is_new)| async move {
        if is_new {
            refresher.prepare().await;
        }
        refresher
    });
    let refreshers = join_all(prepared).await;
    let generation = Generation {
        demand,
        answers: config.answers,
        max_concurrent: config.limits.concurrent_checks,
        queue_time: config.limits.queue_time,
        board,
        profile: config.profile.as_str(),
        issuers: config.issuers.clone(),
        keys: Arc::clone(&keys),
        authorizer: Authorizer::new(PolicySnapshot {
            rules: config.rules,
            tokens: config.tokens,
            verifier: Verifier::new(config.issuers, config.limits.token_bytes),
            keys,
            forward: config.forward,
            allows_preflight: config.allows_preflight,
            cache: (config.cache_bytes > 0).then(|| VerifiedTokenCache::new(config.cache_bytes)),
        }),
        metrics,
    };
    (generation, refreshers)
}

/// Reads the sources that have no keys yet, as far as that is possible within a bound.
pub(super) async fn first_read(refreshers: &mut [KeyRefresher]) {
    let new = refreshers.iter_mut().filter(|refresher| !refresher.has_keys());
    let reads = join_all(new.map(|refresher| refresher.refresh(Cause::Due)));
    // What takes longer is read again in the background.
    let _late = time::timeout(FIRST_READ, reads).await.is_err();
}

/// What each source of each issuer may hold.
fn kinds_of_sources(issuers: &[Label], sources: &[SourceSettings]) -> Vec<Vec<KeyKind>> {
    let of = |issuer: &Label| {
        let own = sources.iter().filter(|source| source.id.issuer == *issuer);
        own.map(|source| source.kind.holds()).collect()
    };
    issuers.iter().map(of).collect()
}

fn last_known_good(state_dir: Option<&StateDir>, source: &SourceSettings) -> Option<LastKnownGood> {
    Some(LastKnownGood::new(state_dir?, &source.kind.identity(&source.id.issuer)?))
}

fn can_be_asked(sources: &[SourceSettings]) -> Vec<DemandSettings> {
    // A secret is in a file that is looked at every second anyway.
    let can_be_read = sources
        .iter()
        .filter(|source| source.kind.can_be_read() && source.kind.holds() == KeyKind::Public);
    let settings = can_be_read.map(|source| DemandSettings {
        id: source.id.clone(),
        wait: source.refresh.unknown_kid_wait,
    });
    settings.collect()
}
