//! Waiting for a condition, with a bound. The only place of the demo that sleeps.

use std::time::Duration;

use tokio::time::{sleep, timeout};

/// Between two looks. Short against what is waited for, long against what a look costs.
const PAUSE: Duration = Duration::from_millis(50);

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
    let looking = async {
        while !condition().await {
            sleep(PAUSE).await;
        }
    };
    timeout(bound, looking).await.map_err(|_| TimedOut { what: what.to_owned(), bound })
}
