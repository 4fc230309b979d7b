//! What the tests of this layer share: a source that says what it is told to, and the contract as a test that every
//! source runs through ([`keeps_the_contract`]).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;

use super::entry::{RevocationEntry, Revoked};
use super::snapshot::{RevocationLookup, TokenFacts};
use super::source::{Epoch, Intake, Source, SourceError, SourceSettings, Update};
use super::sync::RevocationSync;
use super::{RevocationPolicy, RevocationSettings, RevocationStore};
use crate::telemetry::metrics::RevocationMetrics;
use crate::util::clock::{Clock, SystemClock, UnixTime};

pub(crate) const ISS: &str = "https://id.example";

/// A store that the contract is tested with: the writing side of a source.
pub(crate) trait StoreUnderTest {
    /// The source that reads it.
    fn source(&self) -> SourceSettings;
    /// Writes an entry.
    async fn put(&mut self, entry: &RevocationEntry);
    /// Takes one away again; `false`: there is no such thing.
    async fn take_away(&mut self, entry: &RevocationEntry) -> bool;
    /// Makes it unusable in one of the ways that such a store can be, the `nth`; `false`: there are not so many.
    async fn break_it(&mut self, nth: usize) -> bool;
    /// Makes it usable again, with what it held before.
    async fn repair(&mut self);
}

/// Holds a store with nothing in it yet against the contract of `source`. By the system's clock, in bounded waits.
pub(crate) async fn keeps_the_contract(mut under_test: impl StoreUnderTest) {
    let mut sync = sync_of(Some(under_test.source()));
    let store = sync.store();
    assert_eq!(look_up(&store, "one"), RevocationLookup::Unknown, "nothing is known before a load");

    under_test.put(&token("one")).await;
    until(&mut sync, || look_up(&store, "one") == revoked()).await;
    assert_eq!(look_up(&store, "two"), RevocationLookup::NotRevoked);

    under_test.put(&token("two")).await;
    until(&mut sync, || look_up(&store, "two") == revoked()).await;
    assert_eq!(look_up(&store, "one"), revoked(), "a change takes nothing away");
    for literal in ["*", "t*", "TWO", "two ", "two\0", ""] {
        assert_eq!(look_up(&store, literal), RevocationLookup::NotRevoked, "{literal:?}");
    }

    let mut ways = 0;
    while under_test.break_it(ways).await {
        // A source may be slow to notice, and need not fail twice.
        for _ in 0..100 {
            if sync_failures(&sync) > 0 {
                break;
            }
            step(&mut sync).await;
        }
        assert!(sync_failures(&sync) > 0, "way {ways} of breaking it is noticed");
        assert_eq!(look_up(&store, "one"), revoked(), "the last snapshot stays: way {ways}");
        assert_eq!(look_up(&store, "two"), revoked(), "the last snapshot stays: way {ways}");
        under_test.repair().await;
        under_test.put(&token(&format!("after {ways}"))).await;
        let newest = format!("after {ways}");
        until(&mut sync, || look_up(&store, &newest) == revoked()).await;
        assert_eq!(look_up(&store, "one"), revoked());
        ways += 1;
    }
    assert!(ways > 0, "every store can break");

    if under_test.take_away(&token("two")).await {
        until(&mut sync, || look_up(&store, "two") == RevocationLookup::NotRevoked).await;
        assert_eq!(look_up(&store, "one"), revoked(), "what goes takes nothing else with it");
    }

    // Whatever an issuer likes to call things arrives as it was written.
    for odd in ["a b", "ä\u{1F600}", "\"\\\n\r\0\u{2028}", "{\"v\":1}", "a:b|c", &"x".repeat(1024)]
    {
        under_test.put(&token(odd)).await;
        until(&mut sync, || look_up(&store, odd) == revoked()).await;
    }
}

fn sync_failures(sync: &RevocationSync) -> u32 {
    sync.board().read().failures
}

/// Goes on, a minute at the most, until something is the case.
pub(crate) async fn until(sync: &mut RevocationSync, mut is_so: impl FnMut() -> bool) {
    let board = Arc::clone(sync.board());
    let goes_on = async {
        while !is_so() {
            sync.step().await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(60), goes_on).await;
    assert!(ended.is_ok(), "not within a minute: {:?}", board.read());
}

async fn step(sync: &mut RevocationSync) {
    let ended = tokio::time::timeout(Duration::from_secs(60), sync.step()).await;
    assert!(ended.is_ok(), "a source bounds its waits");
}

/// A sync of this source by the system's clock.
pub(crate) fn sync_of(source: Option<SourceSettings>) -> RevocationSync {
    let settings = settings(source);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let built = RevocationSync::build(&settings, RevocationMetrics::default(), &clock, None);
    built.sync.expect("a source").retrying_soon()
}

pub(crate) fn settings(source: Option<SourceSettings>) -> RevocationSettings {
    RevocationSettings {
        fixed: Vec::new(),
        source,
        max_entries: 1000,
        policy: RevocationPolicy::default(),
    }
}

pub(crate) fn token(jti: &str) -> RevocationEntry {
    let expires_at = SystemClock.now().saturating_add(Duration::from_secs(3600));
    RevocationEntry::new(ISS, Revoked::Token { jti: jti.into() }, expires_at).expect("an entry")
}

fn look_up(store: &RevocationStore, jti: &str) -> RevocationLookup {
    store.load().look_up(&facts(jti), SystemClock.now())
}

pub(crate) fn facts(jti: &str) -> TokenFacts<'_> {
    TokenFacts { iss: ISS, jti: Some(jti), sub: Some("alice"), sid: None, kid: None, iat: None }
}

pub(crate) fn revoked() -> RevocationLookup {
    RevocationLookup::Revoked(super::EntryKind::Token)
}

/// A source that says what a test tells it to, and nothing until then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scripted(Arc<Lines>);

#[derive(Debug, Default)]
struct Lines {
    lines: Mutex<VecDeque<Line>>,
    added: Notify,
}

/// What a [`Scripted`] source says.
#[derive(Clone, Debug)]
pub(crate) enum Line {
    Load(&'static str, Vec<RevocationEntry>),
    Add(Vec<RevocationEntry>),
    Unchanged,
    Error(SourceError),
}

impl Scripted {
    pub(crate) fn say(&self, line: Line) {
        self.0.lines.lock().expect("no panic").push_back(line);
        self.0.added.notify_one();
    }

    pub(super) async fn next(&mut self, intake: &Intake) -> Result<Update, SourceError> {
        let line = loop {
            let line = self.0.lines.lock().expect("no panic").pop_front();
            match line {
                Some(line) => break line,
                None => self.0.added.notified().await,
            }
        };
        match line {
            Line::Load(epoch, entries) => {
                let mut load = intake.load();
                entries.iter().try_for_each(|entry| load.add(entry))?;
                Ok(Update::Load(Epoch::new(epoch).expect("an epoch"), load))
            }
            Line::Add(entries) => {
                let mut changes = intake.changes();
                entries.iter().for_each(|entry| changes.add(entry));
                Ok(Update::Changes(changes))
            }
            Line::Unchanged => Ok(Update::Unchanged),
            Line::Error(error) => Err(error),
        }
    }
}

/// A sync of a scripted source, and by which clock.
pub(super) fn scripted(
    now: UnixTime,
) -> (RevocationSync, Scripted, Arc<crate::util::clock::ManualClock>) {
    let script = Scripted::default();
    let clock = Arc::new(crate::util::clock::ManualClock::new(now));
    let any = SourceSettings::File(super::file::FileSettings { path: "script".into() });
    let settings = settings(Some(any));
    let as_clock: Arc<dyn Clock> = Arc::<crate::util::clock::ManualClock>::clone(&clock);
    let built = RevocationSync::build(&settings, RevocationMetrics::default(), &as_clock, None);
    let mut sync = built.sync.expect("a source");
    sync.replace_source(Source::Scripted(script.clone()));
    (sync, script, clock)
}
