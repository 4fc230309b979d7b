//! Where connections come from: [`Acceptor`] takes them from all sockets of one kind of listener (`listen.grpc`,
//! `listen.admin`), with TLS on those of the network where it is configured.
//!
//! Nothing that a client does ends it: a failed handshake costs that client its connection, and a system that is out
//! of file descriptors is asked again after a rest. What is said on a connection is the caller's.

pub mod address;
mod socket;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{self, Sleep};
use tokio_util::sync::DropGuard;
use tonic::transport::server::Connected;

use self::address::{Address, UnixAccess};
use self::socket::Socket;
use super::tls::Tls;

/// What bytes go over.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// The listening sockets of one kind, taken but not asked yet.
#[derive(Debug)]
pub struct Sockets(Vec<Socket>);

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("{listener}: cannot listen on {address}: {error}")]
pub struct ListenError {
    /// The YAML path of the listener.
    pub listener: &'static str,
    /// The one of its addresses.
    pub address: Address,
    /// What the system says.
    pub error: io::Error,
}

impl Sockets {
    /// Listens on all of `addresses`, or on none. `listener` is the YAML path, for the error.
    ///
    /// # Errors
    /// The first address that cannot be listened on.
    pub async fn bind(
        listener: &'static str,
        addresses: &[Address],
        access: UnixAccess,
    ) -> Result<Self, ListenError> {
        let mut sockets = Vec::with_capacity(addresses.len());
        for address in addresses {
            let bound = Socket::bind(address, access).await;
            sockets.push(bound.map_err(|error| {
                let address = address.clone();
                ListenError { listener, address, error }
            })?);
        }
        Ok(Self(sockets))
    }

    /// Where they listen, in the order of the configuration.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.0.iter().map(Socket::address)
    }

    /// The first that is TCP.
    pub fn tcp(&self) -> Option<SocketAddr> {
        self.addresses().find_map(Address::tcp)
    }

    /// Begins to accept, with `tls` on what is TCP. The mode of a Unix socket's file says who may connect to it.
    pub fn accept_with(self, tls: Option<Arc<Tls>>) -> Acceptor {
        Acceptor { sockets: self.0, turn: 0, tls, handshakes: FuturesUnordered::new(), rest: None }
    }
}

/// Accepts connections. Dropping it stops listening and removes the files of Unix sockets.
pub struct Acceptor {
    sockets: Vec<Socket>,
    /// Which socket is asked first: one that is never idle must not starve the others.
    turn: usize,
    tls: Option<Arc<Tls>>,
    handshakes: FuturesUnordered<Handshake>,
    /// After the system could not give us a connection.
    rest: Option<Pin<Box<Sleep>>>,
}

type Handshake = Pin<Box<dyn Future<Output = Option<Connection>> + Send>>;

/// Handshakes at once; further clients wait in the system's queue, at most as long as a handshake may take.
const MAX_HANDSHAKES: usize = 1024;

/// Out of file descriptors or memory: asking again at once would only burn time.
const REST: Duration = Duration::from_millis(200);

impl Acceptor {
    /// The next connection, its handshake done. Cancel safe. Handshakes go on only while this is awaited.
    pub async fn accept(&mut self) -> Connection {
        loop {
            let (turn, sockets) = (&mut self.turn, &self.sockets);
            let may_accept = self.rest.is_none() && self.handshakes.len() < MAX_HANDSHAKES;
            let rest = self.rest.as_mut();
            tokio::select! {
                Some(done) = self.handshakes.next() => {
                    if let Some(connection) = done {
                        return connection;
                    }
                }
                (accepted, is_tcp) = poll_fn(|cx| poll_sockets(sockets, turn, cx)), if may_accept => {
                    if let Some(connection) = self.admit(accepted, is_tcp) {
                        return connection;
                    }
                }
                () = rested(rest) => self.rest = None,
            }
        }
    }

    /// A connection that is ready, unless it has its handshake before it.
    fn admit(
        &mut self,
        accepted: io::Result<Box<dyn Transport>>,
        is_tcp: bool,
    ) -> Option<Connection> {
        let io = match accepted {
            Ok(io) => io,
            Err(error) if is_of_one_client(&error) => return None,
            Err(error) => {
                tracing::warn!(%error, "no connection could be accepted, trying again");
                self.rest = Some(Box::pin(time::sleep(REST)));
                return None;
            }
        };
        match self.tls.as_ref().filter(|_| is_tcp) {
            None => Some(Connection::new(io)),
            Some(tls) => {
                let tls = Arc::clone(tls);
                self.handshakes
                    .push(Box::pin(async move { tls.handshake(io).await.map(Connection::new) }));
                None
            }
        }
    }
}

async fn rested(rest: Option<&mut Pin<Box<Sleep>>>) {
    match rest {
        Some(rest) => rest.as_mut().await,
        None => std::future::pending().await,
    }
}

/// Gone between its connect and our accept: Linux reports it here.
fn is_of_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

fn poll_sockets(
    sockets: &[Socket],
    turn: &mut usize,
    cx: &mut Context<'_>,
) -> Poll<(io::Result<Box<dyn Transport>>, bool)> {
    for place in 0..sockets.len() {
        let place = (*turn + place) % sockets.len();
        if let Some(socket) = sockets.get(place)
            && let Poll::Ready(accepted) = socket.poll_accept(cx)
        {
            *turn = place + 1;
            return Poll::Ready((accepted, socket.is_tcp()));
        }
    }
    Poll::Pending
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("sockets", &self.sockets).finish_non_exhaustive()
    }
}

/// For the admin port.
impl axum::serve::Listener for Acceptor {
    type Io = Connection;
    type Addr = ();

    async fn accept(&mut self) -> (Connection, ()) {
        (Self::accept(self).await, ())
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

/// An accepted connection, whatever it came through.
pub struct Connection {
    io: Box<dyn Transport>,
    /// Tells somebody when the connection is gone.
    _gone: Option<DropGuard>,
}

impl Connection {
    fn new(io: impl Transport + 'static) -> Self {
        Self { io: Box::new(io), _gone: None }
    }

    /// The same; `gone` is dropped with it.
    pub fn telling(self, gone: DropGuard) -> Self {
        Self { _gone: Some(gone), ..self }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_shutdown(cx)
    }
}
