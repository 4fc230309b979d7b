//! How every subcommand tells what came of it: on standard output, for people or for programs, and on standard error when
//! it cannot. The texts are the subcommands' own, and so is what of them is escaped ([`super::shown`]).

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// How to print the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Output {
    /// For people.
    Text,
    /// For programs: JSON on standard output.
    Json,
}

/// Prints what was asked for. A reader that went away or a full disk is a failure: it did not get where it should.
pub(super) fn print(command: &str, text: &(impl AsRef<[u8]> + ?Sized)) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_ref()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(command, &format_args!("cannot print: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints a line of which the exit code says the same: that answers also where nobody reads.
pub(super) fn answer(line: &dyn Display) {
    let _gone = writeln!(io::stdout(), "{line}").is_err();
}

/// Says what is wrong.
pub(super) fn complain(command: &str, error: &dyn Display) {
    // Nobody is left to tell if this fails.
    let _gone = writeln!(io::stderr(), "claimgate {command}: {error}").is_err();
}
