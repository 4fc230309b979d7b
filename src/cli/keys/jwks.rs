//! `claimgate keys jwks`: the document to publish.

use std::process::ExitCode;

use super::{Directory, REFUSED, code_of};
use crate::cli::output::{complain, print};
use crate::keys::lifecycle::directory::KeyDirectory;
use crate::keys::lifecycle::document;

/// Print the public JWK Set: next, active and retiring keys.
///
/// The same bytes for the same state, so that it can be compared and cached.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    directory: Directory,
}

/// 1 when there is no key to publish: verifiers refuse an empty set, and would be right to.
pub fn run(args: &Args) -> ExitCode {
    let directory = match KeyDirectory::read(&args.directory.dir) {
        Ok(directory) => directory,
        Err(error) => {
            complain("keys jwks", &error);
            return ExitCode::from(code_of(&error));
        }
    };
    if let Some(document) = document::jwks(directory.manifest()) {
        return print("keys", &document);
    }
    complain("keys jwks", &"no key is published: `claimgate keys rotate --force` makes one");
    ExitCode::from(REFUSED)
}
