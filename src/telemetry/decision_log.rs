//! One log line for each denial and for a sample of what was allowed. Written by the adapters.
//!
//! A line holds words of ours, names out of the configuration, and what a client chose: method, path, request ID, trace
//! and the ID of a key that is missing. Those are cut short, lose everything that could be mistaken for the log's own
//! structure, and never show a query or anything that looks like a token.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

use crate::telemetry::traces::context::TraceId;
use crate::util::clock::UnixTime;

/// Writes decisions to the log, at a bounded rate.
#[derive(Debug)]
pub struct DecisionLog {
    /// One in this many allowed requests gets a line; 0: none does.
    sample_allowed: u64,
    allowed: AtomicU64,
    /// The second that is being counted, and the lines written and withheld in it.
    second: AtomicI64,
    written: AtomicU32,
    withheld: AtomicU64,
}

/// What a line tells.
#[derive(Clone, Copy, Debug)]
pub struct DecisionLine<'a> {
    /// The rule that applied.
    pub rule: Option<&'a str>,
    /// The issuer of the token, if it is one of ours.
    pub issuer: Option<&'a str>,
    /// The key that verified the token or, as sent, the one that is missing.
    pub kid: Option<&'a str>,
    /// As sent.
    pub method: &'a str,
    /// As sent; the query is not shown.
    pub path: &'a str,
    /// `x-request-id`, as sent.
    pub request_id: Option<&'a str>,
    /// The trace that the request belongs to, sampled or not.
    pub trace_id: Option<TraceId>,
}

/// How often an allowed request gets a line unless told otherwise.
pub const DEFAULT_SAMPLE: u64 = 1000;

/// More denials in a second are counted, and written as one line.
const DENIALS_PER_SECOND: u32 = 100;

/// No check waits longer.
const LATE_SECONDS: i64 = 10;

impl DecisionLog {
    /// A log in which one in `sample_allowed` allowed requests gets a line; none if that is 0.
    pub fn new(sample_allowed: u64) -> Self {
        Self {
            sample_allowed,
            allowed: AtomicU64::new(0),
            second: AtomicI64::new(0),
            written: AtomicU32::new(0),
            withheld: AtomicU64::new(0),
        }
    }

    /// A request was allowed.
    pub fn allowed<'a>(&self, line: impl FnOnce() -> DecisionLine<'a>) {
        if self.sample_allowed == 0 {
            return;
        }
        let before = self.allowed.fetch_add(1, Ordering::Relaxed);
        if before.is_multiple_of(self.sample_allowed) {
            let line = line();
            tracing::info!(
                target: "claimgate::decision",
                decision = "allow",
                rule = line.rule,
                issuer = line.issuer,
                kid = line.kid.map(shown_id),
                method = shown_method(line.method),
                path = shown_path(line.path),
                request_id = line.request_id.map(shown_id),
                trace_id = line.trace_id.map(tracing::field::display),
                sample = self.sample_allowed,
                "allowed"
            );
        }
    }

    /// A request was denied.
    pub fn denied<'a>(
        &self,
        reason: &'static str,
        now: UnixTime,
        line: impl FnOnce() -> DecisionLine<'a>,
    ) {
        self.refused("deny", "denied", reason, now, line);
    }

    /// A request passed that a shadow rule refused.
    pub fn would_deny<'a>(
        &self,
        reason: &'static str,
        now: UnixTime,
        line: impl FnOnce() -> DecisionLine<'a>,
    ) {
        self.refused("would_deny", "allowed by a shadow rule", reason, now, line);
    }

    fn refused<'a>(
        &self,
        decision: &'static str,
        message: &'static str,
        reason: &'static str,
        now: UnixTime,
        line: impl FnOnce() -> DecisionLine<'a>,
    ) {
        if !self.may_write(now) {
            return;
        }
        let line = line();
        tracing::info!(
            target: "claimgate::decision",
            decision,
            reason,
            rule = line.rule,
            issuer = line.issuer,
            kid = line.kid.map(shown_id),
                method = shown_method(line.method),
            path = shown_path(line.path),
            request_id = line.request_id.map(shown_id),
                trace_id = line.trace_id.map(tracing::field::display),
            "{message}"
        );
    }

    /// Threads that race here at the turn of a second may write a few lines more; nothing depends on it.
    fn may_write(&self, now: UnixTime) -> bool {
        let second = now.as_millis().div_euclid(1000);
        let counted = self.second.load(Ordering::Relaxed);
        // A check that waited comes with the time that it began at: it belongs to the second that is being counted, or
        // each of them would begin another hundred. What is older than any wait is by a clock that was set back.
        let is_late = second < counted && counted.saturating_sub(second) <= LATE_SECONDS;
        if !is_late && self.second.swap(second, Ordering::Relaxed) != second {
            self.written.store(0, Ordering::Relaxed);
            let withheld = self.withheld.swap(0, Ordering::Relaxed);
            if withheld > 0 {
                tracing::warn!(
                    target: "claimgate::decision",
                    withheld,
                    limit_per_second = DENIALS_PER_SECOND,
                    "denials without a line of their own; the metrics count them all"
                );
            }
        }
        let may = self.written.fetch_add(1, Ordering::Relaxed) < DENIALS_PER_SECOND;
        if !may {
            self.withheld.fetch_add(1, Ordering::Relaxed);
        }
        may
    }
}

const METHOD_CHARS: usize = 32;
const PATH_CHARS: usize = 200;
const ID_CHARS: usize = 64;

/// A method, as lines and spans show it.
pub fn shown_method(method: &str) -> String {
    shown(method, METHOD_CHARS)
}

/// A path, as lines and spans show it: without its query.
pub fn shown_path(path: &str) -> String {
    shown(without_query(path), PATH_CHARS)
}

/// The ID of a request or a key, as lines and spans show it.
pub fn shown_id(id: &str) -> String {
    shown(id, ID_CHARS)
}

fn without_query(path: &str) -> &str {
    path.split(['?', '#']).next().unwrap_or_default()
}

/// The first `limit` characters, with everything but printable ASCII escaped, and cut where a token seems to
/// begin.
fn shown(text: &str, limit: usize) -> String {
    let (text, is_cut) = match token_start(text).and_then(|start| text.split_at_checked(start)) {
        Some((before, _)) => (before, true),
        None => (text, false),
    };
    let mut shown = String::new();
    for (place, c) in text.chars().enumerate() {
        if place == limit {
            shown.push_str("...");
            return shown;
        }
        if c.is_ascii_graphic() || c == ' ' {
            shown.push(c);
        } else {
            // Writing to a String cannot fail.
            let _infallible = write!(shown, "\\u{{{:x}}}", u32::from(c));
        }
    }
    if is_cut {
        shown.push_str("[cut]");
    }
    shown
}

/// Whether a part of `text` would be cut off where it is shown.
pub fn holds_token(text: &str) -> bool {
    token_start(text).is_some()
}

/// `eyJ` is how a JSON object without white space starts in base64url. One that starts otherwise, or was cut or
/// escaped at its front, still has two segments with a dot between them, each too long for the parts of a name.
fn token_start(text: &str) -> Option<usize> {
    const HEADER: usize = 16;
    const PAYLOAD: usize = 40;
    let is_other = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let segments = text.match_indices('.').find_map(|(dot, _)| {
        let (before, after) = (text.get(..dot)?, text.get(dot + 1..)?);
        let start = before.rfind(is_other).map_or(0, |at| at + 1);
        // What is no part of a segment may be longer than a byte: `start` is then in the middle of it.
        let start = (start..=dot).find(|at| text.is_char_boundary(*at))?;
        let length = after.find(is_other).unwrap_or(after.len());
        (dot - start >= HEADER && length >= PAYLOAD).then_some(start)
    });
    segments.into_iter().chain(text.find("eyJ")).min()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_path_is_shown_without_query_and_fragment() {
        assert_eq!(without_query("/a?access_token=secret"), "/a");
        assert_eq!(without_query("/a#b?c"), "/a");
        assert_eq!(without_query(""), "");
    }

    #[test]
    fn what_a_client_chose_cannot_forge_a_line_or_hold_a_token() {
        assert_eq!(shown("/a\n{\"level\":\"ERROR\"}", 200), "/a\\u{a}{\"level\":\"ERROR\"}");
        assert_eq!(shown("/\u{1b}[31m", 200), "/\\u{1b}[31m");
        assert_eq!(shown("/\u{2028}\u{202e}", 200), "/\\u{2028}\\u{202e}");
        assert_eq!(shown("/t/eyJhbGciOiJSUzI1NiJ9.e30.c2ln", 200), "/t/[cut]");
    }

    #[test]
    fn no_part_of_a_token_is_shown_however_it_begins() {
        let (header, payload) =
            ("eyAiYWxnIjogIkVTMjU2IiB9", "ewogICJzdWIiOiAiY2Fyb2wiLAogICJpc3MiOiAiYSIKfQ");
        let signature = "s".repeat(86);
        for token in [
            format!("{header}.{payload}.{signature}"),
            format!("{payload}.{signature}"),
            format!("%65yJhbGciOiJFUzI1NiJ9.{payload}.{signature}"),
        ] {
            for (before, shown_before) in [("/t/", "/t/"), ("/\u{e9}", "/\\u{e9}")] {
                let text = shown(&format!("{before}{token}"), 200);
                let front = if token.starts_with('%') { "%" } else { "" };
                assert_eq!(text, format!("{shown_before}{front}[cut]"));
            }
        }
        let names = "/com.example.verylongpackagename.AnAwfullyLongNameOfAService/AMethod";
        for name in [names, "/..", "/.", "/a.b.c", "/\u{e9}.\u{e9}"] {
            assert!(!shown(name, 200).contains("[cut]"), "{name}");
        }
    }

    #[test]
    fn what_a_client_chose_is_cut_short() {
        assert_eq!(shown(&"a".repeat(1_000_000), 3), "aaa...");
        assert_eq!(shown("aaa", 3), "aaa");
    }

    #[test]
    fn a_flood_of_denials_is_counted_and_not_written() {
        let log = DecisionLog::new(0);
        let now = UnixTime::from_millis(5_000);
        let written = (0..10_000).filter(|_| log.may_write(now)).count();
        assert_eq!(written, usize::try_from(DENIALS_PER_SECOND).unwrap());
        assert_eq!(log.withheld.load(Ordering::Relaxed), 10_000 - u64::from(DENIALS_PER_SECOND));
        assert!(log.may_write(now.saturating_add(Duration::from_secs(1))));
        assert_eq!(log.withheld.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn checks_that_waited_do_not_have_a_flood_written_after_all() {
        let log = DecisionLog::new(0);
        let (began, now) = (UnixTime::from_millis(5_000), UnixTime::from_millis(8_000));
        let written = (0..10_000).filter(|_| log.may_write(now) | log.may_write(began)).count();
        assert_eq!(written, usize::try_from(DENIALS_PER_SECOND).unwrap() / 2);
        assert!(log.may_write(UnixTime::from_millis(-60_000)), "a clock that was set back");
    }
}
