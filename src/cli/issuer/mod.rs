//! `claimgate issuer`: runs the reference issuer until SIGTERM or SIGINT; and beside it what its configuration needs: the
//! hash of a secret, a look for mistakes, the schema.

mod check;
mod hash_secret;

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use tokio_util::sync::CancellationToken;
use tracing::level_filters::LevelFilter;

use super::USAGE;
use super::output::{complain, print};
use super::serve::seconds;
use crate::app::issuer::{IssuerApp, IssuerError, IssuerOptions};
use crate::app::signals::Signals;
use crate::app::tasks::Tasks;
use crate::app::{MaxConnections, raise_open_files};
use crate::config::{ConfigErrors, IssuerConfig, issuer_json_schema};
use crate::server::listener::address::Address;
use crate::telemetry::logging::{self, LogFormat};

/// Run the reference issuer: access tokens for clients that prove who they are, until SIGTERM or SIGINT.
///
/// It signs with the active key of a key directory (`claimgate keys`), which it follows; it never makes a key, and does
/// not start without one. Users, passwords and browsers are not its job.
///
/// The first SIGTERM or SIGINT drains (not ready, then --drain-delay, then no new requests, then --drain-deadline for
/// those in flight), a second one ends at once. SIGHUP has the key directory looked at now. Changes of the configuration
/// take a restart.
///
/// Log lines go to standard error, one for each token that is issued: to whom, its ID and its scopes. Clients ask at
/// listen.http, by default 127.0.0.1:9194. The admin port (listen.admin, by default 127.0.0.1:9195) has /livez, /readyz,
/// /metrics and /status.
///
/// Exit code: 0 after a drain, 1 if a part of it failed or the drain was cut short, 2 if it cannot start as configured.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Option<Run>,
}

#[derive(Debug, Subcommand)]
enum Command {
    HashSecret(hash_secret::Args),
    Check(check::Args),
    /// Print the JSON Schema of the issuer's configuration.
    Schema,
}

#[derive(Debug, clap::Args)]
struct Run {
    /// The issuer's configuration, in YAML. `claimgate issuer check FILE` says what is wrong with one.
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// How log lines are written, on standard error: json or text.
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    log_format: LogFormat,
    /// What is logged: off, error, warn, info, debug or trace. Tokens and refusals are info.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: LevelFilter,
    /// After a signal, go on for this many seconds, not ready any more, before connections are ended.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    drain_delay: Duration,
    /// After that, give requests in flight this many seconds.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    drain_deadline: Duration,
}

/// Does what was asked.
pub fn run(args: &Args) -> ExitCode {
    match (&args.command, &args.run) {
        (Some(Command::HashSecret(args)), _) => hash_secret::run(args),
        (Some(Command::Check(args)), _) => check::run(args),
        (Some(Command::Schema), _) => schema(),
        (None, Some(run)) => match serve(run) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain("issuer", &error.told(&run.config));
                error.code()
            }
        },
        // clap asks for --config before it comes to this.
        (None, None) => ExitCode::from(USAGE),
    }
}

fn schema() -> ExitCode {
    print("issuer", &format!("{:#}\n", issuer_json_schema()))
}

#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    #[error("cannot start the runtime: {0}")]
    Runtime(io::Error),
    #[error("ended by a second signal, without finishing what was in flight")]
    Interrupted,
}

impl RunError {
    fn code(&self) -> ExitCode {
        match self {
            Self::Issuer(IssuerError::Task(_) | IssuerError::Secrets(_))
            | Self::Runtime(_)
            | Self::Interrupted => ExitCode::FAILURE,
            Self::Config(_)
            | Self::Issuer(
                IssuerError::Keys(_)
                | IssuerError::Revocations(_)
                | IssuerError::Listen(_)
                | IssuerError::Tls(_),
            ) => ExitCode::from(USAGE),
        }
    }

    fn told(&self, config: &Path) -> String {
        match self {
            Self::Config(errors) => format!("mistakes in {}\n{errors}", config.display()),
            Self::Issuer(_) | Self::Runtime(_) | Self::Interrupted => self.to_string(),
        }
    }
}

fn serve(run: &Run) -> Result<(), RunError> {
    let config = IssuerConfig::from_file(&run.config)?;
    // Set up already: then whoever did that will have the lines.
    let log = logging::init(run.log_format, run.log_level).ok().flatten();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(RunError::Runtime)?;
    let options = IssuerOptions {
        drain_delay: run.drain_delay,
        drain_deadline: run.drain_deadline,
        max_connections: MaxConnections::within(raise_open_files()),
        ..IssuerOptions::default()
    };
    let outcome = runtime.block_on(Box::pin(until_signal(config, options)));
    // What is still blocked is not waited for: the drain had its deadline.
    runtime.shutdown_timeout(TIME_TO_DROP);
    if let Some(log) = log {
        log.flush(TIME_TO_LOG);
    }
    outcome
}

async fn until_signal(config: IssuerConfig, options: IssuerOptions) -> Result<(), RunError> {
    let signals = Signals::listen().map_err(RunError::Runtime)?;
    let issuer = config.settings.issuer.clone();
    let bound = Box::pin(IssuerApp::bind(config, options)).await?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        issuer,
        http = shown(bound.http_addresses()),
        admin = shown(bound.admin_addresses()),
        "listening"
    );
    let (shutdown, at_once) = (CancellationToken::new(), CancellationToken::new());
    let (on_first, on_second, reread) = (shutdown.clone(), at_once.clone(), bound.reread());
    let mut tasks = Tasks::default();
    tasks.spawn("signals", async move {
        let refresh = move || {
            tracing::info!(signal = "SIGHUP", "looking at the key directory");
            reread.notify_one();
        };
        signals.run(on_first, on_second, refresh).await?;
        std::future::pending::<Result<(), Infallible>>().await
    });
    tokio::select! {
        outcome = bound.run(shutdown) => Ok(outcome?),
        () = at_once.cancelled() => Err(RunError::Interrupted),
        // Else a SIGTERM would not be noticed, and the process be killed in the end.
        ended = tasks.first_to_end() => {
            tracing::error!(error = %ended, "ending at once, because a part of the process is gone");
            Err(IssuerError::Task(ended).into())
        }
    }
}

fn shown(addresses: &[Address]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

const TIME_TO_LOG: Duration = Duration::from_secs(1);

const TIME_TO_DROP: Duration = Duration::from_millis(500);
