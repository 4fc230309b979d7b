//! Keeps the keys of one source fresh: reads the source, publishes what it found, waits, for ever.
//!
//! A failure never takes keys away: the last good ones stay in the store until they outlive `max_stale`,
//! which the store itself judges by the time it is asked with. `app` makes one [`KeyRefresher`] a source
//! and runs it as a task. When it reads is [`schedule`]'s to say, or [`demand`](super::demand)'s.

use std::future;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::content::Content;
use super::demand::{ReadEnd, Reader};
use super::disk::{LastKnownGood, Record};
use super::jwks::{Reasons, SkipReason};
use super::report::Reporter;
use super::schedule::{self, Cause, MAX_RETRY_AFTER, Schedule};
use super::source::reader::{Answer, SourceReader};
use super::source::remote::Validators;
use super::source::{SourceError, SourceSettings};
use super::status::{Origin, StatusBoard};
use super::store::{KeyStore, SourceId};
use crate::telemetry::metrics::{RefreshResult, SourceMetrics};
use crate::util::clock::{Clock, Stopwatch, UnixTime};

/// Refreshes one source.
#[derive(Debug)]
pub struct KeyRefresher {
    settings: SourceSettings,
    reader: SourceReader,
    store: Arc<KeyStore>,
    /// `None` for a source that nobody can ask to be read.
    demand: Option<Reader>,
    /// `None` where nothing is kept.
    disk: Option<LastKnownGood>,
    report: Reporter,
    clock: Arc<dyn Clock>,
    schedule: Schedule,
    /// Evenly distributed in `0.0..1.0`.
    draw: fn() -> f64,
    /// The last good document.
    good: Option<Good>,
    /// Whether what is on disk may hold a key that has been withdrawn since.
    outdated_on_disk: bool,
    /// The last document read and what came of it: it is not parsed twice in a row.
    judged: Option<(digest::Digest, Result<(), SourceError>)>,
}

/// What a refresher tells others of its work.
#[derive(Debug)]
pub struct Outlets {
    /// Where the keys go.
    pub store: Arc<KeyStore>,
    /// For `/status` and `/readyz`.
    pub board: Arc<StatusBoard>,
    /// For `/metrics`.
    pub metrics: SourceMetrics,
    /// For the next start.
    pub disk: Option<LastKnownGood>,
}

/// The last good document, as far as the next refresh needs it.
#[derive(Debug)]
struct Good {
    keys: Content,
    /// The document, where it is kept on disk.
    content: Vec<u8>,
    validators: Validators,
    freshness: Duration,
    /// When the source last confirmed it, and where it came from.
    confirmed: UnixTime,
    origin: Origin,
}

impl KeyRefresher {
    /// A refresher of the source that `settings` describe. Does no I/O and publishes nothing.
    pub fn new(
        settings: SourceSettings,
        demand: Option<Reader>,
        outlets: Outlets,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            report: Reporter::new(&settings, outlets.board, outlets.metrics),
            reader: SourceReader::new(&settings),
            settings,
            store: outlets.store,
            disk: outlets.disk,
            demand,
            schedule: Schedule::new(clock.now()),
            clock,
            draw: fastrand::f64,
            good: None,
            outdated_on_disk: false,
            judged: None,
        }
    }

    /// Publishes what is there without asking anybody: keys that are part of the configuration, and what an
    /// earlier run kept. Called before the first request is accepted, so that such keys never count as missing.
    pub async fn prepare(&mut self) {
        self.report.begin();
        match self.settings.kind.configured().cloned() {
            Some(jwks) => self.publish_configured(&Content::Public(jwks)),
            None => self.restore().await,
        }
    }

    fn publish_configured(&mut self, keys: &Content) {
        let now = self.clock.now();
        // What the configuration says is as old as the process: it cannot become stale.
        self.store.publish(&self.settings.id, keys.for_store(None));
        self.report.succeeded(self.settings.kind.origin(), keys, now, None, None);
    }

    /// Takes over the last good document of an earlier run, as if it had been fetched when that fetched it. The
    /// source is read at once all the same.
    async fn restore(&mut self) {
        let Some(disk) = &self.disk else { return };
        let (now, max_stale) = (self.clock.now(), self.settings.refresh.max_stale);
        let record = match disk.load(now, max_stale, self.settings.max_bytes).await {
            Ok(Some(record)) => record,
            Ok(None) => return,
            Err(error) => return self.report.not_restored(&error),
        };
        let keys = match self.reader.parse(&record.body) {
            Ok(keys) => keys,
            Err(error) => return self.report.not_restored(&error),
        };
        let etag = record.etag.as_deref();
        let validators = Validators::new(etag, record.last_modified.as_deref());
        // It was written under other bounds, perhaps.
        let refresh = &self.settings.refresh;
        let freshness = record.freshness.min(refresh.max).max(refresh.min);
        let content = record.body;
        let (confirmed, origin) = (record.fetched_at, Origin::Disk);
        let good = Good { keys, content, validators, freshness, confirmed, origin };
        let (_, usable_until) = self.publish(&good);
        self.report.succeeded(origin, &good.keys, confirmed, usable_until, Some(now));
        self.report.persisted(Ok(()));
        self.good = Some(good);
    }

    /// Puts `good` in force until `max_stale` after it was confirmed. Returns whether its keys are other ones than
    /// before, and until when.
    fn publish(&self, good: &Good) -> (bool, Option<UnixTime>) {
        let max_stale = self.settings.refresh.max_stale;
        let usable_until = max_stale.map(|stale| good.confirmed.saturating_add(stale));
        let keys = good.keys.for_store(usable_until);
        (self.store.publish(&self.settings.id, keys), usable_until)
    }

    /// Takes the refresher out of `refreshers` that read the same source in the same way under the configuration
    /// before, and takes over what it holds, when it reads next, and how it is doing: then [`Self::prepare`] is not
    /// to be called. Returns whether there was one.
    pub fn adopt_from(&mut self, refreshers: &mut Vec<Self>) -> bool {
        let same = |before: &Self| self.settings.reads_like(&before.settings);
        let found = refreshers.iter().position(same).map(|place| refreshers.swap_remove(place));
        let is_found = found.is_some();
        if let Some(before) = found {
            self.adopt(before);
        }
        is_found
    }

    fn adopt(&mut self, before: Self) {
        // Else it would go by the deadlines and files of the configuration before.
        if self.settings.refresh == before.settings.refresh {
            self.reader = before.reader;
        }
        if let (Some(demand), Some(before)) = (&self.demand, &before.demand) {
            demand.adopt(before);
        }
        self.schedule = before.schedule;
        self.judged = before.judged;
        self.report.adopt(before.report);
        if let Some(good) = &before.good {
            let (_, usable_until) = self.publish(good);
            self.report.usable_until(usable_until);
            self.report.in_force(good.origin, &good.keys, good.confirmed);
        }
        self.good = before.good;
        self.outdated_on_disk = before.outdated_on_disk;
        if self.disk.is_some() && before.disk.is_none() {
            // What is to be kept from now on was not kept as it was read: the whole of it is asked for again.
            self.judged = None;
            if let Some(good) = &mut self.good {
                good.validators = Validators::default();
            }
            // Nor is it known what an earlier run left there.
            self.outdated_on_disk = true;
        }
    }

    /// Whether it has something to go on with.
    pub fn has_keys(&self) -> bool {
        self.good.is_some() || !self.settings.kind.can_be_read()
    }

    /// Which source it reads.
    pub fn id(&self) -> &SourceId {
        &self.settings.id
    }

    /// Refreshes until `shutdown` is cancelled, which interrupts a fetch under way too. To be called after
    /// [`Self::prepare`]. Returns what another may [adopt](Self::adopt_from).
    pub async fn run(mut self, shutdown: CancellationToken) -> Self {
        if !self.settings.kind.can_be_read() {
            shutdown.cancelled().await;
            return self;
        }
        while let Some(cause) = shutdown.run_until_cancelled(self.next()).await {
            let Some(worth_keeping) = shutdown.run_until_cancelled(self.attempt(cause)).await
            else {
                break;
            };
            // To the end, shutdown or not: tokens with these keys are accepted already, and a restart must not refuse them.
            if let Some(fetched_at) = worth_keeping {
                self.persist(fetched_at).await;
            }
        }
        self
    }

    /// Waits until there is a reason to read.
    async fn next(&mut self) -> Cause {
        let wait = self.schedule.wait(self.clock.now());
        let demand = &self.demand;
        let asked = async {
            match demand {
                Some(demand) => demand.asked().await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            () = self.clock.sleep(wait) => Cause::Due,
            () = self.reader.changed() => Cause::Due,
            () = asked => Cause::Asked,
        }
    }

    /// One attempt. Returns how long to wait before the next.
    pub async fn refresh(&mut self, cause: Cause) -> Duration {
        // Last: nobody who waits for a key waits for a disk.
        if let Some(fetched_at) = self.attempt(cause).await {
            self.persist(fetched_at).await;
        }
        self.schedule.wait(self.clock.now())
    }

    /// An attempt up to what it takes to keep its document. Says when that was read, if it is worth keeping. Dropped
    /// while it reads, it has changed nothing.
    async fn attempt(&mut self, cause: Cause) -> Option<UnixTime> {
        if let Some(demand) = &self.demand {
            demand.begins();
        }
        let known = self.good.as_ref().map(|good| &good.validators);
        let took = Stopwatch::start();
        let read = self.reader.read(known, self.clock.now()).await;
        self.report.fetched(took.elapsed());
        self.report.warned(self.reader.warning());
        let now = self.clock.now();
        let outcome = read.and_then(|answer| self.accept(answer, now));
        let end = match outcome {
            Ok(result) => self.succeeded(result, cause, now),
            Err(error) => self.failed(&error, cause, now),
        };
        if let Some(demand) = &self.demand {
            demand.ended(end, now);
        }
        matches!(end, ReadEnd::Changed | ReadEnd::Unchanged).then_some(now)
    }

    /// Keeps the document in force for the next start. What that costs is told, and changes nothing else.
    async fn persist(&mut self, fetched_at: UnixTime) {
        let (Some(disk), Some(good)) = (&self.disk, &self.good) else { return };
        // A secret has no place there, whoever asks for one.
        let Content::Public(jwks) = &good.keys else { return };
        let skipped = Reasons::of(&jwks.skipped);
        let secret = [SkipReason::PrivateKey, SkipReason::SymmetricKey];
        let outcome = if secret.into_iter().any(|reason| skipped.count(reason) > 0) {
            // What is there is older, and may hold keys that this document has withdrawn.
            disk.forget().await.map_err(|error| error.to_string()).and_then(|()| {
                Err("the document holds a private or symmetric key, which is not written"
                    .to_owned())
            })
        } else {
            let record = Record {
                body: good.content.clone(),
                fetched_at,
                etag: good.validators.etag().map(str::to_owned),
                last_modified: good.validators.last_modified().map(str::to_owned),
                freshness: good.freshness,
            };
            disk.save(&record).await.map_err(|error| error.to_string())
        };
        // What cannot be replaced by its successor must not bring back what that withdrew. A disk that is full still
        // removes files.
        if outcome.is_ok() || self.outdated_on_disk && disk.forget().await.is_ok() {
            self.outdated_on_disk = false;
        }
        self.report.persisted(outcome);
    }

    /// Takes over what was read. A document that cannot be used leaves everything as it was, validators
    /// included: nobody may answer 304 for it.
    fn accept(&mut self, answer: Answer, now: UnixTime) -> Result<RefreshResult, SourceError> {
        let refresh = &self.settings.refresh;
        match answer {
            Answer::NotModified { validators, cache_control } => {
                let Some(good) = &mut self.good else {
                    // Only reached when validators were sent, which are part of what is missing here.
                    return Err(SourceError::Status { status: 304, retry_after: None });
                };
                // RFC 9111 §4.3.4: what the 304 says replaces what was stored, the rest stays.
                if !validators.is_empty() {
                    good.validators = validators;
                }
                if cache_control.is_some() {
                    good.freshness = schedule::freshness(cache_control.as_deref(), refresh);
                }
                Ok(RefreshResult::NotModified)
            }
            Answer::Document { content, validators, cache_control } => {
                let freshness = match self.reader.poll_interval() {
                    Some(interval) => interval,
                    None => schedule::freshness(cache_control.as_deref(), refresh),
                };
                // It may be a secret: what it was read into is wiped, whatever comes of it.
                self.judge(&Zeroizing::new(content), validators, freshness, now)?;
                Ok(RefreshResult::Ok)
            }
        }
    }

    fn judge(
        &mut self,
        content: &[u8],
        validators: Validators,
        freshness: Duration,
        now: UnixTime,
    ) -> Result<(), SourceError> {
        let digest = digest::digest(&digest::SHA256, content);
        if let Some((last, verdict)) = &self.judged
            && last.as_ref() == digest.as_ref()
        {
            if let Err(error) = verdict {
                let error = error.clone();
                self.reader.refused();
                return Err(error);
            }
            if let Some(good) = &mut self.good {
                good.validators = validators;
                good.freshness = freshness;
                return Ok(());
            }
        }
        let parsed = self.reader.parse(content);
        self.judged = Some((digest, parsed.as_ref().map(|_| ()).map_err(Clone::clone)));
        let content = if self.disk.is_some() { content.to_vec() } else { Vec::new() };
        let keys = parsed?;
        self.outdated_on_disk |= self.good.as_ref().is_some_and(|good| good.keys.loses(&keys));
        let (confirmed, origin) = (now, self.settings.kind.origin());
        self.good = Some(Good { keys, content, validators, freshness, confirmed, origin });
        Ok(())
    }

    fn succeeded(&mut self, result: RefreshResult, cause: Cause, now: UnixTime) -> ReadEnd {
        if let Some(good) = &mut self.good {
            (good.confirmed, good.origin) = (now, self.settings.kind.origin());
        }
        let Some(good) = &self.good else { return ReadEnd::Unchanged };
        match self.reader.poll_interval() {
            Some(interval) => self.schedule.look_again(now, interval),
            None => self.schedule.succeeded(now, cause, good.freshness, (self.draw)()),
        }
        let (changed, usable_until) = self.publish(good);
        self.report.refreshed(result);
        let next = self.schedule.due();
        self.report.succeeded(good.origin, &good.keys, now, usable_until, Some(next));
        if changed { ReadEnd::Changed } else { ReadEnd::Unchanged }
    }

    fn failed(&mut self, error: &SourceError, cause: Cause, now: UnixTime) -> ReadEnd {
        let asked = error.retry_after();
        let retry_after = asked.and_then(|value| schedule::parse_retry_after(value, now));
        let retry_after = retry_after.map(|wait| wait.min(MAX_RETRY_AFTER));
        match self.reader.poll_interval() {
            // A look at a file costs nothing and the next good one should be seen at once; a file
            // system that does not answer at all is left alone for longer.
            Some(interval) if !matches!(error, SourceError::Timeout(_)) => {
                self.schedule.look_again(now, interval);
            }
            Some(_) | None => self.schedule.failed(now, cause, retry_after, (self.draw)()),
        }
        let fresh = self.good.as_ref().map(|good| good.freshness);
        self.report.failed(error, now, fresh, self.schedule.due());
        let leave_alone_until = retry_after.map(|wait| now.saturating_add(wait));
        ReadEnd::Failed { leave_alone_until }
    }
}

#[cfg(test)]
mod tests;
