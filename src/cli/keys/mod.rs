//! `claimgate keys`: makes, publishes, rotates, retires and documents signing keys. One file a subcommand; what they
//! share is here: arguments, words, exit codes. The rules are [`crate::keys::lifecycle`]'s.

pub mod evidence;
pub mod generate;
pub mod jwks;
pub mod list;
pub mod retire;
pub mod rotate;
mod told;

use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::USAGE;
use super::output::Output;
use crate::config;
use crate::keys::lifecycle::directory::DirectoryError;
use crate::keys::lifecycle::manifest::Kid;
use crate::keys::lifecycle::steps::{Options, StepError};
use crate::keys::signing::KeyType;

/// Make, publish, rotate, retire and document signing keys.
///
/// A key directory holds private keys (0600, in a directory of 0700), public keys and a public manifest. Each key
/// goes one way: next (published, not signing), active (signing), retiring (published, no longer signing),
/// retired (withdrawn, its private half deleted).
///
/// A rotation is `keys rotate` three times, each time followed by publishing what `keys jwks` prints. A step that
/// would strand tokens is refused, with the time from which it is allowed.
///
/// Exit code: 0 yes, 1 a refused step or a failed write, 2 a wrong argument or an unusable directory.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Generate(generate::Args),
    Rotate(rotate::Args),
    Retire(retire::Args),
    List(list::Args),
    Jwks(jwks::Args),
    Evidence(evidence::Args),
}

/// Does what is asked for, at the time that the system's clock shows.
pub fn run(args: &Args) -> ExitCode {
    match &args.command {
        Command::Generate(args) => generate::run(args),
        Command::Rotate(args) => rotate::run(args),
        Command::Retire(args) => retire::run(args),
        Command::List(args) => list::run(args),
        Command::Jwks(args) => jwks::run(args),
        Command::Evidence(args) => evidence::run(args),
    }
}

/// Which directory.
#[derive(Clone, Debug, clap::Args)]
struct Directory {
    /// The key directory.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

/// How a key is made, and how long the rules wait.
#[derive(Clone, Debug, clap::Args)]
struct Making {
    /// The type of a new key. Default: the active key's, or else rsa-4096.
    #[arg(long = "type", value_name = "TYPE", value_parser = key_type())]
    key_type: Option<KeyType>,
    /// The kid of a new key: letters, digits, _ and -. Default: its RFC 7638 thumbprint.
    #[arg(long, value_name = "KID", value_parser = kid, allow_hyphen_values = true)]
    kid: Option<Kid>,
    /// How long a verifier may go by a JWKS that it has fetched. Remembered in the manifest, 1h at first. A shorter time
    /// counts from the next step on.
    #[arg(long, value_name = "DURATION", value_parser = whole_seconds)]
    jwks_max_age: Option<Duration>,
    /// The longest that a token is valid after it was signed. Remembered in the manifest, 24h at first. A shorter time
    /// counts from the next step on.
    #[arg(long, value_name = "DURATION", value_parser = whole_seconds)]
    token_lifetime: Option<Duration>,
}

impl Making {
    /// What it asks of a step that is neither forced nor only tried.
    fn options(&self) -> Options {
        Options {
            key_type: self.key_type,
            kid: self.kid.clone(),
            jwks_max_age: self.jwks_max_age,
            token_lifetime: self.token_lifetime,
            ..Options::default()
        }
    }
}

/// How to print the outcome.
#[derive(Clone, Debug, clap::Args)]
struct Printing {
    /// How to print the outcome; json is one object, refusals too.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

fn key_type() -> impl TypedValueParser<Value = KeyType> {
    let names = PossibleValuesParser::new(KeyType::ALL.map(KeyType::name));
    names.try_map(|name| {
        let found = KeyType::ALL.into_iter().find(|known| known.name() == name);
        found.ok_or("no such type")
    })
}

fn kid(text: &str) -> Result<Kid, String> {
    Kid::parse(text).ok_or_else(|| format!("{} are accepted", Kid::EXPECTED))
}

fn whole_seconds(text: &str) -> Result<Duration, String> {
    let duration = config::duration(text)?;
    let whole = Some(duration).filter(|duration| duration.subsec_nanos() == 0);
    whole.ok_or_else(|| "whole seconds are accepted".to_owned())
}

fn warn(warning: &dyn Display) {
    let _gone = writeln!(io::stderr(), "warning: {warning}").is_err();
}

/// The answer is no: not now, or not done.
const REFUSED: u8 = 1;

fn code_of_step(error: &StepError) -> u8 {
    match error {
        StepError::Refused(_) => REFUSED,
        StepError::Directory(error) => code_of(error),
        StepError::UnknownKid(_) => USAGE,
    }
}

fn code_of(error: &DirectoryError) -> u8 {
    match error {
        DirectoryError::Busy(_)
        | DirectoryError::Exists(_)
        | DirectoryError::Unwritable { .. }
        | DirectoryError::WrongKey { .. }
        | DirectoryError::Signing(_) => REFUSED,
        DirectoryError::Missing(_)
        | DirectoryError::NotMade { .. }
        | DirectoryError::Unreadable { .. }
        | DirectoryError::Exposed { .. }
        | DirectoryError::NotAFile(_)
        | DirectoryError::Empty(_)
        | DirectoryError::NoManifest(_)
        | DirectoryError::Manifest { .. } => USAGE,
    }
}
