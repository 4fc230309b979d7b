//! What clients are told: the errors of RFC 6749 §5.2 (with those of RFC 7009 §2.2.1 and RFC 8707 §2), each with its
//! status and headers. One table; descriptions are constants and repeat nothing of the request.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};

use super::form::FormError;

/// Why a request is not answered as it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Its form is wrong: how.
    #[error("invalid_request: {0}")]
    InvalidRequest(&'static str),
    /// No client, or not with this secret.
    #[error("invalid_client")]
    InvalidClient,
    /// The refresh token, or the token to be revoked, is not good, or not this client's.
    #[error("invalid_grant")]
    InvalidGrant,
    /// The client may not have this kind of grant.
    #[error("unauthorized_client")]
    UnauthorizedClient,
    /// No such kind of grant here.
    #[error("unsupported_grant_type")]
    UnsupportedGrantType,
    /// Not one that the client may ask for.
    #[error("invalid_scope")]
    InvalidScope,
    /// Not an audience that the client may ask for.
    #[error("invalid_target")]
    InvalidTarget,
    /// Too often: when to come back.
    #[error("too many requests")]
    TooMany(Duration),
    /// Ours: more at once than can be answered.
    #[error("overloaded")]
    Overloaded,
    /// Ours: no key signs, or a store does not answer.
    #[error("unavailable: {0}")]
    Unavailable(&'static str),
    /// Ours: a bug, or a library that refuses.
    #[error("internal")]
    Internal,
}

impl Refused {
    /// Every word of [`Self::word`]: the label of metrics.
    pub const WORDS: [&'static str; 11] = [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_target",
        "too_many_requests",
        "overloaded",
        "unavailable",
        "internal",
    ];

    /// The word in metrics and logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::TooMany(_) => "too_many_requests",
            Self::Overloaded => "overloaded",
            Self::Unavailable(_) => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// Status, `error` and `error_description`. RFC 6749 knows no error for too many and for what is ours: they are told
    /// by the status, with the words that its §4.1.2.1 has for them.
    const fn told(self) -> (StatusCode, &'static str, &'static str) {
        const BAD: StatusCode = StatusCode::BAD_REQUEST;
        match self {
            Self::InvalidRequest(how) => (BAD, "invalid_request", how),
            Self::InvalidClient => {
                (StatusCode::UNAUTHORIZED, "invalid_client", "client authentication failed")
            }
            Self::InvalidGrant => (BAD, "invalid_grant", "the token is not valid for this client"),
            Self::UnauthorizedClient => {
                (BAD, "unauthorized_client", "this client may not use this grant type")
            }
            Self::UnsupportedGrantType => (
                BAD,
                "unsupported_grant_type",
                "client_credentials and refresh_token are supported",
            ),
            Self::InvalidScope => {
                (BAD, "invalid_scope", "not a scope that this client may ask for")
            }
            Self::InvalidTarget => {
                (BAD, "invalid_target", "not an audience that this client may ask for")
            }
            Self::TooMany(_) => {
                (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", "too many requests")
            }
            Self::Overloaded => {
                (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", "overloaded")
            }
            Self::Unavailable(what) => {
                (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", what)
            }
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "server_error", "internal error"),
        }
    }

    fn retry_after(self) -> Option<u64> {
        match self {
            Self::TooMany(wait) => {
                Some(u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1))
            }
            Self::Overloaded | Self::Unavailable(_) => Some(1),
            Self::InvalidRequest(_)
            | Self::InvalidClient
            | Self::InvalidGrant
            | Self::UnauthorizedClient
            | Self::UnsupportedGrantType
            | Self::InvalidScope
            | Self::InvalidTarget
            | Self::Internal => None,
        }
    }
}

impl From<FormError> for Refused {
    fn from(error: FormError) -> Self {
        Self::InvalidRequest(match error {
            FormError::ContentType => "the body has to be application/x-www-form-urlencoded",
            FormError::Encoding => "the body is not properly encoded",
            FormError::Repeated => "a parameter is there more than once",
            FormError::TooMany => "there are too many parameters",
        })
    }
}

/// On everything that is not public (RFC 6749 §5.1).
const NO_STORE: [(header::HeaderName, HeaderValue); 2] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::PRAGMA, HeaderValue::from_static("no-cache")),
];

/// For the client only.
pub fn private(body: &Value) -> Response {
    (NO_STORE, Json(body)).into_response()
}

/// Done, with nothing to tell (RFC 7009 §2.2).
pub fn done() -> Response {
    NO_STORE.into_response()
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, error, description) = self.told();
        let body = Json(json!({"error": error, "error_description": description}));
        let mut answer = (status, NO_STORE, body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static(r#"Basic realm="token", charset="UTF-8""#);
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = self.retry_after() {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }
}
