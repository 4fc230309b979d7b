//! What the search of tests/leaks reads: every token and secret of this process's tests, and everything that claimgate told
//! while they ran. Not a judge of either. Tests and the other files of this folder call it.
//!
//! Nothing is kept unless `CLAIMGATE_TEST_KEPT` names a directory, which tests/run.sh makes. In it:
//!
//! | folder | holds |
//! | --- | --- |
//! | `secrets` | one JSON object a line, `{"kind": …, "value": …}`: `token`, `secret`, `key` (PEM) |
//! | `told` | text as it was told; a service's log and pages end in `.service`, where no claim may be either |
//! | `shown` | what was not kept, since to show tokens, keys or claims is what it is for: where, and why |
//!
//! Each process writes files of its own.

use std::collections::HashSet;
use std::env;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::panic::{self, Location};
use std::path::{Path, PathBuf, absolute};
use std::process::{self, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use claimgate::issuer::mint as minting;
use claimgate::issuer::{SigningError, SigningKey};
use serde_json::{Value, json};

const VARIABLE: &str = "CLAIMGATE_TEST_KEPT";

static PLACE: LazyLock<Option<Place>> = LazyLock::new(Place::make);

/// Of this process.
struct Place {
    root: PathBuf,
    name: String,
    secrets: Mutex<Once>,
    pages: Mutex<Once>,
    log: Mutex<File>,
    printed: Mutex<File>,
    shown: Mutex<Once>,
    streams: AtomicUsize,
}

/// A file in which no line is written twice.
struct Once {
    file: File,
    written: HashSet<u64>,
}

impl Place {
    fn make() -> Option<Self> {
        let root = PathBuf::from(env::var_os(VARIABLE).filter(|root| !root.is_empty())?);
        let binary = env::current_exe().unwrap();
        let binary = binary.file_stem().unwrap().to_string_lossy().into_owned();
        let name = format!("{binary}-{}", process::id());
        let file = |folder: &str, kind: &str| {
            fs::create_dir_all(root.join(folder)).unwrap();
            appended(&root.join(folder).join(format!("{name}{kind}")))
        };
        let once =
            |folder, kind| Mutex::new(Once { file: file(folder, kind), written: HashSet::new() });
        Some(Self {
            secrets: once("secrets", ""),
            pages: once("told", ".pages.service"),
            log: Mutex::new(file("told", ".log.service")),
            printed: Mutex::new(file("told", ".printed")),
            shown: once("shown", ""),
            streams: AtomicUsize::new(0),
            name,
            root,
        })
    }

    fn secret(&self, kind: &str, value: &str) {
        lock(&self.secrets).line(&json!({"kind": kind, "value": value}).to_string(), value);
    }

    /// A file for a stream that others write to.
    fn stream(&self, kind: &str) -> PathBuf {
        let nth = self.streams.fetch_add(1, Ordering::Relaxed);
        self.root.join("told").join(format!("{}-{nth}.{kind}", self.name))
    }
}

impl Once {
    /// `key` is what tells it from others.
    fn line(&mut self, line: &str, key: impl Hash) {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        if self.written.insert(hasher.finish()) {
            self.file.write_all(format!("{line}\n").as_bytes()).unwrap();
        }
    }

    /// A page that changes in digits alone says nothing new, and some are asked for fifty times a second.
    fn text(&mut self, text: &str) {
        for line in text.lines() {
            self.line(line, line.chars().filter(|c| !c.is_ascii_digit()).collect::<String>());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn appended(path: &Path) -> File {
    File::options().create(true).append(true).open(path).unwrap()
}

/// Whether anything is kept.
pub(crate) fn is_on() -> bool {
    PLACE.is_some()
}

// === what may not be told ===

/// [`minting::mint`], whose token is kept.
pub(crate) fn mint(key: &SigningKey, claims: &Value) -> Result<String, SigningError> {
    minting::mint(key, claims).inspect(|made| token(made))
}

/// [`minting::mint_with_header`], whose token is kept.
pub(crate) fn mint_with_header(
    key: &SigningKey,
    header: &Value,
    claims: &Value,
) -> Result<String, SigningError> {
    minting::mint_with_header(key, header, claims).inspect(|made| token(made))
}

/// [`minting::mint_bytes`], whose token is kept.
pub(crate) fn mint_bytes(
    key: &SigningKey,
    header: &[u8],
    payload: &[u8],
) -> Result<String, SigningError> {
    minting::mint_bytes(key, header, payload).inspect(|made| token(made))
}

/// A token, or what an attacker takes for one.
pub(crate) fn token(text: &str) {
    if let Some(place) = &*PLACE {
        place.secret("token", text);
    }
}

/// Every token in what is sent, genuine or not: words with a dot in them of which a part is the beginning of a JSON object.
pub(crate) fn sent(text: &str) {
    if let Some(place) = &*PLACE {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let words = text.split(|c| !is_part(c));
        for word in words.filter(|word| word.contains("eyJ") && word.contains('.')) {
            place.secret("token", word);
        }
    }
}

/// A password, a refresh token, the secret of a client or of HS256.
pub(crate) fn secret(text: &str) {
    if let Some(place) = &*PLACE {
        place.secret("secret", text);
    }
}

/// A private key, in PEM.
pub(crate) fn key(pem: &str) {
    if let Some(place) = &*PLACE {
        place.secret("key", pem);
    }
}

/// Every private key of a key directory.
pub(crate) fn keys(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        if name.ends_with(".pem") && !name.ends_with(".pub.pem") {
            key(&fs::read_to_string(entry.path()).unwrap_or_default());
        }
    }
}

/// The directory of a reader who did what a page says: its keys, and the logs that were sent to files.
pub(crate) fn folder(path: &Path) {
    keys(&path.join("keys"));
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.path().extension().is_some_and(|it| it == "log") {
            line(&fs::read_to_string(entry.path()).unwrap_or_default());
        }
    }
}

// === what is told ===

/// Lines of the log of a service.
pub(crate) fn logged(bytes: &[u8]) {
    if let Some(place) = &*PLACE {
        lock(&place.log).write_all(bytes).unwrap();
    }
}

/// Has the messages of panics kept too: what panics in a service has it in hand.
pub(crate) fn panics() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        logged(format!("{info}\n").as_bytes());
        before(info);
    }));
}

/// A page of the admin port, a denial.
pub(crate) fn page(text: &str) {
    if let Some(place) = &*PLACE {
        lock(&place.pages).text(text);
    }
}

/// What a program printed on both streams.
#[track_caller]
pub(crate) fn printed(output: &Output) {
    line(&format!(
        "--- {}\n{}{}",
        Location::caller(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    ));
}

/// Lines of a program.
pub(crate) fn line(text: &str) {
    if let Some(place) = &*PLACE {
        lock(&place.printed).write_all(format!("{text}\n").as_bytes()).unwrap();
    }
}

/// What a program printed whose standard output is for showing tokens, keys or claims. The other stream is not.
#[track_caller]
pub(crate) fn printed_but(why: &str, output: &Output) {
    if let Some(place) = &*PLACE {
        let entry = format!("{}: {why}", Location::caller());
        lock(&place.shown).line(&entry, &entry);
        printed(&Output { stdout: Vec::new(), ..output.clone() });
    }
}

/// A stream of a program that nobody reads in the test. `kind` is `service` for that of a claimgate.
pub(crate) fn stream(kind: &str) -> Stdio {
    PLACE.as_ref().map_or_else(Stdio::null, |place| appended(&place.stream(kind)).into())
}

/// A file at `path` for a stream that the test reads, to append to. What is kept of it outlives the directory it is in.
pub(crate) fn file(kind: &str, path: &Path) -> File {
    let Some(place) = &*PLACE else { return appended(path) };
    if fs::symlink_metadata(path).is_err() {
        symlink(absolute(place.stream(kind)).unwrap(), path).unwrap();
    }
    appended(path)
}
