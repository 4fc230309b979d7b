//! What a change does to the directory, as a list of operations. The list is made first and performed after, one by
//! one, so that its order can be read here and tests can stop behind any of them.
//!
//! The order is what makes a crash harmless. A new key's files are on the disk before the manifest names them: cut
//! short, they are strangers that nobody uses. A private key is deleted after the manifest has given it up: cut
//! short, the next call deletes it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::manifest::{Kid, Manifest};
use crate::keys::signing::{PrivatePem, SigningError, SigningKey};
use crate::util::fs::write_atomically;

/// The manifest's name in the directory.
pub(super) const MANIFEST: &str = "manifest.json";

/// The name of a private key's file.
pub(super) fn private_name(kid: &Kid) -> String {
    format!("{kid}.pem")
}

/// The name of a public key's file. A kid holds no dot, so it is nobody's private one.
pub(super) fn public_name(kid: &Kid) -> String {
    format!("{kid}.pub.pem")
}

/// A change from one manifest to the next.
#[derive(Debug)]
pub(super) struct Change {
    /// The manifest afterwards.
    pub(super) manifest: Manifest,
    /// The key that it names and the one before did not.
    pub(super) made: Option<(Kid, SigningKey)>,
    /// The key whose private half is to go.
    pub(super) withdrawn: Option<Kid>,
}

/// One thing that is done to a directory: wholly, or, after a crash, in a way that does not matter.
#[derive(Debug)]
pub(super) enum Operation {
    /// Writes a private key where no file is.
    CreatePrivate(String, PrivatePem),
    /// Writes a public key where no file is.
    CreatePublic(String, String),
    /// Has the names of the files on the disk.
    Sync,
    /// Replaces the manifest, atomically.
    ReplaceManifest(Vec<u8>),
    /// Deletes a file, if it is there.
    Remove(String),
}

/// The operations of a change, in their order.
pub(super) fn plan(change: &Change) -> Result<Vec<Operation>, SigningError> {
    let mut operations = vec![];
    if let Some((kid, key)) = &change.made {
        operations.push(Operation::CreatePrivate(private_name(kid), key.private_pem()?));
        operations.push(Operation::CreatePublic(public_name(kid), key.public_pem()?));
        operations.push(Operation::Sync);
    }
    operations.push(Operation::ReplaceManifest(change.manifest.to_json()));
    if let Some(kid) = &change.withdrawn {
        operations.push(Operation::Remove(private_name(kid)));
        operations.push(Operation::Sync);
    }
    Ok(operations)
}

impl Operation {
    /// Does it.
    pub(super) fn perform(&self, directory: &Path) -> io::Result<()> {
        match self {
            Self::CreatePrivate(name, pem) => {
                create(&directory.join(name), pem.expose().as_bytes(), 0o600)
            }
            Self::CreatePublic(name, pem) => create(&directory.join(name), pem.as_bytes(), 0o644),
            Self::Sync => File::open(directory)?.sync_all(),
            Self::ReplaceManifest(bytes) => {
                write_atomically(&directory.join(MANIFEST), bytes, 0o644)
            }
            Self::Remove(name) => match fs::remove_file(directory.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                Ok(()) | Err(_) => Ok(()),
            },
        }
    }

    /// The file that it is about.
    pub(super) fn file(&self) -> &str {
        match self {
            Self::CreatePrivate(name, _) | Self::CreatePublic(name, _) | Self::Remove(name) => name,
            Self::Sync => ".",
            Self::ReplaceManifest(_) => MANIFEST,
        }
    }
}

fn create(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
