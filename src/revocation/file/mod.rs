//! Revocations from a file that is watched: entries as lines of JSON ([`super::entry`]), then a line that says that these
//! are all.
//!
//! ```json
//! {"v":1,"kind":"token","iss":"https://id.example","jti":"9f1c","expires_at":1764000030}
//! {"v":1,"kind":"end"}
//! ```
//!
//! Empty lines, and those that begin with `#`, mean nothing. A file without the last line is being written or was cut
//! off; an empty one is that, too, and no empty list. Whoever writes it puts another one in its place by a rename. One
//! mistake anywhere makes the whole of it unusable: what was read before stays in force.

use std::fs::{File, Metadata};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::{self, JoinHandle};
use tokio::time;

use super::entry::{MAX_LINE_BYTES, RevocationEntry};
use super::source::{Epoch, Intake, Load, SourceError, Update};
use crate::util::file;
use crate::util::json::{self, RawMembers};
use crate::util::watch::Watch;

/// How often the file is looked at although nothing was told of it: some file systems tell nothing.
const LOOK: Duration = Duration::from_secs(1);

/// How long to wait for a file system that does not answer before that is said.
const PATIENCE: Duration = Duration::from_secs(10);

/// A file with revocations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSettings {
    /// Where it is.
    pub path: PathBuf,
}

/// Reads it whenever it is another one.
#[derive(Debug)]
pub(super) struct FileSource {
    settings: FileSettings,
    watch: Watch,
    /// A read that is under way. One that never ends costs one thread.
    reading: Option<JoinHandle<Result<Looked, SourceError>>>,
    /// The one that was loaded last, unless it went wrong since.
    known: Option<Identity>,
}

/// What tells one content of the file from another, as far as one can tell without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// `None`: it is the one that is known.
type Looked = Option<(Identity, Load)>;

impl FileSource {
    pub(super) fn new(settings: FileSettings) -> Self {
        let watch = Watch::new(settings.path.clone());
        Self { settings, watch, reading: None, known: None }
    }

    /// Waits until the file may be another one, a second at most, and reads it if it is.
    pub(super) async fn next(&mut self, intake: &Intake) -> Result<Update, SourceError> {
        if self.known.is_some() && self.reading.is_none() {
            let _quiet = time::timeout(LOOK, self.watch.changed()).await.is_err();
        }
        // Before it is read: what happens to it meanwhile is a reason to read it again.
        let _late = time::timeout(PATIENCE, self.watch.arm()).await.is_err();
        let reading = self.reading.get_or_insert_with(|| {
            let (path, known, load) = (self.settings.path.clone(), self.known, intake.load());
            task::spawn_blocking(move || look(&path, known, load))
        });
        let Ok(ended) = time::timeout(PATIENCE, reading).await else {
            return Err(SourceError::Timeout(PATIENCE));
        };
        self.reading = None;
        // It panicked, or the runtime is shutting down.
        let looked = ended.unwrap_or_else(|error| Err(SourceError::Unreachable(error.to_string())));
        match looked.inspect_err(|_| self.known = None)? {
            None => Ok(Update::Unchanged),
            Some((identity, load)) => {
                self.known = Some(identity);
                let epoch = Epoch::new("file").ok_or(SourceError::NoEpoch)?;
                Ok(Update::Load(epoch, load))
            }
        }
    }
}

/// Reads the file, if it is not the one that is `known`.
fn look(path: &Path, known: Option<Identity>, mut load: Load) -> Result<Looked, SourceError> {
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(&error))?;
    if known == Some(Identity::of(&metadata)) {
        return Ok(None);
    }
    let file = file::open(path).map_err(|error| unreadable(&error))?;
    let identity = Identity::of(&file.metadata().map_err(|error| unreadable(&error))?);
    read(&file, &mut |entry| load.add(entry))?;
    Ok(Some((identity, load)))
}

/// Reads every entry of a file, for whoever wants to see them.
///
/// # Errors
/// The file cannot be read, or any mistake in it.
pub fn read_entries(path: &Path) -> Result<Vec<RevocationEntry>, SourceError> {
    let file = file::open(path).map_err(|error| unreadable(&error))?;
    let mut entries = Vec::new();
    read(&file, &mut |entry| {
        entries.push(entry.clone());
        Ok(())
    })?;
    Ok(entries)
}

type Take<'a> = &'a mut dyn FnMut(&RevocationEntry) -> Result<(), SourceError>;

fn read(file: &File, take: Take<'_>) -> Result<(), SourceError> {
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let (mut line, mut has_ended) = (Vec::new(), false);
    // Beyond what a line may have there is no end of it to look for.
    let limit = u64::try_from(MAX_LINE_BYTES + 2).unwrap_or(u64::MAX);
    for number in 1_usize.. {
        line.clear();
        let read = reader.by_ref().take(limit).read_until(b'\n', &mut line);
        if read.map_err(|error| unreadable(&error))? == 0 {
            break;
        }
        let text = line.trim_ascii();
        if text.is_empty() || text.starts_with(b"#") {
            continue;
        }
        let wrong =
            |what: &dyn std::fmt::Display| SourceError::Malformed(format!("line {number}: {what}"));
        if has_ended {
            return Err(wrong(&"something follows the line that says that these are all"));
        }
        if is_end(text) {
            has_ended = true;
            continue;
        }
        let entry = RevocationEntry::parse(text).map_err(|error| wrong(&error))?;
        take(&entry)?;
    }
    if has_ended {
        return Ok(());
    }
    let what =
        r#"the last line, {"v":1,"kind":"end"}, is missing: it is being written, or was cut off"#;
    Err(SourceError::Malformed(what.to_owned()))
}

/// Whether it is exactly what the last line has to be, however it is spaced.
fn is_end(line: &[u8]) -> bool {
    // Most lines are entries, and parsing them twice would double what a load costs.
    if line.len() > 64 {
        return false;
    }
    let Ok(members) = RawMembers::parse(line) else { return false };
    let is_end = members.get("kind").and_then(|kind| json::string_of(kind).ok());
    is_end.as_deref() == Some("end")
        && members.get("v").is_some_and(|version| version.get() == "1")
        && members.iter().count() == 2
}

/// The operating system's words, which name no content.
fn unreadable(error: &io::Error) -> SourceError {
    SourceError::Unreachable(error.to_string())
}

#[cfg(test)]
mod tests;
