//! Keeps a configuration in force while the service runs: the refreshers of its keys, and the next version of its file.
//!
//! [`Reloader::run`] is one task. It keeps the refreshers of the generation in force running, follows the
//! configuration's file, and swaps a whole new generation in when that is right; one with mistakes changes nothing and
//! is told of. Sources that stay the same keep their keys.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::{task, time};
use tokio_util::sync::CancellationToken;

use super::generation::{self, Workers};
use super::tasks::{TaskEnded, Tasks};
use crate::config::{Config, ConfigErrors, Listen};
use crate::keys::status::StatusBoard;
use crate::keys::store::SourceId;
use crate::server::generation::{Current, ReloadState};
use crate::telemetry::metrics::ReloadResult;
use crate::telemetry::traces::settings::TraceSettings;
use crate::util::clock::Clock;
use crate::util::watch::Watch;

/// How often the file is looked at although nothing was told of it: some file systems tell nothing.
const LOOK: Duration = Duration::from_secs(5);

/// Refreshers hold nothing that must be finished.
const RETIREMENT: Duration = Duration::from_secs(1);

/// Keeps a configuration in force.
#[derive(Debug)]
pub(super) struct Reloader {
    pub(super) current: Current,
    pub(super) workers: Workers,
    /// `None` where there is no file to follow.
    pub(super) file: Option<Followed>,
    /// What is listened on, whatever the configuration says later.
    pub(super) listen: Listen,
    pub(super) state: watch::Sender<ReloadState>,
    /// Where spans go, for whoever exports them.
    pub(super) traces: watch::Sender<Option<Arc<TraceSettings>>>,
    pub(super) clock: Arc<dyn Clock>,
}

/// The configuration's file.
#[derive(Debug)]
pub(super) struct Followed {
    path: PathBuf,
    watch: Watch,
    /// Somebody asks to read it now.
    asked: Arc<Notify>,
    /// What the last one that was read says of itself.
    fingerprint: Option<u64>,
    /// Reading it did, the last time.
    has_panicked: bool,
}

impl Followed {
    pub(super) fn new(path: PathBuf, asked: Arc<Notify>, fingerprint: Option<u64>) -> Self {
        Self { watch: Watch::new(path.clone()), path, asked, fingerprint, has_panicked: false }
    }

    /// Waits for the next version: what was read, whatever it is. The same text again is none, whoever asks.
    async fn next(&mut self) -> Result<Config, ConfigErrors> {
        loop {
            tokio::select! {
                () = self.watch.changed() => {}
                () = time::sleep(LOOK) => {}
                () = self.asked.notified() => {}
            }
            let (path, known) = (self.path.clone(), self.fingerprint);
            let read = task::spawn_blocking(move || Config::read_other(&path, known)).await;
            match read {
                Ok(Some((fingerprint, config))) => {
                    self.fingerprint = fingerprint;
                    return config;
                }
                // It is the same.
                Ok(None) => self.has_panicked = false,
                // Said once: the next look finds what this one did.
                Err(error) if error.is_panic() && !self.has_panicked => {
                    self.has_panicked = true;
                    let place = self.path.display().to_string();
                    return Err(ConfigErrors::one(
                        place,
                        "reading it panicked: this is a bug in claimgate",
                    ));
                }
                // The runtime is ending.
                Err(_) => {}
            }
        }
    }
}

/// Why the refreshers in force are to stop.
enum Event {
    Ended(TaskEnded),
    Next(Box<Config>),
    Stop,
}

impl Reloader {
    /// Runs until `stop`.
    ///
    /// # Errors
    /// A refresher that ended by itself.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<(), TaskEnded> {
        loop {
            let (until, mut tasks) = (CancellationToken::new(), Tasks::default());
            let (retire, mut retired) = mpsc::unbounded_channel();
            let (hand_over, mut handed_over) = mpsc::unbounded_channel();
            let Workers { refreshers, revocation } = std::mem::take(&mut self.workers);
            for refresher in refreshers {
                let id = refresher.id();
                let name = format!("keys of {}, source {}", id.issuer, id.source);
                let (until, retire) = (until.clone(), retire.clone());
                tasks.spawn(name, async move {
                    let refresher = Box::pin(refresher.run(until)).await;
                    // Nobody takes it over when the process ends.
                    let _ended = retire.send(refresher).is_err();
                    Ok::<(), std::convert::Infallible>(())
                });
            }
            if let Some(sync) = revocation {
                let (until, hand_over) = (until.clone(), hand_over.clone());
                tasks.spawn("revocations", async move {
                    let sync = Box::pin(sync.run(until)).await;
                    let _ended = hand_over.send(sync).is_err();
                    Ok::<(), std::convert::Infallible>(())
                });
            }
            drop((retire, hand_over));
            let event = self.next_event(&mut tasks, &stop).await;
            until.cancel();
            if let Err(late) = tasks.finish(RETIREMENT).await {
                tracing::warn!(error = %late, "a key source did not stop in time");
            }
            match event {
                Event::Stop => return Ok(()),
                Event::Ended(ended) => return Err(ended),
                Event::Next(config) => {
                    let mut before = Workers::default();
                    while let Some(refresher) = retired.recv().await {
                        before.refreshers.push(refresher);
                    }
                    before.revocation = handed_over.recv().await;
                    self.put_in_force(*config, before).await;
                }
            }
        }
    }

    /// Waits for a reason to stop the refreshers. A configuration with mistakes is none.
    async fn next_event(&mut self, tasks: &mut Tasks, stop: &CancellationToken) -> Event {
        loop {
            let next = async {
                match &mut self.file {
                    Some(file) => file.next().await,
                    None => std::future::pending().await,
                }
            };
            let read = tokio::select! {
                () = stop.cancelled() => return Event::Stop,
                ended = tasks.first_to_end() => return Event::Ended(ended),
                read = next => read,
            };
            match read {
                Ok(config) => return Event::Next(Box::new(config)),
                Err(errors) => self.refuse(&errors),
            }
        }
    }

    fn refuse(&self, errors: &ConfigErrors) {
        let (now, text) = (self.clock.now(), errors.to_string());
        tracing::error!(mistakes = %text, "the new configuration is refused, the one before stays in force");
        self.current.load().metrics.reloaded(ReloadResult::Invalid);
        self.state.send_modify(|state| state.refused = Some((now, text)));
    }

    async fn put_in_force(&mut self, config: Config, before: Workers) {
        let number = self.state.borrow().generation + 1;
        let needs_restart = self.listen.differing(&config.listen);
        let old = self.current.load_full();
        let metrics = old.metrics.renamed(generation::names(&config), number);
        let (next, mut workers) = generation::build(config, metrics, &self.clock, before).await;
        generation::first_read(&mut workers).await;
        for gone in gone(&old.board, &next.board) {
            next.metrics.source(&gone.issuer, &gone.source).retire();
        }
        if let (Some(gone), None) = (&old.revocation, &next.revocation) {
            gone.metrics.clear();
        }
        next.metrics.reloaded(ReloadResult::Ok);
        super::say_what_is_weak(next.profile, &next.issuers);
        self.traces.send_replace(next.traces.clone());
        self.current.store(Arc::new(next));
        self.workers = workers;
        let since = self.clock.now();
        tracing::info!(generation = number, "a new configuration is in force");
        for listener in &needs_restart {
            tracing::warn!(listener, "a change of this setting takes a restart");
        }
        self.state.send_replace(ReloadState {
            generation: number,
            since,
            refused: None,
            needs_restart,
        });
    }
}

/// The sources of `before` whose names are not on `now`.
fn gone(before: &StatusBoard, now: &StatusBoard) -> Vec<SourceId> {
    let ids = |board: &StatusBoard| board.entries().into_iter().map(|entry| entry.id);
    let kept: Vec<SourceId> = ids(now).collect();
    let same = |a: &SourceId, b: &SourceId| {
        (a.issuer.name(), a.source.name()) == (b.issuer.name(), b.source.name())
    };
    ids(before).filter(|id| !kept.iter().any(|other| same(other, id))).collect()
}
