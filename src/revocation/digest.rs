//! What an entry or a claim of a token is looked up by: a keyed digest of 128 bits (SipHash-1-3) in place of the text.
//! Pure.
//!
//! A million texts would take several times the memory, and be personal data in every core dump. 124 bits of the digest
//! are kept; that two of a million fields meet in them has a chance of 2⁻⁸⁵, and would refuse a token, never let one
//! pass. The key is random for each process: whoever chooses a `sub` cannot aim at another one's digest, nor fill one
//! place of the table. It is never a digest of the token's text, which has many spellings.

use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use siphasher::sip128::{Hasher128 as _, SipHasher13};

use super::entry::EntryKind;

/// Makes digests with one key.
#[derive(Clone)]
pub(super) struct Digester(SipHasher13);

impl Digester {
    /// With a key that nobody else has.
    pub(super) fn new() -> Self {
        // The standard library seeds it from the operating system and keeps it to itself; what it says of two numbers
        // are two words of a key.
        let random = RandomState::new();
        Self(SipHasher13::new_with_keys(random.hash_one(0_u8), random.hash_one(1_u8)))
    }

    /// Of an `iss`; the first half of what everything of this issuer is looked up by.
    pub(super) fn issuer(&self, iss: &str) -> IssuerDigest {
        let mut hasher = self.0;
        hasher.write(iss.as_bytes());
        let digest = hasher.finish128();
        IssuerDigest([digest.h1, digest.h2])
    }

    /// Of what is called `id` by that issuer. The kind is part of it: a `sub` that reads like a `jti` is something else.
    pub(super) fn of(issuer: IssuerDigest, kind: EntryKind, id: Option<&str>) -> Digest {
        // What the secret key made of the issuer is a key as well, which nobody knows: shorter than to go through it
        // again for each kind.
        let mut hasher = SipHasher13::new_with_keys(issuer.0[0], issuer.0[1]);
        hasher.write(id.unwrap_or_default().as_bytes());
        // Last, and always there: no `id` with it is another `id` without.
        hasher.write_u8(number(kind));
        let digest = hasher.finish128();
        Digest { high: digest.h1, low: digest.h2 & !(KEPT | TAG) | u64::from(number(kind)) }
    }
}

impl fmt::Debug for Digester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digester")
    }
}

/// See [`Digester::issuer`].
#[derive(Clone, Copy)]
pub(super) struct IssuerDigest([u64; 2]);

/// Which entry. The lowest bits are not the digest's but the number of its kind, so none is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) high: u64,
    pub(super) low: u64,
}

/// The bits of [`Digest::low`] that are the kind's.
const TAG: u64 = 0b0111;

/// The bit of [`Digest::low`] that is the table's.
pub(super) const KEPT: u64 = 0b1000;

impl Digest {
    /// The place of its kind in [`EntryKind::ALL`].
    pub(super) fn kind_index(self) -> usize {
        usize::try_from(self.low & TAG).unwrap_or(0).saturating_sub(1)
    }
}

/// From 1.
fn number(kind: EntryKind) -> u8 {
    match kind {
        EntryKind::Token => 1,
        EntryKind::Subject => 2,
        EntryKind::Session => 3,
        EntryKind::Key => 4,
        EntryKind::Issuer => 5,
    }
}
