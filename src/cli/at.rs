//! A point in time on the command line: `--at`.

use crate::util::clock::UnixTime;
use crate::util::rfc3339::{parse_rfc3339, rfc3339};

use super::shown::duration;

/// Reads `2026-01-31T12:00:00Z` or seconds since 1970.
///
/// # Errors
/// What is accepted.
pub(super) fn time(text: &str) -> Result<UnixTime, String> {
    let seconds = || text.parse().ok().and_then(UnixTime::from_secs);
    parse_rfc3339(text)
        .or_else(seconds)
        .ok_or_else(|| "2026-01-31T12:00:00Z or seconds since 1970 are accepted".to_owned())
}

/// `2026-01-31T12:00:00Z, 5m ago`.
pub(super) fn told(time: UnixTime, now: UnixTime) -> String {
    let (ago, ahead) = (now.since(time).as_secs(), time.since(now).as_secs());
    let relation = match (ago, ahead) {
        (0, 0) => "now".to_owned(),
        (0, ahead) => format!("in {}", duration(ahead)),
        (ago, _) => format!("{} ago", duration(ago)),
    };
    format!("{}, {relation}", rfc3339(time))
}
