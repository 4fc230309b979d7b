//! The key IDs of one issuer that were looked for and not found: bounded, and forgotten after a minute or
//! when the issuer's keys change. Pure; [`super::KeyDemand`] asks.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::util::clock::UnixTime;

/// How many are remembered; of more, the oldest are forgotten.
pub const CAPACITY: usize = 1024;

/// How long one is remembered.
pub const REMEMBERED: Duration = Duration::from_secs(60);

/// Key IDs that nobody published when we looked.
#[derive(Debug, Default)]
pub struct UnknownKids {
    since: HashMap<Box<str>, UnixTime>,
    /// The one that was remembered first comes first; holds exactly the keys of `since`.
    order: VecDeque<Box<str>>,
}

impl UnknownKids {
    /// Whether `kid` was looked for in vain within the last minute.
    pub fn contains(&self, kid: &str, now: UnixTime) -> bool {
        // One from the future: the clock was set back. Then nothing is known.
        self.since.get(kid).is_some_and(|since| *since <= now && now.since(*since) < REMEMBERED)
    }

    /// Remembers that `kid` was not found at `now`.
    pub fn insert(&mut self, kid: Box<str>, now: UnixTime) {
        // One that is known keeps its place: to look for it would take as long as there are others, each time.
        if self.since.insert(kid.clone(), now).is_none() {
            self.order.push_back(kid);
        }
        while self.order.len() > CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.since.remove(&oldest);
        }
    }

    /// Forgets everything: the keys are other ones now.
    pub fn clear(&mut self) {
        self.since.clear();
        self.order.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: UnixTime = UnixTime::from_millis(1_000_000);

    #[test]
    fn a_kid_is_remembered_for_a_minute_and_until_keys_change() {
        let mut kids = UnknownKids::default();
        kids.insert("a".into(), T0);
        let almost = T0.saturating_add(REMEMBERED - Duration::from_millis(1));
        assert!(kids.contains("a", T0) && kids.contains("a", almost) && !kids.contains("b", T0));
        assert!(!kids.contains("a", T0.saturating_add(REMEMBERED)));
        assert!(!kids.contains("a", UnixTime::from_millis(0)), "a clock that was set back");
        kids.clear();
        assert!(!kids.contains("a", T0));
    }

    #[test]
    fn no_flood_makes_it_grow_and_the_oldest_go_first() {
        let mut kids = UnknownKids::default();
        for nth in 0..100_000 {
            kids.insert(format!("k{nth}").into(), T0);
        }
        assert_eq!((kids.since.len(), kids.order.len()), (CAPACITY, CAPACITY));
        assert!(kids.contains("k99999", T0) && !kids.contains("k0", T0));
    }

    #[test]
    fn the_same_kid_again_takes_no_further_place() {
        let mut kids = UnknownKids::default();
        for _ in 0..10 {
            kids.insert("a".into(), T0);
        }
        assert_eq!((kids.since.len(), kids.order.len()), (1, 1));
    }
}
