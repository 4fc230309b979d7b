//! Reading keys ahead of schedule: because a plausible token names a key ID that nobody has published yet, or
//! because an operator asks. This is where claimgate does what a verifier that never sees tokens cannot.
//!
//! [`KeyDemand`] is between those who ask (the adapters, the admin port, SIGHUP) and the refreshers that
//! read, one [`Reader`] each. It makes one read out of a thousand askers, holds every source to its
//! [`limiter`], and remembers which key IDs were looked for in vain. It reads nothing itself. Whether a token is
//! plausible (parsed, our issuer and algorithm, not expired) is decided by `token::verifier` before.
//!
//! The locks here are held for a look at a map, never over a wait, and only tokens whose key is missing come here.

pub mod limiter;
pub mod unknown_kids;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use self::limiter::{Asker, Limiter};
use self::unknown_kids::UnknownKids;
use super::store::{KeyStore, SourceId};
use crate::util::clock::UnixTime;
use crate::util::label::Label;

/// Takes what is asked for to the refreshers of all sources.
#[derive(Debug)]
pub struct KeyDemand {
    issuers: Vec<Arc<IssuerDemand>>,
}

/// A source that can be read again; those that are part of the configuration cannot.
#[derive(Clone, Debug)]
pub struct DemandSettings {
    /// Which.
    pub id: SourceId,
    /// The longest that a request waits for it.
    pub wait: Duration,
}

/// What came of asking for a key ID.
#[derive(Debug)]
pub enum KidDemand {
    /// It was looked for within the last minute and is not there.
    KnownUnknown,
    /// Too soon after the last reads, or nothing that could be read.
    Limited,
    /// A read is under way.
    UnderWay(Wait),
}

/// What came of an operator's asking for one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Which source.
    pub id: SourceId,
    /// When the limiter will let it be read; `None` when it is being read now.
    pub limited_until: Option<UnixTime>,
}

impl KeyDemand {
    /// Nothing has been asked for yet. `sources` are those that can be read, for `issuers` issuers.
    pub fn new(issuers: usize, sources: &[DemandSettings], store: &Arc<KeyStore>) -> Self {
        let issuer = |index: usize| {
            let own = sources.iter().filter(|source| source.id.issuer.index() == index);
            let wait = own.clone().map(|source| source.wait).max().unwrap_or_default();
            Arc::new(IssuerDemand {
                sources: own.map(|source| Arc::new(SourceDemand::new(&source.id))).collect(),
                unknown: Mutex::default(),
                reads: watch::Sender::new(()),
                store: Arc::clone(store),
                wait,
            })
        };
        Self { issuers: (0..issuers).map(issuer).collect() }
    }

    /// The refresher's end of one source; `None` for a source that cannot be read.
    pub fn reader(&self, id: &SourceId) -> Option<Reader> {
        let issuer = self.issuers.get(id.issuer.index())?;
        let source = issuer.sources.iter().find(|source| source.id == *id)?;
        Some(Reader { issuer: Arc::clone(issuer), source: Arc::clone(source) })
    }

    /// Asks every source of `issuer` for the key named `kid`, which none has published so far.
    pub fn ask_for_kid(&self, issuer: &Label, kid: &str, now: UnixTime) -> KidDemand {
        let Some(issuer) = self.issuers.get(issuer.index()) else { return KidDemand::Limited };
        if lock(&issuer.unknown).contains(kid, now) {
            return KidDemand::KnownUnknown;
        }
        // Before the reads are looked at: one that ends from here on is noticed.
        let reads = issuer.reads.subscribe();
        let awaited = issuer.sources.iter().filter_map(|source| {
            let read = source.ask(Some(kid), now).ok()?;
            Some((Arc::clone(source), read))
        });
        let awaited: Vec<_> = awaited.collect();
        if awaited.is_empty() {
            return KidDemand::Limited;
        }
        let issuer = Arc::clone(issuer);
        KidDemand::UnderWay(Wait { kid: kid.into(), asked_at: now, issuer, reads, awaited })
    }

    /// Asks every source of every issuer, on behalf of an operator.
    pub fn ask_for_all(&self, now: UnixTime) -> Vec<Asked> {
        let sources = self.issuers.iter().flat_map(|issuer| &issuer.sources);
        let asked = sources.map(|source| {
            let limited_until = source.ask(None, now).err();
            Asked { id: source.id.clone(), limited_until }
        });
        asked.collect()
    }
}

/// Waits for the reads that a key ID was asked of.
pub struct Wait {
    kid: Box<str>,
    asked_at: UnixTime,
    issuer: Arc<IssuerDemand>,
    reads: watch::Receiver<()>,
    /// Which read of which source is waited for.
    awaited: Vec<(Arc<SourceDemand>, u64)>,
}

impl Wait {
    /// The longest that a request of this issuer waits.
    pub fn longest(&self) -> Duration {
        self.issuer.wait
    }

    /// Resolves when the key ID is there, or when every read has ended without it. Cancel safe.
    pub async fn done(&mut self) {
        loop {
            let all_ended = self.awaited.iter().all(|(source, read)| source.has_ended(*read));
            if all_ended || self.is_there() {
                return;
            }
            // The sender lives in `issuer`: it is never gone.
            if self.reads.changed().await.is_err() {
                return;
            }
        }
    }

    fn is_there(&self) -> bool {
        let keys = self.issuer.store.load();
        let label = self.awaited.first().map(|(source, _)| &source.id.issuer);
        label.is_some_and(|issuer| keys.publishes(issuer, &self.kid, self.asked_at))
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("reads", &self.awaited.len()).finish_non_exhaustive()
    }
}

/// A refresher's end: hears that its source is asked for, and says when it reads.
#[derive(Debug)]
pub struct Reader {
    issuer: Arc<IssuerDemand>,
    source: Arc<SourceDemand>,
}

/// How a read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadEnd {
    /// The source was read, and its keys are other ones now.
    Changed,
    /// The source was read, and its keys are the same.
    Unchanged,
    /// The source could not be read; if the provider said until when, not before then.
    Failed {
        /// From `Retry-After`.
        leave_alone_until: Option<UnixTime>,
    },
}

impl Reader {
    /// Resolves when somebody has asked for this source and no read has begun since. Cancel safe.
    pub async fn asked(&self) {
        while lock(&self.source.state).phase != Phase::Asked {
            self.source.wake.notified().await;
        }
    }

    /// Goes on where the refresher's end of the same source under the configuration before ended: held to the same
    /// limiter, and with what was asked for and not read yet.
    pub fn adopt(&self, before: &Self) {
        let mut old = lock(&before.source.state);
        let mut new = lock(&self.source.state);
        new.limiter = old.limiter.clone();
        new.waiting = std::mem::take(&mut old.waiting);
        if matches!(old.phase, Phase::Asked | Phase::Reading { was_asked_for: true }) {
            new.phase = Phase::Asked;
            self.source.wake.notify_one();
        }
    }

    /// A read begins.
    pub fn begins(&self) {
        let mut state = lock(&self.source.state);
        state.phase = Phase::Reading { was_asked_for: state.phase == Phase::Asked };
    }

    /// The read that began has ended, and what it brought is published.
    pub fn ended(&self, end: ReadEnd, now: UnixTime) {
        let kids = self.source.ended(end, now);
        let mut unknown = lock(&self.issuer.unknown);
        if end == ReadEnd::Changed {
            unknown.clear();
        }
        // A read that failed says nothing of what is published.
        if matches!(end, ReadEnd::Changed | ReadEnd::Unchanged) {
            let keys = self.issuer.store.load();
            for kid in kids {
                if !keys.publishes(&self.source.id.issuer, &kid, now) {
                    unknown.insert(kid, now);
                }
            }
        }
        drop(unknown);
        self.issuer.reads.send_replace(());
    }
}

#[derive(Debug)]
struct IssuerDemand {
    sources: Vec<Arc<SourceDemand>>,
    unknown: Mutex<UnknownKids>,
    /// Changes whenever a read of one of the sources has ended.
    reads: watch::Sender<()>,
    store: Arc<KeyStore>,
    wait: Duration,
}

#[derive(Debug)]
struct SourceDemand {
    id: SourceId,
    wake: Notify,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    limiter: Limiter,
    phase: Phase,
    /// Reads that have ended.
    ended: u64,
    /// The key IDs that were asked for before the read under way began: at most [`unknown_kids::CAPACITY`].
    waiting: Vec<Box<str>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Idle,
    /// The refresher has been woken.
    Asked,
    /// The refresher is reading.
    Reading { was_asked_for: bool },
}

impl SourceDemand {
    fn new(id: &SourceId) -> Self {
        Self { id: id.clone(), wake: Notify::new(), state: Mutex::default() }
    }

    /// Joins the read under way or begins one. Returns its number.
    fn ask(&self, kid: Option<&str>, now: UnixTime) -> Result<u64, UnixTime> {
        let mut state = lock(&self.state);
        if state.phase == Phase::Idle {
            let asker = if kid.is_some() { Asker::Token } else { Asker::Operator };
            state.limiter.try_begin(asker, now)?;
            state.phase = Phase::Asked;
            self.wake.notify_one();
        }
        // A read that has begun may have seen its source before the key was published: it cannot tell of a key ID
        // that was asked for since then that nobody has it.
        if let Some(kid) = kid
            && state.phase == Phase::Asked
            && state.waiting.len() < unknown_kids::CAPACITY
            && !state.waiting.iter().any(|known| **known == *kid)
        {
            state.waiting.push(kid.into());
        }
        Ok(state.ended + 1)
    }

    /// Draws the conclusions for the limiter, and returns the key IDs that were waited for.
    fn ended(&self, end: ReadEnd, now: UnixTime) -> Vec<Box<str>> {
        let mut state = lock(&self.state);
        let was_asked_for = state.phase == Phase::Reading { was_asked_for: true };
        state.phase = Phase::Idle;
        state.ended += 1;
        let kids = std::mem::take(&mut state.waiting);
        match end {
            ReadEnd::Changed => state.limiter.keys_changed(),
            // An operator may ask for what has not changed as often as the limiter lets through.
            ReadEnd::Unchanged | ReadEnd::Failed { .. } if was_asked_for && !kids.is_empty() => {
                state.limiter.was_fruitless();
            }
            ReadEnd::Unchanged | ReadEnd::Failed { .. } => {}
        }
        if let ReadEnd::Failed { leave_alone_until: Some(until) } = end {
            state.limiter.leave_alone(now, until);
        }
        kids
    }

    fn has_ended(&self, read: u64) -> bool {
        lock(&self.state).ended >= read
    }
}

/// A panic while a lock was held leaves at worst a read that is not remembered.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
