//! What `claimgate serve` and `claimgate issuer` have in common: a process that logs, runs until SIGTERM or SIGINT and has
//! an end in good order. What runs in it, and how it drains, is [`crate::app`]'s.

use std::convert::Infallible;
use std::io;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::level_filters::LevelFilter;

use crate::app::signals::Signals;
use crate::app::tasks::{TaskEnded, Tasks};
use crate::server::listener::address::Address;
use crate::telemetry::logging::{self, LogFormat};

/// How a process logs, how wide it is and how it ends.
#[derive(Debug, clap::Args)]
pub(super) struct Process {
    /// How log lines are written, on standard error: json or text.
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    log_format: LogFormat,
    /// What is logged: off, error, warn, info, debug or trace. Denials are info, and so is each token that is issued.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: LevelFilter,
    /// Threads that answer requests. Default: one for each CPU that the process may use, or as many as its cgroup's CPU
    /// quota is worth if that is less (1500m is worth 1), at least 1. To be set for a sidecar without a limit on a large
    /// node, which gets by with 1 or 2.
    #[arg(long, value_name = "N", value_parser = workers)]
    workers: Option<NonZeroUsize>,
    /// After a signal, go on serving for this many seconds, no longer ready, before connections are ended: longer than
    /// any Envoy takes to notice, and to ask another instance.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(super) drain_delay: Duration,
    /// After that, give requests in flight this many seconds.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(super) drain_deadline: Duration,
}

/// Why a process ends otherwise than in good order, whatever was running in it.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProcessError {
    #[error("cannot start the runtime: {0}")]
    Runtime(#[from] io::Error),
    #[error("ended by a second signal, without finishing what was in flight")]
    Interrupted,
    /// The one that hears signals.
    #[error(transparent)]
    Task(#[from] TaskEnded),
}

impl Process {
    /// Runs `work` to its end, on workers of its own.
    pub(super) fn run<E: From<ProcessError>>(
        &self,
        work: impl Future<Output = Result<(), E>>,
    ) -> Result<(), E> {
        // Set up already: then whoever did that will have the lines.
        let log = logging::init(self.log_format, self.log_level).ok().flatten();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(self.workers.unwrap_or_else(workers_by_default).get())
            .enable_all()
            .build();
        let runtime = runtime.map_err(ProcessError::Runtime)?;
        let outcome = runtime.block_on(Box::pin(work));
        // What is still blocked is not waited for: the drain had its deadline. What runs has time to be dropped, and the
        // programs that print keys with it: else they outlive us.
        runtime.shutdown_timeout(TIME_TO_DROP);
        if let Some(log) = log {
            log.flush(TIME_TO_LOG);
        }
        outcome
    }
}

/// Waits for `running`, which drains once `shutdown` is cancelled: the first signal does that, a second one ends it at
/// once. `reread` is what SIGHUP does.
pub(super) async fn until_signal<F, E: From<F> + From<ProcessError>>(
    signals: Signals,
    shutdown: CancellationToken,
    running: impl Future<Output = Result<(), F>>,
    reread: impl Fn() + Send + Sync + 'static,
) -> Result<(), E> {
    let at_once = CancellationToken::new();
    let on_second = at_once.clone();
    let mut tasks = Tasks::default();
    tasks.spawn("signals", async move {
        signals.run(shutdown, on_second, reread).await?;
        std::future::pending::<Result<(), Infallible>>().await
    });
    tokio::select! {
        outcome = running => Ok(outcome?),
        () = at_once.cancelled() => Err(ProcessError::Interrupted.into()),
        // Else a SIGTERM would not be noticed, and the process be killed in the end.
        ended = tasks.first_to_end() => {
            tracing::error!(error = %ended, "ending at once, because a part of the process is gone");
            Err(ProcessError::Task(ended).into())
        }
    }
}

/// Addresses for a log line.
pub(super) fn shown(addresses: &[Address]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// How many threads answer requests, for a log line.
pub(super) fn worker_count() -> usize {
    Handle::current().metrics().num_workers()
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let accepted = seconds.filter(|duration| *duration <= MAX_DRAIN);
    accepted.ok_or_else(|| {
        format!("seconds, 0 to {}, without a unit are accepted", MAX_DRAIN.as_secs())
    })
}

fn workers(text: &str) -> Result<NonZeroUsize, String> {
    let accepted = text.parse().ok().filter(|workers: &NonZeroUsize| workers.get() <= MOST_WORKERS);
    accepted.ok_or_else(|| format!("1 to {MOST_WORKERS} are accepted"))
}

/// As many as can be at work at once: on Linux the least of the CPUs that this process may run on and of the quotas of
/// its cgroup and those above it, version 1 or 2, rounded down. Workers that are together worth more than the quota
/// would have the kernel stop all of them for the rest of a period, 100 ms, once they have used it up, which is late
/// for an answer; what is left over is for the threads that write logs and pages and read keys. tokio would go by
/// TOKIO_WORKER_THREADS first.
fn workers_by_default() -> NonZeroUsize {
    available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// More than any machine has processors.
const MOST_WORKERS: usize = 1024;

const TIME_TO_LOG: Duration = Duration::from_secs(1);

const TIME_TO_DROP: Duration = Duration::from_millis(500);

const MAX_DRAIN: Duration = Duration::from_secs(600);
