//! `claimgate keys generate`: one more key.

use std::process::ExitCode;

use super::{Directory, Making, Printing, told};
use crate::keys::lifecycle::steps;
use crate::util::clock::{Clock as _, SystemClock};

/// Make a key: the very first one signs at once, any other is next.
///
/// Makes the directory where there is none. Never overwrites a file. Refused while another key is next.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    directory: Directory,
    #[command(flatten)]
    making: Making,
    #[command(flatten)]
    printing: Printing,
}

/// 0 when the key is there.
pub fn run(args: &Args) -> ExitCode {
    let options = args.making.options();
    let directory = &args.directory.dir;
    let outcome = steps::generate(directory, &options, SystemClock.now());
    told::tell("keys generate", directory, &outcome, false, args.printing.output)
}
