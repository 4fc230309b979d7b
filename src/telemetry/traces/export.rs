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
use tokio::time::{self, Instant};
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

/// Before the second attempt, and before the next batch after one that was not taken; twice as long before the third.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A client is made anew after so long, however well it does: a token or a certificate in a file is renewed without anybody
/// saying so, and a collector that is several gets its share at each of them.
const CLIENT_AGE: Duration = Duration::from_secs(5 * 60);

/// That spans are rejected is not told more often.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// What the last spans get when the process ends; its deadline for tasks is one second.
const LAST_WORDS: Duration = Duration::from_millis(800);

/// Exports spans.
pub struct Exporter {
    spans: mpsc::Receiver<CheckSpan>,
    settings: watch::Receiver<Option<Arc<TraceSettings>>>,
    metrics: SpanMetrics,
    /// Tells this process from others of the same name.
    instance: String,
    client: Option<Connected>,
    turn: Turn,
    /// The last batch was not taken.
    is_failing: bool,
    /// When it was told last that spans were rejected.
    told_rejected: Option<Instant>,
}

/// A client that worked.
struct Connected {
    settings: Arc<TraceSettings>,
    client: Client,
    since: Instant,
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
        Self {
            spans,
            settings,
            metrics,
            instance,
            client: None,
            turn,
            is_failing: false,
            told_rejected: None,
        }
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
            let is_taken = self.send(&batch).await;
            batch.clear();
            if !is_taken {
                // Who refuses at once is not asked, nor connected to, as often as clients fill a batch.
                let _stopped = stop.run_until_cancelled(time::sleep(RETRY_AFTER)).await;
            }
        }
    }

    /// Waits for a span, and then a moment for more. There is none when there will be none.
    async fn gather(&mut self, batch: &mut Vec<CheckSpan>) {
        loop {
            tokio::select! {
                biased;
                // Perhaps there is no collector any more: nothing stays open to the one before.
                Ok(()) = self.settings.changed() => self.client = None,
                received = self.spans.recv_many(batch, BATCH) => match received {
                    0 => return,
                    _ => break,
                },
            }
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

    /// Has `batch` taken, or counts it as lost; `false` if the collector is not to be asked again right away.
    async fn send(&mut self, batch: &[CheckSpan]) -> bool {
        let Some(settings) = self.settings.borrow_and_update().clone() else {
            // The configuration in force by now wants none.
            self.client = None;
            self.metrics.count(SpanResult::Dropped, batch.len());
            return true;
        };
        let outcome = self.attempts(&settings, batch).await;
        let collector = settings.endpoint.origin().ascii_serialization();
        match outcome {
            Ok(Rejected { spans, why }) => {
                let rejected = usize::try_from(spans).unwrap_or(usize::MAX).min(batch.len());
                self.metrics.count(SpanResult::Exported, batch.len() - rejected);
                self.metrics.count(SpanResult::Rejected, rejected);
                if rejected > 0
                    && self.told_rejected.is_none_or(|told| told.elapsed() >= TELL_AGAIN)
                {
                    self.told_rejected = Some(Instant::now());
                    tracing::warn!(
                        collector,
                        rejected,
                        why,
                        "the collector does not take all spans"
                    );
                }
                if self.is_failing {
                    tracing::info!(collector, "spans are exported again");
                }
                self.is_failing = false;
                true
            }
            Err(error) => {
                self.metrics.count(SpanResult::Failed, batch.len());
                if !self.is_failing {
                    tracing::warn!(collector, %error, "spans are not exported; told once");
                }
                self.is_failing = true;
                false
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
        let mut connected = match self.client.take() {
            Some(connected) if connected.is_good_for(settings) => connected,
            Some(_) | None => Connected {
                settings: Arc::clone(settings),
                client: Client::prepare(settings, &self.turn).await?,
                since: Instant::now(),
            },
        };
        let rejected = connected.client.export(settings, message).await?;
        self.client = Some(connected);
        Ok(rejected)
    }
}

impl Connected {
    /// Not after a reload, even if it says the same: it is how somebody asks for the files to be read again.
    fn is_good_for(&self, settings: &Arc<TraceSettings>) -> bool {
        Arc::ptr_eq(&self.settings, settings) && self.since.elapsed() < CLIENT_AGE
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").field("is_failing", &self.is_failing).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::super::context::TraceContext;
    use super::super::settings::HeaderFile;
    use super::super::span::{SpanIds, queue};
    use super::super::testing::{self, metrics};
    use super::*;
    use crate::telemetry::decision_log::{shown_id, shown_method, shown_path};
    use crate::telemetry::metrics::Metrics;
    use crate::util::label::Label;

    const MOST_NAME: usize = 64;

    fn settings(headers: Vec<HeaderFile>) -> TraceSettings {
        TraceSettings {
            headers,
            service_name: "s".repeat(256),
            resource: vec![("n".repeat(256), "v".repeat(256)); 32],
            ..testing::settings("http://127.0.0.1:1")
        }
    }

    /// The span of a request that is as bad as it can be.
    fn longest() -> CheckSpan {
        let ids = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1";
        let context = TraceContext::read(|name| (name == "b3").then_some(ids));
        let worst = "\u{10ffff}".repeat(70_000);
        CheckSpan {
            ids: SpanIds::sampled(&context, &settings(vec![])).unwrap(),
            state: Some("s".repeat(512).into()),
            name: "envoy.service.auth.v3.Authorization/Check",
            begun: u64::MAX,
            ended: u64::MAX,
            decision: "would_deny",
            reason: Some("an_even_longer_reason_than_there_is"),
            is_fault: true,
            unknown_kid: Some("known_unknown"),
            rule: Some(Label::new(0, &"r".repeat(MOST_NAME))),
            issuer: Some(Label::new(0, &"i".repeat(MOST_NAME))),
            algorithm: Some("EdDSA"),
            kid: Some(shown_id(&worst)),
            method: shown_method(&worst),
            path: shown_path(&worst),
            request_id: Some(shown_id(&worst)),
        }
    }

    fn exporter(
        settings: TraceSettings,
    ) -> (super::super::Tracer, watch::Sender<Option<Arc<TraceSettings>>>, Exporter, Metrics) {
        let metrics = metrics();
        let (tracer, spans) = queue(metrics.spans());
        let (sender, receiver) = watch::channel(Some(Arc::new(settings)));
        let exporter = Exporter::new(spans, receiver, metrics.spans());
        (tracer, sender, exporter, metrics)
    }

    async fn connected(exporter: &Exporter) -> Connected {
        let settings = exporter.settings.borrow().clone().unwrap();
        let client = Client::prepare(&settings, &exporter.turn).await.unwrap();
        Connected { settings, client, since: Instant::now() }
    }

    #[test]
    fn the_longest_export_is_shorter_than_what_grpc_takes_by_default() {
        const TAKEN: usize = 4 << 20;
        let message = message::export(&settings(vec![]), &"0".repeat(32), &vec![longest(); BATCH]);
        assert!(message.encoded_len() < TAKEN * 2 / 3, "{} bytes", message.encoded_len());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_is_made_anew_after_a_while_and_after_every_reload() {
        let (_tracer, _sender, exporter, _metrics) = exporter(settings(vec![]));
        let connected = connected(&exporter).await;
        assert!(connected.is_good_for(&connected.settings));
        let same_again = Arc::new(settings(vec![]));
        assert_eq!(connected.settings, same_again);
        assert!(!connected.is_good_for(&same_again), "what is in the files may be another");
        time::advance(CLIENT_AGE).await;
        assert!(!connected.is_good_for(&connected.settings));
    }

    #[tokio::test]
    async fn nothing_stays_open_to_a_collector_that_is_configured_no_more() {
        let (tracer, sender, mut exporter, _metrics) = exporter(settings(vec![]));
        exporter.client = Some(connected(&exporter).await);
        sender.send_replace(None);
        tracer.place().unwrap().take(longest());
        let mut batch = vec![];
        exporter.gather(&mut batch).await;
        assert!(exporter.client.is_none());
        assert_eq!(batch.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_batch_that_is_not_taken_there_is_a_pause_before_the_next() {
        let missing = HeaderFile {
            name: http::header::AUTHORIZATION,
            file: "/nonexistent/claimgate/header".into(),
        };
        let (tracer, _sender, exporter, metrics) = exporter(settings(vec![missing]));
        for _ in 0..2 * BATCH {
            tracer.place().unwrap().take(longest());
        }
        let begun = Instant::now();
        let (stop, all_failed) = (CancellationToken::new(), async {
            let failed = format!("claimgate_spans_total{{result=\"failed\"}} {}", 2 * BATCH);
            while !metrics.render().contains(&failed) {
                time::sleep(Duration::from_millis(100)).await;
            }
        });
        tokio::select! {
            () = exporter.run(stop) => panic!("it ended"),
            () = all_failed => {}
        }
        // Time is the runtime's, which jumps from one wait to the next.
        let waits = RETRY_AFTER + 2 * RETRY_AFTER;
        assert!(begun.elapsed() >= 2 * waits + RETRY_AFTER, "{:?}", begun.elapsed());
    }
}
