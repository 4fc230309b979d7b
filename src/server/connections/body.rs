//! What a client may send as the body of a request: whole within a time, and beyond a first part only while all
//! unfinished requests of the listener together stay below a limit.
//!
//! Who is over the limit waits; HTTP/2's flow control makes the client wait with it. An error instead would be a gRPC
//! error, which Envoy may be configured to take for "allow". Requests of ordinary size never touch the limit, so that
//! nobody's long ones are in their way.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{self, Sleep};
use tokio_util::sync::PollSemaphore;

/// Of each request; as much as Envoy lets the headers of one be.
const FREE_BYTES: usize = 64 * 1024;

/// The limit is in parts of so many bytes.
const UNIT: usize = 64 * 1024;

/// Of all requests together, beyond what is free: 64 MiB.
const UNITS: usize = 1024;

/// For a whole body.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the unfinished requests of a listener share.
#[derive(Clone, Debug)]
pub(super) struct BodyBudget(Arc<Semaphore>);

impl Default for BodyBudget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(UNITS)))
    }
}

#[cfg(test)]
impl BodyBudget {
    pub(super) fn semaphore(&self) -> &Arc<Semaphore> {
        &self.0
    }
}

/// A body as it arrives.
pub struct Received<B> {
    body: B,
    /// That may still be read.
    allowed: usize,
    semaphore: PollSemaphore,
    held: Vec<OwnedSemaphorePermit>,
    /// From the first wait.
    deadline: Option<Pin<Box<Sleep>>>,
}

/// A body that is not there in time.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the request was not whole within {} s", TIMEOUT.as_secs())]
pub(super) struct TooSlow;

impl<B> Received<B> {
    pub(super) fn new(body: B, budget: &BodyBudget) -> Self {
        let semaphore = PollSemaphore::new(Arc::clone(&budget.0));
        Self { body, allowed: FREE_BYTES, semaphore, held: Vec::new(), deadline: None }
    }
}

impl<B: Body<Data = Bytes, Error: std::error::Error + Send + Sync + 'static> + Unpin> Received<B> {
    fn poll_inner(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        if self.allowed == 0 {
            // Closed it never is.
            let permit = ready!(self.semaphore.poll_acquire(cx));
            self.held.extend(permit);
            self.allowed = UNIT;
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            let length = frame.data_ref().map_or(0, Bytes::len);
            self.allowed = self.allowed.saturating_sub(length);
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }
}

impl<B: Body<Data = Bytes, Error: std::error::Error + Send + Sync + 'static> + Unpin> Body
    for Received<B>
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        if let Poll::Ready(frame) = self.poll_inner(cx) {
            return Poll::Ready(frame);
        }
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(time::sleep(TIMEOUT)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Some(Err(TooSlow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> fmt::Debug for Received<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}
