//! Tells when the file behind a path may be another one than before: written to, replaced by a rename, or by
//! a symlink on the way to it that was swapped, as mounted Kubernetes volumes do it.
//!
//! It watches directories, since a file that is replaced takes its own watch with it. It is a hint, not a
//! promise: network file systems report nothing, and the system's number of watches is limited. Whoever
//! calls it looks at the file from time to time as well, and decides what it read.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::{task, time};

/// A change is told when nothing more has happened for so long: files are written in several steps.
const QUIET: Duration = Duration::from_millis(20);

/// And after so many of these at the latest.
const MAX_QUIETS: u32 = 10;

/// How long to wait where nothing can be watched.
const RETRY: Duration = Duration::from_secs(10);

/// Symlinks followed, at most; the system stops at 40.
const MAX_LINKS: usize = 16;

/// Watches one path, which need not exist.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    armed: Option<Armed>,
    /// Beginning to watch, which takes as long as the file system wants. Awaited again by the next call: one that
    /// never answers costs one thread.
    arming: Option<JoinHandle<Option<Armed>>>,
    /// Something has happened that has not been told yet.
    is_dirty: bool,
}

#[derive(Debug)]
struct Armed {
    happened: Arc<Notify>,
    /// Ends when it is dropped.
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// A watch of the file at `path`. Does no I/O.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), armed: None, arming: None, is_dirty: false }
    }

    /// Begins to watch, so that a change is noticed even if [`Self::changed`] is called after it. Does nothing
    /// the second time. Cancel safe.
    pub async fn arm(&mut self) {
        if self.armed.is_none() {
            let arming = self.arming.get_or_insert_with(|| {
                let path = self.path.clone();
                task::spawn_blocking(move || arm(&path))
            });
            let armed = arming.await;
            self.arming = None;
            self.armed = armed.ok().flatten();
        }
    }

    /// Resolves when the file may have changed since the last time, or since [`Self::arm`]. Cancel safe.
    pub async fn changed(&mut self) {
        while !self.is_dirty {
            self.arm().await;
            match &self.armed {
                Some(armed) => {
                    armed.happened.notified().await;
                    self.is_dirty = true;
                }
                None => time::sleep(RETRY).await,
            }
        }
        if let Some(armed) = &self.armed {
            for _ in 0..MAX_QUIETS {
                if time::timeout(QUIET, armed.happened.notified()).await.is_err() {
                    break;
                }
            }
        }
        // The directories themselves may be others by now.
        self.armed = None;
        self.arm().await;
        self.is_dirty = false;
    }
}

/// Watches every directory in which a step on the way to `path` lies; `None` when none can be.
fn arm(path: &Path) -> Option<Armed> {
    let steps = steps(path);
    let names: Vec<OsString> =
        steps.iter().filter_map(|step| step.file_name()).map(OsStr::to_owned).collect();
    let happened = Arc::new(Notify::new());
    let notify = Arc::clone(&happened);
    let tell = move |event: notify::Result<Event>| {
        // An error may be an overflow: then anything may have happened.
        if event.is_ok_and(|event| !concerns(&event, &names)) {
            return;
        }
        notify.notify_one();
    };
    let mut watcher = notify::recommended_watcher(tell).ok()?;
    let mut watched: Vec<&Path> = Vec::new();
    for directory in steps.iter().filter_map(|step| step.parent()) {
        if !watched.contains(&directory)
            && watcher.watch(directory, RecursiveMode::NonRecursive).is_ok()
        {
            watched.push(directory);
        }
    }
    (!watched.is_empty()).then_some(Armed { happened, _watcher: watcher })
}

/// Whether it may have changed what is called like one of `names`. Reading does not, and must not be told:
/// the reader would wake itself.
fn concerns(event: &Event, names: &[OsString]) -> bool {
    let changes = match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    };
    let is_named = |path: &PathBuf| {
        path.file_name().is_some_and(|name| names.iter().any(|known| known == name))
    };
    changes && (event.need_rescan() || event.paths.is_empty() || event.paths.iter().any(is_named))
}

/// The paths that decide which file `path` is: itself, what each symlink among them leads to, and the directory of
/// each. Directories further up are not watched.
fn steps(path: &Path) -> Vec<PathBuf> {
    let mut steps = Vec::new();
    let mut next = std::path::absolute(path).ok();
    while let Some(step) = next.filter(|_| steps.len() < 2 * MAX_LINKS) {
        let directory = step.parent().map(Path::to_path_buf);
        next = followed(&step, directory.as_deref());
        // A directory that is a link: `..data` of a mounted volume leads to another one each time.
        if let Some(directory) = directory {
            if next.is_none()
                && let Some(target) = followed(&directory, directory.parent())
            {
                next = step.file_name().map(|name| target.join(name));
            }
            steps.push(directory);
        }
        steps.push(step);
    }
    steps
}

/// Where the symlink at `path`, which lies in `directory`, leads.
fn followed(path: &Path, directory: Option<&Path>) -> Option<PathBuf> {
    let target = std::fs::read_link(path).ok()?;
    Some(directory?.join(target))
}

#[cfg(test)]
mod tests;
