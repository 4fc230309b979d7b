//! `claimgate serve`: runs the service until SIGTERM or SIGINT.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use super::USAGE;
use super::process::{self, Process, ProcessError, shown, worker_count};
use crate::app::signals::Signals;
use crate::app::{App, AppError, ConfigFile, MaxConnections, Options, raise_open_files};
use crate::config::{Config, ConfigErrors};
use crate::telemetry::decision_log::DEFAULT_SAMPLE;

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
    /// Log one in this many allowed requests; 0 logs none.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SAMPLE)]
    log_sample: u64,
    /// Let gRPC clients ask which services there are.
    #[arg(long)]
    reflection: bool,
    #[command(flatten)]
    process: Process,
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
    #[error(transparent)]
    Process(#[from] ProcessError),
}

impl ServeError {
    fn code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::App(AppError::Listen(_) | AppError::Tls(_)) => {
                ExitCode::from(USAGE)
            }
            Self::App(AppError::Task(_)) | Self::Process(_) => ExitCode::FAILURE,
        }
    }

    fn told(&self, config: &Path) -> String {
        match self {
            Self::Config(errors) => {
                format!("claimgate serve: mistakes in {}\n{errors}\n", config.display())
            }
            Self::App(_) | Self::Process(_) => format!("claimgate serve: {self}\n"),
        }
    }
}

fn serve(args: &Args) -> Result<(), ServeError> {
    let (fingerprint, config) = Config::read_file(&args.config);
    let config = config?;
    let options = Options {
        reflection: args.reflection,
        log_sample: args.log_sample,
        drain_delay: args.process.drain_delay,
        drain_deadline: args.process.drain_deadline,
        max_connections: MaxConnections::within(raise_open_files()),
        // What came through a pipe is not there a second time.
        follow: args
            .config
            .is_file()
            .then(|| ConfigFile { path: args.config.clone(), fingerprint }),
        ..Options::default()
    };
    args.process.run(until_signal(config, options))
}

async fn until_signal(config: Config, options: Options) -> Result<(), ServeError> {
    let signals = Signals::listen().map_err(ProcessError::Runtime)?;
    let bound = App::bind_with(config, options).await?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        grpc = shown(bound.grpc_addresses()),
        http = (!bound.http_addresses().is_empty()).then(|| shown(bound.http_addresses())),
        admin = shown(bound.admin_addresses()),
        workers = worker_count(),
        "listening"
    );
    let control = bound.control();
    let reread = move || {
        tracing::info!(signal = "SIGHUP", "reading again");
        control.reread();
    };
    let shutdown = CancellationToken::new();
    let run = Box::pin(bound.run(shutdown.clone()));
    process::until_signal(signals, shutdown, run, reread).await
}

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
