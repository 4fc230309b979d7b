//! Envoy's external-authorization API: `CheckRequest` → `check::CheckRequest`, `Decision` → `CheckResponse`, and the
//! recording of each. With its codec the only file that knows the wire types. It decides nothing.
//!
//! The answers follow what Envoy does with them. A gRPC error is not a denial: with `failure_mode_allow` Envoy lets the
//! request through, so every outcome, a panic included, is a well-formed answer. An empty `CheckResponse` means "allow",
//! so answers are made in one place (`wire::respond`), which starts from a denial.

mod wire;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time;
use tonic::{Request, Response, Status};

use self::wire::{deadline, respond, translate};
use crate::check::{Allowance, CheckRequest, Decision, Denial, DenialReason};
use crate::keys::demand::KidDemand;
use crate::proto::envoy::service::auth::v3::authorization_server::{
    Authorization, AuthorizationServer,
};
use crate::proto::envoy::service::auth::v3::{CheckRequest as WireRequest, CheckResponse};
use crate::server::generation::{Current, Generation};
use crate::telemetry::decision_log::{DecisionLine, DecisionLog};
use crate::telemetry::metrics::{CheckOutcome, Metrics, UnknownKidOutcome};
use crate::util::clock::{Clock, Stopwatch, UnixTime};
use crate::util::label::Label;

/// The service's name, as health checks ask for it.
pub const SERVICE_NAME: &str = "envoy.service.auth.v3.Authorization";

/// What reflection clients are told.
pub const DESCRIPTORS: &[u8] = crate::proto::DESCRIPTORS;

/// Odd, large requests are to be denied, not failed, so the limit is far above what Envoy sends
/// (60 KiB of headers unless configured otherwise).
const MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024;

/// Checks that may wait for a missing key at once. Each holds its request and no more.
const MAX_WAITING: usize = 1024;

/// What is left of the caller's deadline when a wait ends, for the answer to arrive.
const TIME_TO_ANSWER: Duration = Duration::from_millis(20);

/// The service that Envoy asks.
pub struct ExtAuthz {
    current: Current,
    log: DecisionLog,
    clock: Arc<dyn Clock>,
    running: AtomicUsize,
    waiting: AtomicUsize,
}

impl ExtAuthz {
    /// Answers with what the `current` generation decides.
    pub fn new(current: Current, log: DecisionLog, clock: Arc<dyn Clock>) -> Self {
        let (running, waiting) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { current, log, clock, running, waiting }
    }

    /// The service in the form that a gRPC server takes.
    pub fn into_service(self) -> AuthorizationServer<Self> {
        AuthorizationServer::new(self).max_decoding_message_size(MAX_REQUEST_BYTES)
    }

    async fn answer(&self, request: WireRequest, deadline: Option<Duration>) -> CheckResponse {
        let watch = Stopwatch::start();
        let now = self.clock.now();
        let request = translate(request);
        let is_late = deadline.is_some_and(|deadline| deadline.is_zero());
        let generation = self.current.load_full();
        let decision = match (&request, self.enter(&generation)) {
            (_, Some(_running)) if is_late => before_any_rule(DenialReason::Overloaded),
            (None, Some(_running)) => before_any_rule(DenialReason::Malformed),
            (Some(request), Some(running)) => {
                let decision = guarded(|| generation.authorizer.check(request, now));
                self.with_missing_key(decision, request, &running, deadline, now).await
            }
            (_, None) => before_any_rule(DenialReason::Overloaded),
        };
        let request = request.unwrap_or_default();
        self.record(&generation.metrics, &request, &decision, now, watch);
        respond(decision, generation.answers, request.is_grpc())
    }

    /// A denial because a key is missing is not the last word: the key is asked for, and the request waits
    /// for the one read under way and is checked once more. It is the only wait of a request, and bounded.
    async fn with_missing_key(
        &self,
        decision: Decision,
        request: &CheckRequest,
        running: &Running<'_>,
        deadline: Option<Duration>,
        now: UnixTime,
    ) -> Decision {
        let Decision::Deny(Denial { issuer: Some(issuer), missing_kid: Some(kid), .. }) = &decision
        else {
            return decision;
        };
        let generation = running.generation;
        let metrics = &generation.metrics;
        let mut wait = match generation.demand.ask_for_kid(issuer, kid, now) {
            KidDemand::UnderWay(wait) => wait,
            KidDemand::KnownUnknown => {
                metrics.unknown_kid(issuer, UnknownKidOutcome::KnownUnknown);
                return decision;
            }
            KidDemand::Limited => {
                metrics.unknown_kid(issuer, UnknownKidOutcome::Limited);
                return decision;
            }
        };
        let Some(_waiting) = running.wait() else {
            metrics.unknown_kid(issuer, UnknownKidOutcome::Limited);
            return decision;
        };
        let time_left = deadline.map(|deadline| deadline.saturating_sub(TIME_TO_ANSWER));
        let longest = wait.longest().min(time_left.unwrap_or(Duration::MAX));
        let has_ended = time::timeout(longest, wait.done()).await.is_ok();
        let again = guarded(|| generation.authorizer.check(request, self.clock.now()));
        let is_missing = matches!(&again, Decision::Deny(denial) if denial.missing_kid.is_some());
        let outcome = match (is_missing, has_ended) {
            (false, _) => UnknownKidOutcome::Found,
            (true, true) => UnknownKidOutcome::NotFound,
            (true, false) => UnknownKidOutcome::TimedOut,
        };
        metrics.unknown_kid(issuer, outcome);
        again
    }

    /// `None` when too many checks are running.
    fn enter<'a>(&'a self, generation: &'a Generation) -> Option<Running<'a>> {
        generation.metrics.check_began();
        let running = Running { service: self, generation };
        let before = self.running.fetch_add(1, Ordering::Relaxed);
        (before < generation.max_concurrent).then_some(running)
    }

    fn record(
        &self,
        metrics: &Metrics,
        request: &CheckRequest,
        decision: &Decision,
        now: UnixTime,
        watch: Stopwatch,
    ) {
        let (rule, issuer, reason) = match decision {
            Decision::Allow(allowance) => (Some(&allowance.rule), allowance.issuer.as_ref(), None),
            Decision::Deny(denial) => {
                (denial.rule.as_ref(), denial.issuer.as_ref(), Some(denial.reason))
            }
        };
        // The reasons are registered in the order of their declaration.
        let outcome = CheckOutcome { rule, issuer, reason: reason.map(|reason| reason as usize) };
        metrics.checked(outcome, watch.elapsed());
        if let Decision::Allow(Allowance {
            issuer: Some(issuer), signed_with: Some(with), ..
        }) = decision
        {
            metrics.verified(issuer, with.index());
        }
        let line = || DecisionLine {
            rule: rule.map(Label::name),
            issuer: issuer.map(Label::name),
            method: &request.method,
            path: &request.path,
            request_id: request.header_values("x-request-id").next(),
        };
        match reason {
            Some(reason) => self.log.denied(reason.as_str(), now, line),
            None => self.log.allowed(line),
        }
    }
}

impl fmt::Debug for ExtAuthz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtAuthz").field("running", &self.running).finish_non_exhaustive()
    }
}

#[tonic::async_trait]
impl Authorization for ExtAuthz {
    async fn check(
        &self,
        request: Request<WireRequest>,
    ) -> Result<Response<CheckResponse>, Status> {
        let deadline = deadline(request.metadata());
        let request = request.into_inner();
        // The decision has its own guard; this one holds for everything around it, where a panic would
        // end the connection, which Envoy takes for an error and not for a denial.
        let answer = AssertUnwindSafe(self.answer(request, deadline)).catch_unwind();
        Ok(Response::new(answer.await.unwrap_or_else(|_| {
            let answers = self.current.load().answers;
            respond(before_any_rule(DenialReason::Internal), answers, false)
        })))
    }
}

/// One running check, until it is dropped.
struct Running<'a> {
    service: &'a ExtAuthz,
    generation: &'a Generation,
}

impl<'a> Running<'a> {
    /// Takes no place of a running check while it waits: who makes up key IDs while a provider hangs must not
    /// shut out good tokens. `None` when too many are waiting, which then have to do without.
    fn wait(&self) -> Option<Waiting<'a>> {
        let waiting = Waiting(self.service);
        self.service.running.fetch_sub(1, Ordering::Relaxed);
        let before = self.service.waiting.fetch_add(1, Ordering::Relaxed);
        (before < MAX_WAITING).then_some(waiting)
    }
}

/// A running check that waits, until this is dropped.
struct Waiting<'a>(&'a ExtAuthz);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.running.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.service.running.fetch_sub(1, Ordering::Relaxed);
        self.generation.metrics.check_ended();
    }
}

/// A panic is a bug of ours; the request that met it is denied, and the next one is served.
fn guarded(check: impl FnOnce() -> Decision) -> Decision {
    // What the closure borrows is immutable snapshots behind atomic pointers: nothing is left half done.
    catch_unwind(AssertUnwindSafe(check))
        .unwrap_or_else(|_| before_any_rule(DenialReason::Internal))
}

fn before_any_rule(reason: DenialReason) -> Decision {
    Decision::Deny(Denial::before_any_rule(reason))
}

#[cfg(test)]
mod tests;
