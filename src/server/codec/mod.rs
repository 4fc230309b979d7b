//! Turns bytes into a `CheckRequest` and a `CheckResponse` into bytes, for the server end of Envoy's API.
//!
//! It differs from tonic's own codec in this: bytes that are not a `CheckRequest` (a header map cut short, a path
//! that is not UTF-8, nesting without end, more headers than anybody sends) would make tonic answer with a gRPC error, and under `failure_mode_allow`
//! Envoy lets a request pass on a gRPC error. Here they become the empty request, which has no HTTP part and which
//! `check::Authorizer` therefore denies as malformed.
//!
//! Only the generated server stub uses it (`build.rs` names it). A client must not: there, rubbish would become the
//! empty `CheckResponse`, and that one means "allow".

mod bounds;

use bytes::Buf as _;
use prost::Message as _;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use crate::proto::envoy::service::auth::v3::{CheckRequest, CheckResponse};

/// The codec of `Authorization/Check`, server end.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckCodec;

impl Codec for CheckCodec {
    type Encode = CheckResponse;
    type Decode = CheckRequest;
    type Encoder = ResponseEncoder;
    type Decoder = RequestDecoder;

    fn encoder(&mut self) -> ResponseEncoder {
        ResponseEncoder
    }

    fn decoder(&mut self) -> RequestDecoder {
        RequestDecoder
    }
}

/// Reads requests; never fails.
#[derive(Clone, Copy, Debug)]
pub struct RequestDecoder;

impl Decoder for RequestDecoder {
    type Item = CheckRequest;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<CheckRequest>, Status> {
        // All of it: what a failed decode left would be taken for the header of a next message.
        let message = buf.copy_to_bytes(buf.remaining());
        let decoded = bounds::is_within(&message).then(|| CheckRequest::decode(message));
        Ok(Some(decoded.and_then(Result::ok).unwrap_or_default()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

/// Writes answers.
#[derive(Clone, Copy, Debug)]
pub struct ResponseEncoder;

impl Encoder for ResponseEncoder {
    type Item = CheckResponse;
    type Error = Status;

    fn encode(&mut self, answer: CheckResponse, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        answer.encode(buf).map_err(|_| Status::internal("the answer does not fit its buffer"))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut as _, Bytes, BytesMut};
    use http_body_util::{BodyExt as _, Full};
    use tonic::codec::Streaming;
    use tower::ServiceExt as _;

    use super::*;
    use crate::proto::envoy::service::auth::v3::AttributeContext;
    use crate::proto::envoy::service::auth::v3::authorization_server::{
        Authorization, AuthorizationServer,
    };
    use crate::proto::google::rpc;

    const CUT_SHORT: &[u8] = b"\x0a\x7f\x22";
    const NOT_UTF8: &[u8] = b"\x0a\x07\x22\x05\x12\x03\x12\x01\xff";
    const NO_FIELD: &[u8] = b"\xff\xff\xff\xff";
    const NESTED_WITHOUT_END: &[u8] = &[0x0b; 10_000];

    /// One gRPC message with this payload.
    fn frame(payload: &[u8]) -> Full<Bytes> {
        let mut frame = BytesMut::new();
        frame.put_u8(0);
        frame.put_u32(u32::try_from(payload.len()).expect("small"));
        frame.put_slice(payload);
        Full::from(frame.freeze())
    }

    /// What the server makes of it.
    async fn received(payload: &[u8]) -> CheckRequest {
        let mut stream = Streaming::new_request(CheckCodec.decoder(), frame(payload), None, None);
        let request = stream.message().await.expect("never a gRPC error").expect("one message");
        assert!(stream.message().await.expect("nothing is left over").is_none());
        request
    }

    #[tokio::test]
    async fn reads_what_envoy_sends() {
        let sent = CheckRequest { attributes: Some(AttributeContext::default()) };
        assert_eq!(received(&sent.encode_to_vec()).await, sent);
    }

    #[tokio::test]
    async fn undecodable_bytes_become_the_empty_request_and_not_a_grpc_error() {
        for bytes in [CUT_SHORT, NOT_UTF8, NO_FIELD, NESTED_WITHOUT_END] {
            assert!(CheckRequest::decode(bytes).is_err(), "{bytes:?} tests nothing: it decodes");
            assert_eq!(received(bytes).await, CheckRequest::default());
        }
    }

    /// Denies what has no attributes.
    struct Judge;

    #[tonic::async_trait]
    impl Authorization for Judge {
        async fn check(
            &self,
            request: tonic::Request<CheckRequest>,
        ) -> Result<tonic::Response<CheckResponse>, Status> {
            let code = if request.get_ref().attributes.is_none() { 3 } else { 0 };
            let status = Some(rpc::Status { code, ..rpc::Status::default() });
            Ok(tonic::Response::new(CheckResponse { status, ..CheckResponse::default() }))
        }
    }

    #[tokio::test]
    async fn the_generated_server_answers_undecodable_bytes_with_a_denial() {
        let call = http::Request::post("/envoy.service.auth.v3.Authorization/Check")
            .header("content-type", "application/grpc")
            .body(frame(CUT_SHORT))
            .expect("a request");

        let answered = AuthorizationServer::new(Judge).oneshot(call).await.expect("infallible");

        let answered = answered.into_body().collect().await.expect("a body");
        let grpc_status = answered.trailers().and_then(|trailers| trailers.get("grpc-status"));
        assert_eq!(grpc_status.map(http::HeaderValue::as_bytes), Some(&b"0"[..]));
        let message = answered.to_bytes().split_off(5);
        let answer = CheckResponse::decode(message).expect("an answer");
        assert_eq!(answer.status.map(|status| status.code), Some(3));
    }
}
