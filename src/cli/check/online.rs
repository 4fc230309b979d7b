//! `claimgate check --online`: reads every key source once, the way the service does at its start, and says of each what
//! it gave. It keeps nothing and changes nothing.

use std::io;

use serde_json::{Value, json};

use crate::app::inquiry::{self, Keys};
use crate::cli::shown::{ascii, error_text, shown};
use crate::config::Config;
use crate::keys::status::SourceStatus;
use crate::util::clock::{Clock as _, SystemClock};

/// How the sources did.
#[derive(Debug)]
pub(super) struct Sources(Vec<SourceStatus>);

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
        Ok(Self(generation.board.entries()))
    }

    /// Whether each gave keys just now: what was kept of an earlier run does not count.
    pub(super) fn are_all_good(&self) -> bool {
        self.0.iter().all(|source| failure(source).is_none())
    }

    /// For people: a line for each source, and one for each key that is passed over.
    pub(super) fn text(&self) -> String {
        let lines = self.0.iter().flat_map(|source| {
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
        lines.collect::<Vec<_>>().join("\n")
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
        self.0.iter().map(source).collect()
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
