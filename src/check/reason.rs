//! Why a request is denied: the one closed list, whose words are the same in answers, logs and metrics. What a denial looks
//! like is [`super::answer`]'s.

use crate::token::Refusal;

/// Why a request is denied. A closed list: the same word stands in the response, the log and the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DenialReason {
    /// The rule needs a token and there is none.
    MissingToken,
    /// More than one token, or several credentials in one header.
    MultipleTokens,
    /// The token, or the request around it, is not what the standards allow.
    Malformed,
    /// The token is longer than the limit.
    TooLarge,
    /// The token's algorithm is not accepted from its issuer.
    AlgNotAllowed,
    /// The token's issuer is not configured.
    UnknownIssuer,
    /// The issuer has no key of that ID and algorithm.
    UnknownKid,
    /// The signature is not the key's.
    BadSignature,
    /// The token has expired.
    Expired,
    /// The token is not valid yet.
    NotYetValid,
    /// The token was issued too long ago.
    TooOld,
    /// The token is meant for somebody else.
    AudienceMismatch,
    /// A claim that must be there is not.
    MissingClaim,
    /// A claim is not what the rule asks for.
    ClaimMismatch,
    /// The token lacks a scope that the rule asks for.
    InsufficientScope,
    /// The token, its session, its subject, its key or its issuer was revoked.
    Revoked,
    /// No rule applies to this request.
    NoRule,
    /// The verified claims do not fit into the headers allowed for them.
    HeaderTooLarge,
    /// Ours: no keys of that issuer yet, or only ones that are too old.
    KeysUnavailable,
    /// Ours: which tokens are revoked is not known yet, or was known too long ago.
    RevocationStale,
    /// Ours: too many checks at once.
    Overloaded,
    /// Ours: a fault in claimgate.
    Internal,
}

impl DenialReason {
    /// Every reason, for metrics and documentation.
    pub const ALL: [Self; 22] = [
        Self::MissingToken,
        Self::MultipleTokens,
        Self::Malformed,
        Self::TooLarge,
        Self::AlgNotAllowed,
        Self::UnknownIssuer,
        Self::UnknownKid,
        Self::BadSignature,
        Self::Expired,
        Self::NotYetValid,
        Self::TooOld,
        Self::AudienceMismatch,
        Self::MissingClaim,
        Self::ClaimMismatch,
        Self::InsufficientScope,
        Self::Revoked,
        Self::NoRule,
        Self::HeaderTooLarge,
        Self::KeysUnavailable,
        Self::RevocationStale,
        Self::Overloaded,
        Self::Internal,
    ];

    /// The word for it, everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingToken => "missing_token",
            Self::MultipleTokens => "multiple_tokens",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::AlgNotAllowed => "alg_not_allowed",
            Self::UnknownIssuer => "unknown_issuer",
            Self::UnknownKid => "unknown_kid",
            Self::BadSignature => "bad_signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::TooOld => "too_old",
            Self::AudienceMismatch => "audience_mismatch",
            Self::MissingClaim => "missing_claim",
            Self::ClaimMismatch => "claim_mismatch",
            Self::InsufficientScope => "insufficient_scope",
            Self::Revoked => "revoked",
            Self::NoRule => "no_rule",
            Self::HeaderTooLarge => "header_too_large",
            Self::KeysUnavailable => "keys_unavailable",
            Self::RevocationStale => "revocation_stale",
            Self::Overloaded => "overloaded",
            Self::Internal => "internal",
        }
    }
}

impl From<Refusal> for DenialReason {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::AlgNotAllowed => Self::AlgNotAllowed,
            Refusal::AudienceMismatch => Self::AudienceMismatch,
            Refusal::BadSignature => Self::BadSignature,
            Refusal::ClaimMismatch => Self::ClaimMismatch,
            Refusal::Expired => Self::Expired,
            Refusal::KeysUnavailable => Self::KeysUnavailable,
            Refusal::Malformed => Self::Malformed,
            Refusal::MissingClaim => Self::MissingClaim,
            Refusal::NotYetValid => Self::NotYetValid,
            Refusal::TooLarge => Self::TooLarge,
            Refusal::TooOld => Self::TooOld,
            Refusal::UnknownIssuer => Self::UnknownIssuer,
            Refusal::UnknownKid => Self::UnknownKid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_listed_in_the_order_of_their_declaration_which_numbers_the_metrics() {
        for (place, reason) in DenialReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place, "{reason:?}");
        }
    }
}
