//! Numbers that every request changes, once for each of a few groups of threads: threads that change one number take
//! its cache line from each other each time. Whoever wants the number adds them up.

use std::sync::atomic::{AtomicUsize, Ordering};

/// More threads than this share. Workers are as many as the processor time that there is for them.
const SHARDS: usize = 16;

/// A `T` for each group of threads.
#[derive(Debug)]
pub(super) struct Sharded<T>(Box<[Line<T>; SHARDS]>);

/// Two cache lines: processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line<T>(T);

thread_local! {
    /// The number of this thread, among those that count anything.
    static THREAD: usize = {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        THREADS.fetch_add(1, Ordering::Relaxed)
    };
}

impl<T> Sharded<T> {
    /// The one of the thread that asks.
    pub(super) fn mine(&self) -> &T {
        // While a thread ends, its number may be gone.
        let thread = THREAD.try_with(|number| *number).unwrap_or(0);
        &self.0[thread % SHARDS].0
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|line| &line.0)
    }
}

impl<T: Default> Default for Sharded<T> {
    fn default() -> Self {
        Self(Box::new(std::array::from_fn(|_| Line::default())))
    }
}
