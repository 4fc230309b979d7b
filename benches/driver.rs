//! A load driver for one gRPC method: so many connections, so many calls under way on each, for so long.
//!
//! It sends one message, encoded once, and compares each answer with the first without decoding it, so that the
//! server is what there is to measure. Used by benches/check.rs; it knows nothing of what the message means.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::{self, SendRequest};
use http::{HeaderMap, Request};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Large enough that flow control never holds a call back.
const WINDOW: u32 = 16 << 20;

/// How much is asked at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    pub(crate) in_flight: usize,
    pub(crate) duration: Duration,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) answers: u64,
    pub(crate) elapsed: Duration,
}

impl Outcome {
    pub(crate) fn per_second(&self) -> f64 {
        self.answers as f64 / self.elapsed.as_secs_f64()
    }
}

/// Why a run is worth nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DriverError {
    #[error("connecting to {address}: {error}")]
    Connect { address: SocketAddr, error: std::io::Error },
    #[error("HTTP/2: {0}")]
    Http2(#[from] h2::Error),
    #[error("the call ended with grpc-status {0}")]
    Status(String),
    #[error("an answer differs from the first one")]
    OtherAnswer,
    #[error("a task of the driver died: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// Where to, which method ("/package.Service/Method"), and what: one message, in its gRPC frame.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) address: SocketAddr,
    pub(crate) method: &'static str,
    pub(crate) frame: Bytes,
}

/// A message as gRPC sends it: uncompressed, with its length before it.
pub(crate) fn frame(message: &impl prost::Message) -> Bytes {
    let length = u32::try_from(message.encoded_len()).unwrap_or(u32::MAX);
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(length);
    frame.put_slice(&message.encode_to_vec());
    frame.freeze()
}

/// One call; the answer in its gRPC frame.
pub(crate) async fn ask(call: &Call) -> Result<Bytes, DriverError> {
    let mut background = JoinSet::new();
    let connection = connect(call, &mut background).await?;
    one(connection, call).await
}

/// Calls as fast as the answers come, and expects `answer` each time.
pub(crate) async fn drive(call: &Call, answer: &Bytes, load: Load) -> Result<Outcome, DriverError> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut background = JoinSet::new();
    let mut callers = JoinSet::new();
    let begun = Instant::now();
    for _ in 0..load.connections {
        let connection = connect(call, &mut background).await?;
        for _ in 0..load.in_flight {
            let (call, answer, stop) = (call.clone(), answer.clone(), Arc::clone(&stop));
            callers.spawn(repeat(connection.clone(), call, answer, stop));
        }
    }
    tokio::time::sleep(load.duration).await;
    stop.store(true, Ordering::Relaxed);
    let mut answers = 0;
    while let Some(answered) = callers.join_next().await {
        answers += answered??;
    }
    Ok(Outcome { answers, elapsed: begun.elapsed() })
}

async fn repeat(
    connection: SendRequest<Bytes>,
    call: Call,
    answer: Bytes,
    stop: Arc<AtomicBool>,
) -> Result<u64, DriverError> {
    let mut answers = 0;
    while !stop.load(Ordering::Relaxed) {
        if one(connection.clone(), &call).await? != answer {
            return Err(DriverError::OtherAnswer);
        }
        answers += 1;
    }
    Ok(answers)
}

async fn connect(
    call: &Call,
    background: &mut JoinSet<()>,
) -> Result<SendRequest<Bytes>, DriverError> {
    let address = call.address;
    let failed = |error| DriverError::Connect { address, error };
    let stream = TcpStream::connect(address).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let (requests, connection) = client::Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .handshake(stream)
        .await?;
    // A connection that breaks shows in the calls on it.
    background.spawn(async move { drop(connection.await) });
    Ok(requests)
}

async fn one(connection: SendRequest<Bytes>, call: &Call) -> Result<Bytes, DriverError> {
    let mut connection = connection.ready().await?;
    let (response, mut body) = connection.send_request(request(call), false)?;
    body.send_data(call.frame.clone(), true)?;
    let response = response.await?;
    let (head, mut body) = response.into_parts();
    let mut answer = Bytes::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        // One message as small as ours comes in one piece.
        answer = if answer.is_empty() { data } else { [answer, data].concat().into() };
    }
    let trailers = body.trailers().await?.unwrap_or(head.headers);
    match status(&trailers) {
        "0" => Ok(answer),
        other => Err(DriverError::Status(other.to_owned())),
    }
}

fn status(trailers: &HeaderMap) -> &str {
    trailers.get("grpc-status").and_then(|value| value.to_str().ok()).unwrap_or("missing")
}

/// What Envoy's own calls look like.
fn request(call: &Call) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = http::Method::POST;
    *request.version_mut() = http::Version::HTTP_2;
    let uri =
        http::Uri::builder().scheme("http").authority("claimgate").path_and_query(call.method);
    *request.uri_mut() = uri.build().unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert("te", http::HeaderValue::from_static("trailers"));
    headers.insert("content-type", http::HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-timeout", http::HeaderValue::from_static("10S"));
    request
}
