//! Layer 5, the composition root: from a [`Config`] to a running service, and to its orderly end.
//!
//! [`App::bind`] builds everything and takes the ports; [`Bound::run`] runs until it is told to stop. The order of
//! a drain is written once, in `parts`. [`tasks`] is the only place that spawns, [`readiness`] says when requests may
//! come, and `reload` follows the configuration's file.

mod generation;
pub mod inquiry;
pub mod issuer;
mod open_files;
mod parts;
pub mod readiness;
mod reload;
pub mod signals;
pub mod tasks;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tokio::time;
use tokio_util::sync::CancellationToken;

use self::generation::Workers;
pub use self::open_files::{MaxConnections, raise_open_files};
use self::parts::{Drain, Parts};
use self::readiness::Readiness;
use self::reload::{Followed, Reloader};
use self::tasks::TaskEnded;
use crate::config::{Config, Profile};
use crate::server::admin::{self, Admin};
use crate::server::checks::Checks;
use crate::server::ext_authz::ExtAuthz;
use crate::server::forward_auth::{ForwardAuth, ForwardAuthSettings};
use crate::server::generation::{Current, ReloadState};
use crate::server::grpc::{self, GrpcSettings};
use crate::server::health::Health;
use crate::server::listener::address::Address;
use crate::server::listener::{Acceptor, ListenError, Sockets};
use crate::server::record::Recorder;
use crate::server::tls::{self, Tls, TlsError, TlsSettings};
use crate::telemetry::decision_log::{DEFAULT_SAMPLE, DecisionLog};
use crate::telemetry::metrics::{Metrics, TlsMetrics};
use crate::telemetry::traces::{self, Exporter};
use crate::token::Issuer;
use crate::util::clock::{Clock, SystemClock};

/// How to run, apart from what is configured.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Whether gRPC clients may ask what services there are.
    pub reflection: bool,
    /// One in this many allowed requests is logged; 0: none is.
    pub log_sample: u64,
    /// How long the service goes on as before after it has said that it is not ready, for that to get round.
    pub drain_delay: Duration,
    /// How long requests in flight get after that.
    pub drain_deadline: Duration,
    /// How many connections are served at once.
    pub max_connections: MaxConnections,
    /// Where the configuration came from, if the service is to follow it.
    pub follow: Option<ConfigFile>,
}

/// A configuration's file, as it was read.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// Where it is.
    pub path: PathBuf,
    /// From [`Config::read_file`].
    pub fingerprint: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            reflection: false,
            log_sample: DEFAULT_SAMPLE,
            drain_delay: Duration::ZERO,
            drain_deadline: Duration::from_secs(10),
            max_connections: MaxConnections::within(u64::MAX),
            follow: None,
        }
    }
}

/// Why the service does not start, or ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A port is taken or not ours, or a Unix socket is in use.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A listener without a certificate that can be used.
    #[error(transparent)]
    Tls(#[from] TlsFailure),
    /// A part of the service ended by itself.
    #[error(transparent)]
    Task(#[from] TaskEnded),
}

/// Builds the service.
#[derive(Clone, Copy, Debug)]
pub struct App;

impl App {
    /// Takes the ports and builds everything that `config` asks for. Keys that are part of it are in force when
    /// this returns; nothing else is fetched, and nothing runs yet.
    ///
    /// # Errors
    /// An address that cannot be listened on, or a certificate that cannot be used.
    pub async fn bind(config: Config) -> Result<Bound, AppError> {
        Self::bind_with(config, Options::default()).await
    }

    /// The same, with other than the usual options.
    ///
    /// # Errors
    /// An address that cannot be listened on, or a certificate that cannot be used.
    pub async fn bind_with(config: Config, options: Options) -> Result<Bound, AppError> {
        let listen = config.listen.clone();
        let grpc = Sockets::bind("listen.grpc", &listen.grpc, listen.unix).await?;
        let http = Sockets::bind("listen.http", &listen.http, listen.unix).await?;
        let admin = Sockets::bind("listen.admin", &listen.admin, listen.unix).await?;
        let metrics = Metrics::new(generation::names(&config));
        let with_tls =
            |name, settings| with_tls(name, settings, |label| metrics.tls(label), &options.clock);
        let grpc_tls = with_tls(&GRPC_TLS, listen.tls).await?;
        let http_tls = with_tls(&HTTP_TLS, listen.http_tls).await?;
        let admin_tls = with_tls(&ADMIN_TLS, listen.admin_tls).await?;
        let tls = [&grpc_tls, &http_tls, &admin_tls];
        let tls: Vec<_> = tls.into_iter().flatten().map(Arc::clone).collect();
        let health = Health::new().await;
        let service =
            Box::pin(Service::build(config, &options, metrics, tls.clone(), health)).await;
        service.readiness.look().await;
        Ok(Bound {
            places: [&grpc, &http, &admin].map(|sockets| sockets.addresses().cloned().collect()),
            tls,
            grpc: grpc.accept_with(grpc_tls),
            http: (!listen.http.is_empty()).then(|| http.accept_with(http_tls)),
            admin: admin.accept_with(admin_tls),
            max_connection_age: listen.max_connection_age,
            service,
            options,
        })
    }

    /// What answers Envoy, alone: no port is taken and nothing runs in the background, so only keys that are part of
    /// `config` are in force. For whoever brings the requests himself, as the fuzzing of `tests/fuzz` does.
    pub async fn ext_authz(config: Config, options: &Options) -> ExtAuthz {
        let metrics = Metrics::new(generation::names(&config));
        let health = Health::new().await;
        Service::build(config, options, metrics, Vec::new(), health).await.ext_authz
    }

    /// The same of what answers proxies over HTTP.
    pub async fn forward_auth(config: Config, options: &Options) -> ForwardAuth {
        let metrics = Metrics::new(generation::names(&config));
        let health = Health::new().await;
        Service::build(config, options, metrics, Vec::new(), health).await.forward_auth
    }
}

/// A service with its ports taken, not running yet.
#[derive(Debug)]
pub struct Bound {
    grpc: Acceptor,
    /// Where it is configured.
    http: Option<Acceptor>,
    admin: Acceptor,
    /// Where these listen.
    places: [Vec<Address>; 3],
    /// What they have certificates from.
    tls: Vec<Arc<Tls>>,
    max_connection_age: Option<Duration>,
    service: Service,
    options: Options,
}

impl Bound {
    /// Where Envoy asks: the first address of TCP, `0.0.0.0:0` when there is none.
    pub fn grpc_addr(&self) -> SocketAddr {
        first_tcp(&self.places[0])
    }

    /// Everywhere that Envoy may ask.
    pub fn grpc_addresses(&self) -> &[Address] {
        &self.places[0]
    }

    /// Where other proxies ask over HTTP: the first address of TCP, `0.0.0.0:0` when there is none.
    pub fn http_addr(&self) -> SocketAddr {
        first_tcp(&self.places[1])
    }

    /// Everywhere that other proxies may ask.
    pub fn http_addresses(&self) -> &[Address] {
        &self.places[1]
    }

    /// For who wants something of it while it runs.
    pub fn control(&self) -> Control {
        self.service.control.clone()
    }

    /// Where probes, metrics and status are: the first address of TCP, `0.0.0.0:0` when there is none.
    pub fn admin_addr(&self) -> SocketAddr {
        first_tcp(&self.places[2])
    }

    /// Everywhere that probes, metrics and status are.
    pub fn admin_addresses(&self) -> &[Address] {
        &self.places[2]
    }

    /// Runs until `shutdown`, then drains: un-ready → pause → GOAWAY, finish in flight → hard deadline → stop
    /// what runs in the background, the admin port last.
    ///
    /// # Errors
    /// A part of the service that ended by itself, after the same drain.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), AppError> {
        let Self { grpc, http, admin, tls, max_connection_age, service, options, .. } = self;
        let mut parts = Parts::default();
        let (health, current) = (service.health.clone(), Arc::clone(&service.control.current));
        let counted = |listener| service.control.current.load().metrics.connections(listener);
        let (admin_connections, grpc_connections) = (counted("admin"), counted("grpc"));
        let (until, pages, most) = (parts.last.until(), service.admin, options.max_connections);
        parts.last.spawn("admin", async move {
            admin::serve(admin, pages, most.admin, admin_connections, until).await;
        });
        let until = || parts.background.until();
        let clock = Arc::clone(&options.clock);
        let (upkeep, reloader) = (upkeep(current, clock, until()), service.reloader.run(until()));
        let (until, watched) = (until(), parts.draining.clone());
        let export = Box::pin(service.exporter.run(parts.background.until()));
        parts.background.spawn("metrics upkeep", upkeep);
        parts.background.spawn("traces", export);
        parts.background.tasks.spawn("configuration", reloader);
        parts.follow_certificates(tls);
        parts.background.tasks.spawn("readiness", async move {
            service.readiness.run(watched).await?;
            until.cancelled_owned().await;
            Ok::<(), Infallible>(())
        });
        // Neither of the two shuts the other out.
        let most_front = if http.is_some() { most.front.div_ceil(2) } else { most.front };
        let (until, watched) = (parts.front.until(), health.clone());
        let settings = GrpcSettings {
            reflection: options.reflection,
            max_connection_age,
            max_connections: most_front,
        };
        parts.front.spawn("ext_authz", async move {
            let ext_authz = service.ext_authz;
            grpc::serve(grpc, ext_authz, &watched, settings, grpc_connections, until).await;
        });
        if let Some(http) = http {
            let (until, connections) = (parts.front.until(), counted("http"));
            let settings = ForwardAuthSettings { max_connection_age, max_connections: most_front };
            parts.front.spawn("forward_auth", async move {
                service.forward_auth.serve(http, settings, connections, until).await;
            });
        }
        let drain = Drain { delay: options.drain_delay, deadline: options.drain_deadline };
        let (unready, leaving) = (health.set_serving(false), health.end_watches());
        Ok(parts.run("service", shutdown, drain, unready, leaving).await?)
    }
}

const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

async fn upkeep(current: Current, clock: Arc<dyn Clock>, stop: CancellationToken) {
    while stop.run_until_cancelled(time::sleep(UPKEEP_INTERVAL)).await.is_some() {
        let generation = current.load();
        generation.upkeep();
        generation.metrics.sample(clock.now());
    }
}

/// Everything that a configuration asks for, put together.
#[derive(Debug)]
struct Service {
    ext_authz: ExtAuthz,
    forward_auth: ForwardAuth,
    admin: Admin,
    readiness: Readiness,
    reloader: Reloader,
    control: Control,
    exporter: Exporter,
    health: Health,
}

impl Service {
    async fn build(
        config: Config,
        options: &Options,
        metrics: Metrics,
        tls: Vec<Arc<Tls>>,
        health: Health,
    ) -> Self {
        say_what_is_weak(config.profile.as_str(), &config.issuers);
        let (listen, clock) = (config.listen.clone(), || Arc::clone(&options.clock));
        let (first, workers) =
            generation::build(config, metrics, &clock(), Workers::default()).await;
        let current: Current = Arc::new(ArcSwap::from_pointee(first));
        let readiness = Readiness::new(Arc::clone(&current), tls.clone(), clock(), health.clone());
        let since = options.clock.now();
        let (state, reload) = watch::channel(ReloadState {
            generation: 1,
            since,
            refused: None,
            needs_restart: Vec::new(),
        });
        let admin = Admin {
            current: Arc::clone(&current),
            reload,
            ready: readiness.subscribe(),
            tls,
            clock: clock(),
        };
        let (traces, exported_to) = watch::channel(current.load().traces.clone());
        let span_metrics = current.load().metrics.spans();
        let (tracer, spans) = traces::queue(span_metrics.clone());
        let exporter = Exporter::new(spans, exported_to, span_metrics);
        let recorder = Recorder::new(DecisionLog::new(options.log_sample), tracer);
        let checks = Arc::new(Checks::new(Arc::clone(&current), recorder, clock()));
        let trusted = listen.trusted_forwarders.clone();
        let forward_auth = ForwardAuth::new(Arc::clone(&checks), trusted, clock());
        let ext_authz = ExtAuthz::new(checks);
        let reread = Arc::new(Notify::new());
        let control =
            Control { current: Arc::clone(&current), reread: Arc::clone(&reread), clock: clock() };
        let follow = options.follow.clone();
        let file = follow.map(|file| Followed::new(file.path, reread, file.fingerprint));
        let reloader = Reloader { current, workers, file, listen, state, traces, clock: clock() };
        Self { ext_authz, forward_auth, admin, readiness, reloader, control, exporter, health }
    }
}

/// What SIGHUP asks of a running service.
#[derive(Clone, Debug)]
pub struct Control {
    current: Current,
    reread: Arc<Notify>,
    clock: Arc<dyn Clock>,
}

impl Control {
    /// Looks whether the configuration's file has changed, and reads all keys again, as far as their limiter lets.
    pub fn reread(&self) {
        let asked = self.current.load().demand.ask_for_all(self.clock.now());
        let limited = asked.iter().filter(|asked| asked.limited_until.is_some()).count();
        tracing::info!(sources = asked.len(), limited, "reading keys and configuration again");
        self.reread.notify_one();
    }
}

fn say_what_is_weak(profile: &'static str, issuers: &[Issuer]) {
    for issuer in issuers.iter().filter(|issuer| issuer.danger_accept_hs256) {
        let issuer = issuer.label.name();
        tracing::warn!(
            issuer,
            "HS256 IS ACCEPTED: whoever knows the secret can sign for this issuer"
        );
    }
    say_development(profile);
}

fn say_development(profile: &'static str) {
    if profile == Profile::Development.as_str() {
        tracing::warn!(
            profile,
            "THE DEVELOPMENT PROFILE IS ON: it allows what weakens security; never use it in production"
        );
    }
}

/// A listener without a certificate that can be used.
#[derive(Debug, thiserror::Error)]
#[error("{listener}.{error}")]
pub struct TlsFailure {
    /// Its YAML path.
    listener: &'static str,
    /// Which file, and what is wrong with it.
    error: TlsError,
}

/// One kind of listener with TLS.
struct TlsListener {
    /// The YAML path of its settings.
    name: &'static str,
    /// In metrics.
    label: &'static str,
    protocols: &'static [&'static [u8]],
}

const GRPC_TLS: TlsListener =
    TlsListener { name: "listen.tls", label: "grpc", protocols: tls::GRPC_PROTOCOLS };
const HTTP_TLS: TlsListener =
    TlsListener { name: "listen.http_tls", label: "http", protocols: tls::HTTP_PROTOCOLS };
const ADMIN_TLS: TlsListener =
    TlsListener { name: "listen.admin_tls", label: "admin", protocols: tls::HTTP_PROTOCOLS };

/// Its certificates, where it is to have TLS, for its connections to be counted by `metrics`.
async fn with_tls(
    listener: &TlsListener,
    settings: Option<TlsSettings>,
    metrics: impl Fn(&'static str) -> TlsMetrics,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<Tls>>, TlsFailure> {
    let Some(settings) = settings else { return Ok(None) };
    let TlsListener { name, label, protocols } = *listener;
    let loaded = Tls::load(name, settings, protocols, Arc::clone(clock), metrics(label)).await;
    Ok(Some(Arc::new(loaded.map_err(|error| TlsFailure { listener: name, error })?)))
}

fn first_tcp(places: &[Address]) -> SocketAddr {
    let first = places.iter().find_map(Address::tcp);
    first.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
}
