//! The parts that a process is made of while it runs, and the order in which they end. [`super::Bound`] and
//! [`super::issuer::BoundIssuer`] say what the parts are; the order of the drain is written here, once.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time;
use tokio_util::sync::CancellationToken;

use super::tasks::{TaskEnded, Tasks};
use crate::server::tls::Tls;

/// What runs, by when it ends.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// What is asked by clients: ends first, in its own time.
    pub(super) front: Part,
    /// What keeps it going: ends when nobody asks any more.
    pub(super) background: Part,
    /// What tells of all this, to the end: the admin port.
    pub(super) last: Part,
    /// The process is about to end: what says whether it is ready says no.
    pub(super) draining: CancellationToken,
}

/// Tasks that end together.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) tasks: Tasks,
    stop: CancellationToken,
}

/// How a process drains.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drain {
    /// How long it goes on as before after it has said that it is not ready.
    pub(super) delay: Duration,
    /// How long requests in flight get after that.
    pub(super) deadline: Duration,
}

/// Background tasks hold nothing that must be finished.
const BACKGROUND_DEADLINE: Duration = Duration::from_secs(1);

impl Part {
    /// When what is in it has to end.
    pub(super) fn until(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs what cannot fail under `name`.
    pub(super) fn spawn(
        &mut self,
        name: impl Into<String>,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tasks.spawn(name, async move {
            task.await;
            Ok::<(), Infallible>(())
        });
    }

    async fn finish(&mut self, deadline: Duration) -> Result<(), TaskEnded> {
        self.stop.cancel();
        self.tasks.finish(deadline).await
    }
}

impl Parts {
    /// Has the files of certificates followed, in the background.
    pub(super) fn follow_certificates(&mut self, tls: Vec<Arc<Tls>>) {
        for tls in tls {
            let until = self.background.until();
            self.background.spawn(format!("certificates of {}", tls.name()), async move {
                tls.run(until).await;
            });
        }
    }

    /// Runs until `shutdown`, then drains: un-ready → pause → stop accepting, finish in flight → hard deadline → stop what
    /// runs in the background, the admin port last. `unready` is done before the pause, `leaving` after it; `what` is what
    /// ends, for the log.
    ///
    /// # Errors
    /// A part that ended by itself, after the same drain.
    pub(super) async fn run(
        self,
        what: &'static str,
        shutdown: CancellationToken,
        drain: Drain,
        unready: impl Future<Output = ()>,
        leaving: impl Future<Output = ()>,
    ) -> Result<(), TaskEnded> {
        let Self { mut front, mut background, mut last, draining } = self;
        let ended = tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            ended = front.tasks.first_to_end() => Err(ended),
            ended = background.tasks.first_to_end() => Err(ended),
            ended = last.tasks.first_to_end() => Err(ended),
        };
        if let Err(ended) = &ended {
            tracing::error!(error = %ended, "ending, because a part of the {what} is gone");
        }
        draining.cancel();
        unready.await;
        time::sleep(drain.delay).await;
        leaving.await;
        let finished = front.finish(drain.deadline).await;
        let stopped = background.finish(BACKGROUND_DEADLINE).await;
        let closed = last.finish(BACKGROUND_DEADLINE).await;
        for late in [finished, stopped, closed].into_iter().filter_map(Result::err) {
            tracing::warn!(error = %late, "not everything ended in good order");
        }
        tracing::info!("ended");
        ended
    }
}
