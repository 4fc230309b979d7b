//! [`KeyDirectory`]: the files of a key directory, read with suspicion and changed under a lock.
//!
//! | file | mode | what |
//! | --- | --- | --- |
//! | `.` | 0700 | the directory; refused when others may look into it |
//! | `<kid>.pem` | 0600 | PKCS#8, until the key is retired; refused when others may read it |
//! | `<kid>.pub.pem` | | SubjectPublicKeyInfo |
//! | `manifest.json` | | [`Manifest`] |
//! | `.lock` | 0600 | held by the one call that changes something |
//!
//! It decides nothing; [`super::steps`] changes it, `claimgate keys` and the reference issuer read it.

mod error;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

pub use self::error::{DirectoryError, Finding};
use super::manifest::{KeyState, ManagedKey, Manifest};
use super::plan::{Change, MANIFEST, Operation, plan, private_name, public_name};
use crate::keys::signing::SigningKey;
use crate::util::clock::UnixTime;
use crate::util::escape::escaped;
use crate::util::fs::{UNFINISHED, create_private_directory, remove_leftovers};

/// A key directory that was read; changed only through the one that holds its lock.
#[derive(Debug)]
pub struct KeyDirectory {
    path: PathBuf,
    manifest: Manifest,
    findings: Vec<Finding>,
    /// The lock lasts as long as the file is open.
    lock: Option<File>,
}

impl KeyDirectory {
    /// Reads a directory, without a lock: what is read is whole, because manifests are replaced whole.
    ///
    /// # Errors
    /// A directory or a private key that others can read, no manifest, or one that is not understood.
    pub fn read(path: &Path) -> Result<Self, DirectoryError> {
        let directory = Self::inspect(path, None)?;
        directory.ok_or_else(|| DirectoryError::Empty(path.to_owned()))
    }

    /// What is replaced whenever something changes: to be watched.
    #[must_use]
    pub fn manifest_file(path: &Path) -> PathBuf {
        path.join(MANIFEST)
    }

    /// Takes the lock and reads; deletes what a call that was cut short has left to delete.
    ///
    /// # Errors
    /// As [`Self::read`], and when another call holds the lock.
    pub(super) fn lock(path: &Path) -> Result<Self, DirectoryError> {
        let lock = take_lock(path)?;
        let directory = Self::inspect(path, Some(lock))?;
        let mut directory = directory.ok_or_else(|| DirectoryError::Empty(path.to_owned()))?;
        directory.clean_up()?;
        Ok(directory)
    }

    /// The same, and makes the directory and its empty manifest where there is none.
    pub(super) fn lock_or_create(path: &Path) -> Result<Self, DirectoryError> {
        create_private_directory(path)
            .map_err(|source| DirectoryError::NotMade { path: path.to_owned(), source })?;
        let lock = take_lock(path)?;
        if Self::inspect(path, None)?.is_none() {
            // Before the first key file: a key without a manifest is then always a manifest that was lost.
            let empty = Operation::ReplaceManifest(Manifest::default().to_json());
            perform(path, &[empty])?;
        }
        let directory = Self::inspect(path, Some(lock))?;
        let mut directory = directory.ok_or_else(|| DirectoryError::Empty(path.to_owned()))?;
        directory.clean_up()?;
        Ok(directory)
    }

    /// What the directory holds.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What else was found in it.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The key that signs, with its private half; `None` when none is active.
    ///
    /// # Errors
    /// When its file does not hold it.
    pub fn signing_key(&self) -> Result<Option<SigningKey>, DirectoryError> {
        self.manifest.active().map(|key| self.private_key(key)).transpose()
    }

    pub(super) fn private_key(&self, key: &ManagedKey) -> Result<SigningKey, DirectoryError> {
        let path = self.path.join(private_name(key.kid()));
        let pem = match read_bounded(&path) {
            Ok(pem) => Zeroizing::new(pem),
            Err(source) => return Err(DirectoryError::Unreadable { path, source }),
        };
        let read = std::str::from_utf8(&pem).ok();
        let read = read.and_then(|pem| SigningKey::from_pem(pem, key.key_type().algorithm()).ok());
        let read = read.map(|read| read.with_kid(key.kid().as_str()));
        let right = read.filter(|read| read.public_jwk() == *key.public_jwk());
        right.ok_or_else(|| DirectoryError::WrongKey { path, kid: key.kid().clone() })
    }

    pub(super) fn commit(&mut self, change: Change) -> Result<(), DirectoryError> {
        debug_assert!(self.lock.is_some(), "only the holder of the lock changes anything");
        perform(&self.path, &plan(&change)?)?;
        self.manifest = change.manifest;
        Ok(())
    }

    /// `None` when there is neither a manifest nor a key.
    fn inspect(path: &Path, lock: Option<File>) -> Result<Option<Self>, DirectoryError> {
        let names = check_directory(path)?;
        let file = path.join(MANIFEST);
        let bytes = match read_bounded(&file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let keys = names.iter().any(|name| name.ends_with(".pem"));
                let lost = keys.then(|| DirectoryError::NoManifest(path.to_owned()));
                return lost.map_or(Ok(None), Err);
            }
            Err(source) => return Err(DirectoryError::Unreadable { path: file, source }),
        };
        let manifest = Manifest::parse(&bytes)
            .map_err(|mistake| DirectoryError::Manifest { path: file, mistake })?;
        for key in manifest.keys() {
            check_private(&path.join(private_name(key.kid())))?;
        }
        let findings = findings(&manifest, names);
        Ok(Some(Self { path: path.to_owned(), manifest, findings, lock }))
    }

    /// Only for the holder of the lock: what is unfinished is then nobody's.
    fn clean_up(&mut self) -> Result<(), DirectoryError> {
        remove_leftovers(&self.path, UnixTime::from_millis(i64::MAX))
            .map_err(|source| DirectoryError::Unreadable { path: self.path.clone(), source })?;
        let mut operations = vec![];
        for finding in &mut self.findings {
            if let Finding::NotYetDeleted(kid) = finding {
                operations.push(Operation::Remove(private_name(kid)));
                *finding = Finding::Deleted(kid.clone());
            }
        }
        if operations.is_empty() {
            return Ok(());
        }
        operations.push(Operation::Sync);
        perform(&self.path, &operations)
    }
}

fn perform(directory: &Path, operations: &[Operation]) -> Result<(), DirectoryError> {
    for operation in operations {
        operation.perform(directory).map_err(|source| {
            let path = directory.join(operation.file());
            if source.kind() == io::ErrorKind::AlreadyExists {
                DirectoryError::Exists(path)
            } else {
                DirectoryError::Unwritable { path, source }
            }
        })?;
    }
    Ok(())
}

fn take_lock(path: &Path) -> Result<File, DirectoryError> {
    check_directory(path)?;
    let file = path.join(".lock");
    let failed = |source| DirectoryError::Unwritable { path: file.clone(), source };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    // Not through a link: it would make an empty file wherever that leads. Nor wait for a FIFO.
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let lock = options.open(&file);
    let lock = lock.map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(DirectoryError::Busy(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// The names in a directory that nobody else can look into.
fn check_directory(path: &Path) -> Result<BTreeSet<String>, DirectoryError> {
    let unreadable = |source| DirectoryError::Unreadable { path: path.to_owned(), source };
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(DirectoryError::Missing(path.to_owned()));
        }
        read => read.map_err(unreadable)?,
    };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    refuse_exposed(path, metadata.permissions().mode(), 0o700)?;
    // As they are printed; those that a manifest can hold are the same.
    let name = |entry: fs::DirEntry| escaped(&entry.file_name().to_string_lossy(), 200);
    let names = entries.map(|entry| entry.map(name));
    names.collect::<Result<_, _>>().map_err(unreadable)
}

/// A private key that is there must be a file that nobody else can read. Whether it must be there is not asked.
fn check_private(path: &Path) -> Result<(), DirectoryError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err(DirectoryError::NotAFile(path.to_owned())),
        Ok(metadata) => refuse_exposed(path, metadata.permissions().mode(), 0o600),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(DirectoryError::Unreadable { path: path.to_owned(), source }),
    }
}

fn refuse_exposed(path: &Path, mode: u32, needed: u32) -> Result<(), DirectoryError> {
    let mode = mode & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(DirectoryError::Exposed { path: path.to_owned(), mode, needed })
}

fn findings(manifest: &Manifest, mut names: BTreeSet<String>) -> Vec<Finding> {
    for known in [MANIFEST, ".lock"] {
        names.remove(known);
    }
    // A manifest that a call was writing when it was cut short; the next one that changes something removes it.
    names.retain(|name| !name.starts_with(UNFINISHED));
    let mut findings = vec![];
    for key in manifest.keys() {
        let private = private_name(key.kid());
        match (names.remove(&private), key.state()) {
            (true, KeyState::Retired) => {
                findings.push(Finding::NotYetDeleted(key.kid().clone()));
            }
            (false, KeyState::Next | KeyState::Active) => findings.push(Finding::Missing(private)),
            (true, KeyState::Next | KeyState::Active | KeyState::Retiring)
            | (false, KeyState::Retiring | KeyState::Retired) => {}
        }
        let public = public_name(key.kid());
        if !names.remove(&public) {
            findings.push(Finding::Missing(public));
        }
    }
    findings.extend(names.into_iter().map(Finding::Stranger));
    findings
}

/// Neither a manifest nor a key is ever this long.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a file"));
    }
    let mut bytes = vec![];
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}
