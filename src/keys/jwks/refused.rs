//! Why a document, or an entry of one, is not used: closed lists, for metrics, logs and people. What is refused is
//! decided by [`super::Jwks`] and its siblings.

use std::collections::BTreeMap;
use std::fmt;

use crate::keys::key::KeyError;
use crate::util::json;

/// A document entry that is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its `kid`, when it has a readable one.
    pub kid: Option<Box<str>>,
    /// Why.
    pub reason: SkipReason,
}

/// Why an entry is not used. A closed list: it is a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SkipReason {
    /// `alg` is missing from this issuer's `algorithms`, or nothing the key can do is in them.
    AlgorithmNotAccepted,
    /// `alg` does not fit the key's type and curve.
    AlgorithmMismatch,
    /// Two different keys under one `kid` and algorithm: neither is used.
    DuplicateKid,
    /// It says itself that it is for encryption: `use` is `enc`, or else `key_ops` has nothing but that, or `alg` is one of
    /// JWE (RFC 7518 §4.1). Nobody signs with it, and it is no mistake.
    ForEncryption,
    /// Not a valid key of its type.
    InvalidKey,
    /// A keyset calls it otherwise than its own `kid` does.
    KidMismatch,
    /// Not an object, a wrong type, a missing or repeated member, bad base64url.
    Malformed,
    /// `use` is neither `sig` nor `enc`, or `key_ops` lacks `verify` (RFC 7517 §4.2, §4.3); a certificate whose key usage
    /// lacks `digitalSignature`, or is to sign certificates (RFC 5280 §4.2.1.3).
    NotForVerification,
    /// A private key was published. Its material is not looked at.
    PrivateKey,
    /// A symmetric key (`oct`): never used.
    SymmetricKey,
    /// A `kty` or `crv` that claimgate does not verify with.
    UnsupportedType,
    /// RSA under 2048 bits, with a tiny exponent or of a library that made guessable primes, or an Ed25519 point of
    /// small order.
    WeakKey,
}

impl SkipReason {
    /// Every reason, for metrics.
    pub const ALL: [Self; 12] = [
        Self::AlgorithmNotAccepted,
        Self::AlgorithmMismatch,
        Self::DuplicateKid,
        Self::ForEncryption,
        Self::InvalidKey,
        Self::KidMismatch,
        Self::Malformed,
        Self::NotForVerification,
        Self::PrivateKey,
        Self::SymmetricKey,
        Self::UnsupportedType,
        Self::WeakKey,
    ];

    /// The word in metrics, logs and status.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AlgorithmNotAccepted => "algorithm_not_accepted",
            Self::AlgorithmMismatch => "algorithm_mismatch",
            Self::DuplicateKid => "duplicate_kid",
            Self::ForEncryption => "for_encryption",
            Self::InvalidKey => "invalid_key",
            Self::KidMismatch => "kid_mismatch",
            Self::Malformed => "malformed",
            Self::NotForVerification => "not_for_verification",
            Self::PrivateKey => "private_key",
            Self::SymmetricKey => "symmetric_key",
            Self::UnsupportedType => "unsupported_type",
            Self::WeakKey => "weak_key",
        }
    }
}

impl From<KeyError> for SkipReason {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::AlgorithmNotAccepted => Self::AlgorithmNotAccepted,
            KeyError::InvalidKey => Self::InvalidKey,
            KeyError::WeakKey => Self::WeakKey,
        }
    }
}

/// Why a whole document is refused. The text never quotes the document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Not exactly one JSON object.
    #[error("not a JSON object: {0}")]
    NotJson(json::Malformed),
    /// No member `keys`, or it is not an array.
    #[error("no \"keys\" array")]
    NoKeys,
    /// More entries than `limits.jwks_keys`.
    #[error("{found} keys, more than the limit of {limit}")]
    TooManyKeys {
        /// Entries in the document.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The array is empty or every entry was skipped.
    #[error("no usable key ({0})")]
    NoUsableKey(Reasons),
    /// A keyset without an `active_kid`, or with one that it has no key of.
    #[error("\"active_kid\" is missing or names none of the \"keys\"")]
    ActiveKid,
    /// Not PEM (RFC 7468), or cut off.
    #[error("not PEM: {0}")]
    NotPem(&'static str),
    /// A private key beside public ones, in a file that was given as a public key.
    #[error("a private key (not shown), only public keys are accepted")]
    PrivateKey,
    /// One `kid` is configured, and there are several keys.
    #[error("{0} keys, a kid can be given to one only")]
    OneKidForSeveral(usize),
}

/// How often each reason occurred.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasons(BTreeMap<SkipReason, usize>);

impl Reasons {
    /// Counts the reasons in `skipped`.
    pub fn of(skipped: &[SkippedKey]) -> Self {
        let mut counts = BTreeMap::new();
        for key in skipped {
            *counts.entry(key.reason).or_insert(0) += 1;
        }
        Self(counts)
    }

    /// How often `reason` occurred.
    pub fn count(&self, reason: SkipReason) -> usize {
        self.0.get(&reason).copied().unwrap_or(0)
    }
}

impl fmt::Display for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("it is empty");
        }
        for (place, (reason, count)) in self.0.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            write!(f, "{comma}{count} {}", reason.as_str())?;
        }
        Ok(())
    }
}
