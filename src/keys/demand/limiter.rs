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
    /// When the provider asked to be left alone, and until when.
    left_alone: Option<(UnixTime, UnixTime)>,
}

/// Who wants a source to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// A token that names a key ID, perhaps a made-up one.
    Token,
    /// An operator: the gap that made-up key IDs have grown is not theirs. A key that was stolen is withdrawn
    /// while its thief floods.
    Operator,
}

impl Default for Limiter {
    fn default() -> Self {
        Self { gap: MIN_GAP, last: None, left_alone: None }
    }
}

impl Limiter {
    /// Lets a read begin at `now`, and counts it.
    ///
    /// # Errors
    /// Too early: when it will be allowed.
    pub fn try_begin(&mut self, asker: Asker, now: UnixTime) -> Result<(), UnixTime> {
        let gap = match asker {
            Asker::Token => self.gap,
            Asker::Operator => MIN_GAP,
        };
        let mut allowed = now;
        if let Some(last) = self.last
            // A last read in the future: the clock was set back, and is no reason to wait for it.
            && last <= now
        {
            allowed = allowed.max(last.saturating_add(gap));
        }
        // The same goes for what was asked for in the future.
        if let Some((since, until)) = self.left_alone
            && since <= now
        {
            allowed = allowed.max(until);
        }
        if allowed > now {
            return Err(allowed);
        }
        self.last = Some(now);
        self.left_alone = None;
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

    /// The provider asked at `now` not to be read before `until` (`Retry-After`).
    pub fn leave_alone(&mut self, now: UnixTime, until: UnixTime) {
        self.left_alone = Some((now, until));
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
        assert_eq!(limiter.try_begin(Asker::Token, at(0)), Ok(()));
        assert_eq!(limiter.try_begin(Asker::Token, at(9)), Err(at(10)));
        assert_eq!(limiter.try_begin(Asker::Token, at(10)), Ok(()));
    }

    #[test]
    fn the_gap_doubles_to_five_minutes_while_nothing_comes_of_it_and_starts_over_when_keys_change()
    {
        let (mut limiter, mut now, mut gaps) = (Limiter::default(), 0, Vec::new());
        for _ in 0..8 {
            assert_eq!(limiter.try_begin(Asker::Token, at(now)), Ok(()));
            limiter.was_fruitless();
            let allowed = limiter.try_begin(Asker::Token, at(now)).unwrap_err();
            let gap = i64::try_from(allowed.since(at(now)).as_secs()).unwrap();
            gaps.push(gap);
            now += gap;
        }
        assert_eq!(gaps, [20, 40, 80, 160, 300, 300, 300, 300]);
        limiter.keys_changed();
        limiter.try_begin(Asker::Token, at(now)).unwrap();
        assert_eq!(limiter.try_begin(Asker::Token, at(now)), Err(at(now + 10)));
    }

    #[test]
    fn an_hour_of_made_up_key_ids_causes_fifteen_reads() {
        let (mut limiter, mut reads) = (Limiter::default(), 0);
        for second in 0..3600 {
            if limiter.try_begin(Asker::Token, at(second)).is_ok() {
                limiter.was_fruitless();
                reads += 1;
            }
        }
        assert_eq!(reads, 15, "at 0, 20, 60, 140 and every 300 s from 300 on");
    }

    #[test]
    fn a_provider_that_asked_to_be_left_alone_is() {
        let mut limiter = Limiter::default();
        limiter.try_begin(Asker::Token, at(0)).unwrap();
        limiter.leave_alone(at(0), at(120));
        assert_eq!(limiter.try_begin(Asker::Token, at(60)), Err(at(120)));
        assert_eq!(limiter.try_begin(Asker::Token, at(120)), Ok(()));
        assert_eq!(limiter.try_begin(Asker::Token, at(129)), Err(at(130)));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_shut_it() {
        let mut limiter = Limiter::default();
        limiter.try_begin(Asker::Token, at(5000)).unwrap();
        assert_eq!(limiter.try_begin(Asker::Token, at(0)), Ok(()));
        limiter.leave_alone(at(5000), at(8600));
        assert_eq!(limiter.try_begin(Asker::Token, at(10)), Ok(()), "nor what was asked for then");
    }

    #[test]
    fn an_operator_waits_ten_seconds_however_many_key_ids_were_made_up() {
        let mut limiter = Limiter::default();
        for _ in 0..8 {
            limiter.was_fruitless();
        }
        limiter.try_begin(Asker::Token, at(0)).unwrap();
        assert_eq!(limiter.try_begin(Asker::Operator, at(9)), Err(at(10)));
        assert_eq!(limiter.try_begin(Asker::Operator, at(10)), Ok(()));
        assert_eq!(limiter.try_begin(Asker::Token, at(20)), Err(at(310)));
        limiter.leave_alone(at(20), at(120));
        assert_eq!(limiter.try_begin(Asker::Operator, at(60)), Err(at(120)), "the provider's word");
    }
}
