//! Waiting for a condition, with a bound. The only place of the demo that sleeps.

use std::time::Duration;

use tokio::time::{sleep, timeout};

/// Between two looks. Short against what is waited for, long against what a look costs.
const PAUSE: Duration = Duration::from_millis(10);

/// The condition did not come true in time.
#[derive(Debug, thiserror::Error)]
#[error("waited {} s in vain for {what}", .bound.as_secs())]
pub(crate) struct TimedOut {
    pub(super) what: String,
    pub(super) bound: Duration,
}

/// Looks again and again until `condition` holds.
pub(super) async fn wait_until(
    what: &str,
    bound: Duration,
    mut condition: impl AsyncFnMut() -> bool,
) -> Result<(), TimedOut> {
    wait_for(what, bound, async || condition().await.then_some(())).await
}

/// Looks again and again until there is something.
pub(super) async fn wait_for<T>(
    what: &str,
    bound: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> Result<T, TimedOut> {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            pause(PAUSE).await;
        }
    };
    timeout(bound, looking).await.map_err(|_| TimedOut { what: what.to_owned(), bound })
}

/// Does nothing for that long, for the sake of who else wants to run here.
pub(super) async fn pause(for_that_long: Duration) {
    sleep(for_that_long).await;
}
