//! Evidence for auditors: which keys were in force at an event, and what has changed since an earlier one. Three
//! files that can be checked with `sha256sum -c`, and nothing in them is private.
//!
//! Pure but for [`Evidence::write`]. [`document`] reads keys that do not come from a key directory.

pub mod document;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::manifest::{KeyState, Manifest};
use crate::util::clock::UnixTime;
use crate::util::rfc3339::rfc3339;

/// The keys in force, public parts only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyset {
    /// The one that signs, where that is known.
    pub active_kid: Option<String>,
    /// The published keys by `kid`.
    pub keys: BTreeMap<String, Value>,
    /// Every kid that is known, retired ones among them, by state.
    pub states: BTreeMap<String, Vec<String>>,
}

impl Keyset {
    /// What a key directory publishes.
    #[must_use]
    pub fn of(manifest: &Manifest) -> Self {
        let name = |key: &super::manifest::ManagedKey| key.kid().as_str().to_owned();
        let published = manifest.keys().iter().filter(|key| key.state().is_published());
        let keys = published.map(|key| (name(key), key.public_jwk().clone())).collect();
        let states = KeyState::ALL.into_iter().map(|state| {
            let mut kids: Vec<String> = manifest.in_state(state).map(name).collect();
            kids.sort();
            (state.as_str().to_owned(), kids)
        });
        Self { active_kid: manifest.active().map(name), keys, states: states.collect() }
    }

    /// The keyset file: `{"active_kid": …, "keys": {kid: JWK}}`. A JWK Set without an active key has `null` there.
    #[must_use]
    pub fn to_json(&self) -> String {
        format!("{:#}\n", json!({"active_kid": self.active_kid, "keys": self.keys}))
    }
}

/// An event's name, which becomes a directory's: 1 to 128 letters, digits, `.`, `_` and `-`, not beginning with
/// a dot or a dash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventId(String);

impl EventId {
    /// What is accepted, for people.
    pub const EXPECTED: &'static str =
        "1 to 128 letters, digits, '.', '_' and '-', not beginning with a dot or a dash";

    /// Reads one; `None` for anything but [`Self::EXPECTED`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let good = (1..=128).contains(&text.len()) && text.bytes().all(safe);
        (good && !text.starts_with(['.', '-'])).then(|| Self(text.to_owned()))
    }
}

/// The three files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    event: EventId,
    /// `keyset.json`
    pub keyset: String,
    /// `summary.json`
    pub summary: String,
    /// `fingerprint.sha256`
    pub fingerprint: String,
}

impl Evidence {
    /// Puts them together. `previous` is the `summary.json` of an earlier event.
    ///
    /// # Errors
    /// A `previous` that is no such summary.
    pub fn new(
        event: EventId,
        keyset: &Keyset,
        previous: Option<&[u8]>,
        now: UnixTime,
    ) -> Result<Self, NotASummary> {
        let previous: Option<Summary> =
            previous.map(serde_json::from_slice).transpose().map_err(|_| NotASummary)?;
        let document = keyset.to_json();
        let digest_of_keys = sha256(&document);
        let mut summary = Map::new();
        let mut put = |name: &str, value: Value| {
            summary.insert(name.to_owned(), value);
        };
        put("event_id", json!(event.0));
        put("time", json!(rfc3339(now)));
        put("active_kid", json!(keyset.active_kid));
        put("kids", json!(keyset.states));
        put("keyset_sha256", json!(digest_of_keys));
        put("previous", json!(previous.as_ref().map(Summary::reference)));
        put("transitions", json!(previous.map(|previous| transitions(&previous, keyset))));
        let summary = format!("{:#}\n", Value::Object(summary));
        let fingerprint = format!("{digest_of_keys}  {KEYSET}\n{}  {SUMMARY}\n", sha256(&summary));
        Ok(Self { event, keyset: document, summary, fingerprint })
    }

    /// `<out>/<event-id>`.
    #[must_use]
    pub fn path(&self, out: &Path) -> PathBuf {
        out.join(&self.event.0)
    }

    /// Writes `<out>/<event-id>/`, which appears whole or not at all, and returns its path.
    ///
    /// # Errors
    /// The operating system's; `AlreadyExists` when there is evidence of this event: it is never replaced.
    pub fn write(&self, out: &Path) -> io::Result<PathBuf> {
        let (path, temporary) = (self.path(out), out.join(format!(".{}.tmp", self.event.0)));
        if path.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if temporary.symlink_metadata().is_ok() {
            fs::remove_dir_all(&temporary)?;
        }
        DirBuilder::new().recursive(true).mode(0o755).create(out)?;
        DirBuilder::new().mode(0o755).create(&temporary)?;
        let files =
            [(KEYSET, &self.keyset), (SUMMARY, &self.summary), (FINGERPRINT, &self.fingerprint)];
        for (name, content) in files {
            let mut options = OpenOptions::new();
            let file = options.write(true).create_new(true).mode(0o644).open(temporary.join(name));
            let mut file = file?;
            file.write_all(content.as_bytes())?;
            file.sync_all()?;
        }
        fs::File::open(&temporary)?.sync_all()?;
        fs::rename(&temporary, &path)?;
        fs::File::open(out)?.sync_all()?;
        Ok(path)
    }
}

/// What was to be compared with is no `summary.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no summary.json of an earlier event")]
pub struct NotASummary;

const KEYSET: &str = "keyset.json";
const SUMMARY: &str = "summary.json";
const FINGERPRINT: &str = "fingerprint.sha256";

#[derive(Deserialize)]
struct Summary {
    event_id: String,
    time: String,
    active_kid: Option<String>,
    kids: BTreeMap<String, Vec<String>>,
    keyset_sha256: String,
}

impl Summary {
    fn reference(&self) -> Value {
        json!({
            "event_id": self.event_id,
            "time": self.time,
            "active_kid": self.active_kid,
            "keyset_sha256": self.keyset_sha256,
        })
    }
}

/// Every kid whose state differs, `null` being the state of one that was, or is, not known.
fn transitions(previous: &Summary, keyset: &Keyset) -> Vec<Value> {
    let (before, after) = (by_kid(&previous.kids), by_kid(&keyset.states));
    let mut kids: Vec<&str> = before.keys().chain(after.keys()).copied().collect();
    kids.sort_unstable();
    kids.dedup();
    let moved = kids.into_iter().map(|kid| (kid, before.get(kid), after.get(kid)));
    let moved = moved.filter(|(_, from, to)| from != to);
    moved.map(|(kid, from, to)| json!({"kid": kid, "from": from, "to": to})).collect()
}

fn by_kid(states: &BTreeMap<String, Vec<String>>) -> BTreeMap<&str, &str> {
    let pairs = states.iter();
    pairs.flat_map(|(state, kids)| kids.iter().map(|kid| (kid.as_str(), state.as_str()))).collect()
}

fn sha256(text: &str) -> String {
    let digest = digest(&SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
