//! One check from the moment an adapter has a request until it has a decision: the bounds on checks at once, the one
//! wait that a request may have, and the guard against a panic. [`super::ext_authz`] and [`super::forward_auth`] call it.
//! What is decided, `check` decides; what is told of it, [`super::record`] tells.

use std::borrow::Cow;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::HeaderMap;
use tokio::time;

use crate::check::{CheckRequest, Decision, Denial, DenialReason};
use crate::keys::demand::KidDemand;
use crate::server::generation::{Current, Generation};
use crate::server::record::{Decided, Recorder, trace_in};
use crate::telemetry::metrics::{UnderWay, UnknownKidOutcome};
use crate::telemetry::traces::context::TraceContext;
use crate::util::clock::{Clock, Stopwatch, UnixTime};

/// Checks that may wait for a missing key at once. Each holds its request and no more.
pub(super) const MAX_WAITING: usize = 1024;

/// What is left of the caller's deadline when a wait ends, for the answer to arrive.
const TIME_TO_ANSWER: Duration = Duration::from_millis(20);

/// The checks of this process, whichever adapter they come from.
pub struct Checks {
    current: Current,
    recorder: Recorder,
    clock: Arc<dyn Clock>,
    /// Checks that have arrived and are not answered.
    under_way: Arc<UnderWay>,
    /// Those among them that wait for a key.
    pub(super) waiting: AtomicUsize,
}

/// A check that has arrived. It is under way until this is dropped.
#[derive(Debug)]
pub struct Arrival {
    since: Stopwatch,
    /// How long whoever asked waits for the answer, from then on.
    deadline: Option<Duration>,
    /// How many were under way before it and not waiting.
    before: usize,
    under_way: Arc<UnderWay>,
    /// What was called.
    called: &'static str,
    /// What who called says of the trace; in a box, because mostly it is nothing, and this is moved a few times.
    trace: Option<Box<TraceContext>>,
}

impl Checks {
    /// Decides with the `current` generation, and has `recorder` tell of it.
    pub fn new(current: Current, recorder: Recorder, clock: Arc<dyn Clock>) -> Self {
        let under_way = current.load().metrics.under_way();
        Self { current, recorder, clock, under_way, waiting: AtomicUsize::new(0) }
    }

    /// What is in force right now.
    pub fn current(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// A request arrived. To be called before anything waits for its turn.
    pub fn arrived(&self) -> Arrival {
        let under_way = Arc::clone(&self.under_way);
        let before = under_way.one_more().saturating_sub(self.waiting.load(Ordering::Relaxed));
        Arrival {
            since: Stopwatch::start(),
            deadline: None,
            before,
            under_way,
            called: "",
            trace: None,
        }
    }

    /// Decides on `request`, `None` if there is none in what was received, which is the one that arrived.
    /// Also says which generation decided, which has to say what the answer looks like.
    pub async fn decide(
        &self,
        request: Option<&CheckRequest<'_>>,
        arrival: Arrival,
    ) -> (Decision, Arc<Generation>) {
        let now = self.clock.now();
        let generation = self.current();
        let mut unknown_kid = None;
        let decision = match request {
            _ if arrival.is_too_late(&generation) => before_any_rule(DenialReason::Overloaded),
            None => before_any_rule(DenialReason::Malformed),
            Some(request) => {
                let decision = guarded(|| generation.authorizer.check(request, now));
                match decision.denial() {
                    // In a box, because nearly no check needs the room that a wait takes, and each is moved a few times.
                    Some(Denial { missing_kid: Some(_), .. }) => {
                        let again =
                            self.with_missing_key(decision, request, &generation, &arrival, now);
                        let (decision, outcome) = Box::pin(again).await;
                        unknown_kid = outcome;
                        decision
                    }
                    Some(_) | None => decision,
                }
            }
        };
        let (called, watch, trace) = (arrival.called, arrival.since, arrival.trace.as_deref());
        let decided =
            Decided { request, decision: &decision, unknown_kid, called, trace, now, watch };
        self.recorder.record(&generation, decided, &*self.clock);
        (decision, generation)
    }

    /// A denial because a key is missing is not the last word: the key is asked for, and the request waits
    /// for the one read under way and is checked once more. It is the only wait of a request, and bounded.
    async fn with_missing_key(
        &self,
        decision: Decision,
        request: &CheckRequest<'_>,
        generation: &Generation,
        arrival: &Arrival,
        now: UnixTime,
    ) -> (Decision, Option<UnknownKidOutcome>) {
        let Some(Denial { issuer: Some(issuer), missing_kid: Some(kid), .. }) = decision.denial()
        else {
            return (decision, None);
        };
        let counted = |outcome| {
            generation.metrics.unknown_kid(issuer, outcome);
            Some(outcome)
        };
        let mut wait = match generation.demand.ask_for_kid(issuer, kid, now) {
            KidDemand::UnderWay(wait) => wait,
            KidDemand::KnownUnknown => {
                let outcome = counted(UnknownKidOutcome::KnownUnknown);
                return (decision, outcome);
            }
            KidDemand::Limited => {
                let outcome = counted(UnknownKidOutcome::Limited);
                return (decision, outcome);
            }
        };
        let Some(_waiting) = self.wait() else {
            let outcome = counted(UnknownKidOutcome::Limited);
            return (decision, outcome);
        };
        let time_left = arrival.time_left().map(|left| left.saturating_sub(TIME_TO_ANSWER));
        let longest = wait.longest().min(time_left.unwrap_or(Duration::MAX));
        let has_ended = time::timeout(longest, wait.done()).await.is_ok();
        let again = guarded(|| generation.authorizer.check(request, self.clock.now()));
        let is_missing = again.denial().is_some_and(|denial| denial.missing_kid.is_some());
        let outcome = counted(match (is_missing, has_ended) {
            (false, _) => UnknownKidOutcome::Found,
            (true, true) => UnknownKidOutcome::NotFound,
            (true, false) => UnknownKidOutcome::TimedOut,
        });
        (again, outcome)
    }

    /// Takes no place of others while it waits: who makes up key IDs while a provider hangs must not
    /// shut out good tokens. `None` when too many are waiting, which then have to do without.
    fn wait(&self) -> Option<Waiting<'_>> {
        let waiting = Waiting(self);
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        (before < MAX_WAITING).then_some(waiting)
    }
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checks").field("under_way", &self.under_way).finish_non_exhaustive()
    }
}

impl Arrival {
    /// Whoever asked waits that long; `None`: it did not say.
    pub fn with_deadline(mut self, deadline: Option<Duration>) -> Self {
        self.deadline = deadline;
        self
    }

    /// It is a call of `called`, whose headers are these.
    pub fn of_call(mut self, called: &'static str, headers: &HeaderMap) -> Self {
        self.called = called;
        self.trace = trace_in(headers).map(Box::new);
        self
    }

    /// Whether it came when there were too many, or its turn comes when it is hardly worth an answer any more: then
    /// nobody would wait for what it costs to decide it, and those behind it would wait longer. Half of what its caller
    /// waits at most, so that what is decided arrives.
    fn is_too_late(&self, generation: &Generation) -> bool {
        let half = self.deadline.map_or(Duration::MAX, |deadline| deadline / 2);
        self.before >= generation.concurrent_checks
            || self.since.elapsed() >= half.min(generation.queue_time)
    }

    fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_sub(self.since.elapsed()))
    }

    /// One whose turn comes `waited` after it arrived.
    #[cfg(test)]
    pub(super) fn long_ago(self, waited: Duration) -> Self {
        let since = Stopwatch::started_before(waited);
        let under_way = Arc::clone(&self.under_way);
        under_way.one_more();
        let (called, trace) = (self.called, self.trace.clone());
        let (deadline, before) = (self.deadline, self.before);
        Self { since, deadline, before, under_way, called, trace }
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.under_way.one_less();
    }
}

/// A check that waits for a key, until this is dropped.
struct Waiting<'a>(&'a Checks);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A panic is a bug of ours; the request that met it is denied, and the next one is served.
pub(super) fn guarded(check: impl FnOnce() -> Decision) -> Decision {
    // What the closure borrows is immutable snapshots behind atomic pointers: nothing is left half done.
    catch_unwind(AssertUnwindSafe(check))
        .unwrap_or_else(|_| before_any_rule(DenialReason::Internal))
}

/// A denial that no rule had a part in.
pub(super) fn before_any_rule(reason: DenialReason) -> Decision {
    Decision::Deny(Denial::before_any_rule(reason))
}

/// Bytes that are no UTF-8 become `!`, as Envoy itself writes them into the `headers` of a check.
pub fn header_text(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '!'));
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_utf8_become_exclamation_marks() {
        assert_eq!(header_text(b"a\xff\xfeb"), "a!!b");
        assert_eq!(header_text("\u{e9}".as_bytes()), "\u{e9}");
    }
}
