//! `claimgate issuer`: runs the reference issuer until SIGTERM or SIGINT; and beside it what its configuration needs: the
//! hash of a secret, a look for mistakes, the schema.

mod check;
mod hash_secret;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use tokio_util::sync::CancellationToken;

use super::USAGE;
use super::output::{complain, print};
use super::process::{self, Process, ProcessError, shown, worker_count};
use crate::app::issuer::{IssuerApp, IssuerError, IssuerOptions};
use crate::app::signals::Signals;
use crate::app::{MaxConnections, raise_open_files};
use crate::config::{ConfigErrors, IssuerConfig, issuer_json_schema};

/// Run the reference issuer: access tokens for clients that prove who they are, until SIGTERM or SIGINT.
///
/// It signs with the active key of a key directory (`claimgate keys`), which it follows; it never makes a key, and does
/// not start without one. Users, passwords and browsers are not its job.
///
/// The first SIGTERM or SIGINT drains (not ready, then --drain-delay, then no new requests, then --drain-deadline for
/// those in flight), a second one ends at once. SIGHUP has the key directory looked at now. A change of the
/// configuration takes a restart.
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
    /// The issuer's configuration, in YAML. `claimgate issuer check FILE` says what is wrong with one.
    // Not of a subcommand.
    #[arg(long, short, value_name = "FILE", required = true)]
    config: Option<PathBuf>,
    #[command(flatten)]
    process: Process,
}

#[derive(Debug, Subcommand)]
enum Command {
    HashSecret(hash_secret::Args),
    Check(check::Args),
    /// Print the JSON Schema of the issuer's configuration.
    Schema,
}

/// Does what was asked.
pub fn run(args: &Args) -> ExitCode {
    match (&args.command, &args.config) {
        (Some(Command::HashSecret(args)), _) => hash_secret::run(args),
        (Some(Command::Check(args)), _) => check::run(args),
        (Some(Command::Schema), _) => schema(),
        (None, Some(config)) => match serve(config, &args.process) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain("issuer", &error.told(config));
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
    #[error(transparent)]
    Process(#[from] ProcessError),
}

impl RunError {
    fn code(&self) -> ExitCode {
        match self {
            Self::Issuer(IssuerError::Task(_) | IssuerError::Secrets(_)) | Self::Process(_) => {
                ExitCode::FAILURE
            }
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
            Self::Issuer(_) | Self::Process(_) => self.to_string(),
        }
    }
}

fn serve(config: &Path, process: &Process) -> Result<(), RunError> {
    let config = IssuerConfig::from_file(config)?;
    let options = IssuerOptions {
        drain_delay: process.drain_delay,
        drain_deadline: process.drain_deadline,
        max_connections: MaxConnections::within(raise_open_files()),
        ..IssuerOptions::default()
    };
    process.run(until_signal(config, options))
}

async fn until_signal(config: IssuerConfig, options: IssuerOptions) -> Result<(), RunError> {
    let signals = Signals::listen().map_err(ProcessError::Runtime)?;
    let issuer = config.settings.issuer.clone();
    let bound = Box::pin(IssuerApp::bind(config, options)).await?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        issuer,
        http = shown(bound.http_addresses()),
        admin = shown(bound.admin_addresses()),
        workers = worker_count(),
        "listening"
    );
    let notify = bound.reread();
    let reread = move || {
        tracing::info!(signal = "SIGHUP", "looking at the key directory");
        notify.notify_one();
    };
    let shutdown = CancellationToken::new();
    process::until_signal(signals, shutdown.clone(), bound.run(shutdown), reread).await
}
