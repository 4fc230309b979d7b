//! One check as a span, and the queue that spans wait in for their export.

use std::fmt;

use tokio::sync::mpsc;

use super::context::{Sampling, SpanId, TraceContext, TraceId};
use super::settings::TraceSettings;
use crate::telemetry::metrics::{SpanMetrics, SpanResult};
use crate::util::label::Label;

/// Spans that wait. Some hundred bytes each, and five thousand where a client does its worst.
const QUEUE: usize = 4096;

/// Records spans, without waiting for anybody.
#[derive(Clone)]
pub struct Tracer {
    queue: mpsc::Sender<CheckSpan>,
    metrics: SpanMetrics,
}

/// Room for one span in the queue.
#[derive(Debug)]
pub struct Place<'a>(mpsc::Permit<'a, CheckSpan>);

/// Where a span stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanIds {
    /// Its trace.
    pub trace_id: TraceId,
    /// Itself.
    pub span_id: SpanId,
    /// The span that it is a part of; `None`: it begins the trace.
    pub parent: Option<SpanId>,
}

/// What is told of a check that was sampled. Words of ours, names out of the configuration, and what the decision log
/// shows of the request, in the same form.
#[derive(Clone, Debug)]
pub struct CheckSpan {
    /// Where it stands.
    pub ids: SpanIds,
    /// `tracestate`, as it came.
    pub state: Option<Box<str>>,
    /// What was called: a gRPC method, or the path of a door.
    pub name: &'static str,
    /// When the check arrived, in nanoseconds since 1970-01-01T00:00:00Z.
    pub begun: u64,
    /// When it was decided.
    pub ended: u64,
    /// `allow`, `deny` or `would_deny`.
    pub decision: &'static str,
    /// Why not.
    pub reason: Option<&'static str>,
    /// Whether it is our fault that it was denied.
    pub is_fault: bool,
    /// What came of waiting for a missing key, where the check did.
    pub unknown_kid: Option<&'static str>,
    /// The rule that applied.
    pub rule: Option<Label>,
    /// The issuer of the token, if it is one of ours.
    pub issuer: Option<Label>,
    /// What the token was signed with, if it was verified.
    pub algorithm: Option<&'static str>,
    /// The key that verified it, or that is missing.
    pub kid: Option<String>,
    /// The request's.
    pub method: String,
    /// The request's, without a query.
    pub path: String,
    /// `x-request-id`.
    pub request_id: Option<String>,
}

/// A tracer, and the other end of its queue.
pub fn queue(metrics: SpanMetrics) -> (Tracer, mpsc::Receiver<CheckSpan>) {
    let (queue, spans) = mpsc::channel(QUEUE);
    (Tracer { queue, metrics }, spans)
}

impl SpanIds {
    /// Those of the span for a request that says `context` of its trace; `None` if it is not sampled.
    pub fn sampled(context: &TraceContext, settings: &TraceSettings) -> Option<Self> {
        let is_sampled = match context.sampling {
            Sampling::Sampled => true,
            Sampling::NotSampled => false,
            Sampling::Undecided => {
                settings.sample.is_some_and(|one_in| fastrand::u64(..one_in.get()) == 0)
            }
        };
        is_sampled.then(|| Self {
            trace_id: context.trace_id().unwrap_or_else(TraceId::draw),
            span_id: SpanId::draw(),
            parent: context.parent.map(|(_, span_id)| span_id),
        })
    }
}

impl Tracer {
    /// Room for a span; `None`, and one more that is dropped, if too many wait. To be asked for before a span is made: who
    /// has every request sampled pays for no more of them than there is room for.
    pub fn place(&self) -> Option<Place<'_>> {
        let place = self.queue.try_reserve().map(Place).ok();
        if place.is_none() {
            self.metrics.count(SpanResult::Dropped, 1);
        }
        place
    }
}

impl Place<'_> {
    /// Takes `span` for export.
    pub fn take(self, span: CheckSpan) {
        self.0.send(span);
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::super::testing::{metrics, settings};
    use super::*;

    fn sampling(sample: u64) -> TraceSettings {
        TraceSettings { sample: NonZeroU64::new(sample), ..settings("http://127.0.0.1:1") }
    }

    fn span() -> CheckSpan {
        let ids = SpanIds { trace_id: TraceId::draw(), span_id: SpanId::draw(), parent: None };
        CheckSpan {
            ids,
            state: None,
            name: "check",
            begun: 1,
            ended: 2,
            decision: "allow",
            reason: None,
            is_fault: false,
            unknown_kid: None,
            rule: None,
            issuer: None,
            algorithm: None,
            kid: None,
            method: "GET".to_owned(),
            path: "/a".to_owned(),
            request_id: None,
        }
    }

    fn context(text: &str) -> TraceContext {
        TraceContext::read(|name| (name == "b3").then_some(text))
    }

    #[test]
    fn whoever_began_the_trace_decides_whether_it_is_recorded() {
        let (every, none) = (sampling(1), sampling(0));
        let sampled = context("0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1");
        let ids = SpanIds::sampled(&sampled, &none).unwrap();
        assert_eq!(ids.trace_id.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(ids.parent.unwrap().to_string(), "b7ad6b7169203331");
        assert_ne!(Some(ids.span_id), ids.parent);
        for text in ["0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0", "0"] {
            assert_eq!(SpanIds::sampled(&context(text), &every), None, "{text}");
        }
    }

    #[test]
    fn what_nobody_decided_on_is_sampled_as_configured() {
        let undecided = TraceContext::default();
        assert_eq!(SpanIds::sampled(&undecided, &sampling(0)), None);
        assert_eq!(SpanIds::sampled(&undecided, &sampling(u64::MAX)), None);
        let [one, other] = [(); 2].map(|()| SpanIds::sampled(&undecided, &sampling(1)).unwrap());
        assert_eq!(one.parent, None);
        assert_ne!(one.trace_id, other.trace_id);
        let known = context("0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331");
        let ids = SpanIds::sampled(&known, &sampling(1)).unwrap();
        assert_eq!(ids.trace_id.to_string(), "0af7651916cd43dd8448eb211c80319c");
    }

    #[test]
    fn spans_that_nobody_takes_are_dropped_and_counted() {
        let metrics = metrics();
        let (tracer, spans) = queue(metrics.spans());
        for _ in 0..QUEUE + 3 {
            if let Some(place) = tracer.place() {
                place.take(span());
            }
        }
        assert_eq!(spans.len(), QUEUE);
        let scraped = metrics.render();
        assert!(scraped.contains("claimgate_spans_total{result=\"dropped\"} 3"), "{scraped}");
    }
}
