//! Keeps the keys of one source fresh: reads the source, publishes what it found, waits, for ever.
//!
//! A failure never takes keys away: the last good ones stay in the store until they outlive `max_stale`,
//! which the store itself judges by the time it is asked with. `app` makes one [`KeyRefresher`] a source
//! and runs it as a task; no request ever waits for one.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::jwks::{DocumentError, Jwks};
use super::report::Reporter;
use super::schedule;
use super::source::reader::{Answer, SourceReader};
use super::source::remote::Validators;
use super::source::{SourceError, SourceKind, SourceSettings, file};
use super::status::{Origin, StatusBoard};
use super::store::{KeyStore, SourceKeys};
use crate::telemetry::metrics::{RefreshResult, SourceMetrics};
use crate::util::backoff::Backoff;
use crate::util::clock::{Clock, Stopwatch, UnixTime};

/// The ceiling of the first wait after a failure.
const BACKOFF_BASE: Duration = Duration::from_secs(1);

/// The ceiling of every wait after a failure.
const BACKOFF_CAP: Duration = Duration::from_secs(60);

/// Refreshes one source.
#[derive(Debug)]
pub struct KeyRefresher {
    settings: SourceSettings,
    reader: SourceReader,
    store: Arc<KeyStore>,
    report: Reporter,
    clock: Arc<dyn Clock>,
    backoff: Backoff,
    /// Evenly distributed in `0.0..1.0`.
    draw: fn() -> f64,
    /// The last good document.
    good: Option<Good>,
    /// The last document read and what came of it: it is not parsed twice in a row.
    judged: Option<(digest::Digest, Result<(), DocumentError>)>,
}

/// The last good document, as far as the next refresh needs it.
#[derive(Debug)]
struct Good {
    jwks: Jwks,
    validators: Validators,
    freshness: Duration,
}

impl KeyRefresher {
    /// A refresher of the source that `settings` describe. Does no I/O and publishes nothing.
    pub fn new(
        settings: SourceSettings,
        store: Arc<KeyStore>,
        board: Arc<StatusBoard>,
        metrics: SourceMetrics,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            report: Reporter::new(&settings, board, metrics),
            reader: SourceReader::new(&settings),
            settings,
            store,
            clock,
            backoff: Backoff::new(BACKOFF_BASE, BACKOFF_CAP),
            draw: fastrand::f64,
            good: None,
            judged: None,
        }
    }

    /// Publishes keys that are part of the configuration; does nothing for other sources. Called before
    /// the first request is accepted, so that such keys never count as missing.
    pub fn publish_inline(&mut self) {
        let SourceKind::Inline(jwks) = &self.settings.kind else { return };
        if self.good.is_some() {
            return;
        }
        let jwks = jwks.clone();
        let now = self.clock.now();
        // What the configuration says is as old as the process: it cannot become stale.
        self.store.publish(&self.settings.id, SourceKeys::new(jwks.clone(), None));
        self.report.succeeded(Origin::Inline, &jwks, now, None, None);
        let validators = Validators::default();
        self.good = Some(Good { jwks, validators, freshness: Duration::MAX });
    }

    /// Refreshes until `shutdown` is cancelled, which interrupts a fetch under way too.
    pub async fn run(mut self, shutdown: CancellationToken) {
        self.publish_inline();
        if matches!(self.settings.kind, SourceKind::Inline(_)) {
            shutdown.cancelled().await;
            return;
        }
        while let Some(wait) = shutdown.run_until_cancelled(self.refresh_once()).await {
            if shutdown.run_until_cancelled(time::sleep(wait)).await.is_none() {
                return;
            }
        }
    }

    /// One attempt. Returns how long to wait before the next.
    pub async fn refresh_once(&mut self) -> Duration {
        let known = self.good.as_ref().map(|good| &good.validators);
        let took = Stopwatch::start();
        let read = self.reader.read(known).await;
        self.report.fetched(took.elapsed());
        let outcome = match read {
            Ok(answer) => self.accept(answer),
            Err(error) => Err(error),
        };
        let now = self.clock.now();
        match outcome {
            Ok(result) => self.succeeded(result, now),
            Err(error) => self.failed(&error, now),
        }
    }

    /// Takes over what was read. A document that cannot be used leaves everything as it was, validators
    /// included: nobody may answer 304 for it.
    fn accept(&mut self, answer: Answer) -> Result<RefreshResult, SourceError> {
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
                let freshness = match &self.settings.kind {
                    SourceKind::File(_) => file::POLL,
                    SourceKind::Url(_) | SourceKind::Inline(_) => {
                        schedule::freshness(cache_control.as_deref(), refresh)
                    }
                };
                self.judge(&content, validators, freshness)?;
                Ok(RefreshResult::Ok)
            }
        }
    }

    fn judge(
        &mut self,
        content: &[u8],
        validators: Validators,
        freshness: Duration,
    ) -> Result<(), SourceError> {
        let digest = digest::digest(&digest::SHA256, content);
        if let Some((last, verdict)) = &self.judged
            && last.as_ref() == digest.as_ref()
        {
            verdict.clone()?;
            if let Some(good) = &mut self.good {
                good.validators = validators;
                good.freshness = freshness;
                return Ok(());
            }
        }
        let parsed = self.reader.parse(content);
        self.judged = Some((digest, parsed.as_ref().map(|_| ()).map_err(Clone::clone)));
        self.good = Some(Good { jwks: parsed?, validators, freshness });
        Ok(())
    }

    fn succeeded(&mut self, result: RefreshResult, now: UnixTime) -> Duration {
        let Some(good) = &self.good else { return file::POLL };
        self.backoff.reset();
        let (wait, origin) = match &self.settings.kind {
            SourceKind::Url(_) => {
                (schedule::refresh_after(good.freshness, (self.draw)()), Origin::Network)
            }
            SourceKind::File(_) => (file::POLL, Origin::File),
            SourceKind::Inline(_) => (Duration::MAX, Origin::Inline),
        };
        let usable_until = self.settings.refresh.max_stale.map(|stale| now.saturating_add(stale));
        self.store.publish(&self.settings.id, SourceKeys::new(good.jwks.clone(), usable_until));
        self.report.refreshed(result);
        let next = now.saturating_add(wait);
        self.report.succeeded(origin, &good.jwks, now, usable_until, Some(next));
        wait
    }

    fn failed(&mut self, error: &SourceError, now: UnixTime) -> Duration {
        let wait = match &self.settings.kind {
            // A look at a file costs nothing and the next good one should be seen at once; a file
            // system that does not answer at all is left alone for longer.
            SourceKind::File(_) if !matches!(error, SourceError::Timeout(_)) => file::POLL,
            SourceKind::File(_) | SourceKind::Url(_) | SourceKind::Inline(_) => {
                let asked = error.retry_after();
                let retry_after = asked.and_then(|value| schedule::parse_retry_after(value, now));
                schedule::retry_after_failure(&mut self.backoff, (self.draw)(), retry_after)
            }
        };
        let fresh = self.good.as_ref().map(|good| good.freshness);
        self.report.failed(error, now, fresh, now.saturating_add(wait));
        wait
    }
}

#[cfg(test)]
mod tests;
