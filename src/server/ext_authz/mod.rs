//! Envoy's external-authorization API, `envoy.service.auth.v3.Authorization/Check`: the bytes of a request → a decision →
//! the bytes of the answer. The only module that knows the messages. It decides nothing.
//!
//! The answers follow what Envoy does with them. A gRPC error is not a denial: with `failure_mode_allow` Envoy lets the
//! request through, so every outcome, rubbish and a panic included, is a well-formed answer. An empty `CheckResponse`
//! means "allow", so answers are made in one place (`answer::Answers::encode`).
//!
//! It is on the way of every request of a mesh. So the request is read where it was received ([`received`]), what is said
//! of a token is written once ([`answer`]), and gRPC around it is no more than it has to be (`call`).

pub mod answer;
mod call;
mod metadata;
pub mod received;

use std::convert::Infallible;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, Request, Response};
use http_body::Body;

use self::answer::Answers;
pub use self::call::AnswerBody;
use crate::check::{Decision, DenialReason};
use crate::server::checks::{Arrival, Checks, before_any_rule};

/// The service's name, as health checks ask for it.
pub const SERVICE_NAME: &str = "envoy.service.auth.v3.Authorization";

/// Where its one method is asked for.
pub const CHECK_PATH: &str = "/envoy.service.auth.v3.Authorization/Check";

/// What its spans are called, as OpenTelemetry would have it: the method without the slash in front.
const METHOD: &str = "envoy.service.auth.v3.Authorization/Check";

/// What reflection clients are told.
pub const DESCRIPTORS: &[u8] = crate::proto::DESCRIPTORS;

/// The keys of the dynamic metadata that come with `decision`.
pub fn metadata_keys(decision: &Decision) -> Vec<String> {
    metadata::keys(decision)
}

/// The service that Envoy asks. A clone, of which each call has one, is a reference count.
#[derive(Clone)]
pub struct ExtAuthz(Arc<Inner>);

struct Inner {
    checks: Arc<Checks>,
    answers: Answers,
}

impl ExtAuthz {
    /// Answers with what `checks` decide.
    pub fn new(checks: Arc<Checks>) -> Self {
        Self(Arc::new(Inner { checks, answers: Answers::default() }))
    }

    /// Answers one call of [`CHECK_PATH`], which arrives as this is called and not when what is returned is polled.
    pub fn call<B>(
        &self,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<AnswerBody>, Infallible>> + Send + use<B>
    where
        B: Body<Data = Bytes> + Send + 'static,
    {
        let headers = request.headers();
        let arrival = self.0.checks.arrived().with_deadline(deadline(headers));
        let arrival = arrival.of_call(METHOD, headers);
        let service = self.clone();
        // The rest of the head is done with: what is returned is moved a few times.
        let body = request.into_body();
        async move {
            let message = call::message(body).await.unwrap_or_default();
            Ok(call::response(service.answer(&message, arrival).await))
        }
    }

    /// The answer to a `CheckRequest` of these bytes, in its frame.
    pub(super) async fn answer(&self, message: &[u8], arrival: Arrival) -> Bytes {
        // The decision has its own guard; this one holds for everything around it, where a panic would
        // end the connection, which Envoy takes for an error and not for a denial.
        let answer = AssertUnwindSafe(self.decide(message, arrival)).catch_unwind();
        answer.await.unwrap_or_else(|_| {
            let denied = before_any_rule(DenialReason::Internal);
            self.0.answers.encode(&denied, self.0.checks.current().answers, false)
        })
    }

    async fn decide(&self, message: &[u8], arrival: Arrival) -> Bytes {
        let request = received::read(message).unwrap_or_default();
        let is_grpc = request.as_ref().is_some_and(|request| request.is_grpc());
        let (decision, generation) = self.0.checks.decide(request.as_ref(), arrival).await;
        self.0.answers.encode(&decision, generation.answers, is_grpc)
    }
}

impl fmt::Debug for ExtAuthz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtAuthz").field("checks", &self.0.checks).finish_non_exhaustive()
    }
}

/// `grpc-timeout`, at most eight digits and a unit: how long whoever asked waits for the answer. Zero has
/// given up already.
fn deadline(headers: &HeaderMap) -> Option<Duration> {
    let timeout = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = timeout.split_at_checked(timeout.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
