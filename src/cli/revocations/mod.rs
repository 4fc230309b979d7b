//! `claimgate revocations`: what is revoked, and whether a token is. It reads the sources itself, as the service would,
//! and changes nothing.

mod check;
mod list;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::USAGE;
use super::output::complain;
use super::shown::{counted, error_text};
use crate::config::Config;
use crate::revocation::RevocationEntry;
use crate::revocation::file::read_entries;
use crate::revocation::redis::Writer;
use crate::revocation::redis::settings::RedisSettings;
use crate::revocation::source::{SourceError, SourceSettings};

/// Look at what is revoked: list it, or ask whether a token is.
///
/// Reads what `revocation` in a configuration names, or a file of entries; asks no running claimgate.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Args),
    Check(Box<check::Args>),
}

/// 0 yes, 1 no, 2 a mistake in what was asked.
pub fn run(args: &Args) -> ExitCode {
    match &args.command {
        Command::List(args) => list::run(args),
        Command::Check(args) => check::run(args),
    }
}

/// Which revocations.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct From {
    /// Those that this configuration names: its own, and its source's.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Those in this file: entries, one line of JSON each, then the line that ends the list.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl From {
    /// Each entry, and where it is from.
    fn read(&self) -> Result<Vec<(RevocationEntry, String)>, Failure> {
        let of = |source: &SourceSettings| {
            let place = source.location();
            let entries = entries(source).map_err(|error| Failure::Source(place.clone(), error))?;
            Ok(entries.into_iter().map(|entry| (entry, place.clone())).collect::<Vec<_>>())
        };
        if let Some(path) = &self.file {
            let path = path.clone();
            return of(&SourceSettings::File(crate::revocation::file::FileSettings { path }));
        }
        let path = self.config.clone().unwrap_or_default();
        let config =
            Config::from_file(&path).map_err(|errors| Failure::Usage(errors.to_string()))?;
        let Some(revocation) = config.revocation else {
            let text = format!("{}: revocation is not configured", path.display());
            return Err(Failure::Usage(text));
        };
        let own = revocation.fixed.into_iter().map(|entry| (entry, "configuration".to_owned()));
        let mut all: Vec<_> = own.collect();
        if let Some(source) = &revocation.source {
            all.extend(of(source)?);
        }
        Ok(all)
    }
}

/// Everything that a source holds.
fn entries(source: &SourceSettings) -> Result<Vec<RevocationEntry>, SourceError> {
    match source {
        SourceSettings::File(file) => read_entries(&file.path),
        SourceSettings::Redis(redis) => of_redis(redis),
    }
}

/// What of a Redis can be read; of what cannot, how much it is, for whoever looks.
fn of_redis(settings: &RedisSettings) -> Result<Vec<RevocationEntry>, SourceError> {
    let cannot = |error: io::Error| SourceError::Unreachable(format!("no runtime: {error}"));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
    let listed = runtime.block_on(Writer::new(settings.clone()).list());
    runtime.shutdown_background();
    let (entries, unreadable) = listed?;
    if unreadable > 0 {
        let entries = counted(unreadable, "entry");
        let text = format!("warning: {entries} that cannot be read, and so without effect");
        complain("revocations", &text);
    }
    Ok(entries)
}

/// Why there is nothing to look at.
#[derive(Debug)]
enum Failure {
    /// A source, and what is wrong with it.
    Source(String, SourceError),
    /// The command line or the configuration.
    Usage(String),
}

impl Failure {
    /// Tells it. 1 for a source, 2 for what was asked.
    fn tell(&self, command: &str) -> ExitCode {
        let (text, code) = match self {
            Self::Source(place, error) => (error_text(&format!("{place}: {error}")), 1),
            Self::Usage(text) => (text.clone(), USAGE),
        };
        complain(command, &text);
        ExitCode::from(code)
    }
}
