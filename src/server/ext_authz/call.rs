//! gRPC around one call with one message each way, as Envoy makes it: five bytes of frame before each message, and the
//! trailers after the answer (gRPC over HTTP/2, "Requests" and "Responses"). [`super::ExtAuthz`] is called with it.
//!
//! What tonic would do as well, less what costs more than the decision: its buffers and its streams of messages. And it
//! never fails: a gRPC error is no denial to Envoy, so that a message that is compressed, too long or cut short comes out
//! as [`Unframed`], which is denied.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response, header};
use http_body::{Body, Frame, SizeHint};

/// Odd, large requests are to be denied, not failed, so the limit is far above what Envoy sends (60 KiB of headers unless
/// configured otherwise).
pub(super) const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// A flag, and the length of the message.
const FRAME_BYTES: usize = 5;

/// What was received is not one message, as it is and whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unframed;

/// The message of a call. Not copied when it comes in one piece.
pub(super) async fn message<B>(body: B) -> Result<Bytes, Unframed>
where
    B: Body<Data = Bytes>,
{
    let mut body = pin!(body);
    let mut received = Bytes::new();
    let mut pieces = BytesMut::new();
    while let Some(frame) = next(body.as_mut()).await {
        // Trailers say nothing to us; what ends in an error is not whole.
        let Ok(data) = frame.map_err(|_| Unframed)?.into_data() else { continue };
        if pieces.is_empty() && received.is_empty() {
            received = data;
        } else {
            if pieces.is_empty() {
                // No more than has come before: a length is only a claim.
                pieces.reserve(2 * received.len());
                pieces.put(std::mem::take(&mut received));
            }
            pieces.put(data);
        }
        let begun = if pieces.is_empty() { &received[..] } else { &pieces[..] };
        if begun.len() > expected(begun).unwrap_or(FRAME_BYTES) {
            return Err(Unframed);
        }
    }
    let mut whole = if pieces.is_empty() { received } else { pieces.freeze() };
    if expected(&whole) != Some(whole.len()) || whole.get_u8() != UNCOMPRESSED {
        return Err(Unframed);
    }
    whole.advance(FRAME_BYTES - 1);
    Ok(whole)
}

/// How long a message with its frame is, once that can be told. One that is too long is nothing but its frame.
fn expected(received: &[u8]) -> Option<usize> {
    let (frame, _) = received.split_first_chunk::<FRAME_BYTES>()?;
    let [_, length @ ..] = *frame;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    Some(if length > MAX_MESSAGE_BYTES { FRAME_BYTES } else { FRAME_BYTES + length })
}

async fn next<B: Body>(mut body: Pin<&mut B>) -> Option<Result<Frame<B::Data>, B::Error>> {
    std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await
}

const UNCOMPRESSED: u8 = 0;

/// Has room for a message of `length` bytes behind its frame.
pub(super) fn framed(length: usize) -> BytesMut {
    let mut buffer = BytesMut::with_capacity(FRAME_BYTES + length);
    buffer.put_u8(UNCOMPRESSED);
    // Answers are as long as the headers in them, which are bounded.
    buffer.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    buffer
}

/// The answer to a call: one message in its frame, and "no error".
pub(super) fn response(framed: Bytes) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody { framed: Some(framed), has_trailers: true });
    let content_type = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// The body of an answer.
#[derive(Debug)]
pub struct AnswerBody {
    framed: Option<Bytes>,
    has_trailers: bool,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(framed) = self.framed.take() {
            return Poll::Ready(Some(Ok(Frame::data(framed))));
        }
        if std::mem::take(&mut self.has_trailers) {
            let mut trailers = HeaderMap::with_capacity(1);
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.framed.is_none() && !self.has_trailers
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.framed.as_ref().map_or(0, |framed| framed.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Full, StreamBody};
    use tokio_stream::iter;

    use super::*;

    fn in_frame(message: &[u8]) -> Vec<u8> {
        let mut framed = framed(message.len());
        framed.put(message);
        framed.to_vec()
    }

    /// What is read when it comes in pieces of `size` bytes.
    async fn read(sent: &[u8], size: usize) -> Result<Bytes, Unframed> {
        let pieces = sent.chunks(size).map(Bytes::copy_from_slice);
        let frames = pieces.map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
        message(StreamBody::new(iter(frames))).await
    }

    #[tokio::test]
    async fn a_message_is_the_same_in_however_many_pieces_it_comes() {
        for content in [&b""[..], b"a", &[7; 3000]] {
            for size in [1, 2, 4, 5, 6, 1000, 5000] {
                assert_eq!(read(&in_frame(content), size).await.as_deref(), Ok(content), "{size}");
            }
        }
    }

    #[tokio::test]
    async fn in_one_piece_it_is_not_copied() {
        let sent = Bytes::from(in_frame(b"abc"));
        let received = message(Full::new(sent.clone())).await.unwrap();
        assert_eq!(received.as_ptr(), sent[FRAME_BYTES..].as_ptr());
    }

    #[tokio::test]
    async fn what_is_no_single_whole_message_is_none() {
        let good = in_frame(b"abc");
        let compressed = [&[1], &good[1..]].concat();
        let two = [good.clone(), good.clone()].concat();
        let long = [&good[..], b"d"].concat();
        let endless = [&[0, 0xff, 0xff, 0xff, 0xff][..], &[0; 100]].concat();
        for sent in
            [&b""[..], &good[..4], &good[..5], &good[..7], &compressed, &two, &long, &endless]
        {
            for size in [1, 3, 1000] {
                assert_eq!(read(sent, size).await, Err(Unframed), "{sent:?} in {size}");
            }
        }
    }

    #[tokio::test]
    async fn no_more_is_read_than_a_message_may_have() {
        let frame = in_frame(&[0; 10])[..FRAME_BYTES].to_vec();
        let endless = (0_u64..).map(|place| {
            assert!(place < 3, "it goes on reading");
            let piece = if place == 0 { frame.clone() } else { vec![0; 8] };
            Ok::<_, Infallible>(Frame::data(Bytes::from(piece)))
        });
        assert_eq!(message(StreamBody::new(iter(endless))).await, Err(Unframed));
    }

    #[tokio::test]
    async fn a_body_that_fails_is_not_whole() {
        let pieces = [Ok(Frame::data(Bytes::from(in_frame(b"abc")))), Err("reset")];
        assert_eq!(message(StreamBody::new(iter(pieces))).await, Err(Unframed));
    }

    #[tokio::test]
    async fn an_answer_is_one_frame_and_a_status() {
        let answered = response(Bytes::from(in_frame(b"abc")));
        assert_eq!(answered.headers()["content-type"], "application/grpc");
        let answered = answered.into_body().collect().await.unwrap();
        assert_eq!(answered.trailers().unwrap()["grpc-status"], "0");
        assert_eq!(answered.to_bytes(), in_frame(b"abc"));
    }
}
