//! [`SecretHash`]: a client's secret as it is configured, Argon2id (RFC 9106) in the PHC string format. It knows how
//! slow a hash has to be and how slow it may be; who is asked, how often and on which thread is
//! [`super::authentication`]'s. The configuration reads hashes with it, `claimgate issuer hash-secret` makes them.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

/// The hash of one secret. `Debug` shows its cost only.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretHash {
    cost: Cost,
    salt: Box<[u8]>,
    hash: [u8; HASH_BYTES],
}

/// What one evaluation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost {
    /// KiB.
    memory: u32,
    passes: u32,
    lanes: u32,
}

/// What is accepted, for people.
pub const ACCEPTED: &str =
    "a hash that `claimgate issuer hash-secret` printed ($argon2id$v=19$m=19456,t=2,p=1$…)";

/// No shorter secret is hashed: a client secret is made, not remembered (RFC 6749 §10.10).
pub const MIN_SECRET_BYTES: usize = 16;
/// Nor a longer one.
pub const MAX_SECRET_BYTES: usize = 1024;

const HASH_BYTES: usize = 32;
const SALT_BYTES: usize = 16;

/// Memory times passes is no less than this, and memory no less than that: the least of the settings that OWASP lists.
const MIN_WORK: u64 = 7168 * 5;
const MIN_MEMORY: u32 = 7168;
/// Several are evaluated at once, and whoever reaches the port may ask for one.
const MAX_MEMORY: u32 = 128 * 1024;
const MAX_PASSES: u32 = 10;
const MAX_LANES: u32 = 4;

/// The cost of the hashes that are made here: the first of OWASP's settings, some tens of milliseconds.
const USUAL: Cost = Cost { memory: 19 * 1024, passes: 2, lanes: 1 };

/// Why a secret was not hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It can be guessed.
    #[error("a secret has at least {MIN_SECRET_BYTES} bytes; `--generate` makes one of 256 bits")]
    TooShort,
    /// It is something else.
    #[error("a secret has at most {MAX_SECRET_BYTES} bytes")]
    TooLong,
    /// A line break or the like: no client could send it as it is.
    #[error("a secret has printable ASCII characters only (RFC 6749, appendix A.2)")]
    NotPrintable,
    /// The system has no randomness or no memory.
    #[error("the system gave no randomness or no memory")]
    System,
}

impl SecretHash {
    /// Reads the PHC string format; `None` for anything but Argon2id, version 19, within the bounds of [`ACCEPTED`]'s kind.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("$argon2id$v=19$m=")?;
        let (memory, rest) = rest.split_once(",t=")?;
        let (passes, rest) = rest.split_once(",p=")?;
        let (lanes, rest) = rest.split_once('$')?;
        let (salt, hash) = rest.split_once('$')?;
        let cost = Cost { memory: number(memory)?, passes: number(passes)?, lanes: number(lanes)? };
        let salt =
            STANDARD_NO_PAD.decode(salt).ok().filter(|salt| (8..=64).contains(&salt.len()))?;
        let hash = STANDARD_NO_PAD.decode(hash).ok()?.try_into().ok()?;
        cost.is_within_bounds().then(|| Self { cost, salt: salt.into(), hash })
    }

    /// Hashes a secret with a salt of its own. Takes some tens of milliseconds.
    ///
    /// # Errors
    /// A secret that is no good.
    pub fn of(secret: &[u8]) -> Result<Self, SecretError> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(SecretError::TooShort);
        }
        if secret.len() > MAX_SECRET_BYTES {
            return Err(SecretError::TooLong);
        }
        if !secret.iter().all(|byte| (0x20..0x7f).contains(byte)) {
            return Err(SecretError::NotPrintable);
        }
        let mut salt = [0; SALT_BYTES];
        SystemRandom::new().fill(&mut salt).map_err(|_| SecretError::System)?;
        let hash = USUAL.evaluate(secret, &salt).ok_or(SecretError::System)?;
        Ok(Self { cost: USUAL, salt: salt.into(), hash: *hash })
    }

    /// Whether this is the hash of `secret`. As slow as it was made to be, whatever the answer.
    #[must_use]
    pub fn matches(&self, secret: &[u8]) -> bool {
        let found = self.cost.evaluate(secret, &self.salt);
        found.is_some_and(|found| verify_slices_are_equal(&*found, &self.hash).is_ok())
    }

    /// What [`Self::matches`] takes.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// A hash that no secret is known for.
    ///
    /// # Errors
    /// A system without randomness.
    pub fn of_nothing(cost: Cost) -> Result<Self, SecretError> {
        let (mut salt, mut hash) = ([0; SALT_BYTES], [0; HASH_BYTES]);
        let random = SystemRandom::new();
        random
            .fill(&mut salt)
            .and_then(|()| random.fill(&mut hash))
            .map_err(|_| SecretError::System)?;
        Ok(Self { cost, salt: salt.into(), hash })
    }
}

/// A secret of 256 bits.
///
/// # Errors
/// A system without randomness.
pub fn generate_secret() -> Result<Zeroizing<String>, SecretError> {
    let mut bytes = Zeroizing::new([0; 32]);
    SystemRandom::new().fill(&mut *bytes).map_err(|_| SecretError::System)?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes)))
}

impl Default for Cost {
    fn default() -> Self {
        USUAL
    }
}

impl Cost {
    fn is_within_bounds(self) -> bool {
        (MIN_MEMORY..=MAX_MEMORY).contains(&self.memory)
            && (1..=MAX_PASSES).contains(&self.passes)
            && (1..=MAX_LANES).contains(&self.lanes)
            && u64::from(self.memory) * u64::from(self.passes) >= MIN_WORK
    }

    /// `None` when there is no memory.
    fn evaluate(self, secret: &[u8], salt: &[u8]) -> Option<Zeroizing<[u8; HASH_BYTES]>> {
        let params = Params::new(self.memory, self.passes, self.lanes, Some(HASH_BYTES)).ok()?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut hash = Zeroizing::new([0; HASH_BYTES]);
        argon2.hash_password_into(secret, salt, &mut *hash).ok()?;
        Some(hash)
    }
}

/// Digits only, without leading zeros.
fn number(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain)
}

/// The PHC string format.
impl fmt::Display for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cost { memory, passes, lanes } = self.cost;
        let (salt, hash) = (STANDARD_NO_PAD.encode(&self.salt), STANDARD_NO_PAD.encode(self.hash));
        write!(f, "$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${hash}")
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretHash").field("cost", &self.cost).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the secret `correct horse battery staple`, by the reference implementation of Argon2 (its Python binding).
    const REFERENCE: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$ISO7kkvFzh19GM8qB7patN3C3Y9HHsjlVTfEZ9T600Y";

    #[test]
    fn a_hash_of_the_reference_implementation_is_understood() {
        let hash = SecretHash::parse(REFERENCE).unwrap();
        assert!(hash.matches(b"correct horse battery staple"));
        assert!(!hash.matches(b"correct horse battery stapl"));
        assert_eq!(hash.to_string(), REFERENCE);
    }

    #[test]
    fn a_secret_matches_its_own_hash_and_no_other() {
        let secret = generate_secret().unwrap();
        let (one, two) = (
            SecretHash::of(secret.as_bytes()).unwrap(),
            SecretHash::of(secret.as_bytes()).unwrap(),
        );
        assert_ne!(one, two, "each has a salt of its own");
        assert!(one.matches(secret.as_bytes()) && two.matches(secret.as_bytes()));
        assert!(!one.matches(b""));
        assert!(!SecretHash::of_nothing(one.cost()).unwrap().matches(secret.as_bytes()));
    }

    #[test]
    fn weak_costly_and_malformed_hashes_are_refused() {
        let with = |cost: &str| REFERENCE.replace("m=19456,t=2,p=1", cost);
        assert!(SecretHash::parse(&with("m=65536,t=3,p=4")).is_some());
        for cost in [
            "m=19456,t=1,p=1",
            "m=1024,t=10,p=1",
            "m=4294967295,t=2,p=1",
            "m=19456,t=1000,p=1",
            "m=19456,t=2,p=64",
            "m=19456,t=2,p=0",
            "m=+19456,t=2,p=1",
            "m=019456,t=2,p=1",
            "m=19456,t=2",
            "m=19456,t=2,p=1,keyid=x",
        ] {
            assert!(SecretHash::parse(&with(cost)).is_none(), "{cost}");
        }
        for text in [
            "",
            "secret",
            "$2b$12$abcdefghijklmnopqrstuv",
            &REFERENCE.replace("argon2id", "argon2i"),
            &REFERENCE.replace("v=19", "v=16"),
            &format!("{REFERENCE}AA"),
            &format!("{REFERENCE} "),
        ] {
            assert!(SecretHash::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_secret_that_can_be_guessed_or_not_be_sent_is_not_hashed() {
        assert_eq!(SecretHash::of(b"fifteen bytes!!").unwrap_err(), SecretError::TooShort);
        assert_eq!(SecretHash::of(&[b'a'; 1025]).unwrap_err(), SecretError::TooLong);
        assert_eq!(
            SecretHash::of(b"with a line\nbreak in it").unwrap_err(),
            SecretError::NotPrintable
        );
    }

    #[test]
    fn debug_shows_neither_salt_nor_hash() {
        let shown = format!("{:?}", SecretHash::parse(REFERENCE).unwrap());
        assert!(shown.len() < 80, "{shown}");
    }
}
