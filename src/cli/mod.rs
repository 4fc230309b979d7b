//! Layer 6: the command line, one module a subcommand: its `Args` and its `run`; what they share is beside them. The
//! exit code is 0 for yes, 1 for no, and 2 for a command line or a configuration that is wrong.

mod at;
pub mod check;
pub mod completions;
pub mod demo;
pub mod explain;
pub mod inspect;
pub mod issuer;
pub mod jwks;
pub mod keys;
mod output;
pub mod probe;
mod process;
pub mod revocations;
pub mod revoke;
pub mod schema;
pub mod serve;
mod shown;
mod token_text;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Verifies JWTs for Envoy against last-known-good keys, and hands the verified claims to the upstream.
#[derive(Debug, Parser)]
#[command(name = "claimgate", version, propagate_version = true, arg_required_else_help = true)]
#[command(
    after_help = "To begin: `claimgate demo` shows it at work on this machine; write a configuration, \
    `claimgate check FILE` it, and `claimgate serve --config FILE`."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    /// Check a configuration: print every mistake, or what was read.
    ///
    /// Exit code: 0 for a right one, 1 if --online got nothing from a source, 2 for one with mistakes, or with --strict
    /// for a weak one.
    Check(check::Args),
    Demo(demo::Args),
    /// Say why a request is allowed or denied: every step of the decision, the reason and the headers.
    ///
    /// Keys come from the configuration, its files and `state_dir`, or from --jwks or --online.
    ///
    /// Exit code: 0 for allow, 1 for deny, 2 for a mistake in what was asked.
    Explain(Box<explain::Args>),
    /// Decode a token, without verifying anything.
    ///
    /// Exit code: 0 for a token of the right form, whoever made it, 1 for one that is malformed, 2 if there is none.
    Inspect(inspect::Args),
    /// Look into a JWK Set.
    Jwks(jwks::Args),
    Issuer(Box<issuer::Args>),
    Keys(keys::Args),
    /// Ask a running claimgate whether it is serving: exit code 0 for yes, 1 for no.
    ///
    /// One gRPC health check (grpc.health.v1), as Envoy makes it: for probes that run a command, and for `helm test`. It
    /// speaks no TLS: where listen.tls is set, ask a Unix socket of listen.grpc, or /readyz on the admin port.
    Probe(probe::Args),
    Revocations(revocations::Args),
    Revoke(Box<revoke::Args>),
    /// Print a script that completes claimgate's subcommands and options in a shell.
    ///
    /// For bash: claimgate completions bash >/etc/bash_completion.d/claimgate
    Completions(completions::Args),
    Schema(schema::Args),
}

/// Does what `args`, the program's name first, ask for.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Cli::try_parse_from(args) {
        Ok(cli) => match cli.command {
            Command::Serve(args) => serve::run(&args),
            Command::Check(args) => check::run(&args),
            Command::Demo(args) => demo::run(args),
            Command::Explain(args) => explain::run(&args),
            Command::Inspect(args) => inspect::run(&args),
            Command::Jwks(args) => jwks::run(&args),
            Command::Issuer(args) => issuer::run(&args),
            Command::Keys(args) => keys::run(&args),
            Command::Probe(args) => probe::run(&args),
            Command::Revocations(args) => revocations::run(&args),
            Command::Revoke(args) => revoke::run(&args),
            Command::Completions(args) => completions::run(&args),
            Command::Schema(args) => schema::run(&args),
        },
        Err(error) => {
            // Help and version come here too, with the exit code 0. Nobody is left to tell if printing fails.
            let _gone = error.print().is_err();
            ExitCode::from(if error.use_stderr() { USAGE } else { 0 })
        }
    }
}

/// The command line or the configuration is wrong.
const USAGE: u8 = 2;
