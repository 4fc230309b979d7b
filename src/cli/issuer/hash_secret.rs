//! `claimgate issuer hash-secret`: the hash of a client's secret, for the issuer's configuration. The secret comes from
//! standard input, since a command line is for everybody on the machine to read.

use std::io::{self, Read as _};
use std::process::ExitCode;

use zeroize::Zeroizing;

use crate::cli::USAGE;
use crate::cli::output::{complain, print};
use crate::issuer::reference::secret_hash::{
    MAX_SECRET_BYTES, SecretError, SecretHash, generate_secret,
};

/// Hash a client's secret, read from standard input, for secret_hashes in the issuer's configuration.
///
/// A line break at its end is no part of the secret. With --generate nothing is read: a secret of 256 bits is made and
/// printed on the first line, its hash on the second; give the first to the client and to nobody else.
///
/// Exit code: 0 when the hash is printed, 2 for a secret that is too short, too long or cannot be sent.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Make the secret, too.
    #[arg(long)]
    generate: bool,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let hashed = if args.generate { generated() } else { read() };
    match hashed {
        Ok(text) => print("issuer", text.as_str()),
        Err(error) => {
            complain("issuer", &error);
            ExitCode::from(USAGE)
        }
    }
}

fn generated() -> Result<Zeroizing<String>, SecretError> {
    let secret = generate_secret()?;
    let hash = SecretHash::of(secret.as_bytes())?;
    Ok(Zeroizing::new(format!("{}\n{hash}\n", *secret)))
}

fn read() -> Result<Zeroizing<String>, SecretError> {
    let mut secret = Zeroizing::new(Vec::with_capacity(MAX_SECRET_BYTES + 3));
    let most = u64::try_from(MAX_SECRET_BYTES + 3).unwrap_or(u64::MAX);
    // What cannot be read is as good as nothing: too short.
    let _read = io::stdin().lock().take(most).read_to_end(&mut secret).is_ok();
    let text = secret.strip_suffix(b"\n").unwrap_or(&secret);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    Ok(Zeroizing::new(format!("{}\n", SecretHash::of(text)?)))
}
