//! How long something takes in this thread, in processor time: what else the machine does meanwhile does not count.
//! What is compared takes turns.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::figures::median;

/// Something that is timed, many times over.
pub(crate) struct Step<'a> {
    pub(crate) name: String,
    run: Box<dyn FnMut() + 'a>,
    /// Nanoseconds, one entry a round.
    rounds: Vec<f64>,
}

impl<'a> Step<'a> {
    pub(crate) fn new(name: impl Into<String>, run: impl FnMut() + 'a) -> Self {
        Self { name: name.into(), run: Box::new(run), rounds: Vec::new() }
    }

    /// Nanoseconds.
    pub(crate) fn median(&self) -> f64 {
        median(&self.rounds)
    }

    /// Once.
    pub(crate) fn run(&mut self) {
        (self.run)();
    }
}

impl std::fmt::Debug for Step<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Step").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Times all of `steps` in turns, each for a `moment` a round.
pub(crate) fn in_turns(steps: &mut [Step<'_>], rounds: usize, moment: Duration) {
    for round in 0..=rounds {
        for step in &mut *steps {
            let took = once(&mut || step.run(), moment);
            // The first round warms up.
            if round > 0 {
                step.rounds.push(took);
            }
        }
    }
}

/// Nanoseconds of processor time that one `run` takes, over about a `moment`.
pub(crate) fn once(run: &mut dyn FnMut(), moment: Duration) -> f64 {
    by(processor_time, run, moment)
}

/// The same by the wall clock, for what is set against rates: where others take a part of the processor, they take it
/// from both.
pub(crate) fn by_the_wall(run: &mut dyn FnMut(), moment: Duration) -> f64 {
    let since = stopwatch();
    by(|| since.elapsed(), run, moment)
}

fn by(clock: impl Fn() -> Duration, run: &mut dyn FnMut(), moment: Duration) -> f64 {
    let (mut done, mut batch) = (0.0, 1_u32);
    let begun = clock();
    loop {
        for _ in 0..batch {
            run();
        }
        done += f64::from(batch);
        let spent = clock().saturating_sub(begun);
        if spent >= moment {
            return spent.as_secs_f64() * 1e9 / done;
        }
        // The clock is looked at so seldom that it does not count.
        batch = batch.saturating_mul(2).min(1 << 12);
    }
}

/// Of this thread, since it began.
pub(crate) fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), nanoseconds)
}

/// For what takes seconds.
#[expect(clippy::disallowed_methods, reason = "durations are what this measures")]
pub(crate) fn stopwatch() -> std::time::Instant {
    std::time::Instant::now()
}
