//! When a source is read again: pure arithmetic on what the provider said, what the operator allows and
//! a random draw. It neither waits nor reads a clock; [`super::refresher`] does.

use std::time::{Duration, SystemTime};

use super::source::RefreshSettings;
use crate::util::backoff::Backoff;
use crate::util::clock::UnixTime;

/// The most that a `Retry-After` may ask for: a typing error of a provider must not end refreshing.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

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

/// When one source is read next. A source is due when it is made.
#[derive(Clone, Debug)]
pub struct Schedule {
    due: UnixTime,
    /// How far away that was when it was decided. A clock that is set back makes it no further.
    longest: Duration,
    phase: Phase,
}

#[derive(Clone, Debug)]
enum Phase {
    /// Never read well.
    New,
    /// The last read went well.
    Fresh,
    /// The last read failed.
    Failing(Backoff),
}

/// The window of the first attempt after a failure.
const BACKOFF_BASE: Duration = Duration::from_secs(1);

/// The longest window of an attempt after a failure.
const BACKOFF_CAP: Duration = Duration::from_secs(60);

impl Schedule {
    /// A source that is due at `now`.
    pub fn new(now: UnixTime) -> Self {
        Self { due: now, longest: Duration::ZERO, phase: Phase::New }
    }

    /// When the next read is due.
    pub fn due(&self) -> UnixTime {
        self.due
    }

    /// How long to wait for it.
    pub fn wait(&self, now: UnixTime) -> Duration {
        self.due.since(now).min(self.longest)
    }

    /// The next read is due in `wait`, whatever came of this one: for what is looked at often.
    pub fn look_again(&mut self, now: UnixTime, wait: Duration) {
        self.due_at(now.saturating_add(wait), now);
    }

    fn due_at(&mut self, due: UnixTime, now: UnixTime) {
        self.due = due;
        self.longest = due.since(now);
    }

    /// Whether it was decided, and is still to come, when the next read is due.
    fn is_ahead(&self, now: UnixTime) -> bool {
        !self.wait(now).is_zero()
    }

    /// A read went well at `now`, and what it brought is fresh for `freshness`.
    ///
    /// The next is due after 80 % of that, give or take a tenth, so that no token ever meets stale keys and
    /// replicas drift apart. After a start and after a failure it is due at any time up to that: replicas
    /// that were started by one roll-out, or came back after one outage, are spread at once and do not
    /// return together. A read ahead of schedule (`Cause::Asked`) moves nothing, for the same reason: on a
    /// rotation all replicas ask at the same moment. `draw` is evenly distributed in `0.0..1.0`.
    pub fn succeeded(&mut self, now: UnixTime, cause: Cause, freshness: Duration, draw: f64) {
        let draw = draw.clamp(0.0, 1.0);
        let part = match (&self.phase, cause) {
            (Phase::Fresh, Cause::Asked) if self.is_ahead(now) => {
                let latest = freshness.mul_f64(0.8 * 1.1);
                self.due_at(now.saturating_add(self.wait(now).min(latest)), now);
                return;
            }
            (Phase::Fresh, Cause::Due | Cause::Asked) => 0.9 + 0.2 * draw,
            // Not at once: the keys have just been read.
            (Phase::New | Phase::Failing(_), Cause::Due | Cause::Asked) => 0.1 + 0.9 * draw,
        };
        self.due_at(now.saturating_add(freshness.mul_f64(0.8 * part)), now);
        self.phase = Phase::Fresh;
    }

    /// A read failed at `now`: tried again after a back-off ([`Backoff`]), or when the provider asked to be
    /// left alone until (`Retry-After`), if that is later. A read ahead of schedule that fails brings none
    /// forward.
    pub fn failed(
        &mut self,
        now: UnixTime,
        cause: Cause,
        retry_after: Option<Duration>,
        draw: f64,
    ) {
        let not_before = now.saturating_add(retry_after.unwrap_or_default().min(MAX_RETRY_AFTER));
        if cause == Cause::Asked && self.is_ahead(now) {
            let due = now.saturating_add(self.wait(now));
            self.due_at(due.max(not_before), now);
            return;
        }
        if !matches!(self.phase, Phase::Failing(_)) {
            self.phase = Phase::Failing(Backoff::new(BACKOFF_BASE, BACKOFF_CAP));
        }
        if let Phase::Failing(backoff) = &mut self.phase {
            let due = backoff.next(now, draw);
            self.due_at(due.max(not_before), now);
        }
    }
}

/// Why a source was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It was due, or had changed.
    Due,
    /// Somebody asked for it ahead of schedule: see [`super::demand`].
    Asked,
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

    const T0: UnixTime = UnixTime::from_millis(1_000_000);

    /// A schedule whose source was read well once, and is due.
    fn running() -> (Schedule, UnixTime) {
        let mut schedule = Schedule::new(T0);
        assert_eq!(schedule.due(), T0, "due at once");
        schedule.succeeded(T0, Cause::Due, secs(1000), 0.5);
        let now = schedule.due();
        (schedule, now)
    }

    #[test]
    fn refreshes_at_four_fifths_of_the_freshness_give_or_take_a_tenth() {
        for (draw, expected) in [(0.0, 720), (0.5, 800), (1.0, 880)] {
            let (mut schedule, now) = running();
            schedule.succeeded(now, Cause::Due, secs(1000), draw);
            assert_eq!(schedule.wait(now), secs(expected));
        }
    }

    #[test]
    fn after_a_start_and_after_a_failure_the_next_refresh_is_anywhere_in_the_interval() {
        for (draw, expected) in [(0.0, 80), (0.5, 440), (1.0, 800)] {
            let mut new = Schedule::new(T0);
            new.succeeded(T0, Cause::Due, secs(1000), draw);
            assert_eq!(new.wait(T0), secs(expected));
            let (mut failing, now) = running();
            failing.failed(now, Cause::Due, None, 1.0);
            let now = failing.due();
            failing.succeeded(now, Cause::Due, secs(1000), draw);
            assert_eq!(failing.wait(now), secs(expected));
        }
    }

    #[test]
    fn a_refresh_ahead_of_schedule_moves_nothing() {
        let (mut schedule, now) = running();
        schedule.succeeded(now, Cause::Due, secs(1000), 1.0);
        let due = schedule.due();
        let early = now.saturating_add(secs(10));
        schedule.succeeded(early, Cause::Asked, secs(1000), 0.0);
        assert_eq!(schedule.due(), due);
        schedule.failed(early, Cause::Asked, None, 0.0);
        assert_eq!(schedule.due(), due);
        schedule.succeeded(early, Cause::Asked, secs(100), 0.0);
        assert_eq!(schedule.wait(early), secs(88), "unless the keys are fresh for less than that");
    }

    #[test]
    fn a_refresh_that_was_asked_for_when_one_was_due_is_that_one() {
        let (mut schedule, now) = running();
        let late = now.saturating_add(secs(5));
        schedule.succeeded(late, Cause::Asked, secs(1000), 0.5);
        assert_eq!(schedule.wait(late), secs(800));
    }

    #[test]
    fn failures_back_off_and_a_success_forgets_them() {
        let (mut schedule, mut now) = running();
        let mut waits = Vec::new();
        for _ in 0..8 {
            schedule.failed(now, Cause::Due, None, 1.0);
            waits.push(schedule.wait(now).as_secs());
            now = schedule.due();
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        schedule.succeeded(now, Cause::Due, secs(1000), 1.0);
        let now = schedule.due();
        schedule.failed(now, Cause::Due, None, 1.0);
        assert_eq!(schedule.wait(now), secs(1));
    }

    #[test]
    fn retry_after_lengthens_the_wait_but_never_shortens_it() {
        for (asked, expected) in [(None, 1), (Some(0), 1), (Some(100), 100), (Some(90_000), 3600)] {
            let (mut schedule, now) = running();
            schedule.failed(now, Cause::Due, asked.map(secs), 1.0);
            assert_eq!(schedule.wait(now), secs(expected), "{asked:?}");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_stops_nothing_for_long() {
        let (mut schedule, _) = running();
        let earlier = UnixTime::from_millis(0);
        schedule.succeeded(earlier, Cause::Asked, secs(1000), 1.0);
        assert!(schedule.wait(earlier) <= secs(880));
        schedule.failed(earlier, Cause::Due, None, 1.0);
        assert!(schedule.wait(earlier) <= BACKOFF_CAP);
        schedule.look_again(T0, secs(1));
        assert_eq!(schedule.wait(earlier), secs(1));
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
