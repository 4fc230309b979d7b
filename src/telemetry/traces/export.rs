//! Takes spans from the queue to the collector, many at a time. One task of `app`, which lives as long as the process; the
//! settings are those of the configuration in force, whichever that is by then.
//!
//! What the collector cannot take right now is tried again a few times, while new spans wait in the queue; then it is given
//! up and counted. It is said when exports begin to fail and when they work again, and not in between.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use tokio::sync::{mpsc, watch};
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::client::{Client, ExportError, Rejected};
use super::message;
use super::settings::TraceSettings;
use super::span::CheckSpan;
use crate::telemetry::metrics::{SpanMetrics, SpanResult};
use crate::util::file::Turn;

/// So many spans go at once.
const BATCH: usize = 512;

/// So long one waits for others.
const GATHER: Duration = Duration::from_secs(1);

/// Attempts for a batch.
const ATTEMPTS: u32 = 3;

/// Before the second attempt; twice as long before the next.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What the last spans get when the process ends; its deadline for tasks is one second.
const LAST_WORDS: Duration = Duration::from_millis(800);

/// Exports spans.
pub struct Exporter {
    spans: mpsc::Receiver<CheckSpan>,
    settings: watch::Receiver<Option<Arc<TraceSettings>>>,
    metrics: SpanMetrics,
    /// Tells this process from others of the same name.
    instance: String,
    client: Option<(Arc<TraceSettings>, Client)>,
    turn: Turn,
    /// The last batch was not taken.
    is_failing: bool,
}

impl Exporter {
    /// Takes from `spans`, and sends them where `settings` say at that time.
    pub fn new(
        spans: mpsc::Receiver<CheckSpan>,
        settings: watch::Receiver<Option<Arc<TraceSettings>>>,
        metrics: SpanMetrics,
    ) -> Self {
        let instance = format!("{:032x}", fastrand::u128(..));
        let turn = Turn::default();
        Self { spans, settings, metrics, instance, client: None, turn, is_failing: false }
    }

    /// Runs until `stop`, and sends what is in the queue then, as far as that is possible in a moment.
    pub async fn run(mut self, stop: CancellationToken) {
        let end = async {
            stop.cancelled().await;
            time::sleep(LAST_WORDS).await;
        };
        // What the moment is too short for is given up, uncounted: nobody will scrape it.
        tokio::select! {
            () = self.export(&stop) => {}
            () = end => {}
        }
    }

    async fn export(&mut self, stop: &CancellationToken) {
        let mut batch = Vec::new();
        loop {
            // An export that has begun is not broken off: the spans would come twice.
            if stop.run_until_cancelled(self.gather(&mut batch)).await.is_none() {
                self.take_waiting(&mut batch);
            }
            if batch.is_empty() {
                return;
            }
            self.send(&batch).await;
            batch.clear();
        }
    }

    /// Waits for a span, and then a moment for more. There is none when there will be none.
    async fn gather(&mut self, batch: &mut Vec<CheckSpan>) {
        if self.spans.recv_many(batch, BATCH).await == 0 {
            return;
        }
        let more = async {
            while batch.len() < BATCH && self.spans.recv_many(batch, BATCH - batch.len()).await > 0
            {
            }
        };
        let _elapsed = time::timeout(GATHER, more).await.is_err();
    }

    fn take_waiting(&mut self, batch: &mut Vec<CheckSpan>) {
        while batch.len() < BATCH {
            let Ok(span) = self.spans.try_recv() else { return };
            batch.push(span);
        }
    }

    /// Has `batch` taken, or counts it as lost.
    async fn send(&mut self, batch: &[CheckSpan]) {
        let Some(settings) = self.settings.borrow_and_update().clone() else {
            // The configuration in force by now wants none.
            self.metrics.count(SpanResult::Dropped, batch.len());
            return;
        };
        let outcome = self.attempts(&settings, batch).await;
        let collector = settings.endpoint.origin().ascii_serialization();
        match outcome {
            Ok(Rejected { spans, why }) => {
                let rejected = usize::try_from(spans).unwrap_or(usize::MAX).min(batch.len());
                self.metrics.count(SpanResult::Exported, batch.len() - rejected);
                self.metrics.count(SpanResult::Rejected, rejected);
                if rejected > 0 {
                    tracing::warn!(
                        collector,
                        rejected,
                        why,
                        "the collector does not take all spans"
                    );
                } else if self.is_failing {
                    tracing::info!(collector, "spans are exported again");
                }
                self.is_failing = false;
            }
            Err(error) => {
                self.metrics.count(SpanResult::Failed, batch.len());
                if !self.is_failing {
                    tracing::warn!(collector, %error, "spans are not exported; told once");
                }
                self.is_failing = true;
            }
        }
    }

    async fn attempts(
        &mut self,
        settings: &Arc<TraceSettings>,
        batch: &[CheckSpan],
    ) -> Result<Rejected, ExportError> {
        let message = message::export(settings, &self.instance, batch);
        let mut wait = RETRY_AFTER;
        for _ in 1..ATTEMPTS {
            match self.attempt(settings, &message).await {
                Err(ExportError::Transient(_)) => {}
                outcome => return outcome,
            }
            time::sleep(wait).await;
            wait *= 2;
        }
        self.attempt(settings, &message).await
    }

    async fn attempt(
        &mut self,
        settings: &Arc<TraceSettings>,
        message: &ExportTraceServiceRequest,
    ) -> Result<Rejected, ExportError> {
        // What failed once is made anew: the address may be another by now, and so may what is in the files.
        let mut client = match self.client.take() {
            Some((of, client)) if of == *settings => client,
            Some(_) | None => Client::prepare(settings, &self.turn).await?,
        };
        let rejected = client.export(settings, message).await?;
        self.client = Some((Arc::clone(settings), client));
        Ok(rejected)
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").field("is_failing", &self.is_failing).finish_non_exhaustive()
    }
}
