//! Tells people how a source is doing: the status board and the metrics at every attempt, the log only
//! when something changes. Decides nothing; [`super::refresher`] calls it.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use super::content::Content;
use super::jwks::{Reasons, SkipReason};
use super::source::{SourceError, SourceSettings};
use super::status::{Origin, Persistence, SourceStatus, StatusBoard};
use super::store::SourceId;
use crate::telemetry::metrics::{RefreshResult, SourceMetrics};
use crate::util::clock::UnixTime;
use crate::util::escape::escaped;

/// A key without a `kid`, for people.
const NO_KID: &str = "(none)";

/// Characters of a `kid` in a log line: it is the provider's text.
const MAX_LOGGED_KID: usize = 64;

/// Key IDs in one log line.
const MAX_LOGGED_KIDS: usize = 16;

/// Reports on one source.
#[derive(Debug)]
pub(super) struct Reporter {
    id: SourceId,
    location: String,
    board: Arc<StatusBoard>,
    metrics: SourceMetrics,
    /// Key IDs in force, in order.
    kids: Vec<String>,
    skipped: Reasons,
    last_success: Option<UnixTime>,
    usable_until: Option<UnixTime>,
    failures: u32,
    /// How the last attempt failed, if it did.
    failing: Option<RefreshResult>,
    /// Whether the log says that the keys are too old.
    expired: bool,
    /// What the log says of the copy on disk.
    persistence: Persistence,
}

impl Reporter {
    pub(super) fn new(
        settings: &SourceSettings,
        board: Arc<StatusBoard>,
        metrics: SourceMetrics,
    ) -> Self {
        Self {
            id: settings.id.clone(),
            location: settings.kind.location(),
            board,
            metrics,
            kids: Vec::new(),
            skipped: Reasons::default(),
            last_success: None,
            usable_until: None,
            failures: 0,
            failing: None,
            expired: false,
            persistence: Persistence::Off,
        }
    }

    /// Nothing is known of the source yet: what the metrics said of another one in its place is over.
    pub(super) fn begin(&self) {
        self.metrics.begin();
        self.metrics.origin(Origin::None.as_str());
        for reason in SkipReason::ALL {
            self.metrics.skipped(reason.as_str(), 0);
        }
    }

    /// The keys in force were written to disk, or could not be, or were not on purpose.
    pub(super) fn persisted(&mut self, outcome: Result<(), String>) {
        self.metrics.persisted(outcome.is_ok());
        let persistence = match outcome {
            Ok(()) => Persistence::Kept,
            Err(error) => Persistence::Failed(error),
        };
        if self.persistence == persistence {
            return;
        }
        let (issuer, source) = (self.id.issuer.name(), self.id.source.name());
        match &persistence {
            Persistence::Failed(error) => {
                tracing::warn!(issuer, source, error, "keys are not kept for the next start");
            }
            Persistence::Kept if self.persistence != Persistence::Off => {
                tracing::info!(issuer, source, "keys are kept for the next start again");
            }
            Persistence::Kept | Persistence::Off => {}
        }
        self.persistence = persistence.clone();
        self.board.update(&self.id, |status| status.persistence = persistence);
    }

    /// What an earlier run kept cannot be used.
    pub(super) fn not_restored(&self, error: &dyn Display) {
        let (issuer, source) = (self.id.issuer.name(), self.id.source.name());
        tracing::warn!(issuer, source, %error, "the keys of an earlier run are not used");
    }

    /// Goes on where the reporter of the same source under the configuration before ended.
    pub(super) fn adopt(&mut self, before: Self) {
        if let Some(entry) = before.board.entry(&before.id) {
            self.board.update(&self.id, |status| {
                let (id, location) = (status.id.clone(), status.location.clone());
                *status = SourceStatus { id, location, ..entry };
            });
        }
        let (id, location) = (self.id.clone(), std::mem::take(&mut self.location));
        let (board, metrics) = (Arc::clone(&self.board), self.metrics.clone());
        *self = Self { id, location, board, metrics, ..before };
    }

    /// Keys that went on from the configuration before are used until `usable_until`, which may be another time now.
    pub(super) fn usable_until(&mut self, usable_until: Option<UnixTime>) {
        self.usable_until = usable_until;
        self.metrics.usable_until(usable_until);
        self.expired = false;
        self.board.update(&self.id, |status| status.usable_until = usable_until);
    }

    /// `keys` are in force since `confirmed`: what the metrics say of them, which may have other names now.
    pub(super) fn in_force(&self, origin: Origin, keys: &Content, confirmed: UnixTime) {
        self.metrics.succeeded(confirmed);
        self.metrics.origin(origin.as_str());
        self.metrics.keys(keys.usable(), keys.skipped().len());
        let skipped = Reasons::of(keys.skipped());
        for reason in SkipReason::ALL {
            self.metrics.skipped(reason.as_str(), skipped.count(reason));
        }
    }

    /// How long a fetch took, however it ended.
    pub(super) fn fetched(&self, took: Duration) {
        self.metrics.fetched(took);
    }

    /// What the source's reader could do without; it has told the log.
    pub(super) fn warned(&self, warning: Option<&SourceError>) {
        self.board.update(&self.id, |status| status.warning = warning.map(ToString::to_string));
    }

    /// A refresh ended well in this way.
    pub(super) fn refreshed(&self, result: RefreshResult) {
        self.metrics.refreshed(result);
    }

    /// What `content` holds is in force since `now` and until `usable_until`.
    pub(super) fn succeeded(
        &mut self,
        origin: Origin,
        content: &Content,
        now: UnixTime,
        usable_until: Option<UnixTime>,
        next_refresh: Option<UnixTime>,
    ) {
        self.in_force(origin, content, now);
        self.metrics.stale(false);
        if self.failing.take().is_some() {
            self.log_recovery();
        }
        self.log_changes(origin, &kids_of(content), Reasons::of(content.skipped()));
        self.last_success = Some(now);
        self.usable_until = usable_until;
        self.metrics.usable_until(usable_until);
        self.failures = 0;
        self.expired = false;
        self.board.update(&self.id, |status| {
            status.origin = origin;
            status.kids.clone_from(&self.kids);
            status.skipped = content.skipped().to_vec();
            status.last_success = Some(now);
            status.last_error = None;
            status.failures = 0;
            status.usable_until = usable_until;
            status.next_refresh = next_refresh;
        });
    }

    /// An attempt failed. `freshness` is that of the keys in force, if there are any.
    pub(super) fn failed(
        &mut self,
        error: &SourceError,
        now: UnixTime,
        freshness: Option<Duration>,
        next_refresh: UnixTime,
    ) {
        let result = error.result();
        self.metrics.refreshed(result);
        let fresh_until = self.last_success.zip(freshness);
        let fresh_until = fresh_until.map(|(success, fresh)| success.saturating_add(fresh));
        self.metrics.stale(fresh_until.is_some_and(|until| now > until));
        self.failures = self.failures.saturating_add(1);
        let text = format!("{}: {error}", self.location);
        if self.failing.replace(result) != Some(result) {
            self.log_failure(&text);
        }
        if !self.expired && self.usable_until.is_some_and(|until| now > until) {
            self.expired = true;
            self.log_expiry(&text);
        }
        self.board.update(&self.id, |status| {
            status.last_error = Some((now, text));
            status.failures = self.failures;
            status.next_refresh = Some(next_refresh);
        });
    }

    fn log_failure(&self, error: &str) {
        let (issuer, source) = (self.id.issuer.name(), self.id.source.name());
        if self.last_success.is_some() {
            tracing::warn!(issuer, source, error, "cannot refresh keys, the last good ones stay");
        } else {
            tracing::warn!(issuer, source, error, "cannot get keys, there are none yet");
        }
    }

    fn log_expiry(&self, error: &str) {
        let (issuer, source) = (self.id.issuer.name(), self.id.source.name());
        tracing::error!(issuer, source, error, "keys are older than max_stale, no longer used");
    }

    fn log_recovery(&self) {
        let (issuer, source) = (self.id.issuer.name(), self.id.source.name());
        tracing::info!(issuer, source, failures = self.failures, "keys can be refreshed again");
    }

    /// Says which key IDs came and went and what is newly passed over, and remembers both.
    fn log_changes(&mut self, origin: Origin, kids: &[String], skipped: Reasons) {
        let (issuer, source) = (self.id.issuer.name(), self.id.source.name());
        if self.kids != kids {
            let before: BTreeSet<&String> = self.kids.iter().collect();
            let after: BTreeSet<&String> = kids.iter().collect();
            let added = shown(after.difference(&before).copied());
            let removed = shown(before.difference(&after).copied());
            let (origin, keys) = (origin.as_str(), kids.len());
            tracing::info!(issuer, source, origin, added, removed, keys, "keys changed");
        }
        if self.skipped != skipped && skipped != Reasons::default() {
            tracing::warn!(issuer, source, skipped = %skipped, "some published keys are not used");
        }
        self.kids = kids.to_vec();
        self.skipped = skipped;
    }
}

/// The key IDs, each once: an RSA key without `alg` is two keys to us, and one to its publisher.
fn kids_of(content: &Content) -> Vec<String> {
    let mut kids: Vec<String> = Vec::new();
    for kid in content.kids() {
        let kid = kid.unwrap_or(NO_KID);
        if !kids.iter().any(|known| known == kid) {
            kids.push(kid.to_owned());
        }
    }
    kids
}

/// Key IDs for a log line: few, short and escaped.
fn shown<'a>(kids: impl Iterator<Item = &'a String>) -> String {
    let mut text = String::new();
    for (nth, kid) in kids.enumerate() {
        if nth == MAX_LOGGED_KIDS {
            text.push_str(", …");
            break;
        }
        if nth > 0 {
            text.push_str(", ");
        }
        text.push_str(&escaped(kid, MAX_LOGGED_KID));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use url::Url;

    use super::super::jwks::Jwks;
    use super::super::key::AlgorithmSet;
    use super::super::source::{RefreshSettings, SourceKind};
    use super::super::testing::{ed25519_jwk, set};
    use super::*;
    use crate::telemetry::metrics::ORIGINS;
    use crate::util::label::Label;

    #[test]
    fn the_log_tells_changes_once_and_nothing_that_stays_the_same() {
        let now = UnixTime::from_millis(0);
        let fail = |report: &mut Reporter, error: &SourceError| {
            report.failed(error, now, Some(Duration::ZERO), now);
        };
        let succeed = |report: &mut Reporter, jwks: &Content| {
            report.succeeded(Origin::Network, jwks, now, Some(now), None);
        };
        let jwks = |kids: &[&str]| {
            let keys: Vec<_> = kids.iter().map(|kid| ed25519_jwk(kid)).collect();
            Content::Public(Jwks::parse(set(&keys).as_bytes(), AlgorithmSet::ALL, 10).unwrap())
        };
        let (status, timeout) = (
            SourceError::Status { status: 500, retry_after: None },
            SourceError::Timeout(Duration::from_secs(5)),
        );
        let lines = logged(|report| {
            fail(report, &status);
            fail(report, &status);
            for _ in 0..3 {
                succeed(report, &jwks(&["a", "b\n"]));
            }
            fail(report, &status);
            fail(report, &status);
            fail(report, &timeout);
            succeed(report, &jwks(&["b\n", "c"]));
            report.succeeded(Origin::Network, &jwks(&["c"]), now, Some(now), None);
            report.failed(&status, UnixTime::from_millis(1), None, now);
            report.failed(&status, UnixTime::from_millis(1), None, now);
        });
        let expected = [
            "cannot get keys",
            "can be refreshed again",
            "keys changed",
            "the last good ones stay",
            "the last good ones stay",
            "can be refreshed again",
            "keys changed",
            "keys changed",
            "the last good ones stay",
            "older than max_stale",
        ];
        assert_eq!(lines.len(), expected.len(), "{lines:#?}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.contains(expected), "{line} is not: {expected}");
        }
        assert!(!lines.concat().contains("hunter"), "{lines:#?}");
        let changed = "origin=\"network\" added=\"c\" removed=\"a\"";
        assert!(lines[6].contains(changed), "{}", lines[6]);
    }

    /// The lines that a reporter logs while `story` happens.
    fn logged(story: impl FnOnce(&mut Reporter)) -> Vec<String> {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).without_time();
        let subscriber = subscriber.with_writer(move || writer.clone()).finish();
        let settings = SourceSettings {
            id: SourceId { issuer: Label::new(0, "issuer"), source: Label::new(0, "0") },
            kind: SourceKind::Url(
                Url::parse("https://u:hunter2@idp.example/jwks?hunter3").unwrap(),
            ),
            refresh: RefreshSettings::default(),
            algorithms: AlgorithmSet::ALL,
            max_keys: 10,
            max_bytes: 1000,
        };
        let board = Arc::new(StatusBoard::new([]));
        let mut report = Reporter::new(&settings, board, SourceMetrics::default());
        tracing::subscriber::with_default(subscriber, || {
            // A test beside this one may have met these lines first, when nobody listened.
            tracing::callsite::rebuild_interest_cache();
            story(&mut report);
        });
        let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_metric_knows_every_origin_that_keys_can_have() {
        let origins = [
            Origin::Network,
            Origin::Disk,
            Origin::File,
            Origin::Command,
            Origin::Environment,
            Origin::Inline,
        ];
        assert_eq!(origins.map(Origin::as_str), ORIGINS);
    }

    #[test]
    fn key_ids_in_logs_are_short_and_escaped() {
        let kids = ["a\r\n\u{1b}[31m\u{2028}\"".to_owned(), "k".repeat(100)];
        let text = shown(kids.iter());
        assert!(text.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{text}");
        assert!(text.ends_with(&format!(", {}", "k".repeat(MAX_LOGGED_KID))));
    }

    #[test]
    fn a_log_line_names_a_bounded_number_of_key_ids() {
        let kids: Vec<String> = (0..100).map(|nth| format!("k{nth}")).collect();
        let text = shown(kids.iter());
        assert!(text.starts_with("k0, k1, ") && text.ends_with("k15, …"), "{text}");
    }
}
