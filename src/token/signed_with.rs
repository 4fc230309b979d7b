//! What a verified token was signed with: the word for it in metrics, out of a closed list. Not what decides
//! how a signature is checked: by then it is checked, by a public key or by a shared secret.

use super::hs256::HS256;
use super::issuer::Issuer;
use crate::keys::key::Algorithm;

/// The algorithm of a token that is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedWith {
    /// A shared secret.
    Hs256,
    /// The private half of a public key.
    Public(Algorithm),
}

impl SignedWith {
    /// The name of each, in the order of [`Self::index`].
    pub const NAMES: [&'static str; 1 + Algorithm::ALL.len()] = {
        let mut names = [HS256; 1 + Algorithm::ALL.len()];
        let mut place = 0;
        while place < Algorithm::ALL.len() {
            names[1 + place] = Algorithm::ALL[place].name();
            place += 1;
        }
        names
    };

    /// All that tokens of `issuer` may be signed with.
    pub fn accepted_by(issuer: &Issuer) -> impl Iterator<Item = Self> {
        let shared = issuer.danger_accept_hs256.then_some(Self::Hs256);
        shared.into_iter().chain(issuer.algorithms.iter().map(Self::Public))
    }

    /// The place in [`Self::NAMES`], for tables.
    pub const fn index(self) -> usize {
        match self {
            Self::Hs256 => 0,
            Self::Public(algorithm) => 1 + algorithm as usize,
        }
    }

    /// The `alg` of the token.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => HS256,
            Self::Public(algorithm) => algorithm.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_has_a_place_of_its_own_and_its_name_there() {
        let all = Algorithm::ALL.map(SignedWith::Public);
        let all: Vec<SignedWith> = [SignedWith::Hs256].into_iter().chain(all).collect();
        assert_eq!(all.len(), SignedWith::NAMES.len());
        for (place, signed_with) in all.into_iter().enumerate() {
            assert_eq!(signed_with.index(), place);
            assert_eq!(SignedWith::NAMES[place], signed_with.name());
        }
    }
}
