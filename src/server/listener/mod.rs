//! Where connections come from: [`Acceptor`] takes them from all sockets of one kind of listener (`listen.grpc`,
//! `listen.http`, `listen.admin`), with TLS on those of the network where it is configured.
//!
//! Nothing that a client does ends it, and a system that is out of file descriptors is asked again after a rest. The
//! handshake, and what is said on a connection, are the caller's: [`super::connections`].

pub mod address;
mod socket;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{self, Instant, Sleep};

use self::address::{Address, UnixAccess};
use self::socket::Socket;
use super::tls::Tls;

/// What bytes go over.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// Who a connection is from: what the system says, and nothing that was said on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A client on the network; an IPv4 client of an IPv6 socket by its IPv4 address.
    Ip(IpAddr),
    /// A client of a Unix socket.
    Unix,
}

/// For people.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

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

    /// Begins to accept, with `tls` on what is TCP. The mode of a Unix socket's file says who may connect to it.
    pub fn accept_with(self, tls: Option<Arc<Tls>>) -> Acceptor {
        Acceptor { sockets: self.0, turn: 0, tls, rest: None, failed_at: None }
    }
}

/// Accepts connections. Dropping it stops listening and removes the files of Unix sockets.
pub struct Acceptor {
    sockets: Vec<Socket>,
    /// Which socket is asked first: one that is never idle must not starve the others.
    turn: usize,
    tls: Option<Arc<Tls>>,
    /// After the system could not give us a connection.
    rest: Option<Pin<Box<Sleep>>>,
    /// When it last could not, until it has been able to for a while.
    failed_at: Option<Instant>,
}

/// Out of file descriptors or memory: asking again at once would only burn time.
const REST: Duration = Duration::from_millis(200);

/// Without a failure for so long, it is over. One connection may well be had while many are not.
const CALM: Duration = Duration::from_secs(10);

impl Acceptor {
    /// The next connection. Cancel safe.
    pub async fn accept(&mut self) -> Incoming {
        loop {
            let (turn, sockets) = (&mut self.turn, &self.sockets);
            let may_accept = self.rest.is_none();
            let rest = self.rest.as_mut();
            tokio::select! {
                accepted = poll_fn(|cx| poll_sockets(sockets, turn, cx)), if may_accept => {
                    match accepted {
                        Ok((io, peer)) => return self.admitted(io, peer),
                        Err(error) => self.failed(&error),
                    }
                }
                () = rested(rest) => self.rest = None,
            }
        }
    }

    fn admitted(&mut self, io: Box<dyn Transport>, peer: Peer) -> Incoming {
        if self.failed_at.take_if(|at| at.elapsed() > CALM).is_some() {
            tracing::info!("connections can be accepted again");
        }
        let is_tcp = matches!(peer, Peer::Ip(_));
        Incoming { io, peer, tls: self.tls.as_ref().filter(|_| is_tcp).map(Arc::clone) }
    }

    fn failed(&mut self, error: &io::Error) {
        if is_of_one_client(error) {
            return;
        }
        self.rest = Some(Box::pin(time::sleep(REST)));
        if self.failed_at.replace(Instant::now()).is_none() {
            tracing::error!(%error, "no connection can be accepted, trying again and again");
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
) -> Poll<io::Result<(Box<dyn Transport>, Peer)>> {
    for place in 0..sockets.len() {
        let place = (*turn + place) % sockets.len();
        if let Some(socket) = sockets.get(place)
            && let Poll::Ready(accepted) = socket.poll_accept(cx)
        {
            *turn = place + 1;
            return Poll::Ready(accepted);
        }
    }
    Poll::Pending
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("sockets", &self.sockets).finish_non_exhaustive()
    }
}

/// A connection before its handshake.
pub struct Incoming {
    io: Box<dyn Transport>,
    peer: Peer,
    tls: Option<Arc<Tls>>,
}

impl Incoming {
    /// Who it is from.
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// One without TLS.
    #[cfg(test)]
    pub(super) fn plain(io: impl Transport + 'static) -> Self {
        Self { io: Box::new(io), peer: Peer::Unix, tls: None }
    }

    /// What to speak over; `None` when the client is not one that is let in, or too slow.
    pub async fn handshake(self) -> Option<Box<dyn Transport>> {
        match self.tls {
            None => Some(self.io),
            Some(tls) => Some(Box::new(tls.handshake(self.io).await?)),
        }
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("tls", &self.tls.is_some()).finish_non_exhaustive()
    }
}
