//! What is wrong with the form of a token: which part of it, and what. Callers are told `malformed`, whatever it is;
//! `claimgate explain` and `claimgate inspect` tell the holder of the token more. Quotes nothing of the token.

use std::fmt;

use super::claims::UnverifiedClaims;
use super::jws::{RawToken, Segments, UnverifiedJws};
use super::verifier::Refusal;
use crate::keys::key::MAX_KID_BYTES;
use crate::util::json::Malformed;

/// Why a text is not a strict JWT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// More bytes than the limit.
    #[error("longer than limits.token_bytes")]
    TooLarge,
    /// Fewer than two dots (RFC 7515 §7.1).
    #[error("fewer than three segments: two dots are expected, header.payload.signature")]
    Segments,
    /// Nothing between two dots.
    #[error("the {0} is empty")]
    Empty(Segment),
    /// Not the one spelling that base64url has for its octets.
    #[error("the {0} is not canonical base64url without padding (RFC 7515 §2)")]
    Base64(Segment),
    /// Not strict JSON, or no object.
    #[error("the {0} is not one strict JSON object: {1}")]
    Json(Segment, Malformed),
    /// A header that changes what the others mean, and that claimgate does not know.
    #[error("the header holds {0:?}, of which nothing is supported (RFC 7515 §4.1.11, RFC 7797)")]
    Unsupported(&'static str),
    /// `typ` says that the token is for something else.
    #[error(
        "the header's \"typ\" is neither JWT nor at+jwt: a token of another purpose (RFC 8725 §3.11)"
    )]
    Type,
    /// No `alg`.
    #[error("the header has no \"alg\"")]
    NoAlgorithm,
    /// A `kid` that no key has.
    #[error("the header's \"kid\" is empty or longer than {MAX_KID_BYTES} bytes")]
    Kid,
    /// A member that has to be a string and is not.
    #[error("{1:?} in the {0} is not a string")]
    NotAString(Segment, &'static str),
    /// A claim that has to be a date and is not.
    #[error("{0:?} in the payload is not a number of seconds (RFC 7519 §2)")]
    NotADate(&'static str),
    /// `aud` is neither a string nor a list of them.
    #[error("\"aud\" in the payload is neither a string nor a list of strings (RFC 7519 §4.1.3)")]
    Audience,
}

/// A part of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment {
    /// The first.
    Header,
    /// The second.
    Payload,
    /// The third.
    Signature,
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
        })
    }
}

impl Fault {
    /// The first one of `token`, of whatever length; `None` for one that has the right form, which says nothing of
    /// whether it is genuine.
    pub fn of(token: RawToken<'_>) -> Option<Self> {
        let first = || {
            let segments = Segments::decode(token, usize::MAX)?;
            UnverifiedJws::parse(&segments)?;
            let claims = UnverifiedClaims::parse(segments.payload())?;
            claims.issuer()?;
            claims.into_claims().map(drop)
        };
        first().err()
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::TooLarge => Self::TooLarge,
            Fault::Segments
            | Fault::Empty(_)
            | Fault::Base64(_)
            | Fault::Json(..)
            | Fault::Unsupported(_)
            | Fault::Type
            | Fault::NoAlgorithm
            | Fault::Kid
            | Fault::NotAString(..)
            | Fault::NotADate(_)
            | Fault::Audience => Self::Malformed,
        }
    }
}
