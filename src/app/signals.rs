//! What the operating system asks for: SIGTERM and SIGINT end the process in good order. A second one while
//! it drains ends it at once.

use std::convert::Infallible;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Both signals, from the moment this is made.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals over from their default, which is to end the process at once.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Cancels `shutdown` at the first signal and `at_once` at the second.
    pub async fn run(
        mut self,
        shutdown: CancellationToken,
        at_once: CancellationToken,
    ) -> Result<(), Infallible> {
        let name = self.next().await;
        tracing::info!(signal = name, "shutting down");
        shutdown.cancel();
        let name = self.next().await;
        tracing::warn!(signal = name, "ending without finishing what is in flight");
        at_once.cancel();
        Ok(())
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
