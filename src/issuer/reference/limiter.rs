//! [`Limiter`]: how often something may happen, for each of a known number of clients and for all of them together. Pure:
//! time is an argument. It says when to come back; what is told to whom is the endpoints' business.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::util::clock::UnixTime;

/// Token buckets: one a client, and one for all.
#[derive(Debug)]
pub struct Limiter {
    of_clients: Rate,
    of_all: Rate,
    // Held for a few instructions, and never across an await.
    buckets: Mutex<Buckets>,
}

#[derive(Debug)]
struct Buckets {
    clients: Vec<Bucket>,
    all: Bucket,
}

/// So many in so much time. That many may come at once after a rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In how much time.
    pub per: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// What is left, in parts of [`Rate::per`]'s milliseconds: whole numbers, so that nothing is lost to rounding.
    left: u64,
    at: UnixTime,
}

impl Limiter {
    /// With full buckets for `clients` clients, and one more for those that are none.
    #[must_use]
    pub fn new(clients: usize, of_clients: Rate, of_all: Rate, now: UnixTime) -> Self {
        let clients = vec![Bucket::full(of_clients, now); clients + 1];
        let buckets = Mutex::new(Buckets { clients, all: Bucket::full(of_all, now) });
        Self { of_clients, of_all, buckets }
    }

    /// Takes one, of `client`'s and of everybody's; `None` is nobody we know. A place beyond the last is nobody, too.
    ///
    /// # Errors
    /// How long to wait. Nothing is taken then.
    pub fn take(&self, client: Option<usize>, now: UnixTime) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let Buckets { clients, all } = &mut *buckets;
        let strangers = clients.len().saturating_sub(1);
        let own = client.map_or(strangers, |client| client.min(strangers));
        let Some(own) = clients.get_mut(own) else { return Ok(()) };
        own.fill(self.of_clients, now);
        all.fill(self.of_all, now);
        let wait = own.wait(self.of_clients).max(all.wait(self.of_all));
        if !wait.is_zero() {
            return Err(wait);
        }
        own.left = own.left.saturating_sub(self.of_clients.one());
        all.left = all.left.saturating_sub(self.of_all.one());
        Ok(())
    }
}

impl Rate {
    /// What one costs; a millisecond brings [`Self::count`].
    fn one(self) -> u64 {
        u64::try_from(self.per.as_millis()).unwrap_or(u64::MAX)
    }

    fn full(self) -> u64 {
        self.one().saturating_mul(u64::from(self.count))
    }
}

impl Bucket {
    fn full(rate: Rate, now: UnixTime) -> Self {
        Self { left: rate.full(), at: now }
    }

    fn fill(&mut self, rate: Rate, now: UnixTime) {
        // A clock that was set back brings nothing, and begins anew from there.
        let passed = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        let brought = passed.saturating_mul(u64::from(rate.count));
        self.left = self.left.saturating_add(brought).min(rate.full());
        self.at = now;
    }

    fn wait(self, rate: Rate) -> Duration {
        let missing = rate.one().saturating_sub(self.left);
        Duration::from_millis(missing.div_ceil(u64::from(rate.count).max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(millis: i64) -> UnixTime {
        UnixTime::from_millis(1_000_000 + millis)
    }

    fn limiter() -> Limiter {
        let of_clients = Rate { count: 2, per: SECOND };
        Limiter::new(2, of_clients, Rate { count: 3, per: SECOND }, at(0))
    }

    #[test]
    fn a_client_gets_its_share_and_is_told_when_to_come_back() {
        let limiter = limiter();
        assert!(limiter.take(Some(0), at(0)).is_ok() && limiter.take(Some(0), at(0)).is_ok());
        assert_eq!(limiter.take(Some(0), at(0)), Err(SECOND / 2));
        assert_eq!(limiter.take(Some(0), at(499)), Err(Duration::from_millis(1)));
        assert_eq!(limiter.take(Some(0), at(500)), Ok(()));
    }

    #[test]
    fn one_client_does_not_use_up_the_share_of_another_but_all_together_have_a_bound() {
        let limiter = limiter();
        for client in [Some(0), Some(0), Some(1)] {
            assert_eq!(limiter.take(client, at(0)), Ok(()));
        }
        let wait = limiter.take(Some(1), at(0)).unwrap_err();
        assert_eq!(wait, Duration::from_millis(334), "the bound of all");
    }

    #[test]
    fn everybody_unknown_shares_one_bucket() {
        let limiter = limiter();
        assert!(limiter.take(None, at(0)).is_ok() && limiter.take(Some(7), at(0)).is_ok());
        assert!(limiter.take(None, at(0)).is_err());
        assert!(limiter.take(Some(0), at(0)).is_ok());
    }

    #[test]
    fn a_long_rest_brings_no_more_than_the_full_bucket_and_a_clock_set_back_brings_nothing() {
        let limiter = limiter();
        let taken = |now| (0..9).filter(|_| limiter.take(Some(0), now).is_ok()).count();
        assert_eq!(taken(at(3_600_000)), 2);
        assert_eq!(taken(at(0)), 0);
        assert_eq!(taken(at(500)), 1);
    }
}
