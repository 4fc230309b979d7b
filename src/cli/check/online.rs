//! `claimgate check --online`: reads every key source and the revocations once, the way the service does at its start,
//! and says of each what it gave. It keeps nothing and changes nothing.

use std::io;

use serde_json::{Value, json};

use crate::app::inquiry::{self, Keys};
use crate::cli::shown::{ascii, counted, error_text, shown};
use crate::config::Config;
use crate::keys::status::SourceStatus;
use crate::util::clock::{Clock as _, SystemClock};

/// How the sources did.
#[derive(Debug)]
pub(super) struct Sources {
    keys: Vec<SourceStatus>,
    /// Of the revocations, where they have one.
    revocations: Option<Revocations>,
}

/// How the source of the revocations did.
#[derive(Debug)]
struct Revocations {
    location: String,
    entries: usize,
    skipped: usize,
    error: Option<String>,
}

impl Sources {
    /// Reads them.
    ///
    /// # Errors
    /// There is no way to wait for them.
    pub(super) fn read(config: Config) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let asked = inquiry::ask(config, Keys::Online, SystemClock.now());
        let generation = runtime.block_on(Box::pin(asked));
        // Names that are still being resolved, a file system that does not answer: their deadlines are over.
        runtime.shutdown_background();
        let revocations = generation.revocation.as_ref().and_then(|in_force| {
            let status = in_force.board.read();
            Some(Revocations {
                location: status.location?,
                entries: in_force.revocations.store.load().len(),
                skipped: status.skipped.count,
                error: status.last_error.map(|(_, error)| error),
            })
        });
        Ok(Self { keys: generation.board.entries(), revocations })
    }

    /// Whether each gave keys just now: what was kept of an earlier run does not count.
    pub(super) fn are_all_good(&self) -> bool {
        let revocations = self.revocations.as_ref();
        self.keys.iter().all(|source| failure(source).is_none())
            && revocations.is_none_or(|source| source.error.is_none())
    }

    /// For people: a line for each source, and one for each key that is passed over.
    pub(super) fn text(&self) -> String {
        let lines = self.keys.iter().flat_map(|source| {
            let place = format!(
                "{} source {} ({})",
                source.id.issuer,
                source.id.source,
                shown(&source.location)
            );
            let kids = || source.kids.iter().map(|kid| shown(kid)).collect::<Vec<_>>().join(", ");
            let state = match failure(source) {
                Some(failure) => format!("failed: {}", error_text(&failure)),
                None => format!("kept {}: {}", source.kids.len(), kids()),
            };
            let skipped = source.skipped.iter().map(|key| {
                let kid = key.kid.as_deref().map_or_else(|| "(no kid)".to_owned(), shown);
                format!("  skipped {kid}: {}", key.reason.as_str())
            });
            let warning = source.warning.iter().map(|warning| format!("  {}", shown(warning)));
            let below = skipped.chain(warning).collect::<Vec<_>>();
            std::iter::once(format!("{place}: {state}")).chain(below)
        });
        let revocations = self.revocations.as_ref().map(|source| {
            let place = format!("revocations ({})", shown(&source.location));
            match &source.error {
                Some(error) => format!("{place}: failed: {}", error_text(error)),
                None if source.skipped == 0 => {
                    format!("{place}: {}", counted(source.entries, "entry"))
                }
                None => {
                    let (entries, skipped) = (counted(source.entries, "entry"), source.skipped);
                    format!("{place}: {entries}, skipped {skipped} that cannot be read")
                }
            }
        });
        lines.chain(revocations).collect::<Vec<_>>().join("\n")
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let source = |source: &SourceStatus| {
            let skipped = source.skipped.iter();
            let skipped = skipped.map(|key| json!({"kid": key.kid, "reason": key.reason.as_str()}));
            json!({
                "issuer": source.id.issuer.name(),
                "source": source.id.source.name(),
                "location": source.location,
                "kids": source.kids,
                "skipped": skipped.collect::<Vec<_>>(),
                "warning": source.warning,
                "error": failure(source),
            })
        };
        self.keys.iter().map(source).collect()
    }

    /// The same of the source of the revocations.
    pub(super) fn revocations_json(&self) -> Option<Value> {
        self.revocations.as_ref().map(|source| {
            json!({
                "location": source.location,
                "entries": source.entries,
                "skipped": source.skipped,
                "error": source.error,
            })
        })
    }
}

/// Why a source gave nothing.
fn failure(source: &SourceStatus) -> Option<String> {
    match (&source.last_error, source.last_success) {
        (Some((_, error)), _) => Some(error.clone()),
        (None, None) => Some("no answer".to_owned()),
        (None, Some(_)) => None,
    }
}

/// One line for programs, whatever a provider wrote.
pub(super) fn line(json: &Value) -> String {
    ascii(&json.to_string())
}
