//! What one read of a source brought, as far as it can be used: public keys or a shared secret, never both.
//! [`super::source::reader`] makes it, [`super::refresher`] publishes it, `report` tells of it.

use std::sync::Arc;

use super::hmac::HmacKey;
use super::jwks::{Jwks, SkippedKey};
use super::key::VerificationKey;
use super::store::SourceKeys;
use crate::util::clock::UnixTime;

/// The usable content of a source.
#[derive(Clone, Debug)]
pub enum Content {
    /// A secret for HS256.
    Hmac(Arc<HmacKey>),
    /// Public keys, at least one.
    Public(Jwks),
}

impl Content {
    /// What the store takes of it, trusted until `usable_until`.
    pub fn for_store(&self, usable_until: Option<UnixTime>) -> SourceKeys {
        match self {
            Self::Hmac(key) => SourceKeys::hmac(Arc::clone(key), usable_until),
            Self::Public(jwks) => SourceKeys::new(jwks.clone(), usable_until),
        }
    }

    /// How many keys are usable.
    pub fn usable(&self) -> usize {
        match self {
            Self::Hmac(_) => 1,
            Self::Public(jwks) => jwks.keys.len(),
        }
    }

    /// What was passed over.
    pub fn skipped(&self) -> &[SkippedKey] {
        match self {
            Self::Hmac(_) => &[],
            Self::Public(jwks) => &jwks.skipped,
        }
    }

    /// Whether it has a public key that `successor` has not, under the same key ID.
    pub fn loses(&self, successor: &Self) -> bool {
        let (Self::Public(old), Self::Public(new)) = (self, successor) else { return false };
        let stays = |key: &VerificationKey| {
            new.keys.iter().any(|other| other.kid() == key.kid() && other.same_material(key))
        };
        !old.keys.iter().all(|key| stays(key))
    }

    /// The key ID of each usable key.
    pub fn kids(&self) -> Vec<Option<&str>> {
        match self {
            Self::Hmac(key) => vec![key.kid()],
            Self::Public(jwks) => jwks.keys.iter().map(|key| key.kid()).collect(),
        }
    }
}
