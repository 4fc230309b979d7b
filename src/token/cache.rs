//! Remembers verified tokens, so that a token that comes again costs no signature. [`Verifier::verify_known`] reads and
//! fills it; nobody else can put anything in.
//!
//! What is remembered is never believed longer than it would be verified: a hit looks up the key again, as the snapshot
//! has it now, and judges the times again. So a withdrawn key, keys that are too old and an expiry take effect at once,
//! and a cache is made with its configuration and goes with it. Whole tokens are compared, never a part or a digest;
//! what is not verified never gets in, and HS256 tokens do not either.
//!
//! Its size is bounded in bytes. Tokens that come once do not push out those that come again: once it is full, only a
//! token that came before gets in ([`Door`]), and then the one that has to go is one that was least asked for (CLOCK-Pro
//! with a probation part, as `quick_cache` has it).

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};

use super::jws::RawToken;
use super::observe::{Observe, TokenStep, Unobserved};
use super::verifier::{Refused, VerifiedToken, Verifier};
use crate::keys::store::KeySnapshot;
use crate::util::clock::UnixTime;

/// A verified token together with `T`, which whoever asks derives from it once.
#[derive(Debug)]
pub struct KnownToken<T> {
    verified: VerifiedToken,
    /// Made from the token alone and the configuration that the cache belongs to.
    pub derived: T,
}

impl<T> Deref for KnownToken<T> {
    type Target = VerifiedToken;

    fn deref(&self) -> &VerifiedToken {
        &self.verified
    }
}

/// What is derived follows from the token.
impl<T> PartialEq for KnownToken<T> {
    fn eq(&self, other: &Self) -> bool {
        self.verified == other.verified
    }
}

impl<T> Eq for KnownToken<T> {}

/// Verified tokens by their whole text.
pub struct VerifiedTokenCache<T> {
    entries: Cache<Box<str>, Entry<T>, ByBytes, ByTail, Evictions>,
    door: Door,
    hits: AtomicU64,
    misses: AtomicU64,
    evictions: Evictions,
}

/// A token, and how much it holds: told here, since whoever looks for one to forget would have to look into each.
struct Entry<T> {
    bytes: u32,
    known: Arc<KnownToken<T>>,
}

impl<T> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes, known: Arc::clone(&self.known) }
    }
}

/// What a cache did so far, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Tokens that were known and still good.
    pub hits: u64,
    /// Tokens that had to be verified.
    pub misses: u64,
    /// Tokens that were forgotten for others' sake.
    pub evictions: u64,
    /// An estimate of the memory that the tokens hold.
    pub bytes: u64,
}

/// What an entry holds beyond its token, its claims and what is derived of them: the entry itself, its place in the
/// table, the heads of its allocations. tests/properties hold the sum against the heap.
const OVERHEAD: usize = 200;

/// What a token with its claims takes typically, to size the table for.
const TYPICAL: usize = 2048;

impl<T: Default> VerifiedTokenCache<T> {
    /// A cache of about `max_bytes`.
    pub fn new(max_bytes: usize) -> Self {
        let evictions = Evictions::default();
        let capacity = u64::try_from(max_bytes).unwrap_or(u64::MAX);
        let (hash, typical) = (ByTail::default(), max_bytes / TYPICAL);
        let door = Door::new(hash.clone(), typical);
        // Who gets in through the door has been here before, and needs no long probation; and the door is what remembers
        // who went.
        let options = OptionsBuilder::new()
            .estimated_items_capacity(typical)
            .weight_capacity(capacity)
            .hot_allocation(0.5)
            .ghost_allocation(0.0)
            .build();
        // Only those without a capacity are none.
        let entries = match options {
            Ok(options) => Cache::with_options(options, ByBytes, hash, evictions.clone()),
            Err(_) => Cache::with(typical, capacity, ByBytes, hash, evictions.clone()),
        };
        Self { entries, door, hits: AtomicU64::new(0), misses: AtomicU64::new(0), evictions }
    }

    /// Remembers a token that was verified; while there is room, else if it was seen before.
    fn remember(&self, token: RawToken<'_>, known: &Arc<KnownToken<T>>) {
        // Nothing was ever pushed out: there is room.
        let is_full = self.evictions.0.load(Ordering::Relaxed) > 0;
        if known.can_be_known() && (!is_full || self.door.was_here(token.text())) {
            self.entries.insert(token.text().into(), Entry::new(token, known));
        }
    }

    /// What it did so far.
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            evictions: self.evictions.0.load(Ordering::Relaxed),
            bytes: self.entries.weight(),
        }
    }
}

impl<T> fmt::Debug for VerifiedTokenCache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedTokenCache").field("tokens", &self.entries.len()).finish()
    }
}

impl Verifier {
    /// Verifies `token` as [`Self::verify`] does, with the help of what `cache` knows.
    ///
    /// # Errors
    /// Those of [`Self::verify`].
    pub fn verify_known<T: Default>(
        &self,
        cache: Option<&VerifiedTokenCache<T>>,
        token: RawToken<'_>,
        keys: &KeySnapshot,
        now: UnixTime,
    ) -> Result<Arc<KnownToken<T>>, Refused> {
        self.verify_known_observed(cache, token, keys, now, &mut Unobserved)
    }

    /// The same, watched by `observer`. For one who wants to see every step, each is taken, and nothing is remembered.
    ///
    /// # Errors
    /// The same.
    pub fn verify_known_observed<T: Default, O: Observe<TokenStep>>(
        &self,
        cache: Option<&VerifiedTokenCache<T>>,
        token: RawToken<'_>,
        keys: &KeySnapshot,
        now: UnixTime,
        observer: &mut O,
    ) -> Result<Arc<KnownToken<T>>, Refused> {
        let mut verify = || {
            let verified = self.verify_observed(token, keys, now, observer)?;
            Ok(Arc::new(KnownToken { verified, derived: T::default() }))
        };
        let Some(cache) = cache.filter(|_| !O::WHOLE) else { return verify() };
        let known = cache.entries.get(token.text()).map(|entry| entry.known);
        let was_known = known.is_some();
        if let Some(known) = known.filter(|known| self.still_verifies(known, keys, now)) {
            cache.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(known);
        }
        cache.misses.fetch_add(1, Ordering::Relaxed);
        let verified = verify().inspect_err(|_| {
            // What was good once and is no longer only takes room. Tokens that never were take no lock.
            if was_known {
                cache.entries.remove(token.text());
            }
        })?;
        cache.remember(token, &verified);
        Ok(verified)
    }
}

/// Hashes the last bytes of a token, which are its signature's: of two genuine tokens they differ as much as all of it,
/// and a forged one that ends alike is not found to be the same. So a long token is found as fast as a short one.
#[derive(Clone, Default)]
struct ByTail(DefaultHashBuilder);

struct Tail<H>(H);

impl BuildHasher for ByTail {
    type Hasher = Tail<<DefaultHashBuilder as BuildHasher>::Hasher>;

    fn build_hasher(&self) -> Self::Hasher {
        Tail(self.0.build_hasher())
    }
}

impl<H: Hasher> Hasher for Tail<H> {
    fn write(&mut self, bytes: &[u8]) {
        const ENOUGH: usize = 48;
        let tail = bytes.last_chunk::<ENOUGH>();
        self.0.write(tail.map_or(bytes, |tail| tail));
    }

    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

/// Knows again which tokens were here lately, more or less: of each a part of its hash, in the place of which the next
/// one of the same place is written. It may take one token for another, which costs memory and lets nobody in.
struct Door {
    hash: ByTail,
    /// A power of two.
    places: Box<[AtomicU32]>,
}

impl Door {
    fn new(hash: ByTail, most: usize) -> Self {
        let places = (0..most.max(1).next_power_of_two()).map(|_| AtomicU32::new(0));
        Self { hash, places: places.collect() }
    }

    /// Whether `token` was here, and from now on it was.
    fn was_here(&self, token: &str) -> bool {
        let hash = self.hash.hash_one(token);
        // Two parts that have nothing in common; zero is nobody's.
        let (place, mark) = (hash as usize & (self.places.len() - 1), (hash >> 32) as u32 | 1);
        let place = self.places.get(place);
        place.is_some_and(|place| place.swap(mark, Ordering::Relaxed) == mark)
    }
}

/// Counts bytes.
#[derive(Clone, Debug)]
struct ByBytes;

impl<T> Weighter<Box<str>, Entry<T>> for ByBytes {
    fn weight(&self, _token: &Box<str>, entry: &Entry<T>) -> u64 {
        u64::from(entry.bytes)
    }
}

impl<T> Entry<T> {
    fn new(token: RawToken<'_>, known: &Arc<KnownToken<T>>) -> Self {
        // What is derived comes later, and hardly says more than the claims do.
        let derived = known.claims().bytes();
        let bytes = OVERHEAD + token.bytes() + known.verified.bytes() + derived;
        Self { bytes: u32::try_from(bytes).unwrap_or(u32::MAX), known: Arc::clone(known) }
    }
}

/// Counts what is pushed out.
#[derive(Clone, Debug, Default)]
struct Evictions(Arc<AtomicU64>);

impl<T> Lifecycle<Box<str>, Entry<T>> for Evictions {
    /// Given back when the lock on the others is.
    type RequestState = Option<(Box<str>, Entry<T>)>;

    fn on_evict(&self, state: &mut Self::RequestState, token: Box<str>, entry: Entry<T>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        *state = Some((token, entry));
    }
}
