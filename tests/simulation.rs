//! What ten thousand replicas do to their identity provider in a day with a roll-out, an outage of ten minutes and a
//! rotation: the real schedule and the real limiter in virtual time, without sockets. Prints fetches per second at the
//! provider, and fails where they are more than a provider should have to bear.
//!
//! Replicas do not know of one another and the provider answers each alike, so they are played one after the other and
//! only what they ask of the provider is added up.

#![allow(clippy::unwrap_used, reason = "a test's helpers may fail the test, as its functions may")]

use std::fmt;
use std::io::{self, Write as _};
use std::ops::Range;
use std::time::Duration;

use claimgate::keys::demand::limiter::{Asker, Limiter};
use claimgate::keys::schedule::{Cause, Schedule};
use claimgate::util::clock::UnixTime;
use fastrand::Rng;

const REPLICAS: u32 = 10_000;

/// In milliseconds, as everything here.
const SECOND: i64 = 1000;
const DAY: i64 = 24 * 60 * 60 * SECOND;

/// How long keys are fresh: the default, for a provider that says nothing.
const INTERVAL: i64 = 5 * 60 * SECOND;

/// A roll-out: every replica starts within this.
const ROLL_OUT: i64 = 60 * SECOND;

const OUTAGE: Range<i64> = 8 * 60 * 60 * SECOND..8 * 60 * 60 * SECOND + 10 * 60 * SECOND;

/// The provider publishes another key and signs with it from then on.
const ROTATION: i64 = 16 * 60 * 60 * SECOND;

/// Every replica sees the first token of the new key within this.
const FIRST_USE: i64 = SECOND;

/// The longest that an answer takes.
const LATENCY: i64 = 200;

#[test]
fn a_provider_of_ten_thousand_replicas_is_never_stormed() {
    let mut rng = Rng::with_seed(20_261_121);
    let mut load = Load { seconds: vec![0; usize::try_from(DAY / SECOND).unwrap()] };
    let mut most_asked = 0;
    for _ in 0..REPLICAS {
        let replica = Replica::play(&mut rng, &mut load);
        assert!(replica.knows_the_new_key, "a rotation was missed");
        most_asked = most_asked.max(replica.asked);
    }

    // Two intervals after what stirred them up, they are spread again; a rotation must not stir them up.
    let settled = 2 * INTERVAL;
    let rotation = ROTATION..ROTATION + FIRST_USE + SECOND;
    let quiet =
        [ROLL_OUT + settled..OUTAGE.start, OUTAGE.end + settled..ROTATION, rotation.end..DAY];
    let quiet = load.over(&quiet);
    let outage = load.over(&[OUTAGE]);
    let recovery = OUTAGE.end..OUTAGE.end + settled;
    let after = load.over(&[recovery]);
    let turned = load.over(&[rotation]);
    let mut text = format!("\nfetches per second at the provider of {REPLICAS} replicas\n");
    text += &format!("  in quiet            {quiet}\n  in the outage       {outage}\n");
    text += &format!("  after the outage    {after}\n  on the rotation     {turned}\n");
    text += &format!("  most fetches that one replica made for the rotation: {most_asked}\n\n");
    io::stdout().lock().write_all(text.as_bytes()).unwrap();

    assert!(f64::from(quiet.peak) <= 3.0 * quiet.mean, "in quiet: {quiet}");
    assert!(f64::from(after.peak) <= 5.0 * quiet.mean, "after the outage: {after}");
    assert_eq!(most_asked, 1, "extra fetches of one replica on the rotation");
}

/// One replica's day.
struct Replica {
    schedule: Schedule,
    limiter: Limiter,
    knows_the_new_key: bool,
    /// Fetches that a token gave reason to.
    asked: u32,
}

impl Replica {
    fn play(rng: &mut Rng, load: &mut Load) -> Self {
        let start = rng.i64(0..ROLL_OUT);
        let first_use = ROTATION + rng.i64(0..FIRST_USE);
        let mut replica = Self {
            schedule: Schedule::new(time(start)),
            limiter: Limiter::default(),
            knows_the_new_key: false,
            asked: 0,
        };
        let mut now = start;
        while now < DAY {
            let due = replica.schedule.due().as_millis().max(now);
            // From the first one on there is always a token of the new key at hand.
            let wants = !replica.knows_the_new_key && first_use.max(now) < due;
            let asked_at = time(first_use.max(now));
            if wants && replica.limiter.try_begin(Asker::Token, asked_at).is_ok() {
                replica.asked += 1;
                now = replica.fetch(first_use.max(now), Cause::Asked, rng, load);
            } else {
                now = replica.fetch(due, Cause::Due, rng, load);
            }
        }
        replica
    }

    /// Returns when it has ended.
    fn fetch(&mut self, now: i64, cause: Cause, rng: &mut Rng, load: &mut Load) -> i64 {
        load.count(now);
        let end = now + rng.i64(1..LATENCY);
        if OUTAGE.contains(&now) {
            self.schedule.failed(time(end), cause, None, rng.f64());
        } else {
            self.knows_the_new_key |= now >= ROTATION;
            let fresh = Duration::from_millis(INTERVAL.unsigned_abs());
            self.schedule.succeeded(time(end), cause, fresh, rng.f64());
        }
        end
    }
}

fn time(millis: i64) -> UnixTime {
    UnixTime::from_millis(millis)
}

/// Fetches in each second of the day.
struct Load {
    seconds: Vec<u32>,
}

impl Load {
    fn count(&mut self, now: i64) {
        // What is due when the day is over is not part of it.
        let second = usize::try_from(now / SECOND).ok();
        if let Some(count) = second.and_then(|second| self.seconds.get_mut(second)) {
            *count += 1;
        }
    }

    fn over(&self, spans: &[Range<i64>]) -> Rate {
        let second = |at: i64| usize::try_from(at / SECOND).unwrap();
        let counts =
            spans.iter().flat_map(|span| &self.seconds[second(span.start)..second(span.end)]);
        let counts: Vec<u32> = counts.copied().collect();
        let sum: f64 = counts.iter().copied().map(f64::from).sum();
        Rate { mean: sum / counts.len() as f64, peak: counts.into_iter().max().unwrap() }
    }
}

struct Rate {
    mean: f64,
    peak: u32,
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mean, peak } = self;
        write!(
            f,
            "mean {mean:7.1}   peak {peak:6}   ({:.2} times the mean)",
            f64::from(*peak) / mean
        )
    }
}
