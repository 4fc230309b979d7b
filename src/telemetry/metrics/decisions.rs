//! How checks ended lately, for people who look at a page and have no Prometheus at hand: what was decided, how often within
//! the last minutes and since the start. It is no metric: `checks_total` says the same to programs.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::sharded::Sharded;
use crate::util::clock::UnixTime;

/// How often checks ended in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecisionCount {
    /// `allow`, `deny` or `would_deny`.
    pub decision: &'static str,
    /// Why, if it is not `allow`.
    pub reason: Option<&'static str>,
    /// Within the last minute.
    pub last_minute: u64,
    /// Within the last five.
    pub last_five_minutes: u64,
    /// Since the process started.
    pub since_start: u64,
}

/// More ways to end than there are: one for "allow", two for each reason.
const WAYS: usize = 64;

/// Five minutes and a little, of samples that are taken every five seconds.
const SAMPLES: usize = 64;

const MINUTE: Duration = Duration::from_secs(60);
const FIVE_MINUTES: Duration = Duration::from_secs(5 * 60);

/// Counts by way, and what they were a while ago.
#[derive(Debug, Default)]
pub(super) struct Decisions {
    counts: Sharded<Counts>,
    /// The newest last.
    samples: Mutex<VecDeque<(UnixTime, Totals)>>,
}

#[derive(Debug)]
struct Counts([AtomicU64; WAYS]);

type Totals = [u64; WAYS];

impl Default for Counts {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Decisions {
    /// Counts one.
    pub(super) fn record(&self, way: usize) {
        if let Some(count) = self.counts.mine().0.get(way) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Remembers how many there are at `now`.
    pub(super) fn sample(&self, now: UnixTime) {
        let totals = self.totals();
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() >= SAMPLES {
            samples.pop_front();
        }
        samples.push_back((now, totals));
    }

    /// Each way that a check has ended in, as it is named by `names`.
    pub(super) fn read(
        &self,
        names: impl Iterator<Item = (&'static str, Option<&'static str>)>,
        now: UnixTime,
    ) -> Vec<DecisionCount> {
        let totals = self.totals();
        let (minute, five) = (self.before(now, MINUTE), self.before(now, FIVE_MINUTES));
        let since = |before: &Totals, way: usize, total: u64| {
            total.saturating_sub(before.get(way).copied().unwrap_or_default())
        };
        let ways = names.zip(totals).enumerate().filter(|(_, (_, total))| *total > 0);
        let count = |(way, ((decision, reason), total))| DecisionCount {
            decision,
            reason,
            last_minute: since(&minute, way, total),
            last_five_minutes: since(&five, way, total),
            since_start: total,
        };
        ways.map(count).collect()
    }

    /// What the counts were `ago`: the newest sample that is that old. Without one they began later, with nothing; or
    /// the clock was set back, and the oldest is as good as any.
    fn before(&self, now: UnixTime, ago: Duration) -> Totals {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let old = samples.iter().rev().find(|(at, _)| now.since(*at) >= ago);
        let oldest = || samples.front().filter(|_| samples.len() >= SAMPLES);
        old.or_else(oldest).map_or([0; WAYS], |(_, totals)| *totals)
    }

    fn totals(&self) -> Totals {
        let mut totals = [0_u64; WAYS];
        for counts in self.counts.all() {
            for (total, count) in totals.iter_mut().zip(&counts.0) {
                *total += count.load(Ordering::Relaxed);
            }
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> UnixTime {
        UnixTime::from_secs(1_000_000 + seconds).unwrap()
    }

    /// The counts of "allow" at a time.
    fn allowed(decisions: &Decisions, seconds: i64) -> [u64; 3] {
        let read = decisions.read([("allow", None)].into_iter(), at(seconds));
        let [one] = read.try_into().unwrap();
        let DecisionCount { last_minute, last_five_minutes, since_start, .. } = one;
        [last_minute, last_five_minutes, since_start]
    }

    #[test]
    fn what_was_decided_passes_from_minutes_to_the_start_as_time_goes_on() {
        let decisions = Decisions::default();
        decisions.record(0);
        assert_eq!(allowed(&decisions, 0), [1, 1, 1], "before the first sample");
        for second in (0..3_600).step_by(5) {
            decisions.sample(at(second));
            let wanted = match second {
                0..60 => [1, 1, 1],
                60..300 => [0, 1, 1],
                _ => [0, 0, 1],
            };
            assert_eq!(allowed(&decisions, second), wanted, "at {second} s");
        }
        decisions.record(0);
        assert_eq!(allowed(&decisions, 3_600), [1, 1, 2]);
        assert_eq!(decisions.samples.lock().unwrap().len(), SAMPLES);
    }

    #[test]
    fn a_way_that_no_check_has_ended_in_is_not_there_and_one_too_many_is_not_counted() {
        let decisions = Decisions::default();
        decisions.record(1);
        decisions.record(WAYS);
        let names = [("allow", None), ("deny", Some("expired"))];
        let read = decisions.read(names.into_iter(), at(0));
        let [DecisionCount { decision, reason, since_start, .. }] = read.try_into().unwrap();
        assert_eq!((decision, reason, since_start), ("deny", Some("expired"), 1));
    }

    #[test]
    fn a_clock_that_is_set_back_ends_in_counts_of_a_while_and_not_of_all_time() {
        let decisions = Decisions::default();
        decisions.record(0);
        for second in (0..3_600).step_by(5) {
            decisions.sample(at(second));
        }
        assert_eq!(allowed(&decisions, -10), [0, 0, 1]);
    }
}
