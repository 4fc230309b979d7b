//! `claimgate keys evidence`: what an auditor is given of an event.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ArgGroup;

use super::{REFUSED, USAGE, code_of, warn};
use crate::cli::output::{complain, print};
use crate::keys::lifecycle::directory::{DirectoryError, KeyDirectory};
use crate::keys::lifecycle::evidence::{EventId, Evidence, Keyset, NotASummary, document};
use crate::util::clock::{Clock as _, SystemClock};

/// Write evidence of an event: which keys are in force, and what changed since an earlier event.
///
/// Makes OUT/EVENT-ID with keyset.json (public parts only), summary.json and fingerprint.sha256. To verify it:
/// `sha256sum -c fingerprint.sha256` in that directory. Evidence that exists is never replaced.
#[derive(Clone, Debug, clap::Args)]
#[command(group = ArgGroup::new("source").required(true).args(["dir", "from"]))]
pub struct Args {
    /// The key directory.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Keys that live elsewhere: a JWK Set or a keyset, `{"active_kid": ..., "keys": {KID: PEM or JWK}}`; - for
    /// standard input. Private parts are left out.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// What the event is called, in letters, digits, '.', '_' and '-'.
    #[arg(long, value_name = "ID", value_parser = event_id)]
    event_id: EventId,
    /// The summary.json of an earlier event to compare with.
    #[arg(long, value_name = "SUMMARY")]
    previous: Option<PathBuf>,
    /// Where the event's directory is made.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

/// 0 when the evidence is there; 1 when it was before, or cannot be written; 2 when what it is to be made of is wrong.
pub fn run(args: &Args) -> ExitCode {
    match write(args) {
        Ok(path) => print(
            "keys",
            &format!("{0}/keyset.json\n{0}/summary.json\n{0}/fingerprint.sha256\n", path.display()),
        ),
        Err(error) => {
            complain("keys evidence", &error);
            ExitCode::from(match error {
                EvidenceError::Directory(error) => code_of(&error),
                EvidenceError::Unreadable { .. }
                | EvidenceError::Document { .. }
                | EvidenceError::Previous { .. } => USAGE,
                EvidenceError::Exists(_) | EvidenceError::Unwritable { .. } => REFUSED,
            })
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum EvidenceError {
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error("{}: {source}", shown(path))]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{}: {mistake}", shown(path))]
    Document { path: PathBuf, mistake: document::Unreadable },
    #[error("{}: {mistake}", path.display())]
    Previous { path: PathBuf, mistake: NotASummary },
    #[error("{}: there is evidence of this event already, and it is never replaced: choose another --event-id", .0.display())]
    Exists(PathBuf),
    #[error("{}: evidence cannot be written: {source}", path.display())]
    Unwritable { path: PathBuf, source: io::Error },
}

/// What was read, for people.
fn shown(path: &Path) -> impl Display + '_ {
    if path == Path::new(STDIN) { Path::new("standard input").display() } else { path.display() }
}

fn write(args: &Args) -> Result<PathBuf, EvidenceError> {
    let previous = args.previous.as_deref().map(|path| bytes_of(path).map(|bytes| (path, bytes)));
    let previous = previous.transpose()?;
    let keyset = keyset(args)?;
    let earlier = previous.as_ref().map(|(_, bytes)| bytes.as_slice());
    let evidence = Evidence::new(args.event_id.clone(), &keyset, earlier, SystemClock.now());
    let evidence = evidence.map_err(|mistake| {
        let path = args.previous.clone().unwrap_or_default();
        EvidenceError::Previous { path, mistake }
    })?;
    let written = evidence.write(&args.out);
    written.map_err(|source| {
        let path = evidence.path(&args.out);
        if source.kind() == io::ErrorKind::AlreadyExists && path.symlink_metadata().is_ok() {
            EvidenceError::Exists(path)
        } else {
            EvidenceError::Unwritable { path, source }
        }
    })
}

fn keyset(args: &Args) -> Result<Keyset, EvidenceError> {
    let Some(path) = &args.from else {
        let directory = KeyDirectory::read(args.dir.as_deref().unwrap_or_else(|| Path::new(".")))?;
        return Ok(Keyset::of(directory.manifest()));
    };
    let read = document::read(&bytes_of(path)?)
        .map_err(|mistake| EvidenceError::Document { path: path.clone(), mistake })?;
    for kid in &read.private {
        warn(&format!("{kid} came with its private part, which is left out: where is it read?"));
    }
    Ok(read.keyset)
}

/// A set of a few hundred keys is far shorter.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The name of standard input.
const STDIN: &str = "-";

/// A whole file, or standard input for `-`.
fn bytes_of(path: &Path) -> Result<Vec<u8>, EvidenceError> {
    let read = || -> io::Result<Vec<u8>> {
        let source: Box<dyn Read> = if path == Path::new(STDIN) {
            Box::new(io::stdin().lock())
        } else {
            Box::new(File::open(path)?)
        };
        let mut bytes = vec![];
        source.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        let limit = usize::try_from(MAX_BYTES).unwrap_or(usize::MAX);
        let longer = bytes.len() > limit;
        if longer { Err(io::Error::other("longer than 4 MiB")) } else { Ok(bytes) }
    };
    read().map_err(|source| EvidenceError::Unreadable { path: path.to_owned(), source })
}

fn event_id(text: &str) -> Result<EventId, String> {
    EventId::parse(text).ok_or_else(|| format!("{} are accepted", EventId::EXPECTED))
}
