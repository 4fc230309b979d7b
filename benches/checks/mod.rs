//! `Authorization/Check` as Envoy calls it: the headers of the call, the messages, and what must come of them.

pub(crate) mod bodies;

use envoy_types::pb::envoy::service::auth::v3::CheckResponse;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;

use crate::BoxError;
use crate::load::hpack::Blocks;

/// What must come of the first request; all others are held against it byte for byte.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expectation {
    /// Allowed, and nothing else.
    Nothing,
    /// Allowed, with the claims as headers.
    Allow,
    Deny {
        reason: &'static str,
    },
}

impl Expectation {
    pub(crate) fn must_hold(self, answer: &[u8]) -> Result<(), BoxError> {
        let answer: CheckResponse = bodies::message(answer)?;
        let code = answer.status.as_ref().map_or(0, |status| status.code);
        let is_right = match (self, &answer.http_response) {
            (Self::Nothing, Some(HttpResponse::OkResponse(ok))) => {
                code == 0 && ok.headers.is_empty()
            }
            (Self::Allow, Some(HttpResponse::OkResponse(ok))) => code == 0 && ok.headers.len() == 3,
            (Self::Deny { reason }, Some(HttpResponse::DeniedResponse(denied))) => {
                code != 0 && denied.body.contains(&format!("\"{reason}\""))
            }
            (_, _) => false,
        };
        if is_right {
            Ok(())
        } else {
            Err(format!("expected {self:?}, answered {answer:?}").into())
        }
    }
}

/// What Envoy's own calls look like.
pub(crate) fn headers() -> Blocks {
    Blocks::new(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/envoy.service.auth.v3.Authorization/Check"),
        (":authority", "claimgate"),
        ("te", "trailers"),
        ("grpc-timeout", "10S"),
        ("content-type", "application/grpc"),
    ])
}
