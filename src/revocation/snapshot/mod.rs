//! What is revoked, as one request sees it: an immutable [`RevocationSnapshot`]. Pure: no I/O, no lock, no clock; a
//! lookup costs the same whether there are ten entries or a million.
//!
//! [`super::store`] holds the one in force, [`super::sync`] makes the next one of it.

use std::time::Duration;

use super::digest::{Digester, IssuerDigest};
use super::entry::{EntryKind, MAX_TEXT_BYTES, RevocationEntry};
use super::table::{Slot, Table};
use crate::util::clock::UnixTime;

/// How long an entry is kept after it has expired: the largest clock skew that an issuer can be given. An entry that
/// ends with its token's `exp` still holds as long as anybody accepts that token.
pub const LEEWAY: Duration = Duration::from_secs(600);

/// Everything that is revoked, at one moment.
#[derive(Clone, Debug)]
pub struct RevocationSnapshot {
    digester: Digester,
    /// What the configuration says itself, in force from the beginning.
    fixed: Table,
    /// What the source said; `None`: nothing yet, which is not the same as that nothing is revoked.
    synced: Option<Table>,
}

/// What of a verified token decides whether it is revoked. Not its text, which has many spellings.
#[derive(Clone, Copy, Debug)]
pub struct TokenFacts<'a> {
    /// `iss`.
    pub iss: &'a str,
    /// `jti`.
    pub jti: Option<&'a str>,
    /// `sub`.
    pub sub: Option<&'a str>,
    /// `sid`.
    pub sid: Option<&'a str>,
    /// The ID of the key that it was verified with, also where its header names none: whoever stole a key would leave
    /// it out.
    pub kid: Option<&'a str>,
    /// `iat`.
    pub iat: Option<UnixTime>,
}

impl TokenFacts<'_> {
    /// Which token, subject, session or key it is.
    fn id(&self, kind: EntryKind) -> Option<&str> {
        match kind {
            EntryKind::Token => self.jti,
            EntryKind::Subject => self.sub,
            EntryKind::Session => self.sid,
            EntryKind::Key => self.kid,
            EntryKind::Issuer => None,
        }
    }

    /// Whether an entry can name this token and whose it is: there is a `jti`, not empty, and no text is longer than an
    /// entry can hold.
    pub fn can_be_revoked(&self) -> bool {
        let fits = |text: &str| text.len() <= MAX_TEXT_BYTES;
        self.jti.is_some_and(|jti| !jti.is_empty())
            && fits(self.iss)
            && [self.jti, self.sub, self.sid, self.kid].into_iter().flatten().all(fits)
    }
}

/// The outcome of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationLookup {
    /// Nothing that is known revokes it, and everything has been loaded.
    NotRevoked,
    /// It is revoked, by an entry of this kind.
    Revoked(EntryKind),
    /// Nothing that is known revokes it, but nothing has been loaded yet.
    Unknown,
}

/// The order of lookups: the kinds of which there are few come first.
const ORDER: [EntryKind; 5] =
    [EntryKind::Issuer, EntryKind::Key, EntryKind::Subject, EntryKind::Session, EntryKind::Token];

impl RevocationSnapshot {
    /// One in which only what the configuration says is known.
    pub(super) fn unknown() -> Self {
        Self { digester: Digester::new(), fixed: Table::default(), synced: None }
    }

    /// Looks whether a token is revoked at `now`.
    pub fn look_up(&self, facts: &TokenFacts<'_>, now: UnixTime) -> RevocationLookup {
        let tables = [self.synced.as_ref(), Some(&self.fixed)];
        let tables = || tables.into_iter().flatten();
        // Once for all kinds, and not at all where there is no entry.
        let mut issuer: Option<IssuerDigest> = None;
        let digests = ORDER.map(|kind| {
            let id = facts.id(kind);
            if id.is_none() && kind.member().is_some() || !tables().any(|table| table.has(kind)) {
                return None;
            }
            let issuer = *issuer.get_or_insert_with(|| self.digester.issuer(facts.iss));
            Some(Digester::of(issuer, kind, id))
        });
        // Most tokens are in no list. So all of them are asked for before anything depends on one: what comes from
        // memory comes side by side, and a processor has one thing to guess, which is nearly always the same.
        let asked = digests
            .iter()
            .flatten()
            .flat_map(|digest| tables().map(move |table| table.may_hold(*digest)));
        if asked.fold(false, |any, may_hold| any | may_hold) {
            for (kind, digest) in ORDER.into_iter().zip(digests) {
                let Some(digest) = digest else { continue };
                let mut found = tables().filter_map(|table| table.find(digest));
                if found.any(|slot| holds(slot, kind, facts.iat, now)) {
                    return RevocationLookup::Revoked(kind);
                }
            }
        }
        match self.synced {
            Some(_) => RevocationLookup::NotRevoked,
            None => RevocationLookup::Unknown,
        }
    }

    /// Whether the source has been loaded, ever.
    pub fn is_loaded(&self) -> bool {
        self.synced.is_some()
    }

    /// How many entries of a kind there are, expired ones that are not forgotten yet among them.
    pub fn count(&self, kind: EntryKind) -> usize {
        self.synced.as_ref().map_or(0, |table| table.count(kind)) + self.fixed.count(kind)
    }

    /// The same of every kind, in the order of [`EntryKind::ALL`].
    pub fn counts(&self) -> [usize; EntryKind::ALL.len()] {
        EntryKind::ALL.map(|kind| self.count(kind))
    }

    /// How many entries there are in all.
    pub fn len(&self) -> usize {
        self.counts().into_iter().sum()
    }

    /// Whether nothing is revoked, as far as is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn digester(&self) -> &Digester {
        &self.digester
    }

    pub(super) fn synced(&self) -> Option<&Table> {
        self.synced.as_ref()
    }

    /// The same with `fixed` as what the configuration says.
    pub(super) fn with_fixed(&self, fixed: &[RevocationEntry]) -> Self {
        let mut table = Table::default();
        fixed.iter().for_each(|entry| table.insert(slot_of(&self.digester, entry)));
        Self { fixed: table, ..self.clone() }
    }

    /// The same with `synced` as what the source said.
    pub(super) fn with_synced(&self, synced: Table) -> Self {
        Self { synced: Some(synced), ..self.clone() }
    }
}

pub(super) fn slot_of(digester: &Digester, entry: &RevocationEntry) -> Slot {
    let id = entry.revoked().id();
    Slot::new(Digester::of(digester.issuer(entry.iss()), entry.kind(), id), entry)
}

/// Whether an entry that is found for a token revokes it.
fn holds(slot: Slot, kind: EntryKind, iat: Option<UnixTime>, now: UnixTime) -> bool {
    // A token that does not say when it was issued may have been issued any time before.
    let is_meant = !kind.has_not_before() || iat.is_none_or(|iat| iat < slot.not_before());
    is_meant && now < slot.expires_at().saturating_add(LEEWAY)
}

#[cfg(test)]
mod tests;
