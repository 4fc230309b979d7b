//! Refresh tokens in memory: for one instance, and gone with it. Bounded: what does not fit is not begun, and nothing is
//! forgotten for others' sake before it expires, since a forgotten used token is a theft that nobody notices.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Family, Found, Rotation, TokenHash};
use crate::issuer::reference::settings::RefreshSettings;
use crate::util::clock::UnixTime;

/// The store.
#[derive(Debug)]
pub struct MemoryStore {
    settings: RefreshSettings,
    // Held for the time of a few look-ups, and never across an await.
    content: Mutex<Content>,
}

#[derive(Debug, Default)]
struct Content {
    families: HashMap<String, Kept>,
    tokens: HashMap<TokenHash, Token>,
    /// When which token expires.
    expiries: BTreeSet<(UnixTime, TokenHash)>,
    /// By client.
    counts: HashMap<String, Count>,
}

/// What a client has.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    families: usize,
    tokens: usize,
}

#[derive(Debug)]
struct Kept {
    family: Family,
    ends_at: UnixTime,
    current: TokenHash,
    /// Every token of it that has not expired.
    tokens: Vec<TokenHash>,
}

#[derive(Debug)]
struct Token {
    family: String,
    expires_at: UnixTime,
}

impl MemoryStore {
    pub(super) fn new(settings: RefreshSettings) -> Self {
        Self { settings, content: Mutex::default() }
    }

    pub(super) fn begin(&self, family: Family, token: TokenHash, now: UnixTime) -> bool {
        let mut content = self.content(now);
        let of_client = content.count(&family.client);
        if !self.has_room(&content, of_client) || of_client.families >= self.settings.per_client {
            return false;
        }
        let ends_at = now.saturating_add(self.settings.lifetime);
        let expires_at = now.saturating_add(self.settings.idle).min(ends_at);
        let id = family.id.clone();
        content.counts.entry(family.client.clone()).or_default().families += 1;
        let kept = Kept { family, ends_at, current: token, tokens: Vec::new() };
        content.families.insert(id.clone(), kept);
        content.add(id, token, expires_at);
        true
    }

    pub(super) fn find(&self, token: TokenHash, now: UnixTime) -> Found {
        let content = self.content(now);
        match content.kept(token) {
            Some(kept) if kept.current == token => Found::Current(kept.family.clone()),
            Some(kept) => Found::Used(kept.family.clone()),
            None => Found::Unknown,
        }
    }

    pub(super) fn rotate(&self, token: TokenHash, next: TokenHash, now: UnixTime) -> Rotation {
        let mut content = self.content(now);
        let Some(kept) = content.kept(token) else { return Rotation::Gone };
        if kept.current != token {
            return Rotation::Reused;
        }
        if !self.has_room(&content, content.count(&kept.family.client)) {
            return Rotation::Full;
        }
        let (id, ends_at) = (kept.family.id.clone(), kept.ends_at);
        let expires_at = now.saturating_add(self.settings.idle).min(ends_at);
        if let Some(kept) = content.families.get_mut(&id) {
            kept.current = next;
        }
        content.add(id, next, expires_at);
        Rotation::Done
    }

    /// One client alone, that refreshes as fast as it may, leaves an eighth to the others.
    fn has_room(&self, content: &Content, of_client: Count) -> bool {
        let most = self.settings.most;
        content.tokens.len() < most && of_client.tokens < most - most / 8
    }

    pub(super) fn end(&self, family: &str) {
        self.lock().end(family);
    }

    pub(super) fn end_all_of(&self, client: &str) -> Vec<String> {
        let mut content = self.lock();
        let of_client = content.families.values().filter(|kept| kept.family.client == client);
        let ids: Vec<String> = of_client.map(|kept| kept.family.id.clone()).collect();
        for id in &ids {
            content.end(id);
        }
        ids
    }

    pub(super) fn families(&self) -> usize {
        self.lock().families.len()
    }

    /// Without what has expired.
    fn content(&self, now: UnixTime) -> MutexGuard<'_, Content> {
        let mut content = self.lock();
        content.forget_expired(now);
        content
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        // No code panics while it holds the lock.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn kept(&self, token: TokenHash) -> Option<&Kept> {
        self.families.get(&self.tokens.get(&token)?.family)
    }

    fn count(&self, client: &str) -> Count {
        self.counts.get(client).copied().unwrap_or_default()
    }

    fn add(&mut self, family: String, token: TokenHash, expires_at: UnixTime) {
        if let Some(kept) = self.families.get_mut(&family) {
            kept.tokens.push(token);
            self.counts.entry(kept.family.client.clone()).or_default().tokens += 1;
        }
        self.expiries.insert((expires_at, token));
        self.tokens.insert(token, Token { family, expires_at });
    }

    fn end(&mut self, id: &str) {
        let Some(kept) = self.families.remove(id) else { return };
        let tokens = kept.tokens.len();
        for token in kept.tokens {
            if let Some(known) = self.tokens.remove(&token) {
                self.expiries.remove(&(known.expires_at, token));
            }
        }
        if let Some(count) = self.counts.get_mut(&kept.family.client) {
            count.families = count.families.saturating_sub(1);
            count.tokens = count.tokens.saturating_sub(tokens);
            if count.families == 0 {
                self.counts.remove(&kept.family.client);
            }
        }
    }

    fn forget_expired(&mut self, now: UnixTime) {
        while let Some((expires_at, token)) = self.expiries.first().copied() {
            if expires_at > now {
                return;
            }
            self.expiries.pop_first();
            let Some(Token { family, .. }) = self.tokens.remove(&token) else { continue };
            let Some(kept) = self.families.get_mut(&family) else { continue };
            kept.tokens.retain(|known| *known != token);
            if let Some(count) = self.counts.get_mut(&kept.family.client) {
                count.tokens = count.tokens.saturating_sub(1);
            }
            // With its last token nothing can follow.
            if kept.current == token {
                self.end(&family);
            }
        }
    }
}
