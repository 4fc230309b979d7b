//! A decision → the answer over HTTP: 200 with what the upstream is to see, or what [`DeniedAnswer`] says.
//!
//! Of the headers that are claimgate's own an allowed request gets those of the answer and no other: what is not in the
//! answer, the proxy must take away. nginx and Traefik do so with each header that they are told to copy. Caddy 2.6 writes
//! the name of its own variable in its place, so that everything is in the answer to it, and empty if it is to go. Envoy is
//! told the names in `x-envoy-auth-headers-to-remove`.
//!
//! The first three cannot be told to take something away now and then. So to them the answer says all of what may hold
//! a token, as it is to be: `authorization` and `cookie` are the client's, less the token that is to go. Copied like the
//! other headers, they come out right whatever a rule says of `keep_token`.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;

use super::original::Door;
use crate::check::answer::{AnswerSettings, DeniedAnswer};
use crate::check::forward::HeaderMutations;
use crate::check::{CheckRequest, Decision, DenialReason};

/// Told to Envoy, which takes it for itself (`ext_authz`' HTTP service): names, with commas between.
const TO_REMOVE: &str = "x-envoy-auth-headers-to-remove";

/// The only place where an answer is made.
pub(super) fn respond(
    decision: &Decision,
    request: Option<&CheckRequest<'_>>,
    door: Door<'_>,
    settings: AnswerSettings,
) -> Response {
    let is_grpc = request.is_some_and(CheckRequest::is_grpc);
    let reason = match (decision, request) {
        (Decision::Allow(allowance), Some(request)) => {
            match allowed(&allowance.mutations, request, door) {
                Some(response) => return response,
                // Values were made to fit, and the client's own came in a header.
                None => DenialReason::Internal,
            }
        }
        (Decision::Allow(_), None) => DenialReason::Internal,
        (Decision::Deny(denial), _) => denial.reason,
    };
    denied(DeniedAnswer::new(reason, settings, is_grpc))
}

/// `None` when a header cannot be written.
fn allowed(
    mutations: &HeaderMutations,
    request: &CheckRequest<'_>,
    door: Door<'_>,
) -> Option<Response> {
    let remove = &mutations.remove;
    let mut answer = with_status(StatusCode::OK, Body::empty());
    let headers = answer.headers_mut();
    match door {
        Door::Envoy(_) if remove.is_empty() => {}
        Door::Envoy(_) => {
            headers.insert(TO_REMOVE, HeaderValue::try_from(remove.join(",")).ok()?);
        }
        Door::Nginx | Door::Traefik => keep(headers, remove, request)?,
        Door::Caddy => {
            for name in [AUTHORIZATION, COOKIE] {
                headers.insert(name, HeaderValue::from_static(""));
            }
            for name in remove {
                let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
                headers.insert(name, HeaderValue::from_static(""));
            }
            keep(headers, remove, request)?;
        }
    }
    for (name, text) in mutations.set() {
        headers.insert(HeaderName::from_bytes(name.as_bytes()).ok()?, value(text)?);
    }
    Some(answer)
}

/// Says what may hold a token and stays. `None` when it cannot be written.
fn keep(headers: &mut HeaderMap, remove: &[Arc<str>], request: &CheckRequest<'_>) -> Option<()> {
    for (name, between) in [(AUTHORIZATION, ","), (COOKIE, "; ")] {
        let sent: Vec<&str> = request.header_values(name.as_str()).collect();
        if !sent.is_empty() && !remove.iter().any(|removed| name == **removed) {
            let sent = value(&sent.join(between))?;
            headers.insert(name, sent);
        }
    }
    Some(())
}

fn denied(answer: DeniedAnswer) -> Response {
    // Were it none, the answer would not be 200 either.
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::FORBIDDEN);
    let mut response = with_status(status, Body::from(answer.body));
    for (name, text) in answer.headers {
        // Made of constants; a status without one of them is a denial as well.
        if let Some(value) = value(&text) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// It is an answer to this request, now.
fn with_status(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// UTF-8 passes.
fn value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_bytes(text.as_bytes()).ok()
}
