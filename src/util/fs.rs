//! Files that are whole or not there, whatever happens while they are written. Last-known-good keys, the key
//! directory and the issuer's file of revocations are kept with it. Synchronous: async callers go through `spawn_blocking`.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use crate::util::clock::UnixTime;

/// What the names of files begin with that are not finished, or were left by a crash.
pub const UNFINISHED: &str = ".unfinished-";

/// Puts `bytes` at `path`, whole and for good, in place of what is there. Whoever reads meanwhile finds the old
/// content or the new one; after a crash there is one of the two. A symlink at `path` is replaced, not followed.
///
/// The file has `mode` (less the umask) from its first moment.
///
/// # Errors
/// What the operating system says. The old content is then still there and nothing is left beside it, unless only
/// the last step failed: making a rename that happened durable.
pub fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    replace(path, mode, |file| file.write_all(bytes))
}

/// Makes the directory `path`, for its owner only, unless there is a directory already. Its parent must exist:
/// a mistyped path or a volume that is not mounted makes no tree of directories.
///
/// # Errors
/// What the operating system says, also when something else is there.
pub fn create_private_directory(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes what crashes left unfinished in `directory` and was last written before `before`: what is younger may be
/// another process's, still writing. Goes on past files that cannot be removed.
///
/// # Errors
/// The directory cannot be read.
pub fn remove_leftovers(directory: &Path, before: UnixTime) -> io::Result<()> {
    for entry in directory.read_dir()? {
        let entry = entry?;
        let unfinished = entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes());
        let old = || {
            let written = entry.metadata().ok().and_then(|file| UnixTime::from_secs(file.mtime()));
            written.is_some_and(|written| written < before)
        };
        if unfinished && old() {
            // It will be tried again; until then it costs space only.
            let _removed = std::fs::remove_file(entry.path()).is_ok();
        }
    }
    Ok(())
}

fn replace(
    path: &Path,
    mode: u32,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let directory = parent(path)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED).permissions(Permissions::from_mode(mode));
    // Removes itself when dropped, which is what happens at every `?`.
    let mut unfinished = builder.tempfile_in(directory)?;
    fill(unfinished.as_file_mut())?;
    // Before the rename: else the new name could outlive a power cut, and its content not.
    unfinished.as_file().sync_all()?;
    unfinished.persist(path).map_err(|error| error.error)?;
    sync_parent(path)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match File::open(parent(path)?)?.sync_all() {
        // Some file systems have no such thing for directories.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) =>
        {
            Ok(())
        }
        outcome => outcome,
    }
}

fn parent(path: &Path) -> io::Result<&Path> {
    match path.parent() {
        // A bare file name.
        Some(parent) if parent.as_os_str().is_empty() => Ok(Path::new(".")),
        Some(parent) => Ok(parent),
        None => Err(io::ErrorKind::InvalidInput.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::ErrorKind;
    use std::path::PathBuf;
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;

    /// A directory with the file `f` in it.
    fn with_old_content() -> (TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        fs::write(&path, "old").unwrap();
        (directory, path)
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = directory.read_dir().unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o7777
    }

    #[test]
    fn the_new_content_takes_the_place_of_the_old_with_the_mode_asked_for() {
        let (directory, path) = with_old_content();
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        write_atomically(&path, b"new", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(names(directory.path()), ["f"]);
    }

    #[test]
    fn until_it_is_finished_the_old_content_stays_and_nobody_else_can_read_the_new() {
        let (directory, path) = with_old_content();
        replace(&path, 0o600, |file| {
            file.write_all(b"half of the n")?;
            assert_eq!(fs::read(&path)?, b"old");
            let names = names(directory.path());
            assert_eq!((names.len(), names[1].as_str()), (2, "f"));
            assert!(names[0].starts_with(UNFINISHED), "{names:?}");
            assert_eq!(mode(&directory.path().join(&names[0])), 0o600);
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn a_disk_that_is_full_halfway_leaves_the_old_content_and_nothing_else() {
        let (directory, path) = with_old_content();
        let error = replace(&path, 0o600, |file| {
            file.write_all(b"half of the n")?;
            File::options().write(true).open("/dev/full")?.write_all(b"ew content")
        });
        assert_eq!(error.unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(directory.path()), ["f"]);
    }

    #[test]
    fn a_rename_that_fails_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("d")).unwrap();
        assert!(write_atomically(&directory.path().join("d"), b"new", 0o600).is_err());
        assert_eq!(names(directory.path()), ["d"]);
    }

    #[test]
    fn a_place_that_cannot_be_written_to_is_an_error_and_stays_as_it_was() {
        let (directory, path) = with_old_content();
        for impossible in [
            path.join("below-a-file"),
            directory.path().join("missing/f"),
            PathBuf::from("/proc/f"),
            PathBuf::from("/"),
            directory.path().join("nul\0"),
        ] {
            assert!(write_atomically(&impossible, b"new", 0o600).is_err(), "{impossible:?}");
        }
        assert_eq!(names(directory.path()), ["f"]);
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }

    #[test]
    fn a_symlink_is_replaced_and_what_it_points_to_is_not_touched() {
        let (directory, path) = with_old_content();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        write_atomically(&link, b"new", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert!(link.symlink_metadata().unwrap().is_file());
    }

    #[test]
    fn a_new_directory_is_private_and_an_old_one_stays_as_it_is() {
        let (directory, file) = with_old_content();
        let new = directory.path().join("new");
        create_private_directory(&new).unwrap();
        assert_eq!(mode(&new), 0o700);
        fs::set_permissions(&new, Permissions::from_mode(0o750)).unwrap();
        create_private_directory(&new).unwrap();
        assert_eq!(mode(&new), 0o750);
        assert_eq!(create_private_directory(&file).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert!(create_private_directory(&new.join("a/b")).is_err());
        assert!(names(&new).is_empty());
    }

    #[test]
    fn leftovers_are_removed_once_they_are_old_and_nothing_else_ever_is() {
        let (directory, path) = with_old_content();
        let leftover = directory.path().join(format!("{UNFINISHED}x"));
        fs::write(&leftover, "ha").unwrap();
        let written = UnixTime::from_secs(leftover.metadata().unwrap().mtime()).unwrap();
        remove_leftovers(directory.path(), written).unwrap();
        assert!(leftover.exists());
        let later = written.saturating_add(Duration::from_secs(1));
        remove_leftovers(directory.path(), later).unwrap();
        assert!(!leftover.exists());
        assert!(path.exists());
        assert!(remove_leftovers(&path, later).is_err());
    }
}
