//! `claimgate serve`: runs the service until SIGTERM or SIGINT.

use std::convert::Infallible;
use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::level_filters::LevelFilter;

use super::USAGE;
use crate::app::signals::Signals;
use crate::app::tasks::Tasks;
use crate::app::{App, AppError, ConfigFile, MaxConnections, Options, raise_open_files};
use crate::config::{Config, ConfigErrors};
use crate::server::listener::address::Address;
use crate::telemetry::decision_log::DEFAULT_SAMPLE;
use crate::telemetry::logging::{self, LogFormat};

/// Run the service: answer Envoy's external-authorization checks until SIGTERM or SIGINT.
///
/// The configuration is followed: a changed file takes effect without a restart, whole or not at all; one with mistakes
/// is logged and changes nothing. SIGHUP has it, and all keys, read again at once. The first SIGTERM or SIGINT drains
/// (not ready, then --drain-delay, then no new requests, then --drain-deadline for those in flight), a second one ends
/// at once.
///
/// Log lines go to standard error. Envoy asks at listen.grpc, by default 127.0.0.1:9191. The admin port (listen.admin,
/// by default 127.0.0.1:9193) has /livez, /readyz, /metrics, /status and POST /keys/refresh.
///
/// Exit code: 0 after a drain, 1 if a part of the service failed or the drain was cut short, 2 if it cannot start as
/// configured.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration, in YAML. `claimgate check FILE` says what is wrong with one.
    #[arg(long, short, value_name = "FILE", env = "CLAIMGATE_CONFIG")]
    config: PathBuf,
    /// How log lines are written, on standard error: json or text.
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    log_format: LogFormat,
    /// What is logged: off, error, warn, info, debug or trace. Denials are info.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: LevelFilter,
    /// Log one in this many allowed requests; 0 logs none.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SAMPLE)]
    log_sample: u64,
    /// Threads that answer requests. Default: one for each processor that the process may use, or that its cgroup's CPU
    /// quota is worth if those are fewer (1500m is worth 1), at least 1. For a sidecar without a limit on a large node,
    /// which gets by with 1 or 2.
    #[arg(long, value_name = "N", value_parser = workers)]
    workers: Option<NonZeroUsize>,
    /// Let gRPC clients ask which services there are.
    #[arg(long)]
    reflection: bool,
    /// After a signal, go on for this many seconds, not ready any more, before connections are ended: for longer than
    /// it takes until every Envoy asks another one.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    drain_delay: Duration,
    /// After that, give requests in flight this many seconds.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    drain_deadline: Duration,
}

/// Runs until a signal. Exits 0 after a drain, 1 if the service failed or a second
/// signal cut the drain short, 2 if it could not start as configured.
pub fn run(args: &Args) -> ExitCode {
    match serve(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if this fails.
            let _gone = write!(io::stderr(), "{}", error.told(&args.config)).is_err();
            error.code()
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error(transparent)]
    App(#[from] AppError),
    #[error("cannot start the runtime: {0}")]
    Runtime(io::Error),
    #[error("ended by a second signal, without finishing what was in flight")]
    Interrupted,
}

impl ServeError {
    fn code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::App(AppError::Listen(_) | AppError::Tls(_)) => {
                ExitCode::from(USAGE)
            }
            Self::App(AppError::Task(_)) | Self::Runtime(_) | Self::Interrupted => {
                ExitCode::FAILURE
            }
        }
    }

    fn told(&self, config: &Path) -> String {
        match self {
            Self::Config(errors) => {
                format!("claimgate serve: mistakes in {}\n{errors}\n", config.display())
            }
            Self::App(_) | Self::Runtime(_) | Self::Interrupted => {
                format!("claimgate serve: {self}\n")
            }
        }
    }
}

fn serve(args: &Args) -> Result<(), ServeError> {
    let (fingerprint, config) = Config::read_file(&args.config);
    let config = config?;
    // Set up already: then whoever did that will have the lines.
    let log = logging::init(args.log_format, args.log_level).ok().flatten();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(args.workers.unwrap_or_else(workers_by_default).get())
        .enable_all()
        .build();
    let runtime = runtime.map_err(ServeError::Runtime)?;
    let options = Options {
        reflection: args.reflection,
        log_sample: args.log_sample,
        drain_delay: args.drain_delay,
        drain_deadline: args.drain_deadline,
        max_connections: MaxConnections::within(raise_open_files()),
        // What came through a pipe is not there a second time.
        follow: args
            .config
            .is_file()
            .then(|| ConfigFile { path: args.config.clone(), fingerprint }),
        ..Options::default()
    };
    let outcome = runtime.block_on(Box::pin(until_signal(config, options)));
    // What is still blocked is not waited for: the drain had its deadline. What runs has time to be dropped, and the
    // programs that print keys with it: else they outlive us.
    runtime.shutdown_timeout(TIME_TO_DROP);
    if let Some(log) = log {
        log.flush(TIME_TO_LOG);
    }
    outcome
}

async fn until_signal(config: Config, options: Options) -> Result<(), ServeError> {
    let signals = Signals::listen().map_err(ServeError::Runtime)?;
    let bound = App::bind_with(config, options).await?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        grpc = shown(bound.grpc_addresses()),
        http = (!bound.http_addresses().is_empty()).then(|| shown(bound.http_addresses())),
        admin = shown(bound.admin_addresses()),
        workers = Handle::current().metrics().num_workers(),
        "listening"
    );
    let (shutdown, at_once) = (CancellationToken::new(), CancellationToken::new());
    let (on_first, on_second) = (shutdown.clone(), at_once.clone());
    let mut tasks = Tasks::default();
    let control = bound.control();
    let refresh = move || {
        tracing::info!(signal = "SIGHUP", "reading again");
        control.reread();
    };
    tasks.spawn("signals", async move {
        signals.run(on_first, on_second, refresh).await?;
        std::future::pending::<Result<(), Infallible>>().await
    });
    tokio::select! {
        outcome = bound.run(shutdown) => Ok(outcome?),
        () = at_once.cancelled() => Err(ServeError::Interrupted),
        // Else a SIGTERM would not be noticed, and the process be killed in the end.
        ended = tasks.first_to_end() => {
            tracing::error!(error = %ended, "ending at once, because a part of the process is gone");
            Err(AppError::Task(ended).into())
        }
    }
}

fn shown(addresses: &[Address]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tasks::testing::{break_task, names};

    #[tokio::test]
    async fn without_the_task_that_hears_signals_the_process_ends_and_says_so() {
        let config = r#"{"profile": "development", "listen": {"grpc": "127.0.0.1:0", "admin": "127.0.0.1:0"},
            "issuers": [{"name": "a", "issuer": "http://127.0.0.1:1", "keys": [{"discovery": true}]}],
            "rules": [{"name": "open", "allow": "anyone"}]}"#;
        let config = Config::from_yaml(config, Path::new("")).unwrap();
        let broken = async {
            while !names().contains(&"admin".to_owned()) {
                tokio::task::yield_now().await;
            }
            break_task("signals");
        };
        let (outcome, ()) = tokio::join!(until_signal(config, Options::default()), broken);
        let error = outcome.unwrap_err();
        let told = error.told(Path::new("claimgate.yaml"));
        assert_eq!(told, "claimgate serve: the task `signals` panicked\n");
        assert_eq!(format!("{:?}", error.code()), format!("{:?}", ExitCode::FAILURE));
    }
}
