//! A key server with faults: a good provider until it is told to fail, which it can be at any moment, and one that
//! counts who asked. Not an issuer of tokens, and not the client's judge: tests/faults and tests/integration/promises.rs
//! hold what they expect against what it counted.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use claimgate::issuer::SigningKey;
use serde_json::{Value, json};
use tokio::io::{self, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What the server does with the requests that it has from now on, and with those that it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The document that is published, as a provider should send it.
    None,
    /// Nobody listens on the port.
    Refuse,
    /// A reset after half of the body.
    ResetMidBody,
    /// Nothing, until something else is told: also the gate of tests that need an order.
    Hang,
    /// A good head, then one byte at a time, for ever.
    Drip,
    /// An error status with these header lines, each ended by CRLF.
    Status(&'static str, &'static str),
    /// A redirect to there.
    Redirect(String),
    /// A 200 with exactly this.
    Body(String),
    /// A 200 with a document of this many bytes, all but a few of them white space; its length is said or not.
    Long { bytes: usize, says_length: bool },
    /// A 200 with a megabyte that claims to be gzip and inflates to a gigabyte.
    GzipBomb,
    /// A 200 whose `Content-Length` is so many bytes off.
    WrongLength(isize),
    /// An error first, the document next, and so on.
    Flapping,
}

/// A server, until it is dropped.
pub(crate) struct KeyServer {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    /// Bound and never listening: the port stays ours while nobody listens on it.
    _reserved: TcpSocket,
    listener: Option<Listener>,
    stop: CancellationToken,
    _stop: DropGuard,
}

/// What ends it, and the task that is then over.
type Listener = (CancellationToken, JoinHandle<()>);

struct Shared {
    script: watch::Sender<Script>,
    connections: AtomicU64,
    requests: AtomicU64,
    strays: AtomicU64,
    flaps: AtomicU64,
    last_request: Mutex<String>,
}

#[derive(Clone)]
struct Script {
    document: String,
    fault: Fault,
}

/// Where the keys are.
const PATH: &str = "/jwks.json";

impl KeyServer {
    /// Listens on a port of its own and publishes these keys.
    pub(crate) async fn start(keys: &[&SigningKey]) -> Self {
        let reserved = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let address = reserved.local_addr().unwrap();
        let script = Script { document: document(keys), fault: Fault::None };
        let shared = Arc::new(Shared {
            script: watch::Sender::new(script),
            connections: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            strays: AtomicU64::new(0),
            flaps: AtomicU64::new(0),
            last_request: Mutex::default(),
        });
        let stop = CancellationToken::new();
        let listener = Some(listen(address, &shared, &stop));
        let guard = stop.clone().drop_guard();
        Self { address, shared, _reserved: reserved, listener, stop, _stop: guard }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Publishes other keys from now on.
    pub(crate) fn publish(&self, keys: &[&SigningKey]) {
        self.shared.script.send_modify(|script| script.document = document(keys));
    }

    /// Does this from now on.
    pub(crate) async fn fail(&mut self, fault: Fault) {
        if fault != Fault::Refuse {
            self.listener.get_or_insert_with(|| listen(self.address, &self.shared, &self.stop));
        } else if let Some((stop, ended)) = self.listener.take() {
            stop.cancel();
            ended.await.unwrap();
        }
        self.shared.script.send_modify(|script| script.fault = fault);
    }

    /// Connections accepted.
    pub(crate) fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Requests read whole, wherever to.
    pub(crate) fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// The head of the last one.
    pub(crate) fn last_request(&self) -> String {
        self.shared.last_request.lock().unwrap().clone()
    }

    /// Those that were for another path than that of the keys.
    pub(crate) fn strays(&self) -> u64 {
        self.shared.strays.load(Ordering::SeqCst)
    }
}

/// A JWK Set of these keys.
pub(crate) fn document(keys: &[&SigningKey]) -> String {
    let keys: Vec<Value> = keys.iter().map(|key| key.public_jwk()).collect();
    json!({"keys": keys}).to_string()
}

/// Several of these may be bound to one address; of them, one listens.
fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

/// Serves until `stop`; what it returns ends the listening alone.
#[expect(clippy::disallowed_methods, reason = "all of it ends with the server's guard")]
fn listen(address: SocketAddr, shared: &Arc<Shared>, stop: &CancellationToken) -> Listener {
    let listener = bound(address).listen(1024).unwrap();
    let (listening, stop, shared) = (stop.child_token(), stop.clone(), Arc::clone(shared));
    let until = listening.clone();
    let task = tokio::spawn(async move {
        while let Some(Ok((stream, _))) = until.run_until_cancelled(listener.accept()).await {
            shared.connections.fetch_add(1, Ordering::SeqCst);
            let (shared, stop) = (Arc::clone(&shared), stop.clone());
            tokio::spawn(async move {
                // The client may go at any moment: what it makes of that is what is tested.
                let _gone = stop.run_until_cancelled(serve(stream, &shared)).await;
            });
        }
    });
    (listening, task)
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let head = request_head(&mut stream).await?;
    shared.requests.fetch_add(1, Ordering::SeqCst);
    let target = head.split(' ').nth(1).unwrap_or_default();
    if target.split('?').next() != Some(PATH) {
        shared.strays.fetch_add(1, Ordering::SeqCst);
    }
    *shared.last_request.lock().unwrap() = head;
    let mut script = shared.script.subscribe();
    let told = script.wait_for(|script| script.fault != Fault::Hang).await.map(|told| told.clone());
    let Ok(Script { document, fault }) = told else { return Ok(()) };
    let length = |length: usize| format!("content-length: {length}\r\n");
    match fault {
        Fault::Refuse | Fault::Hang => Ok(()),
        Fault::ResetMidBody => {
            let half = document.split_at(document.len() / 2).0;
            send(&mut stream, "200 OK", &length(document.len()), half).await?;
            stream.set_zero_linger()
        }
        Fault::Drip => {
            send(&mut stream, "200 OK", &length(100_000), "").await?;
            loop {
                stream.write_all(b" ").await?;
                sleep(Duration::from_millis(10)).await;
            }
        }
        Fault::Status(status, fields) => {
            send(&mut stream, status, &(fields.to_owned() + &length(0)), "").await
        }
        Fault::Redirect(location) => {
            let fields = format!("location: {location}\r\n{}", length(0));
            send(&mut stream, "302 Found", &fields, "").await
        }
        Fault::Body(body) => send(&mut stream, "200 OK", &length(body.len()), &body).await,
        Fault::Long { bytes, says_length } => {
            let fields = if says_length { length(bytes) } else { String::new() };
            let (opening, end) = document.split_at(1);
            send(&mut stream, "200 OK", &fields, opening).await?;
            repeat(&mut stream, b' ', bytes - document.len()).await?;
            stream.write_all(end.as_bytes()).await
        }
        Fault::GzipBomb => {
            // Without a length, so that nobody refuses it for that.
            send(&mut stream, "200 OK", "content-encoding: gzip\r\n", "").await?;
            stream.write_all(&GZIP_HEAD).await?;
            repeat(&mut stream, 0, GZIP_ZEROS).await?;
            stream.write_all(&GZIP_TAIL).await
        }
        Fault::WrongLength(off) => {
            let fields = length(document.len().saturating_add_signed(off));
            send(&mut stream, "200 OK", &fields, &document).await
        }
        Fault::Flapping if shared.flaps.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) => {
            send(&mut stream, "502 Bad Gateway", &length(0), "").await
        }
        Fault::None | Fault::Flapping => {
            send(&mut stream, "200 OK", &length(document.len()), &document).await
        }
    }
}

async fn request_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > 16 * 1024 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

async fn send(stream: &mut TcpStream, status: &str, fields: &str, body: &str) -> io::Result<()> {
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{fields}");
    stream.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes()).await
}

/// Sends without holding all of it: the test measures the memory of this very process.
async fn repeat(stream: &mut TcpStream, byte: u8, mut times: usize) -> io::Result<()> {
    let chunk = vec![byte; 16 * 1024];
    while let Some(part) = chunk.get(..times.min(chunk.len())).filter(|part| !part.is_empty()) {
        stream.write_all(part).await?;
        times -= part.len();
    }
    Ok(())
}

/// A gzip file of 1,073,741,821 spaces, which is valid: these bytes, so many zeros, and those bytes.
///
/// One block of DEFLATE whose code (RFC 1951 §3.2.7) gives "258 bytes, from one back" two zero bits: nothing is denser.
/// The bytes in front describe that code and hold the first space; those behind end the block and have the checksum.
const GZIP_HEAD: [u8; 25] = [
    31, 139, 8, 0, 0, 0, 0, 0, 0, 255, 237, 192, 129, 0, 0, 0, 0, 128, 32, 149, 253, 41, 23, 169, 0,
];
const GZIP_ZEROS: usize = 1_040_446;
const GZIP_TAIL: [u8; 9] = [96, 209, 130, 64, 96, 253, 255, 255, 63];
