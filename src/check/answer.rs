//! What a denial looks like over HTTP (RFC 6750 §3, RFC 9457): status, headers, body. Terse, and made of
//! constants only: nothing that the caller sent comes back. Every adapter answers with it.

use std::fmt::Write as _;

use super::reason::DenialReason;

/// What the operator lets callers know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerSettings {
    /// Whether the reason is told to the caller: in `x-ext-auth-reason`, `error_description` and the body.
    /// It is in the log, the metric and Envoy's dynamic metadata in any case.
    pub reason_header: bool,
}

impl Default for AnswerSettings {
    fn default() -> Self {
        Self { reason_header: true }
    }
}

/// An HTTP answer to a request that may not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeniedAnswer {
    /// 401, 403 or 503.
    pub status: u16,
    /// Names in lower case, each once.
    pub headers: Vec<(&'static str, String)>,
    /// `application/problem+json`, or a single word for a gRPC caller, to whom it is the `grpc-message`.
    pub body: String,
}

impl DeniedAnswer {
    /// The answer for `reason`.
    pub fn new(reason: DenialReason, settings: AnswerSettings, is_grpc: bool) -> Self {
        let Explanation { class, detail } = explain(reason);
        let told = settings.reason_header.then_some(detail);
        let mut headers = Vec::with_capacity(4);
        if let Some(challenge) = class.challenge(told) {
            headers.push(("www-authenticate", challenge));
        }
        if class == Class::Ours {
            headers.push(("retry-after", RETRY_AFTER_SECONDS.to_owned()));
        }
        if settings.reason_header {
            headers.push(("x-ext-auth-reason", reason.as_str().to_owned()));
        }
        let word = if settings.reason_header { reason.as_str() } else { class.title() };
        if is_grpc {
            // Envoy makes trailers of this answer; a content type of ours would break the client.
            return Self { status: class.status(), headers, body: word.to_owned() };
        }
        headers.push(("content-type", "application/problem+json".to_owned()));
        let mut body = format!(r#"{{"title":"{}","status":{}"#, class.title(), class.status());
        if let Some(detail) = told {
            // Writing to a String cannot fail.
            let _infallible =
                write!(body, r#","reason":"{}","detail":"{detail}""#, reason.as_str());
        }
        body.push('}');
        Self { status: class.status(), headers, body }
    }
}

const RETRY_AFTER_SECONDS: &str = "5";

/// Whose fault it is, which is all that a status code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// There is no token: 401 with a bare challenge (RFC 6750 §3.1).
    NoToken,
    /// The caller's token is wrong: 401.
    Token,
    /// The caller is known but may not: 403.
    Forbidden,
    /// It is ours: 503.
    Ours,
}

impl Class {
    const fn status(self) -> u16 {
        match self {
            Self::NoToken | Self::Token => 401,
            Self::Forbidden => 403,
            Self::Ours => 503,
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::NoToken | Self::Token => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::Ours => "Service Unavailable",
        }
    }

    fn challenge(self, detail: Option<&str>) -> Option<String> {
        let error = match self {
            Self::NoToken => return Some(r#"Bearer realm="claimgate""#.to_owned()),
            Self::Token => "invalid_token",
            Self::Forbidden => "insufficient_scope",
            Self::Ours => return None,
        };
        let mut challenge = format!(r#"Bearer realm="claimgate", error="{error}""#);
        if let Some(detail) = detail {
            // Writing to a String cannot fail.
            let _infallible = write!(challenge, r#", error_description="{detail}""#);
        }
        Some(challenge)
    }
}

/// Whether it is no fault of who asks, but one of ours.
pub const fn is_ours(reason: DenialReason) -> bool {
    matches!(explain(reason).class, Class::Ours)
}

struct Explanation {
    class: Class,
    /// Only characters that RFC 6750 §3 allows in `error_description` and JSON needs no escape for.
    detail: &'static str,
}

/// The one place that maps a reason to an answer. No wildcard: a new reason has to choose here.
const fn explain(reason: DenialReason) -> Explanation {
    let (class, detail) = match reason {
        DenialReason::MissingToken => (Class::NoToken, "a token is needed"),
        DenialReason::MultipleTokens => (Class::Token, "more than one token was sent"),
        DenialReason::Malformed => (Class::Token, "the token is malformed"),
        DenialReason::TooLarge => (Class::Token, "the token is too large"),
        DenialReason::AlgNotAllowed => (Class::Token, "the signature algorithm is not accepted"),
        DenialReason::UnknownIssuer => (Class::Token, "the issuer is not known"),
        DenialReason::UnknownKid => (Class::Token, "the signing key is not known"),
        DenialReason::BadSignature => (Class::Token, "the signature is not valid"),
        DenialReason::Expired => (Class::Token, "the token has expired"),
        DenialReason::NotYetValid => (Class::Token, "the token is not valid yet"),
        DenialReason::TooOld => (Class::Token, "the token was issued too long ago"),
        DenialReason::AudienceMismatch => (Class::Token, "the token is for another audience"),
        DenialReason::MissingClaim => (Class::Token, "a required claim is missing"),
        DenialReason::ClaimMismatch => (Class::Forbidden, "the token does not meet the rule"),
        DenialReason::InsufficientScope => (Class::Forbidden, "the token lacks a scope"),
        DenialReason::Revoked => (Class::Token, "the token was revoked"),
        DenialReason::NoRule => (Class::Forbidden, "no rule allows this request"),
        DenialReason::HeaderTooLarge => (Class::Forbidden, "the claims are too large to forward"),
        DenialReason::KeysUnavailable => (Class::Ours, "the keys of the issuer are not available"),
        DenialReason::RevocationStale => {
            (Class::Ours, "it cannot be told whether the token was revoked")
        }
        DenialReason::Overloaded => (Class::Ours, "too many requests at once"),
        DenialReason::Internal => (Class::Ours, "an internal fault"),
    };
    Explanation { class, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header<'a>(answer: &'a DeniedAnswer, name: &str) -> Option<&'a str> {
        let found = answer.headers.iter().find(|(header, _)| *header == name);
        found.map(|(_, value)| value.as_str())
    }

    #[test]
    fn every_reason_has_an_answer_that_is_a_denial_and_valid_json() {
        for reason in DenialReason::ALL {
            let answer = DeniedAnswer::new(reason, AnswerSettings::default(), false);
            assert!([401, 403, 503].contains(&answer.status), "{reason:?}");
            let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(body["reason"], reason.as_str());
            assert_eq!(body["status"], answer.status);
            assert_eq!(header(&answer, "x-ext-auth-reason"), Some(reason.as_str()));
            assert_eq!(header(&answer, "retry-after").is_some(), answer.status == 503);
            assert_eq!(header(&answer, "www-authenticate").is_some(), answer.status != 503);
        }
    }

    #[test]
    fn a_missing_token_gets_a_challenge_without_an_error_code() {
        let answer =
            DeniedAnswer::new(DenialReason::MissingToken, AnswerSettings::default(), false);
        assert_eq!(header(&answer, "www-authenticate"), Some(r#"Bearer realm="claimgate""#));
    }

    #[test]
    fn the_reason_can_be_kept_from_the_caller() {
        let silent = AnswerSettings { reason_header: false };
        for reason in DenialReason::ALL {
            for is_grpc in [false, true] {
                let answer = DeniedAnswer::new(reason, silent, is_grpc);
                // The error code of RFC 6750 for every 403, which is also one of our reasons.
                let all = format!("{answer:?}").replace(r#"error=\"insufficient_scope\""#, "");
                assert!(!all.contains(reason.as_str()), "{all}");
                assert!(!all.contains(explain(reason).detail), "{all}");
            }
        }
    }

    #[test]
    fn a_grpc_caller_gets_one_word_and_no_content_type() {
        let answer = DeniedAnswer::new(DenialReason::Expired, AnswerSettings::default(), true);
        assert_eq!(answer.body, "expired");
        assert_eq!(header(&answer, "content-type"), None);
    }
}
