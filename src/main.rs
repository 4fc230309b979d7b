//! The `claimgate` binary: parses arguments and turns the outcome into an exit code. Everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    claimgate::cli::run(std::env::args_os())
}
