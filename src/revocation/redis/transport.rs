//! The way to a server: TCP, TLS or a Unix socket, and a limit on what comes back on it. The library parses what it
//! reads as it comes; how much that may be is decided here, before it gets to see it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::settings::Address;
use super::tls::Tls;

/// A stream in both directions, whatever it is made of.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection, and what is left of what may be read from it.
pub(super) type Connected = (Bounded<Box<dyn Stream>>, Budget);

/// Connects, without a deadline of its own.
pub(super) async fn connect(address: &Address, tls: Option<&Tls>) -> io::Result<Connected> {
    let stream: Box<dyn Stream> = match address {
        Address::Unix(path) => Box::new(UnixStream::connect(path).await?),
        Address::Tcp(host, port) => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            match tls {
                Some(tls) => Box::new(tls.handshake(host, stream).await?),
                None => Box::new(stream),
            }
        }
    };
    let budget = Budget::default();
    Ok((Bounded { stream, left: budget.clone() }, budget))
}

/// How many bytes the next answer may have; more than can be once there were more.
#[derive(Clone, Debug, Default)]
pub(super) struct Budget(Arc<AtomicUsize>);

/// In place of what is left.
const EXCEEDED: usize = usize::MAX;

impl Budget {
    /// What is read from now on may be this long.
    pub(super) fn allow(&self, bytes: usize) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    /// Whether the answer was longer.
    pub(super) fn is_exceeded(&self) -> bool {
        self.0.load(Ordering::Relaxed) == EXCEEDED
    }
}

/// A stream that fails once more is read from it than was allowed.
#[derive(Debug)]
pub(super) struct Bounded<S> {
    stream: S,
    left: Budget,
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(context, buffer);
        let read = buffer.filled().len().saturating_sub(before);
        let left = this.left.0.load(Ordering::Relaxed);
        match left.checked_sub(read).filter(|_| left != EXCEEDED) {
            Some(left) => {
                this.left.0.store(left, Ordering::Relaxed);
                polled
            }
            None => {
                this.left.0.store(EXCEEDED, Ordering::Relaxed);
                Poll::Ready(Err(io::Error::other("the answer is longer than any may be")))
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn more_than_was_allowed_is_not_read() {
        let budget = Budget::default();
        budget.allow(4);
        let mut stream = Bounded { stream: &b"12345678"[..], left: budget.clone() };
        let mut buffer = [0; 3];
        stream.read_exact(&mut buffer).await.unwrap();
        assert!(!budget.is_exceeded());
        assert!(stream.read_exact(&mut buffer).await.is_err(), "six are more than four");
        assert!(budget.is_exceeded());
        budget.allow(2);
        assert_eq!(stream.read(&mut buffer[..2]).await.unwrap(), 2, "the next answer has its own");
    }
}
