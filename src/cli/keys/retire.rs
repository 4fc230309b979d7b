//! `claimgate keys retire KID`: withdraws one key.

use std::process::ExitCode;

use super::{Directory, Printing, told};
use crate::keys::lifecycle::steps::{self, Options};
use crate::util::clock::{Clock as _, SystemClock};

/// Withdraw one key and delete its private half.
///
/// A next key has signed nothing and can go at any time. A retiring one is refused until its last tokens have
/// expired. The active one is refused: rotate first.
///
/// A compromised key goes at once: `keys retire KID --force`, then `keys rotate --force` for one that signs.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The key.
    #[arg(value_name = "KID", allow_hyphen_values = true)]
    kid: String,
    #[command(flatten)]
    directory: Directory,
    /// Withdraw it although its tokens are still valid, and say what breaks.
    #[arg(long)]
    force: bool,
    /// Say what would happen, and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    printing: Printing,
}

/// 0 when the key is retired, 1 when that is refused.
pub fn run(args: &Args) -> ExitCode {
    let options = Options { force: args.force, dry_run: args.dry_run, ..Options::default() };
    let directory = &args.directory.dir;
    let outcome = steps::retire(directory, &args.kid, &options, SystemClock.now());
    told::tell("keys retire", directory, &outcome, args.dry_run, args.printing.output)
}
