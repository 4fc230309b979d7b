//! When a source is read again: pure arithmetic on what the provider said, what the operator allows and
//! a random draw. It neither waits nor reads a clock; [`super::refresher`] does.

use std::time::{Duration, SystemTime};

use super::source::RefreshSettings;
use crate::util::backoff::Backoff;
use crate::util::clock::UnixTime;

/// The most that a `Retry-After` may ask for: a typing error of a provider must not end refreshing.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// Seconds that stand for a number too large to be read.
const FOR_EVER: u64 = u32::MAX as u64;

/// How long an answer with this `Cache-Control` field value is fresh (RFC 9111 §5.2.2): its `max-age`
/// within the configured bounds, the configured interval where it has none. `no-store` and `no-cache`
/// mean as soon as is allowed. An age that cannot be read counts as none given.
pub fn freshness(cache_control: Option<&str>, settings: &RefreshSettings) -> Duration {
    let mut asked = None;
    for directive in cache_control.unwrap_or_default().split(',') {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        let name = name.trim();
        if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
            asked = Some(Duration::ZERO);
            break;
        }
        if name.eq_ignore_ascii_case("max-age") && asked.is_none() {
            asked = seconds(value.trim().trim_matches('"'));
        }
    }
    match asked {
        // Not `clamp`: it panics where an operator set `min` above `max`.
        Some(asked) => asked.min(settings.max).max(settings.min),
        None => settings.interval,
    }
}

/// When to read again what is fresh for `freshness`: after 80 % of it, give or take a tenth, so that no
/// token ever meets stale keys and replicas started together drift apart. `draw` is in `0.0..1.0`.
pub fn refresh_after(freshness: Duration, draw: f64) -> Duration {
    freshness.mul_f64(0.8 * (0.9 + 0.2 * draw.clamp(0.0, 1.0)))
}

/// When to try again after a failure: the back-off, or what the provider asked for if that is longer.
pub fn retry_after_failure(
    backoff: &mut Backoff,
    draw: f64,
    retry_after: Option<Duration>,
) -> Duration {
    let wait = backoff.next(draw);
    wait.max(retry_after.unwrap_or_default().min(MAX_RETRY_AFTER))
}

/// Reads a `Retry-After` field value, seconds or a date (RFC 9110 §10.2.3). A date in the past is no wait.
pub fn parse_retry_after(value: &str, now: UnixTime) -> Option<Duration> {
    let value = value.trim();
    if let Some(wait) = seconds(value) {
        return Some(wait);
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let since_epoch = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(UnixTime::from_millis(0).saturating_add(since_epoch).since(now))
}

/// `1*DIGIT`; more digits than fit are for ever (RFC 9111 §1.2.2), which every caller bounds.
fn seconds(digits: &str) -> Option<Duration> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Duration::from_secs(digits.parse().unwrap_or(FOR_EVER)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn max_age_is_followed_within_the_bounds_and_the_interval_without_one() {
        let settings = RefreshSettings::default();
        for (field, expected) in [
            (None, 300),
            (Some(""), 300),
            (Some("public"), 300),
            (Some("public, max-age=600, must-revalidate"), 600),
            (Some("MAX-AGE=600"), 600),
            (Some("max-age=\"600\""), 600),
            (Some("max-age=600, max-age=1200"), 600),
            (Some("s-maxage=900"), 300),
            (Some("max-age=0"), 60),
            (Some("max-age=59"), 60),
            (Some("max-age=86400"), 3600),
            (Some("max-age=99999999999999999999999999"), 3600),
            (Some("max-age=-1"), 300),
            (Some("max-age=1.5"), 300),
            (Some("max-age="), 300),
            (Some("max-age"), 300),
            (Some("no-store"), 60),
            (Some("max-age=600, no-cache"), 60),
        ] {
            assert_eq!(freshness(field, &settings), secs(expected), "{field:?}");
        }
    }

    #[test]
    fn bounds_that_contradict_each_other_do_not_panic() {
        let settings =
            RefreshSettings { min: secs(10), max: secs(5), ..RefreshSettings::default() };
        assert_eq!(freshness(Some("max-age=7"), &settings), secs(10));
    }

    #[test]
    fn refreshes_at_four_fifths_of_the_freshness_give_or_take_a_tenth() {
        assert_eq!(refresh_after(secs(1000), 0.0), secs(720));
        assert_eq!(refresh_after(secs(1000), 0.5), secs(800));
        assert_eq!(refresh_after(secs(1000), 1.0), secs(880));
    }

    #[test]
    fn retry_after_lengthens_the_back_off_but_never_shortens_it() {
        let mut backoff = Backoff::new(secs(8), secs(60));
        assert_eq!(retry_after_failure(&mut backoff, 1.0, Some(secs(1))), secs(8));
        assert_eq!(retry_after_failure(&mut backoff, 1.0, Some(secs(100))), secs(100));
        assert_eq!(retry_after_failure(&mut backoff, 1.0, Some(secs(90_000))), secs(3600));
        assert_eq!(retry_after_failure(&mut backoff, 1.0, None), secs(60));
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let now = UnixTime::from_secs(784_111_777).unwrap();
        for (value, expected) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("99999999999999999999999", Some(FOR_EVER)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("-5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(parse_retry_after(value, now), expected.map(secs), "{value:?}");
        }
    }
}
