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
use crate::revocation::{EntryKind, RevocationSync, Revocations};
use crate::server::generation::{Generation, RevocationInForce};
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
        concurrent_checks: config.limits.concurrent_checks,
        cache_bytes: config.cache_bytes,
    }
}

/// What keeps a generation's knowledge fresh. It goes on with the next generation, where that reads the same.
#[derive(Debug, Default)]
pub(super) struct Workers {
    /// Of its keys, one a source.
    pub(super) refreshers: Vec<KeyRefresher>,
    /// Of its revocations, where they have a source.
    pub(super) revocation: Option<RevocationSync>,
}

/// Puts together what `config` asks for. Sources that `before` read go on with what they hold; of the others, those
/// that are part of the configuration or were kept on disk have their keys when this returns.
pub(super) async fn build(
    config: Config,
    metrics: Metrics,
    clock: &Arc<dyn Clock>,
    mut before: Workers,
) -> (Generation, Workers) {
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
        let is_new = !refresher.adopt_from(&mut before.refreshers);
        refreshers.push((refresher, is_new));
    }
    let prepared = refreshers.into_iter().map(|(mut refresher, is_new)| async move {
        if is_new {
            refresher.prepare().await;
        }
        refresher
    });
    let refreshers = join_all(prepared).await;
    let (in_force, revocation) = match &config.revocation {
        None => (None, None),
        Some(settings) => {
            let metrics = metrics.revocation(&EntryKind::ALL.map(EntryKind::as_str));
            let built =
                RevocationSync::build(settings, metrics.clone(), clock, before.revocation.take());
            let revocations = Revocations { store: built.store, policy: settings.policy.clone() };
            let in_force = RevocationInForce { revocations, board: built.board, metrics };
            (Some(in_force), built.sync)
        }
    };
    let generation = Generation {
        demand,
        answers: config.answers,
        concurrent_checks: config.limits.concurrent_checks,
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
            revocations: in_force.as_ref().map(|in_force| in_force.revocations.clone()),
            forward: config.forward,
            allows_preflight: config.allows_preflight,
            cache: (config.cache_bytes > 0).then(|| VerifiedTokenCache::new(config.cache_bytes)),
        }),
        traces: config.traces,
        revocation: in_force,
        metrics,
    };
    (generation, Workers { refreshers, revocation })
}

/// Reads the sources that have nothing yet, as far as that is possible within a bound.
pub(super) async fn first_read(workers: &mut Workers) {
    let Workers { refreshers, revocation } = workers;
    let new = refreshers.iter_mut().filter(|refresher| !refresher.has_keys());
    let reads = join_all(new.map(|refresher| refresher.refresh(Cause::Due)));
    let load = async {
        if let Some(sync) = revocation.as_mut().filter(|sync| !sync.is_loaded()) {
            sync.step_within(FIRST_READ).await;
        }
    };
    // What takes longer is read again in the background.
    let (_late, ()) = tokio::join!(time::timeout(FIRST_READ, reads), load);
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
