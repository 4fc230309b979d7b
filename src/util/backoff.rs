//! Exponential back-off with full jitter, one attempt a window: the windows follow one another and double
//! up to a cap, and the attempt of each is drawn evenly from the whole of it.
//!
//! Many clients that failed together do not come back together, as with any full jitter; and because the
//! next window begins where the last one ended and not at the attempt in it, two attempts are a whole
//! window apart on average and not half of one, so a crowd of clients weighs half as much.

use std::time::Duration;

use super::clock::UnixTime;

/// The state of one back-off: which failure in a row this is, and where the current window ends.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    failures: u32,
    window_end: Option<UnixTime>,
}

impl Backoff {
    /// A back-off that has seen no failure. `base` is the length of the first window, `cap` of the longest.
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, failures: 0, window_end: None }
    }

    /// Counts a failure at `now` and returns when to try again. `draw` is evenly distributed in
    /// `0.0..1.0`; it is an argument so that a test can see both ends.
    pub fn next(&mut self, now: UnixTime, draw: f64) -> UnixTime {
        let factor = 2_u32.checked_pow(self.failures).unwrap_or(u32::MAX);
        let window = self.base.saturating_mul(factor).min(self.cap);
        self.failures = self.failures.saturating_add(1);
        let begin = match self.window_end {
            // Further away than any window: the clock was set back meanwhile.
            Some(end) if end > now && end.since(now) <= self.cap => end,
            Some(_) | None => now,
        };
        self.window_end = Some(begin.saturating_add(window));
        begin.saturating_add(window.mul_f64(draw.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: UnixTime = UnixTime::from_millis(1_000_000);

    fn backoff() -> Backoff {
        Backoff::new(Duration::from_secs(1), Duration::from_secs(60))
    }

    fn after(from: UnixTime, at: UnixTime) -> u64 {
        at.since(from).as_secs()
    }

    #[test]
    fn the_windows_double_up_to_the_cap() {
        let (mut backoff, mut now) = (backoff(), T0);
        let mut waits = Vec::new();
        for _ in 0..9 {
            let next = backoff.next(now, 1.0);
            waits.push(after(now, next));
            now = next;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn an_early_attempt_does_not_bring_the_next_window_forward() {
        let mut backoff = backoff();
        assert_eq!(backoff.next(T0, 0.0), T0, "the first window begins at the failure");
        let second = backoff.next(T0, 0.0);
        assert_eq!(after(T0, second), 1, "the second where the first ends");
        let third = backoff.next(second, 0.5);
        assert_eq!(after(T0, third), 1 + 2 + 2);
    }

    #[test]
    fn an_attempt_that_took_longer_than_its_window_begins_the_next_one_where_it_ended() {
        let mut backoff = backoff();
        backoff.next(T0, 1.0);
        let late = T0.saturating_add(Duration::from_secs(100));
        assert_eq!(after(late, backoff.next(late, 1.0)), 2);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_stop_it() {
        let mut backoff = backoff();
        backoff.next(T0, 1.0);
        let earlier = UnixTime::from_millis(0);
        assert!(after(earlier, backoff.next(earlier, 1.0)) <= 60);
    }

    #[test]
    fn a_thousand_failures_do_not_overflow() {
        let (mut backoff, mut now) = (backoff(), T0);
        for _ in 0..1000 {
            let next = backoff.next(now, 1.0);
            assert!(after(now, next) <= 60);
            now = next;
        }
    }
}
