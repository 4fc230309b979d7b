//! The types of key that can be made. Which algorithm an existing key is for is its own affair, not asked here.

use crate::keys::key::Algorithm;

/// A type of key that `claimgate keys` makes, and the one algorithm that it signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// RSA with 2048 bits, the least that RFC 7518 §3.3 allows; RS256.
    Rsa2048,
    /// RSA with 3072 bits; RS256.
    Rsa3072,
    /// RSA with 4096 bits; RS256.
    Rsa4096,
    /// ECDSA on P-256; ES256.
    P256,
    /// ECDSA on P-384; ES384.
    P384,
    /// Ed25519; EdDSA.
    Ed25519,
}

impl KeyType {
    /// Every type, the default one first.
    pub const ALL: [Self; 6] =
        [Self::Rsa4096, Self::Rsa3072, Self::Rsa2048, Self::P256, Self::P384, Self::Ed25519];

    /// The word on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
            Self::P256 => "p-256",
            Self::P384 => "p-384",
            Self::Ed25519 => "ed25519",
        }
    }

    /// What a key of this type signs with.
    #[must_use]
    pub const fn algorithm(self) -> Algorithm {
        match self {
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => Algorithm::Rs256,
            Self::P256 => Algorithm::Es256,
            Self::P384 => Algorithm::Es384,
            Self::Ed25519 => Algorithm::EdDsa,
        }
    }
}
