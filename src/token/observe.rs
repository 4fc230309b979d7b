//! What verifying a token looks at, step by step, for whoever explains a decision. A request is verified with
//! [`Unobserved`], for which nothing of this is computed or kept: there is one way through the code, watched or not.

use std::time::Duration;

use super::fault::Fault;
use super::verifier::Refusal;
use crate::util::clock::UnixTime;
use crate::util::label::Label;

/// Somebody who watches.
pub trait Observe<Event> {
    /// Whether it wants to see what could not change the outcome any more.
    const WHOLE: bool;

    /// Something was looked at. `event` is not called unless somebody watches.
    fn note(&mut self, event: impl FnOnce() -> Event);
}

/// Nobody.
#[derive(Clone, Copy, Debug)]
pub struct Unobserved;

impl<Event> Observe<Event> for Unobserved {
    const WHOLE: bool = false;

    #[inline]
    fn note(&mut self, _event: impl FnOnce() -> Event) {}
}

/// A step of a verification. The last one that was refused is why the token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenStep {
    /// What was looked at.
    pub looked_at: TokenFact,
    /// What came of it; `None`: nothing against the token.
    pub refusal: Option<Refusal>,
}

/// What of a token was looked at. Texts are as received: whoever shows them escapes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenFact {
    /// Segments, base64url, the header, and whether the payload is JSON.
    Form {
        /// The length of the token.
        bytes: usize,
        /// What its header says, if that can be read.
        header: Option<HeaderFacts>,
        /// What is wrong with it.
        fault: Option<Fault>,
    },
    /// Whose it says it is.
    Issuer {
        /// `iss`.
        iss: Option<String>,
        /// Who that is.
        issuer: Option<Label>,
        /// What is wrong with `iss`.
        fault: Option<Fault>,
    },
    /// Whether that issuer's tokens may be signed so.
    Algorithm {
        /// All that they may be signed with.
        accepted: Vec<&'static str>,
    },
    /// The key that it must be verified with.
    Key {
        /// Whose.
        issuer: Label,
        /// `kid`.
        kid: Option<String>,
        /// What was found.
        found: KeyFact,
    },
    /// The signature.
    Signature,
    /// The types of the registered claims, and the JSON of the others.
    Claims {
        /// What is wrong with them.
        fault: Option<Fault>,
    },
    /// Its times.
    Times(Times),
    /// The tenant, for an issuer that has several.
    Tenant {
        /// The claim that must name it.
        claim: String,
        /// What that says.
        named: Option<String>,
        /// The tenant in `iss`.
        expected: Option<String>,
    },
    /// Claims that must be there.
    Present {
        /// All of them.
        wanted: Vec<String>,
        /// Those that are not there, null or empty.
        missing: Vec<String>,
    },
}

/// What the header of a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderFacts {
    /// `alg`.
    pub alg: String,
    /// `kid`.
    pub kid: Option<String>,
    /// `typ`.
    pub typ: Option<String>,
}

/// What a search for a key found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFact {
    /// The key.
    Found,
    /// A key of that ID, for another algorithm.
    OtherAlgorithm,
    /// None, or several without a way to tell which.
    Unknown,
    /// It cannot be told.
    Unavailable,
}

/// The times of a token, and what they are held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Times {
    /// When it is judged.
    pub now: UnixTime,
    /// `exp`.
    pub expires_at: Option<UnixTime>,
    /// `nbf`.
    pub not_before: Option<UnixTime>,
    /// `iat`.
    pub issued_at: Option<UnixTime>,
    /// The tolerance.
    pub clock_skew: Duration,
    /// Whether `exp` must be there.
    pub needs_exp: bool,
    /// See [`super::RequiredClaims::max_age`].
    pub max_age: Option<Duration>,
    /// See [`super::RequiredClaims::max_lifetime`].
    pub max_lifetime: Option<Duration>,
}
