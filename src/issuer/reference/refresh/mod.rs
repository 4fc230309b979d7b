//! Refresh tokens: opaque, 256 bits, known to the store by their hash only, used once.
//!
//! Tokens that follow from one another are a family, which is the session of the access tokens that came with them
//! (`sid`). A token that comes a second time was stolen, or stolen from: nobody can tell which of the two holders is the
//! right one, so the family ends (RFC 9700 §4.14.2). There is no period in which a used token still works: a client whose
//! answer was lost has its credentials, and begins another family with them.
//!
//! A token that has not been used for [`super::settings::RefreshSettings::idle`] has expired, and used ones are
//! remembered for as long: after that they would be refused as expired, used or not.

mod memory;
mod redis;

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

pub use self::memory::MemoryStore;
pub use self::redis::RedisStore;
use super::settings::{RefreshSettings, RevocationSettings};
use crate::revocation::redis::settings::RedisSettings;
use crate::util::clock::UnixTime;

/// A refresh token as a store knows it. One has 256 random bits, so that a fast hash is enough: there is nothing to guess.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash([u8; 32]);

const TOKEN_BYTES: usize = 32;

impl TokenHash {
    /// Of what was presented; `None` when it does not look like a refresh token at all.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        // 43 characters of base64url; the last one has two bits that must be zero.
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        (bytes.len() == TOKEN_BYTES).then(|| Self::of_bytes(&bytes))
    }

    fn of_bytes(bytes: &[u8]) -> Self {
        let mut hash = [0; 32];
        let digest = digest(&SHA256, bytes);
        hash.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        Self(hash)
    }

    /// The hash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Not a secret, and nothing that anybody should read.
impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

/// A new token, and what is kept of it. `None` if the system has no randomness.
#[must_use]
pub fn generate() -> Option<(Zeroizing<String>, TokenHash)> {
    let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
    SystemRandom::new().fill(&mut *bytes).ok()?;
    Some((Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes)), TokenHash::of_bytes(&*bytes)))
}

/// What was granted to a family when it began. What a client may have now is looked up at each use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// `sid` of its access tokens. Not a secret.
    pub id: String,
    /// `client_id`.
    pub client: String,
    /// The scopes.
    pub scopes: Vec<String>,
    /// The audiences.
    pub audiences: Vec<String>,
}

/// What a store knows of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is the one that may be used.
    Current(Family),
    /// It has been used before.
    Used(Family),
    /// Never issued, expired, or of a family that has ended.
    Unknown,
}

/// What came of using a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The next one is in force.
    Done,
    /// Somebody else was faster: it has been used before.
    Reused,
    /// It has expired meanwhile, or the family has ended.
    Gone,
    /// There is no room. The token may still be used.
    Full,
}

/// The store does not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store of refresh tokens does not answer: {0}")]
pub struct StoreError(pub String);

/// Where refresh tokens are kept. Every change is whole: of two uses of a token at the same time one finds it used.
#[derive(Debug)]
pub enum RefreshStore {
    /// In this process, until it ends.
    Memory(Box<MemoryStore>),
    /// In a Redis, with the revocations.
    Redis(Box<RedisStore>),
}

impl RefreshStore {
    /// Beside the revocations, where that is a store; else in memory. Does no I/O.
    #[must_use]
    pub fn new(settings: RefreshSettings, beside: &RevocationSettings) -> Self {
        match beside {
            RevocationSettings::Memory | RevocationSettings::File(_) => {
                Self::Memory(Box::new(MemoryStore::new(settings)))
            }
            RevocationSettings::Redis(redis) => {
                Self::Redis(Box::new(RedisStore::new(settings, RedisSettings::clone(redis))))
            }
        }
    }

    /// Begins a family with its first token. Returns whether there was room for it.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn begin(
        &self,
        family: Family,
        token: TokenHash,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        match self {
            Self::Memory(store) => Ok(store.begin(family, token, now)),
            Self::Redis(store) => store.begin(family, token, now).await,
        }
    }

    /// What is known of a token. Changes nothing.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn find(&self, token: TokenHash, now: UnixTime) -> Result<Found, StoreError> {
        match self {
            Self::Memory(store) => Ok(store.find(token, now)),
            Self::Redis(store) => store.find(token, now).await,
        }
    }

    /// Uses `token` and puts `next` in its place.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn rotate(
        &self,
        token: TokenHash,
        next: TokenHash,
        now: UnixTime,
    ) -> Result<Rotation, StoreError> {
        match self {
            Self::Memory(store) => Ok(store.rotate(token, next, now)),
            Self::Redis(store) => store.rotate(token, next, now).await,
        }
    }

    /// Ends a family: none of its tokens is known from now on.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn end(&self, family: &str) -> Result<(), StoreError> {
        match self {
            Self::Memory(store) => {
                store.end(family);
                Ok(())
            }
            Self::Redis(store) => store.end(family).await,
        }
    }

    /// Ends every family of a client, and says which.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn end_all_of(&self, client: &str) -> Result<Vec<String>, StoreError> {
        match self {
            Self::Memory(store) => Ok(store.end_all_of(client)),
            Self::Redis(store) => store.end_all_of(client).await,
        }
    }

    /// How many families there are, where that is cheap to say.
    #[must_use]
    pub fn families(&self) -> Option<usize> {
        match self {
            Self::Memory(store) => Some(store.families()),
            Self::Redis(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
