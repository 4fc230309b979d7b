//! Very many different tokens, all of one length, really signed with RS256 and a key of 2048 bits.
//!
//! Signing one takes most of a millisecond, so they are signed once, on all processors, and kept below the target
//! directory (about 150 MB) together with the public key; the private one is forgotten. They are good for 30 days and
//! made anew when they are not good for another one.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use claimgate::issuer::SigningKey;
use claimgate::issuer::mint::mint;
use claimgate::keys::key::Algorithm;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{BoxError, report, world};

const DAY: u64 = 24 * 60 * 60;

/// Tokens, and the key that they are verified with.
#[derive(Debug)]
pub(crate) struct Corpus {
    head: Head,
    tokens: String,
}

/// The first line of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    jwk: Value,
    count: usize,
    /// Of each.
    bytes: usize,
    expires: u64,
    expired: String,
}

impl Corpus {
    /// `count` of them: those of an earlier run, or new ones.
    pub(crate) fn load(count: usize) -> Result<Self, BoxError> {
        let file = report::directory()?.join(format!("tokens-{count}"));
        match Self::read(&file) {
            Some(kept) if kept.is_good(count)? => Ok(kept),
            _ => {
                println!("signing {count} tokens, for this run and later ones: {}", file.display());
                let made = Self::sign(count)?;
                made.write(&file)?;
                Ok(made)
            }
        }
    }

    pub(crate) fn jwk(&self) -> &Value {
        &self.head.jwk
    }

    pub(crate) fn len(&self) -> usize {
        self.head.count
    }

    /// The one at `place`, from the start again beyond the last.
    pub(crate) fn token(&self, place: usize) -> &str {
        let from = (place % self.head.count) * (self.head.bytes + 1);
        self.tokens.get(from..from + self.head.bytes).unwrap_or_default()
    }

    /// Genuine, and good until yesterday.
    pub(crate) fn expired(&self) -> &str {
        &self.head.expired
    }

    fn sign(count: usize) -> Result<Self, BoxError> {
        let key = SigningKey::generate(Algorithm::Rs256)?;
        let now = world::now()?;
        let expires = now + 30 * DAY;
        let tokens = world::mint_all(&key, count, |number| world::claims(now, expires, number))?;
        let bytes = tokens.first().map_or(0, String::len);
        if tokens.iter().any(|token| token.len() != bytes) {
            return Err("tokens of one kind differ in length".into());
        }
        let expired = mint(&key, &world::claims(now - 2 * DAY, now - DAY, 0))?;
        let head = Head { jwk: key.public_jwk(), count, bytes, expires, expired };
        Ok(Self { head, tokens: tokens.join("\n") })
    }

    fn is_good(&self, count: usize) -> Result<bool, BoxError> {
        let Head { count: found, bytes, expires, .. } = &self.head;
        let is_whole = *found == count && self.tokens.len() + 1 == count * (bytes + 1);
        Ok(is_whole && *expires > world::now()? + DAY)
    }

    fn read(file: &Path) -> Option<Self> {
        let mut text = fs::read_to_string(file).ok()?;
        let (head, _) = text.split_once('\n')?;
        let (from, head) = (head.len() + 1, serde_json::from_str(head).ok()?);
        text.drain(..from);
        Some(Self { head, tokens: text })
    }

    fn write(&self, file: &Path) -> Result<(), BoxError> {
        let mut file = fs::File::create(file)?;
        writeln!(file, "{}", serde_json::to_string(&self.head)?)?;
        Ok(file.write_all(self.tokens.as_bytes())?)
    }
}
