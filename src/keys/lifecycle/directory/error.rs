//! What can be wrong with a key directory: [`Finding`] is told, [`DirectoryError`] stands in the way.

use std::path::PathBuf;
use std::{fmt, io};

use crate::keys::lifecycle::manifest::{Kid, ManifestError};
use crate::keys::lifecycle::plan::MANIFEST;
use crate::keys::signing::SigningError;

/// Something in a directory that ought not to be, and does not stand in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A file that the manifest does not name.
    Stranger(String),
    /// The private key file of a retired key; the next call that changes something deletes it.
    NotYetDeleted(Kid),
    /// It was there, and has been deleted.
    Deleted(Kid),
    /// A file that the manifest names is not there.
    Missing(String),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stranger(name) => write!(
                f,
                "{name} is not in the manifest and not used: left by a call that was cut short, or put there by \
                 someone; delete it"
            ),
            Self::NotYetDeleted(kid) => write!(
                f,
                "the private key of {kid}, which is retired, is still there; `claimgate keys retire {kid}` deletes it"
            ),
            Self::Deleted(kid) => {
                write!(
                    f,
                    "the private key of {kid}, which is retired, was still there and is deleted now"
                )
            }
            Self::Missing(name) => write!(f, "{name} is missing"),
        }
    }
}

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// No such directory.
    #[error("{}: there is no such key directory; `claimgate keys generate` makes it, with the first key", .0.display())]
    Missing(PathBuf),
    /// It was to be made.
    #[error(
        "{}: cannot be made a key directory: {source}; its parent must be there, and nothing but a directory in its place",
        path.display()
    )]
    NotMade {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not a directory, or something in it that cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// What could not be read.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may look in.
    #[error("{}: mode {mode:04o} lets others in; `chmod {needed:o} {}` mends it", path.display(), path.display())]
    Exposed {
        /// The directory or private key.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// What it must be.
        needed: u32,
    },
    /// A link, a pipe or the like in the place of a private key.
    #[error("{}: a private key is a file, and no link to one", .0.display())]
    NotAFile(PathBuf),
    /// No manifest, and no key either.
    #[error("{}: no keys here yet; `claimgate keys generate` makes the first", .0.display())]
    Empty(PathBuf),
    /// Keys without a manifest.
    #[error("{}: {MANIFEST} is missing although there are keys; bring it back from a backup", .0.display())]
    NoManifest(PathBuf),
    /// A manifest that is not understood.
    #[error("{}: {mistake}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        mistake: ManifestError,
    },
    /// Another call holds the lock.
    #[error("{}: another call is changing it; try again", .0.display())]
    Busy(PathBuf),
    /// A file is where a new key was to be written.
    #[error("{} exists and is never overwritten: choose another kid, or delete it if nobody needs it", .0.display())]
    Exists(PathBuf),
    /// Writing failed.
    #[error("{}: {source}; what was there before is still in force", path.display())]
    Unwritable {
        /// What could not be written.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A private key file does not hold the key that the manifest says.
    #[error("{}: not the private key of {kid}; `claimgate keys retire {kid}` withdraws it", path.display())]
    WrongKey {
        /// The file.
        path: PathBuf,
        /// The key that was looked for.
        kid: Kid,
    },
    /// A new key could not be written.
    #[error(transparent)]
    Signing(#[from] SigningError),
}
