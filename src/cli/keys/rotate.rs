//! `claimgate keys rotate`: the next step of the safe order.

use std::process::ExitCode;

use super::{Directory, Making, Printing, told, warn};
use crate::keys::lifecycle::steps::{self, Options, Taken};
use crate::util::clock::{Clock as _, SystemClock};

/// Take the one next step of a rotation: publish a next key, activate it, or retire the old one.
///
/// Activating is refused until the next key was published for the JWKS max-age: verifiers that do not know it yet
/// would refuse its tokens. Retiring is refused until a key has not signed for the token lifetime and 60 seconds
/// more, for clocks that differ: its last tokens would be refused. The answer says from when it is allowed.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    directory: Directory,
    #[command(flatten)]
    making: Making,
    /// Take the step although it strands tokens, and say which. Without an active key: make one that signs at once.
    #[arg(long)]
    force: bool,
    /// Say what the step would be, and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    printing: Printing,
}

/// 0 when the step was taken, or with `--dry-run` would be; 1 when it is refused.
pub fn run(args: &Args) -> ExitCode {
    let options = Options { force: args.force, dry_run: args.dry_run, ..args.making.options() };
    let directory = &args.directory.dir;
    let outcome = steps::rotate(directory, &options, SystemClock.now());
    if let Ok(taken) = &outcome {
        warn_of_unused(&args.making, taken);
    }
    told::tell("keys rotate", directory, &outcome, args.dry_run, args.printing.output)
}

/// Whoever names a key that is to be made, and has another one activated, should hear of it.
fn warn_of_unused(making: &Making, taken: &Taken) {
    if taken.makes_key {
        return;
    }
    let is_changed = |kid| taken.changes.iter().any(|(changed, _)| changed.as_ref() == Some(kid));
    if let Some(kid) = making.kid.as_ref().filter(|kid| !is_changed(*kid)) {
        warn(&format!("--kid {kid} has no effect: this step makes no key"));
    }
    if let Some(key_type) = making.key_type {
        warn(&format!("--type {} has no effect: this step makes no key", key_type.name()));
    }
}
