//! What may happen to a file, in a real directory. Only that a change is told is looked at, not when.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use notify::event::ModifyKind;

use super::*;

/// Nothing that is waited for takes this long unless it never comes.
const PATIENCE: Duration = Duration::from_secs(20);

async fn armed(path: impl Into<PathBuf>) -> Watch {
    let mut watch = Watch::new(path);
    watch.arm().await;
    assert!(watch.armed.is_some());
    watch
}

async fn told(watch: &mut Watch, what: &str) {
    let told = time::timeout(PATIENCE, watch.changed()).await;
    assert!(told.is_ok(), "not told: {what}");
}

/// What happens, and how: to the file, with another one at hand.
type Step = (&'static str, fn(&Path, &Path));

#[tokio::test]
async fn whatever_happens_to_a_file_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let other = directory.path().join("other");
    let steps: [Step; 9] = [
        ("created", |path, _| fs::write(path, "1").unwrap()),
        ("truncated and written", |path, _| fs::write(path, "2").unwrap()),
        ("emptied", |path, _| drop(fs::File::create(path).unwrap())),
        ("its mode changed", |path, _| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
        }),
        ("replaced by a rename", |path, other| {
            fs::write(other, "3").unwrap();
            fs::rename(other, path).unwrap();
        }),
        ("deleted", |path, _| fs::remove_file(path).unwrap()),
        ("recreated", |path, _| fs::write(path, "4").unwrap()),
        ("moved away", |path, other| fs::rename(path, other).unwrap()),
        ("a directory now", |path, _| fs::create_dir(path).unwrap()),
    ];
    let mut watch = armed(&path).await;
    for (what, happens) in steps {
        happens(&path, &other);
        told(&mut watch, what).await;
    }
}

#[tokio::test]
async fn a_mounted_volume_that_is_swapped_is_told_each_time() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for version in ["v0", "v1", "v2"] {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("file"), version).unwrap();
    }
    symlink("v0", at("..data")).unwrap();
    symlink("..data/file", at("file")).unwrap();
    // Mounted there, and linked to from elsewhere.
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(at("file"), elsewhere.path().join("link")).unwrap();
    let mut watches = [armed(at("file")).await, armed(elsewhere.path().join("link")).await];
    for version in ["v1", "v2"] {
        symlink(version, at("..new")).unwrap();
        fs::rename(at("..new"), at("..data")).unwrap();
        for watch in &mut watches {
            told(watch, version).await;
        }
        // And what is written to the new one.
        fs::write(at(version).join("file"), "again").unwrap();
        for watch in &mut watches {
            told(watch, "written after a swap").await;
        }
    }
}

#[tokio::test]
async fn a_directory_that_is_replaced_is_told_and_watched_again() {
    let above = tempfile::tempdir().unwrap();
    let (directory, next) = (above.path().join("directory"), above.path().join("next"));
    fs::create_dir(&directory).unwrap();
    let mut watch = armed(directory.join("file")).await;
    fs::create_dir(&next).unwrap();
    fs::rename(&directory, above.path().join("old")).unwrap();
    fs::rename(&next, &directory).unwrap();
    told(&mut watch, "the directory was replaced").await;
    fs::write(directory.join("file"), "1").unwrap();
    told(&mut watch, "created in the new one").await;
    fs::remove_dir_all(&directory).unwrap();
    told(&mut watch, "the directory was deleted").await;
    fs::create_dir(&directory).unwrap();
    told(&mut watch, "the directory was recreated").await;
    fs::write(directory.join("file"), "2").unwrap();
    told(&mut watch, "created in the newest one").await;
}

#[tokio::test]
async fn a_change_whose_telling_was_interrupted_is_told_the_next_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let mut watch = armed(&path).await;
    fs::write(&path, "1").unwrap();
    for _ in 0..2000 {
        let interrupted = time::timeout(Duration::from_millis(1), watch.changed()).await;
        if watch.is_dirty || interrupted.is_ok() {
            break;
        }
    }
    if watch.is_dirty {
        told(&mut watch, "interrupted").await;
    }
    assert!(!watch.is_dirty);
}

#[test]
fn reading_a_file_and_what_others_do_in_its_directory_is_not_told() {
    let event = |kind, path: &str| Event::new(kind).add_path(PathBuf::from(path));
    let names = [OsString::from("file")];
    let access = |kind| EventKind::Access(kind);
    let modified = EventKind::Modify(ModifyKind::Any);
    assert!(!concerns(&event(access(AccessKind::Open(AccessMode::Read)), "/d/file"), &names));
    assert!(!concerns(&event(access(AccessKind::Close(AccessMode::Read)), "/d/file"), &names));
    assert!(concerns(&event(access(AccessKind::Close(AccessMode::Write)), "/d/file"), &names));
    assert!(concerns(&event(modified, "/d/file"), &names));
    assert!(!concerns(&event(modified, "/d/other"), &names));
    assert!(concerns(&Event::new(EventKind::Other), &names), "may be anything");
}

#[test]
fn a_symlink_that_leads_to_itself_ends() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    symlink("file", &path).unwrap();
    assert!(steps(&path).len() <= 2 * MAX_LINKS + 2);
}
