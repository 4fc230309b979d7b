//! `claimgate issuer`, from its [`IssuerConfig`] to a running process and to its orderly end: the counterpart of
//! [`super::App`] for the reference issuer.

mod state;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task;
use tokio_util::sync::CancellationToken;

use self::state::{ReadyWatch, status};
use super::parts::{Drain, Parts};
use super::tasks::TaskEnded;
use super::{
    ADMIN_TLS, MaxConnections, TlsFailure, TlsListener, first_tcp, say_development, with_tls,
};
use crate::config::{IssuerConfig, Profile};
use crate::issuer::reference::revocations::WriteError;
use crate::issuer::reference::secret_hash::SecretError;
use crate::issuer::reference::{KeyFollower, KeyRing, KeyRingError, ReferenceIssuer};
use crate::server::connections::{self, Bounds, Protocol, WhenFull};
use crate::server::issuer_admin::{self, IssuerAdmin};
use crate::server::listener::address::Address;
use crate::server::listener::{Acceptor, ListenError, Sockets};
use crate::server::tls::{self, Tls};
use crate::telemetry::metrics::IssuerMetrics;
use crate::util::clock::{Clock, SystemClock};

/// How to run, apart from what is configured.
#[derive(Clone, Debug)]
pub struct IssuerOptions {
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// How long it goes on as before after it has said that it is not ready, for that to get round.
    pub drain_delay: Duration,
    /// How long requests in flight get after that.
    pub drain_deadline: Duration,
    /// How many connections are served at once.
    pub max_connections: MaxConnections,
}

impl Default for IssuerOptions {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            drain_delay: Duration::ZERO,
            drain_deadline: Duration::from_secs(10),
            max_connections: MaxConnections::within(u64::MAX),
        }
    }
}

/// Why the issuer does not start, or ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// No keys, weak ones, or files that others can read: never made here.
    #[error("key_dir: {0}")]
    Keys(#[from] KeyRingError),
    /// What is revoked could not be written.
    #[error("revocation: {0}")]
    Revocations(#[from] WriteError),
    /// A port is taken or not ours, or a Unix socket is in use.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A listener without a certificate that can be used.
    #[error(transparent)]
    Tls(#[from] TlsFailure),
    /// The system has no randomness.
    #[error(transparent)]
    Secrets(#[from] SecretError),
    /// A part of it ended by itself.
    #[error(transparent)]
    Task(#[from] TaskEnded),
}

/// A client's requests are few and small.
const STREAMS_PER_CONNECTION: u32 = 128;
const MAX_HEADER_BYTES: u32 = 32 * 1024;
const MAX_HEADERS: usize = 64;

const ISSUER_TLS: TlsListener =
    TlsListener { name: "listen.tls", label: "issuer", protocols: tls::HTTP_PROTOCOLS };

/// Builds the issuer.
#[derive(Clone, Copy, Debug)]
pub struct IssuerApp;

impl IssuerApp {
    /// Reads keys and certificates, takes the ports and puts everything together. Nothing runs yet.
    ///
    /// # Errors
    /// A key directory, a certificate, an address or a file of revocations that cannot be used.
    pub async fn bind(
        config: IssuerConfig,
        options: IssuerOptions,
    ) -> Result<BoundIssuer, IssuerError> {
        let IssuerConfig { profile, listen, settings } = config;
        say_development(profile.as_str());
        let clock = || Arc::clone(&options.clock);
        let (directory, lifetime) = (settings.key_dir.clone(), settings.lifetime);
        let ring = blocking(move || KeyRing::load(&directory, lifetime)).await;
        let ring =
            ring.unwrap_or_else(|()| Err(KeyRingError::Panicked(settings.key_dir.clone())))?;
        let http = Sockets::bind("listen.http", &listen.http, listen.unix).await?;
        let admin = Sockets::bind("listen.admin", &listen.admin, listen.unix).await?;
        let metrics = Arc::new(IssuerMetrics::new(profile.as_str()));
        let with_tls = |listener, settings| {
            with_tls(listener, settings, |label| metrics.tls(label), &options.clock)
        };
        let http_tls = with_tls(&ISSUER_TLS, listen.tls).await?;
        let admin_tls = with_tls(&ADMIN_TLS, listen.admin_tls).await?;
        let tls: Vec<_> = [&http_tls, &admin_tls].into_iter().flatten().map(Arc::clone).collect();
        let keys = KeyFollower::new(&settings.key_dir, ring, Arc::clone(&metrics), clock());
        let issuer = ReferenceIssuer::new(settings, keys.ring(), Arc::clone(&metrics), clock())?;
        issuer.prepare().await?;
        Ok(BoundIssuer {
            places: [&http, &admin].map(|sockets| sockets.addresses().cloned().collect()),
            http: http.accept_with(http_tls),
            admin: admin.accept_with(admin_tls),
            tls,
            max_connection_age: listen.max_connection_age,
            profile,
            keys,
            issuer,
            metrics,
            options,
        })
    }
}

/// An issuer with its ports taken, not running yet.
#[derive(Debug)]
pub struct BoundIssuer {
    http: Acceptor,
    admin: Acceptor,
    /// Where these listen.
    places: [Vec<Address>; 2],
    tls: Vec<Arc<Tls>>,
    max_connection_age: Option<Duration>,
    profile: Profile,
    keys: KeyFollower,
    issuer: ReferenceIssuer,
    metrics: Arc<IssuerMetrics>,
    options: IssuerOptions,
}

impl BoundIssuer {
    /// Where clients ask: the first address of TCP, `0.0.0.0:0` when there is none.
    pub fn http_addr(&self) -> SocketAddr {
        first_tcp(&self.places[0])
    }

    /// Everywhere that clients may ask.
    pub fn http_addresses(&self) -> &[Address] {
        &self.places[0]
    }

    /// Everywhere that probes, metrics and status are.
    pub fn admin_addresses(&self) -> &[Address] {
        &self.places[1]
    }

    /// To have the key directory looked at now.
    pub fn reread(&self) -> Arc<Notify> {
        self.keys.asked()
    }

    /// Runs until `shutdown`, then drains: un-ready → pause → stop accepting, finish in flight → hard deadline → stop what
    /// runs in the background, the admin port last.
    ///
    /// # Errors
    /// A part of it that ended by itself, after the same drain.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), IssuerError> {
        let Self {
            http,
            admin,
            tls,
            max_connection_age,
            profile,
            keys,
            issuer,
            metrics,
            options,
            ..
        } = self;
        let mut parts = Parts::default();
        let ready = ReadyWatch::new(
            keys.subscribe(),
            issuer.clone(),
            tls.clone(),
            Arc::clone(&options.clock),
        );
        ready.look();
        let pages = IssuerAdmin {
            metrics: Arc::clone(&metrics),
            ready: ready.subscribe(),
            status: status(profile, &keys, &tls, ready.subscribe()),
        };
        let (until, counted) = (parts.last.until(), metrics.connections("admin"));
        parts.last.spawn("admin", async move {
            let most = options.max_connections.admin;
            issuer_admin::serve(admin, pages, most, counted, until).await;
        });
        let (until, watched) = (parts.background.until(), parts.draining.clone());
        parts.background.spawn("readiness", async move {
            ready.run(watched).await;
            until.cancelled_owned().await;
        });
        let until = || parts.background.until();
        let (keys, issuing) = (keys.run(until()), issuer.clone().run(until()));
        parts.background.spawn("keys", keys);
        parts.background.tasks.spawn("issuer", issuing);
        parts.follow_certificates(tls);
        let bounds = Bounds {
            connections: options.max_connections.front,
            when_full: WhenFull::EndOldest,
            age: max_connection_age,
            streams: STREAMS_PER_CONNECTION,
            header_bytes: MAX_HEADER_BYTES,
            http1_headers: MAX_HEADERS,
            protocol: Protocol::Http1AndHttp2,
        };
        let (until, counted) = (parts.front.until(), metrics.connections("issuer"));
        parts.front.spawn("http", async move {
            connections::serve(http, issuer.router(), bounds, counted, until).await;
        });
        let drain = Drain { delay: options.drain_delay, deadline: options.drain_deadline };
        // Its readiness is told by the watch alone.
        let nothing = || std::future::ready(());
        Ok(parts.run("issuer", shutdown, drain, nothing(), nothing()).await?)
    }
}

/// Off the threads that serve connections; nothing when it panicked.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ()> {
    task::spawn_blocking(work).await.map_err(|_| ())
}
