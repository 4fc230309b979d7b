//! `claimgate issuer check`: every mistake in the issuer's configuration, and whether its key directory can be used.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::USAGE;
use crate::cli::output::{complain, print};
use crate::cli::shown::counted;
use crate::config::IssuerConfig;
use crate::issuer::reference::KeyRing;

/// Check the issuer's configuration and its key directory: print every mistake, or what was read.
///
/// Exit code: 0 for a right one, 1 for one whose key directory cannot be used, 2 for one with mistakes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The issuer's configuration, in YAML.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Look at the configuration only: on a machine that has no keys, in a build for one.
    #[arg(long)]
    without_keys: bool,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let file = args.file.display();
    let settings = match IssuerConfig::from_file(&args.file) {
        Ok(config) => config.settings,
        Err(errors) => {
            complain("issuer", &format_args!("mistakes in {file}\n{errors}"));
            return ExitCode::from(USAGE);
        }
    };
    let clients = counted(settings.clients.len(), "client");
    let mut told = format!("{file}: {clients} of {}\n", settings.issuer);
    if !args.without_keys {
        match KeyRing::load(&settings.key_dir, settings.lifetime) {
            Ok(ring) => {
                let key = ring.signing_key().map(|key| (key.kid(), key.algorithm().name()));
                let (kid, algorithm) = key.unwrap_or_default();
                told.push_str(&format!(
                    "{}: {kid} signs, {algorithm}\n",
                    settings.key_dir.display()
                ));
            }
            Err(error) => {
                complain("issuer", &format_args!("key_dir: {error}"));
                return ExitCode::FAILURE;
            }
        }
    }
    print("issuer", &told)
}
