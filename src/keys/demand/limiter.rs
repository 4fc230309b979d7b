//! How often one source may be read ahead of schedule: pure, time is an argument. [`super::KeyDemand`] asks.
//!
//! Made-up key IDs cost nothing to make, so what they can cause is bounded here and nowhere else: one read
//! per ten seconds, and ever fewer while they bring nothing new.

use std::time::Duration;

use crate::util::clock::UnixTime;

/// The least time between two reads that were asked for.
pub const MIN_GAP: Duration = Duration::from_secs(10);

/// The most that the gap grows to while such reads bring nothing.
pub const MAX_GAP: Duration = Duration::from_secs(5 * 60);

/// The limiter of one source.
#[derive(Clone, Debug)]
pub struct Limiter {
    gap: Duration,
    last: Option<UnixTime>,
    /// The provider asked to be left alone until then.
    not_before: Option<UnixTime>,
}

impl Default for Limiter {
    fn default() -> Self {
        Self { gap: MIN_GAP, last: None, not_before: None }
    }
}

impl Limiter {
    /// Lets a read begin at `now`, and counts it.
    ///
    /// # Errors
    /// Too early: when it will be allowed.
    pub fn try_begin(&mut self, now: UnixTime) -> Result<(), UnixTime> {
        let mut allowed = now;
        if let Some(last) = self.last
            // A last read in the future: the clock was set back, and is no reason to wait for it.
            && last <= now
        {
            allowed = allowed.max(last.saturating_add(self.gap));
        }
        if let Some(not_before) = self.not_before {
            allowed = allowed.max(not_before);
        }
        if allowed > now {
            return Err(allowed);
        }
        self.last = Some(now);
        self.not_before = None;
        Ok(())
    }

    /// A read for a key ID brought nothing new.
    pub fn was_fruitless(&mut self) {
        self.gap = self.gap.saturating_mul(2).min(MAX_GAP);
    }

    /// The source's keys changed, however that was found out: key IDs that are new are to be expected.
    pub fn keys_changed(&mut self) {
        self.gap = MIN_GAP;
    }

    /// The provider asked not to be read before `until` (`Retry-After`).
    pub fn leave_alone_until(&mut self, until: UnixTime) {
        self.not_before = Some(until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> UnixTime {
        UnixTime::from_secs(1_000_000 + seconds).unwrap()
    }

    #[test]
    fn two_reads_are_ten_seconds_apart() {
        let mut limiter = Limiter::default();
        assert_eq!(limiter.try_begin(at(0)), Ok(()));
        assert_eq!(limiter.try_begin(at(9)), Err(at(10)));
        assert_eq!(limiter.try_begin(at(10)), Ok(()));
    }

    #[test]
    fn the_gap_doubles_to_five_minutes_while_nothing_comes_of_it_and_starts_over_when_keys_change()
    {
        let (mut limiter, mut now, mut gaps) = (Limiter::default(), 0, Vec::new());
        for _ in 0..8 {
            assert_eq!(limiter.try_begin(at(now)), Ok(()));
            limiter.was_fruitless();
            let allowed = limiter.try_begin(at(now)).unwrap_err();
            let gap = i64::try_from(allowed.since(at(now)).as_secs()).unwrap();
            gaps.push(gap);
            now += gap;
        }
        assert_eq!(gaps, [20, 40, 80, 160, 300, 300, 300, 300]);
        limiter.keys_changed();
        limiter.try_begin(at(now)).unwrap();
        assert_eq!(limiter.try_begin(at(now)), Err(at(now + 10)));
    }

    #[test]
    fn an_hour_of_made_up_key_ids_causes_fifteen_reads() {
        let (mut limiter, mut reads) = (Limiter::default(), 0);
        for second in 0..3600 {
            if limiter.try_begin(at(second)).is_ok() {
                limiter.was_fruitless();
                reads += 1;
            }
        }
        assert_eq!(reads, 15, "at 0, 20, 60, 140 and every 300 s from 300 on");
    }

    #[test]
    fn a_provider_that_asked_to_be_left_alone_is() {
        let mut limiter = Limiter::default();
        limiter.try_begin(at(0)).unwrap();
        limiter.leave_alone_until(at(120));
        assert_eq!(limiter.try_begin(at(60)), Err(at(120)));
        assert_eq!(limiter.try_begin(at(120)), Ok(()));
        assert_eq!(limiter.try_begin(at(129)), Err(at(130)));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_shut_it() {
        let mut limiter = Limiter::default();
        limiter.try_begin(at(5000)).unwrap();
        assert_eq!(limiter.try_begin(at(0)), Ok(()));
    }
}
