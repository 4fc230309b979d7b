//! [`Workshop`]: work that keeps a processor busy for milliseconds, hashing a secret or signing with a large key, off the
//! threads that serve connections and bounded: so many at once, so many that wait, for so long.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::{task, time};

/// Does one kind of work.
#[derive(Clone, Debug)]
pub struct Workshop {
    benches: Arc<Semaphore>,
    /// Of those that work and those that wait.
    places: Arc<Semaphore>,
}

/// Whoever waits longer than this would be gone, mostly.
const PATIENCE: Duration = Duration::from_secs(3);

/// There is no place, or none in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more at once than can be done")]
pub struct Busy;

impl Workshop {
    /// For `benches` at once, while at most `waiting` others wait.
    #[must_use]
    pub fn new(benches: usize, waiting: usize) -> Self {
        let places = Arc::new(Semaphore::new(benches.saturating_add(waiting)));
        Self { benches: Arc::new(Semaphore::new(benches)), places }
    }

    /// Has it done. Work that was begun goes on, and keeps its bench, also when nobody waits for it any more.
    ///
    /// # Errors
    /// [`Busy`]; also when the work panicked, which the log has.
    pub async fn run<T, F>(&self, work: F) -> Result<T, Busy>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Busy)?;
        let bench = Arc::clone(&self.benches).acquire_owned();
        let bench = time::timeout(PATIENCE, bench).await.map_err(|_| Busy)?.map_err(|_| Busy)?;
        let done = task::spawn_blocking(move || {
            let _held = (place, bench);
            work()
        });
        done.await.map_err(|_| Busy)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Polls once.
    async fn begins<T>(work: &mut (impl Future<Output = T> + Unpin)) -> bool {
        tokio::select! { biased; _ = work => false, () = task::yield_now() => true }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_has_no_place_is_turned_away_at_once_and_what_waits_is_done() {
        let workshop = Workshop::new(1, 1);
        let (let_go, held) = mpsc::channel::<()>();
        let mut working = Box::pin(workshop.run(move || held.recv().is_ok()));
        assert!(begins(&mut working).await);
        let mut waiting = Box::pin(workshop.run(|| 7));
        assert!(begins(&mut waiting).await);
        assert_eq!(workshop.run(|| 8).await, Err(Busy));
        let_go.send(()).unwrap();
        assert_eq!(working.await, Ok(true));
        assert_eq!(waiting.await, Ok(7));
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_any_more_keeps_its_bench_until_it_is_done() {
        let workshop = Workshop::new(1, 0);
        let (let_go, held) = mpsc::channel::<()>();
        let mut working = Box::pin(workshop.run(move || held.recv().is_ok()));
        assert!(begins(&mut working).await);
        drop(working);
        assert_eq!(workshop.run(|| 1).await, Err(Busy));
        let_go.send(()).unwrap();
        while workshop.run(|| 1).await.is_err() {
            task::yield_now().await;
        }
    }
}
