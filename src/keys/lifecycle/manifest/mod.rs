//! The manifest of a key directory: which keys there are, in which state, since when. Pure: it is read from
//! bytes and written to bytes; [`super::directory`] owns the file, [`super::rules`] decides what may change.
//!
//! It is public, and it is the truth: a key file that it does not name is not used.

mod raw;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::raw::{RawManifest, VERSION, written};
use crate::keys::signing::{KeyType, SigningKey};
use crate::util::clock::UnixTime;

/// A key ID that is a file name as well: 1 to 128 ASCII letters, digits, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kid(Box<str>);

impl Kid {
    /// What is accepted, for people.
    pub const EXPECTED: &'static str = "1 to 128 letters, digits, _ and -";

    /// Reads one; `None` for anything but [`Self::EXPECTED`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let good = (1..=128).contains(&text.len()) && text.bytes().all(safe);
        good.then(|| Self(text.into()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a key is in its life. It only ever moves downwards in this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// Published, and not signing yet.
    Next,
    /// Published, and the one that signs.
    Active,
    /// Published, and not signing any more.
    Retiring,
    /// Neither: its private key file is deleted, its public part is kept.
    Retired,
}

impl KeyState {
    /// Every state, in order.
    pub const ALL: [Self; 4] = [Self::Next, Self::Active, Self::Retiring, Self::Retired];

    /// The word in the manifest.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
        }
    }

    /// Whether verifiers are to know the key.
    #[must_use]
    pub const fn is_published(self) -> bool {
        match self {
            Self::Next | Self::Active | Self::Retiring => true,
            Self::Retired => false,
        }
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How long the rules wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long a verifier may go on with a JWKS that it has fetched.
    pub jwks_max_age: Duration,
    /// The longest that a token is valid after it was signed.
    pub token_lifetime: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            jwks_max_age: Duration::from_secs(60 * 60),
            token_lifetime: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// One key, without its private half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedKey {
    kid: Kid,
    key_type: KeyType,
    /// At least one. The first is `next`, the last is the state.
    transitions: Vec<(KeyState, UnixTime)>,
    public: Value,
}

impl ManagedKey {
    /// A key that is published at `now`.
    pub(super) fn publish(kid: Kid, key_type: KeyType, key: &SigningKey, now: UnixTime) -> Self {
        let transitions = vec![(KeyState::Next, whole_second(now))];
        Self { kid, key_type, transitions, public: key.public_jwk() }
    }

    /// Its name.
    #[must_use]
    pub fn kid(&self) -> &Kid {
        &self.kid
    }

    /// What it is.
    #[must_use]
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// Where it is in its life.
    #[must_use]
    pub fn state(&self) -> KeyState {
        self.transitions.last().map_or(KeyState::Retired, |(state, _)| *state)
    }

    /// When it was made and published.
    #[must_use]
    pub fn published_at(&self) -> UnixTime {
        self.transitions.first().map_or(UnixTime::from_millis(i64::MAX), |(_, at)| *at)
    }

    /// Since when it is in its state.
    #[must_use]
    pub fn since(&self) -> UnixTime {
        self.transitions.last().map_or(UnixTime::from_millis(i64::MAX), |(_, at)| *at)
    }

    /// Its public half as a JWK with `kid`, `alg` and `use`.
    #[must_use]
    pub fn public_jwk(&self) -> &Value {
        &self.public
    }

    pub(super) fn enter(&mut self, state: KeyState, now: UnixTime) {
        self.transitions.push((state, whole_second(now)));
    }
}

/// The content of `manifest.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// How long the rules wait.
    pub policy: Policy,
    /// In the order of publication. At most one is `next` and at most one `active`.
    pub(super) keys: Vec<ManagedKey>,
}

impl Manifest {
    /// Reads one.
    ///
    /// # Errors
    /// Whatever [`Self::to_json`] does not write; every word and every order of states is checked.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let raw: RawManifest = serde_json::from_slice(bytes).map_err(|error| {
            ManifestError::NotJson { line: error.line(), column: error.column() }
        })?;
        if raw.version != VERSION {
            return Err(ManifestError::Version(raw.version));
        }
        let seconds = Duration::from_secs;
        let policy = Policy {
            jwks_max_age: seconds(raw.jwks_max_age_seconds),
            token_lifetime: seconds(raw.token_lifetime_seconds),
        };
        let keys = raw.keys.into_iter().enumerate();
        let keys = keys.map(|(place, key)| {
            key.parse().map_err(|mistake| ManifestError::Key { place, mistake })
        });
        let manifest = Self { policy, keys: keys.collect::<Result<_, _>>()? };
        manifest.check_together()?;
        Ok(manifest)
    }

    /// Writes it: the same bytes for the same content.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let keys: Vec<Value> = self.keys.iter().map(written).collect();
        let manifest = json!({
            "version": VERSION,
            "jwks_max_age_seconds": self.policy.jwks_max_age.as_secs(),
            "token_lifetime_seconds": self.policy.token_lifetime.as_secs(),
            "keys": keys,
        });
        format!("{manifest:#}\n").into_bytes()
    }

    /// Every key, in the order of publication.
    #[must_use]
    pub fn keys(&self) -> &[ManagedKey] {
        &self.keys
    }

    /// The key of that name.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<&ManagedKey> {
        self.keys.iter().find(|key| key.kid.as_str() == kid)
    }

    /// The keys in that state, in the order of publication.
    pub fn in_state(&self, state: KeyState) -> impl Iterator<Item = &ManagedKey> {
        self.keys.iter().filter(move |key| key.state() == state)
    }

    /// The key that signs.
    #[must_use]
    pub fn active(&self) -> Option<&ManagedKey> {
        self.in_state(KeyState::Active).next()
    }

    /// The key that will sign.
    #[must_use]
    pub fn next(&self) -> Option<&ManagedKey> {
        self.in_state(KeyState::Next).next()
    }

    fn check_together(&self) -> Result<(), ManifestError> {
        for (place, key) in self.keys.iter().enumerate() {
            if self.keys.iter().take(place).any(|earlier| earlier.kid == key.kid) {
                return Err(ManifestError::Key { place, mistake: "its kid is not its own" });
            }
        }
        for state in [KeyState::Next, KeyState::Active] {
            if self.in_state(state).count() > 1 {
                return Err(ManifestError::Several(state));
            }
        }
        Ok(())
    }
}

/// Why a manifest is not understood. Nothing is done in a directory that has such a one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not JSON, or a member is missing, of another type, repeated or unknown.
    #[error("is not a manifest: line {line} column {column}")]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// Written by another version.
    #[error("has version {0}, and {VERSION} is understood")]
    Version(u64),
    /// One key is wrong.
    #[error("is damaged at keys[{place}]: {mistake}")]
    Key {
        /// From 0.
        place: usize,
        /// What is wrong.
        mistake: &'static str,
    },
    /// Two keys in a state that only one can be in.
    #[error("is damaged: more than one key is {0}")]
    Several(KeyState),
}

/// The next whole second: the manifest has no fractions, and a wait may be counted too long but not too short.
fn whole_second(now: UnixTime) -> UnixTime {
    let late = now.as_millis().rem_euclid(1000);
    let wait = if late == 0 { 0 } else { 1000 - late };
    UnixTime::from_millis(now.as_millis().saturating_add(wait))
}
