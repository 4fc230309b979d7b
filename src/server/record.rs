//! What is told of a check once it is decided: counts, a line of the decision log, a span. [`super::checks`] has it told;
//! nothing here changes an answer.

use std::borrow::Cow;

use http::HeaderMap;

use super::generation::Generation;
use crate::check::answer::is_ours;
use crate::check::{CheckRequest, Decision, Denial};
use crate::telemetry::decision_log::{
    DecisionLine, DecisionLog, holds_token, shown_id, shown_method, shown_path,
};
use crate::telemetry::metrics::{CheckOutcome, CheckVerdict, UnknownKidOutcome};
use crate::telemetry::traces::context::TraceContext;
use crate::telemetry::traces::{CheckSpan, SpanIds, Tracer};
use crate::util::clock::{Clock, Stopwatch, UnixTime};
use crate::util::label::Label;

/// Where it is told.
#[derive(Debug)]
pub struct Recorder {
    log: DecisionLog,
    tracer: Tracer,
}

/// A check that was decided.
#[derive(Clone, Copy)]
pub(super) struct Decided<'a> {
    /// `None` if there was none in what was received.
    pub(super) request: Option<&'a CheckRequest<'a>>,
    pub(super) decision: &'a Decision,
    /// What came of asking for a missing key.
    pub(super) unknown_kid: Option<UnknownKidOutcome>,
    /// What was called: a gRPC method, or the path of a door.
    pub(super) called: &'static str,
    /// What who called says of the trace.
    pub(super) trace: Option<&'a TraceContext>,
    /// The time that it was decided by; of one that waited for a key, when it began to.
    pub(super) now: UnixTime,
    /// Runs since it arrived.
    pub(super) watch: Stopwatch,
}

impl Recorder {
    /// Writes lines to `log`, and hands spans to `tracer`.
    pub fn new(log: DecisionLog, tracer: Tracer) -> Self {
        Self { log, tracer }
    }

    /// Tells of a check that `generation` decided.
    pub(super) fn record(&self, generation: &Generation, decided: Decided<'_>, clock: &dyn Clock) {
        let Decided { request, decision, now, .. } = decided;
        let metrics = &generation.metrics;
        let token = match decision {
            Decision::Allow(allowance) => allowance.token.as_deref(),
            Decision::Deny(_) => None,
        };
        let denial = decision.denial();
        // The reasons are registered in the order of their declaration.
        let (rule, issuer, verdict) = match (decision, denial) {
            (Decision::Allow(allowance), None) => {
                (allowance.rule.as_ref(), token.map(|token| token.issuer()), CheckVerdict::Allow)
            }
            (Decision::Allow(_), Some(denial)) => {
                let reason = denial.reason as usize;
                (denial.rule.as_ref(), denial.issuer.as_ref(), CheckVerdict::WouldDeny(reason))
            }
            (Decision::Deny(denial), _) => {
                let reason = denial.reason as usize;
                (denial.rule.as_ref(), denial.issuer.as_ref(), CheckVerdict::Deny(reason))
            }
        };
        metrics.checked(CheckOutcome { rule, issuer, verdict }, decided.watch.elapsed());
        if let Some(token) = token {
            metrics.verified(token.issuer(), token.signed_with().index());
        }
        let kid = match denial {
            Some(Denial { missing_kid, .. }) => missing_kid.as_deref(),
            None => token.and_then(|token| token.key_id()),
        };
        let method = request.map_or("", |request| &request.method);
        let path = request.map_or("", |request| &request.path);
        // Looked for among all headers, so only where it is told.
        let request_id =
            || request.and_then(|request| request.header_values("x-request-id").next());
        let span = generation.traces.as_deref().and_then(|settings| {
            let context = trace_of(&decided);
            let ids = SpanIds::sampled(&context, settings)?;
            let place = self.tracer.place()?;
            // In whole milliseconds it would not fit between those of the proxy.
            let ended = clock.now_nanos();
            let took = u64::try_from(decided.watch.elapsed().as_nanos()).unwrap_or(u64::MAX);
            let span = CheckSpan {
                ids,
                state: context.state.clone().filter(|state| !holds_token(state)),
                name: decided.called,
                begun: ended.saturating_sub(took),
                ended,
                decision: verdict.as_str(),
                reason: denial.map(|denial| denial.reason.as_str()),
                is_fault: denial.is_some_and(|denial| is_ours(denial.reason)),
                unknown_kid: decided.unknown_kid.map(UnknownKidOutcome::as_str),
                rule: rule.cloned(),
                issuer: issuer.cloned(),
                algorithm: token.map(|token| token.signed_with().name()),
                kid: kid.map(shown_id),
                method: shown_method(method),
                path: shown_path(path),
                request_id: request_id().map(shown_id),
            };
            Some((place, span))
        });
        let trace_id = || {
            span.as_ref()
                .map(|(_, span)| span.ids.trace_id)
                .or_else(|| trace_of(&decided).trace_id())
        };
        let line = || DecisionLine {
            rule: rule.map(Label::name),
            issuer: issuer.map(Label::name),
            kid,
            method,
            path,
            request_id: request_id(),
            trace_id: trace_id(),
        };
        match (decision, denial) {
            (Decision::Deny(denial), _) => self.log.denied(denial.reason.as_str(), now, line),
            (Decision::Allow(_), Some(denial)) => {
                self.log.would_deny(denial.reason.as_str(), now, line);
            }
            (Decision::Allow(_), None) => self.log.allowed(line),
        }
        if let Some((place, span)) = span {
            place.take(span);
        }
    }
}

/// Which trace it belongs to: as who called says or, where that is nothing, as the request itself says.
fn trace_of<'a>(decided: &Decided<'a>) -> Cow<'a, TraceContext> {
    match (decided.trace, decided.request) {
        (Some(trace), _) => Cow::Borrowed(trace),
        (None, Some(request)) => Cow::Owned(TraceContext::read(|name| {
            let mut values = request.header_values(name);
            values.next().filter(|_| values.next().is_none())
        })),
        (None, None) => Cow::Owned(TraceContext::default()),
    }
}

/// What the headers of a call say of its trace, if anything.
pub(super) fn trace_in(headers: &HeaderMap) -> Option<TraceContext> {
    let trace = TraceContext::read(|name| {
        let mut values = headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none())?.to_str().ok()
    });
    Some(trace).filter(|trace| !trace.is_empty())
}
