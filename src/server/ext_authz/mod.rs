//! Envoy's external-authorization API: `CheckRequest` → `check::CheckRequest`, `Decision` → `CheckResponse`, and the
//! recording of each. With its codec the only file that knows the wire types. It decides nothing.
//!
//! The answers follow what Envoy does with them. A gRPC error is not a denial: with `failure_mode_allow` Envoy lets the
//! request through, so every outcome, a panic included, is a well-formed answer. An empty `CheckResponse` means "allow",
//! so answers are made in one place (`wire::respond`), which starts from a denial.

mod metadata;
mod wire;

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tonic::{Request, Response, Status};

use self::wire::{deadline, respond, translate};
use crate::check::{Decision, DenialReason};
use crate::proto::envoy::service::auth::v3::authorization_server::{
    Authorization, AuthorizationServer,
};
use crate::proto::envoy::service::auth::v3::{CheckRequest as WireRequest, CheckResponse};
use crate::server::checks::{Checks, before_any_rule};

/// The service's name, as health checks ask for it.
pub const SERVICE_NAME: &str = "envoy.service.auth.v3.Authorization";

/// What reflection clients are told.
pub const DESCRIPTORS: &[u8] = crate::proto::DESCRIPTORS;

/// Odd, large requests are to be denied, not failed, so the limit is far above what Envoy sends
/// (60 KiB of headers unless configured otherwise).
const MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024;

/// The keys of the dynamic metadata that come with `decision`.
pub fn metadata_keys(decision: &Decision) -> Vec<String> {
    let metadata = match decision {
        Decision::Allow(allowance) => metadata::of_allowance(allowance),
        Decision::Deny(denial) => Some(metadata::of_denial(denial)),
    };
    metadata.map(|metadata| metadata.fields.into_keys().collect()).unwrap_or_default()
}

/// The service that Envoy asks.
pub struct ExtAuthz(Arc<Checks>);

impl ExtAuthz {
    /// Answers with what `checks` decide.
    pub fn new(checks: Arc<Checks>) -> Self {
        Self(checks)
    }

    /// The service in the form that a gRPC server takes.
    pub fn into_service(self) -> AuthorizationServer<Self> {
        AuthorizationServer::new(self).max_decoding_message_size(MAX_REQUEST_BYTES)
    }

    async fn answer(&self, request: WireRequest, deadline: Option<Duration>) -> CheckResponse {
        let request = translate(request);
        let is_grpc = request.as_ref().is_some_and(|request| request.is_grpc());
        let (decision, generation) = self.0.decide(request.as_ref(), deadline).await;
        respond(decision, generation.answers, is_grpc)
    }
}

impl fmt::Debug for ExtAuthz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ExtAuthz").field(&self.0).finish()
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
            let answers = self.0.current().answers;
            respond(before_any_rule(DenialReason::Internal), answers, false)
        })))
    }
}

#[cfg(test)]
mod tests;
