//! What the operating system asks for: SIGTERM and SIGINT end the process in good order, a second one while it
//! drains ends it at once. SIGHUP has configuration and keys read again, the latter as far as the limiter lets it.

use std::convert::Infallible;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The signals, from the moment this is made.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Takes the signals over from their default, which is to end the process at once.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { terminate, interrupt, hangup: signal(SignalKind::hangup())? })
    }

    /// Cancels `shutdown` at the first signal to end and `at_once` at the second; calls `refresh` at each SIGHUP.
    pub async fn run(
        mut self,
        shutdown: CancellationToken,
        at_once: CancellationToken,
        refresh: impl Fn(),
    ) -> Result<(), Infallible> {
        let name = self.next(&refresh).await;
        tracing::info!(signal = name, "shutting down");
        shutdown.cancel();
        let name = self.next(&refresh).await;
        tracing::warn!(signal = name, "ending without finishing what is in flight");
        at_once.cancel();
        Ok(())
    }

    /// The next signal to end.
    async fn next(&mut self, refresh: &impl Fn()) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hangup.recv() => refresh(),
            }
        }
    }
}
