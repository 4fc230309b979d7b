//! Time as a value. The core takes `now: UnixTime` as an argument; only the edges hold a [`Clock`] and
//! read it once per event. This is the one file that may call the operating system's clock.

use std::pin::Pin;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

/// A point in time, in whole milliseconds since 1970-01-01T00:00:00Z, as RFC 7519 counts (no leap seconds).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(i64);

impl UnixTime {
    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From whole seconds since the epoch; `None` when that does not fit in milliseconds.
    pub const fn from_secs(secs: i64) -> Option<Self> {
        match secs.checked_mul(1000) {
            Some(millis) => Some(Self(millis)),
            None => None,
        }
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Seconds since the epoch, for metrics and status pages.
    pub fn as_secs_f64(self) -> f64 {
        // Exact below 2^53 milliseconds, which is the year 287396.
        self.0 as f64 / 1000.0
    }

    /// `self + duration`, or the latest representable time.
    pub fn saturating_add(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// How long ago `earlier` was, zero when it lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

/// Where the edges read the time from, and wait for a later one.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The time now.
    fn now(&self) -> UnixTime;

    /// The time now in nanoseconds since the epoch, for what is put beside the times of others: a trace.
    fn now_nanos(&self) -> u64 {
        u64::try_from(self.now().as_millis()).unwrap_or(0).saturating_mul(1_000_000)
    }

    /// Resolves when `duration` has passed. Cancel safe.
    fn sleep(&self, duration: Duration) -> Sleep<'_>;
}

/// The future of [`Clock::sleep`].
pub type Sleep<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// The operating system's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> UnixTime {
        let now = SystemTime::now();
        let millis = match now.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            Err(before) => {
                i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |millis| -millis)
            }
        };
        UnixTime(millis)
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now_nanos(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    fn sleep(&self, duration: Duration) -> Sleep<'_> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A clock that stands still until it is told otherwise, for tests. Who sleeps by it wakes when it is moved far
/// enough, and never otherwise.
#[derive(Debug)]
pub struct ManualClock(watch::Sender<UnixTime>);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: UnixTime) -> Self {
        Self(watch::Sender::new(now))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|now| *now = now.saturating_add(by));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixTime {
        *self.0.borrow()
    }

    fn sleep(&self, duration: Duration) -> Sleep<'_> {
        let until = self.now().saturating_add(duration);
        Box::pin(async move {
            let mut clock = self.0.subscribe();
            // The sender is `self`: it is not gone while this is polled.
            let _gone = clock.wait_for(|now| *now >= until).await.is_err();
        })
    }
}

/// Measures how long something took. Says nothing of a token: what depends on it are metrics, and whether a check is still
/// worth an answer.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// One that was started that long ago.
    #[cfg(test)]
    pub(crate) fn started_before(ago: Duration) -> Self {
        let Self(now) = Self::start();
        Self(now.checked_sub(ago).unwrap_or(now))
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_saturates_instead_of_wrapping() {
        let late = UnixTime::from_millis(i64::MAX - 1);
        assert_eq!(late.saturating_add(Duration::MAX), UnixTime::from_millis(i64::MAX));
    }

    #[test]
    fn seconds_that_do_not_fit_are_refused() {
        assert_eq!(UnixTime::from_secs(i64::MAX), None);
        assert_eq!(UnixTime::from_secs(2), Some(UnixTime::from_millis(2000)));
    }

    #[tokio::test]
    async fn who_sleeps_by_a_manual_clock_wakes_when_it_is_moved_and_not_before() {
        let clock = ManualClock::new(UnixTime::from_millis(0));
        let mut sleep = clock.sleep(Duration::from_secs(2));
        let is_asleep = async |sleep: &mut Sleep<'_>| {
            tokio::select! { biased; () = sleep => false, () = tokio::task::yield_now() => true }
        };
        assert!(is_asleep(&mut sleep).await);
        clock.advance(Duration::from_secs(1));
        assert!(is_asleep(&mut sleep).await);
        clock.advance(Duration::from_secs(1));
        assert!(!is_asleep(&mut sleep).await);
    }

    #[test]
    fn a_future_time_was_zero_ago() {
        let now = UnixTime::from_millis(1000);
        assert_eq!(now.since(UnixTime::from_millis(5000)), Duration::ZERO);
        assert_eq!(now.since(UnixTime::from_millis(400)), Duration::from_millis(600));
    }
}
