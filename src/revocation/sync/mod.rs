//! Keeps the snapshot like its source: takes what the source says, makes the next snapshot of it and puts that in force,
//! for ever. `app` makes one [`RevocationSync`] of a configuration that has a source, and runs it as a task.
//!
//! A failure takes nothing away: the last snapshot stays, and is as old as the last time that the source answered. What
//! that means is [`super::policy`]'s to say.

mod next;

use std::sync::Arc;
use std::time::Duration;

use tokio::{task, time};
use tokio_util::sync::CancellationToken;

use self::next::{Merged, add, forgotten_before, merged};
use super::RevocationSettings;
use super::source::{Changes, Epoch, Intake, Load, Source, SourceError, SourceSettings, Update};
use super::status::SyncBoard;
use super::store::RevocationStore;
use crate::telemetry::metrics::{RevocationMetrics, SyncResult};
use crate::util::backoff::Backoff;
use crate::util::clock::{Clock, UnixTime};

/// The first wait after a failure is within the first of these, later ones at most within the second.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// A part of the table is looked through for what has expired this often: all of it in about four minutes.
const PRUNE_INTERVAL: Duration = Duration::from_secs(1);

/// A clock that goes back by less is being adjusted, all the time perhaps.
const SET_BACK: Duration = Duration::from_secs(1);

/// Keeps one store like its source.
#[derive(Debug)]
pub struct RevocationSync {
    settings: SourceSettings,
    max_entries: usize,
    max_stale: Option<Duration>,
    source: Source,
    intake: Intake,
    store: Arc<RevocationStore>,
    board: Arc<SyncBoard>,
    metrics: RevocationMetrics,
    clock: Arc<dyn Clock>,
    /// Evenly distributed in `0.0..1.0`.
    draw: fn() -> f64,
    /// The store that the last load came from.
    epoch: Option<Epoch>,
    /// How many entries that load kept from another one.
    kept: usize,
    backoff: Backoff,
    /// When to ask again, after a failure.
    retry_at: Option<UnixTime>,
    /// The latest time that anything was forgotten by.
    latest: UnixTime,
    /// Which part of the table is to be looked through next, and since when it waits.
    prune: (usize, UnixTime),
}

/// So many are applied where requests are served as well; more take longer than these should wait.
const FEW_CHANGES: usize = 16;

/// What the revocations of a configuration are made of.
#[derive(Debug)]
pub struct Built {
    /// What requests look into.
    pub store: Arc<RevocationStore>,
    /// How the source is doing.
    pub board: Arc<SyncBoard>,
    /// What is to be run; `None` where there is no source.
    pub sync: Option<RevocationSync>,
}

impl RevocationSync {
    /// Puts together what `settings` ask for. Does no I/O. What the configuration says itself is in force when this
    /// returns; `before` is gone on with if it reads the same source.
    pub fn build(
        settings: &RevocationSettings,
        metrics: RevocationMetrics,
        clock: &Arc<dyn Clock>,
        before: Option<Self>,
    ) -> Built {
        let Some(source) = &settings.source else {
            let store = Arc::new(RevocationStore::fixed(&settings.fixed));
            // There may have been a source before.
            metrics.clear();
            metrics.entries(store.load().counts());
            return Built { store, board: Arc::default(), sync: None };
        };
        let reads_same =
            |sync: &Self| sync.settings == *source && sync.max_entries == settings.max_entries;
        let mut sync = match before.filter(reads_same) {
            Some(before) => {
                let snapshot = before.store.load().with_fixed(&settings.fixed);
                before.store.publish(snapshot);
                Self { metrics, ..before }
            }
            None => Self::new(source, settings, metrics, clock),
        };
        sync.max_stale = settings.policy.max_stale;
        sync.metrics.limit(settings.max_entries);
        sync.tell();
        Built { store: Arc::clone(&sync.store), board: Arc::clone(&sync.board), sync: Some(sync) }
    }

    fn new(
        source: &SourceSettings,
        settings: &RevocationSettings,
        metrics: RevocationMetrics,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let store = Arc::new(RevocationStore::unknown(&settings.fixed));
        let intake = Intake::new(store.load().digester().clone(), settings.max_entries);
        Self {
            source: Source::new(source),
            settings: source.clone(),
            max_entries: settings.max_entries,
            max_stale: None,
            intake,
            store,
            board: Arc::new(SyncBoard::new(Some(source.location()))),
            metrics,
            clock: Arc::clone(clock),
            draw: fastrand::f64,
            epoch: None,
            kept: 0,
            latest: clock.now(),
            backoff: Backoff::new(BACKOFF.0, BACKOFF.1),
            retry_at: None,
            prune: (0, clock.now()),
        }
    }

    /// What it keeps.
    pub fn store(&self) -> Arc<RevocationStore> {
        Arc::clone(&self.store)
    }

    /// How its source is doing.
    pub fn board(&self) -> &Arc<SyncBoard> {
        &self.board
    }

    #[cfg(test)]
    pub(super) fn replace_source(&mut self, source: Source) {
        self.source = source;
    }

    /// With back-off, but always at the begin of its window.
    #[cfg(test)]
    pub(super) fn retrying_soon(self) -> Self {
        Self { draw: || 0.0, ..self }
    }

    /// Whether it has been loaded, ever.
    pub fn is_loaded(&self) -> bool {
        self.store.load().is_loaded()
    }

    /// Goes on until `shutdown` is cancelled, which interrupts a wait for the source too. Returns itself for the next
    /// configuration.
    pub async fn run(mut self, shutdown: CancellationToken) -> Self {
        while let Some(said) = shutdown.run_until_cancelled(self.next()).await {
            // To the end, shutdown or not: the source will not say it again.
            self.take(said).await;
        }
        self
    }

    /// One step: asks the source, and applies what it says.
    pub async fn step(&mut self) {
        let said = self.next().await;
        self.take(said).await;
    }

    /// The same, if the source says something within `bound`.
    pub async fn step_within(&mut self, bound: Duration) {
        // What it said is taken to the end: it will not say it again.
        if let Ok(said) = time::timeout(bound, self.next()).await {
            self.take(said).await;
        }
    }

    async fn next(&mut self) -> Result<Update, SourceError> {
        if let Some(at) = self.retry_at {
            self.clock.sleep(at.since(self.clock.now())).await;
        }
        self.source.next(&self.intake).await
    }

    async fn take(&mut self, said: Result<Update, SourceError>) {
        let now = self.clock.now();
        let applied = match said {
            // Whatever was not applied has to be said once more, with all the rest.
            Ok(update) => self
                .apply(update, now)
                .await
                .inspect_err(|_| self.source.begin_again(&self.settings)),
            Err(error) => Err(error),
        };
        match applied {
            Ok(result) => self.succeeded(result, now),
            Err(error) => self.failed(&error, now),
        }
        self.prune(now);
        self.remember(now);
        self.tell();
    }

    async fn apply(&mut self, update: Update, now: UnixTime) -> Result<SyncResult, SourceError> {
        match update {
            Update::Load(epoch, load) => {
                self.apply_load(epoch, load, now).await?;
                Ok(SyncResult::Loaded)
            }
            Update::Changes(changes) => {
                self.apply_changes(changes).await?;
                Ok(SyncResult::Changed)
            }
            Update::Unchanged if self.is_loaded() => Ok(SyncResult::Unchanged),
            Update::Unchanged => Err(not_loaded()),
        }
    }

    async fn apply_load(
        &mut self,
        epoch: Epoch,
        load: Load,
        now: UnixTime,
    ) -> Result<(), SourceError> {
        let before = self.store.load_full();
        let is_another = self.epoch.as_ref().is_some_and(|known| *known != epoch);
        let Load { table, skipped, forgets, .. } = load;
        // Going through a million entries takes longer than a thread that serves requests has.
        let how = (is_another, forgets);
        let merged = task::spawn_blocking(move || merged(&before, table, how, now)).await;
        let merged = merged.map_err(|error| SourceError::Malformed(error.to_string()))?;
        let Merged { table, kept, lost } = merged;
        // A store that is another one each time would make it grow for ever.
        if kept.max(table.len() - kept) > self.max_entries {
            return Err(SourceError::TooMany(self.max_entries));
        }
        self.store.publish(self.store.load().with_synced(table));
        if is_another {
            tracing::error!(
                source = %self.settings.location(), kept,
                "the store of the revocations was emptied or replaced; what it held before is kept until it expires"
            );
            self.metrics.epoch_changed();
        } else if lost > 0 {
            tracing::error!(
                source = %self.settings.location(), lost,
                "revocations are gone from the store that nobody took back; they stay in force here until they expire"
            );
        } else if skipped.count > 0 {
            let first = skipped.first.as_deref().unwrap_or_default();
            tracing::warn!(skipped = skipped.count, first, "revocations that cannot be read");
        }
        (self.epoch, self.kept) = (Some(epoch), kept);
        self.board.update(|status| {
            status.skipped = skipped;
            status.kept = kept + lost;
            status.epoch_changed = if is_another { Some(now) } else { status.epoch_changed };
        });
        Ok(())
    }

    async fn apply_changes(&mut self, changes: Changes) -> Result<(), SourceError> {
        let snapshot = self.store.load_full();
        let mut table = snapshot.synced().ok_or_else(not_loaded)?.clone();
        let Changes { added, skipped, .. } = changes;
        // Each copies a part of the table.
        let table = if added.len() > FEW_CHANGES {
            let changed = task::spawn_blocking(move || {
                add(&mut table, &added);
                table
            });
            changed.await.map_err(|error| SourceError::Malformed(error.to_string()))?
        } else {
            add(&mut table, &added);
            table
        };
        // In force, too many or not: they are revoked, and what is refused is to be told of more.
        let too_many = table.len() > self.max_entries.saturating_add(self.kept);
        self.store.publish(snapshot.with_synced(table));
        self.board.update(|status| status.skipped.join(skipped));
        if too_many { Err(SourceError::TooMany(self.max_entries)) } else { Ok(()) }
    }

    fn succeeded(&mut self, result: SyncResult, now: UnixTime) {
        self.store.confirm(now);
        self.metrics.synced(result);
        self.metrics.confirmed(now);
        self.backoff = Backoff::new(BACKOFF.0, BACKOFF.1);
        self.retry_at = None;
        let mut failed_before = false;
        self.board.update(|status| {
            failed_before = status.failures > 0;
            (status.failures, status.last_error) = (0, None);
        });
        if result == SyncResult::Loaded || failed_before {
            let entries = self.store.load().len();
            let source = self.settings.location();
            tracing::info!(%source, entries, result = result.as_str(), "revocations are up to date");
        }
    }

    fn failed(&mut self, error: &SourceError, now: UnixTime) {
        self.metrics.synced(error.result());
        // The clock was set back: what was confirmed in what is the future now would be fresh until then.
        if self.store.confirmed_at().is_some_and(|at| at > now) {
            self.store.confirm(now);
        }
        self.retry_at = Some(self.backoff.next(now, (self.draw)()));
        let text = error.to_string();
        let mut is_news = false;
        self.board.update(|status| {
            status.failures = status.failures.saturating_add(1);
            let known = status.last_error.replace((now, text.clone()));
            is_news = known.is_none_or(|(_, known)| known != text);
        });
        if is_news {
            let source = self.settings.location();
            tracing::warn!(%source, error = text, "revocations cannot be brought up to date, the last ones stay in force");
        }
    }

    /// Forgets a part of what has expired. What never is loaded again would grow for ever.
    fn prune(&mut self, now: UnixTime) {
        let (part, since) = self.prune;
        if since <= now && now.since(since) < PRUNE_INTERVAL {
            return;
        }
        self.prune = (part.wrapping_add(1), now);
        let snapshot = self.store.load_full();
        let Some(table) = snapshot.synced() else { return };
        let (mut rest, before) = (table.clone(), table.len());
        rest.prune(part, forgotten_before(now));
        if rest.len() < before {
            self.store.publish(snapshot.with_synced(rest));
        }
    }

    /// What was forgotten by a clock that was fast may be needed by the one that was set right.
    fn remember(&mut self, now: UnixTime) {
        if now.saturating_add(SET_BACK) < self.latest {
            self.source.begin_again(&self.settings);
            self.latest = now;
        }
        self.latest = self.latest.max(now);
    }

    fn tell(&self) {
        let status = self.board.read();
        self.metrics.skipped(status.skipped.count);
        self.metrics.kept(status.kept);
        self.metrics.entries(self.store.load().counts());
        self.metrics.stale(!self.store.is_fresh(self.max_stale, self.clock.now()));
    }
}

fn not_loaded() -> SourceError {
    let what = "it says what has changed before it said everything: this is a bug in claimgate";
    SourceError::Malformed(what.to_owned())
}

#[cfg(test)]
mod tests;
