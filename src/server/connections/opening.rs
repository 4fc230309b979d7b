//! Tells a client that speaks from one that only holds a connection: HTTP/2 begins with 24 bytes that are always the
//! same (RFC 9113, 3.4), anything else is HTTP/1.1 from the first byte that differs, whose head has its own deadline.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Whether the client has said what it speaks.
#[derive(Clone, Debug, Default)]
pub(super) struct Opened(Arc<AtomicBool>);

impl Opened {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Passes everything on, and looks at what the client begins with.
#[derive(Debug)]
pub(super) struct Opening<IO> {
    io: IO,
    opened: Opened,
    /// What of the preface has not come yet.
    missing: &'static [u8],
}

impl<IO> Opening<IO> {
    pub(super) fn new(io: IO, opened: Opened) -> Self {
        Self { io, opened, missing: PREFACE }
    }

    fn look(&mut self, read: &[u8]) {
        let length = read.len().min(self.missing.len());
        let (read, (expected, missing)) = (read.get(..length), self.missing.split_at(length));
        if read == Some(expected) && !missing.is_empty() {
            self.missing = missing;
        } else {
            self.missing = &[];
            self.opened.set();
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Opening<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buffer);
        let read = buffer.filled().get(before..).unwrap_or_default();
        if !self.missing.is_empty() && !read.is_empty() {
            self.look(read);
        }
        polled
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Opening<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_open_after(parts: &[&[u8]]) -> bool {
        let opened = Opened::default();
        let mut opening = Opening::new((), opened.clone());
        for part in parts {
            opening.look(part);
        }
        opened.is_set()
    }

    #[test]
    fn a_client_has_spoken_when_its_preface_is_whole_or_is_none() {
        assert!(is_open_after(&[PREFACE]));
        assert!(is_open_after(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nmore"]));
        assert!(is_open_after(&[b"PRI * HTTP/2.0\r\n", b"\r\nSM\r\n\r", b"\n"]));
        assert!(is_open_after(&[b"G"]));
        assert!(is_open_after(&[b"P", b"O"]));
        assert!(!is_open_after(&[]));
        assert!(!is_open_after(&[b"P"]));
        assert!(!is_open_after(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r"]));
    }
}
