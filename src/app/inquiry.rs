//! A configuration that answers questions and serves nobody: what `claimgate explain` and `claimgate check --online` ask.
//! Its keys are read once, in the way of the service; nothing is listened on, kept on disk or logged.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::join_all;

use super::generation::{self, Workers};
use crate::config::Config;
use crate::keys::schedule::Cause;
use crate::keys::source::{RefreshSettings, SourceKind, SourceSettings};
use crate::keys::status::Origin;
use crate::keys::store::SourceId;
use crate::revocation::policy::WhenStale;
use crate::revocation::source::SourceSettings as RevocationSource;
use crate::server::generation::Generation;
use crate::telemetry::metrics::Metrics;
use crate::util::clock::{Clock, ManualClock, SystemClock, UnixTime};
use crate::util::label::Label;

/// Which keys to decide with.
#[derive(Clone, Debug)]
pub enum Keys {
    /// Those that are to be had without asking anybody: in the configuration and the environment, in files, and what
    /// the service kept in `state_dir`.
    Offline,
    /// Those in a JWK Set, for this issuer, in place of its sources; for the others as above.
    File {
        /// Whose they are.
        issuer: Label,
        /// Where they are.
        path: PathBuf,
    },
    /// Those of every source, read once.
    Online,
}

/// Builds what the service would decide with at `now`. Sources that fail say so on the board.
pub async fn ask(mut config: Config, keys: Keys, now: UnixTime) -> Generation {
    let is_online = matches!(keys, Keys::Online);
    if let Keys::File { issuer, path } = keys {
        put_in_place(&mut config, &issuer, path);
    }
    let to_read: Vec<SourceId> = {
        let is_wanted = |source: &&SourceSettings| {
            is_online && source.kind.can_be_read() || source.kind.origin() == Origin::File
        };
        config.sources.iter().filter(is_wanted).map(|source| source.id.clone()).collect()
    };
    let metrics = || Metrics::new(generation::names(&config));
    // What is on disk is the service's: it is read as of today, and by refreshers that end before anything is written.
    let mut kept = Workers::default();
    if config.state_dir.is_some() {
        let today: Arc<dyn Clock> = Arc::new(SystemClock);
        kept = generation::build(config.clone(), metrics(), &today, Workers::default()).await.1;
    }
    let (clock, metrics): (Arc<dyn Clock>, _) = (Arc::new(ManualClock::new(now)), metrics());
    config.state_dir = None;
    // What was read as of today is older than `now`, or younger.
    kept.revocation = None;
    let asks = |source: &RevocationSource| is_online || source.is_local();
    let is_asked = config.revocation.as_ref().and_then(|one| one.source.as_ref()).is_none_or(asks);
    if let Some(revocation) = config.revocation.as_mut().filter(|_| !is_asked) {
        // Who is not asked cannot be late.
        revocation.policy.when_stale = WhenStale::Allow;
    }
    let (generation, mut workers) = generation::build(config, metrics, &clock, kept).await;
    let read = workers.refreshers.iter_mut();
    let read = read.filter(|refresher| to_read.contains(refresher.id()));
    join_all(read.map(|refresher| refresher.refresh(Cause::Due))).await;
    if let Some(sync) = workers.revocation.as_mut().filter(|_| is_asked) {
        sync.step().await;
    }
    generation
}

/// The file as the only source of `issuer`.
fn put_in_place(config: &mut Config, issuer: &Label, path: PathBuf) {
    config.sources.retain(|source| source.id.issuer != *issuer);
    let algorithms = config.issuers.iter().find(|one| one.label == *issuer);
    config.sources.extend(algorithms.map(|one| SourceSettings {
        id: SourceId { issuer: issuer.clone(), source: Label::new(0, "0") },
        kind: SourceKind::File(path),
        refresh: RefreshSettings::default(),
        algorithms: one.algorithms,
        max_keys: config.limits.jwks_keys,
        max_bytes: config.limits.jwks_bytes,
    }));
}
