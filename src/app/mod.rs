//! Layer 5, the composition root: from a [`Config`] to a running service, and to its orderly end.
//!
//! [`App::bind`] builds everything and takes the ports; [`Bound::run`] runs until it is told to stop. The order of
//! a drain is written once, in `run`. [`tasks`] is the only place that spawns, [`readiness`] says when requests may come.

pub mod readiness;
pub mod signals;
pub mod tasks;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio::time;
use tokio_util::sync::CancellationToken;

use self::readiness::Readiness;
use self::tasks::{TaskEnded, Tasks};
use crate::check::{Authorizer, DenialReason, PolicySnapshot};
use crate::config::{Config, Profile};
use crate::keys::demand::{DemandSettings, KeyDemand};
use crate::keys::disk::LastKnownGood;
use crate::keys::refresher::{KeyRefresher, Outlets};
use crate::keys::source::SourceSettings;
use crate::keys::status::StatusBoard;
use crate::keys::store::{KeyKind, KeyStore};
use crate::server::admin::{self, Admin};
use crate::server::ext_authz::ExtAuthz;
use crate::server::grpc;
use crate::server::health::Health;
use crate::telemetry::decision_log::{DEFAULT_SAMPLE, DecisionLog};
use crate::telemetry::metrics::{Metrics, MetricsSettings};
use crate::token::{Issuer, SignedWith, Verifier};
use crate::util::clock::{Clock, SystemClock};
use crate::util::label::Label;

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
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            reflection: false,
            log_sample: DEFAULT_SAMPLE,
            drain_delay: Duration::ZERO,
            drain_deadline: Duration::from_secs(10),
        }
    }
}

/// Why the service does not start, or ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A port is taken or not ours.
    #[error("{listener}: cannot listen on {address}: {error}")]
    Listen {
        /// The YAML path of the listener.
        listener: &'static str,
        /// Its address.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
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
    /// A port that cannot be listened on.
    pub async fn bind(config: Config) -> Result<Bound, AppError> {
        Self::bind_with(config, Options::default()).await
    }

    /// The same, with other than the usual options.
    ///
    /// # Errors
    /// A port that cannot be listened on.
    pub async fn bind_with(config: Config, options: Options) -> Result<Bound, AppError> {
        let (grpc, grpc_addr) = listen("listen.grpc", config.listen.grpc).await?;
        let (admin, admin_addr) = listen("listen.admin", config.listen.admin).await?;
        let health = Health::new().await;
        let service = Service::build(config, &options, health).await;
        service.readiness.look().await;
        Ok(Bound { grpc, grpc_addr, admin, admin_addr, service, options })
    }
}

/// A service with its ports taken, not running yet.
#[derive(Debug)]
pub struct Bound {
    grpc: TcpListener,
    grpc_addr: SocketAddr,
    admin: TcpListener,
    admin_addr: SocketAddr,
    service: Service,
    options: Options,
}

impl Bound {
    /// Where Envoy asks.
    pub fn grpc_addr(&self) -> SocketAddr {
        self.grpc_addr
    }

    /// Asks for a refresh of every key source, as SIGHUP does.
    pub fn demand(&self) -> Arc<KeyDemand> {
        Arc::clone(&self.service.demand)
    }

    /// Where probes, metrics and status are.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin_addr
    }

    /// Runs until `shutdown`, then drains: un-ready → pause → GOAWAY, finish in flight → hard deadline → stop
    /// what runs in the background, the admin port last.
    ///
    /// # Errors
    /// A part of the service that ended by itself, after the same drain.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), AppError> {
        let Self { grpc, admin, service, options, .. } = self;
        let (draining, stop_grpc) = (CancellationToken::new(), CancellationToken::new());
        let (stop_background, stop_admin) = (CancellationToken::new(), CancellationToken::new());
        let (health, metrics) = (service.health.clone(), Arc::clone(&service.metrics));

        let (mut front, mut background, mut last) =
            (Tasks::default(), Tasks::default(), Tasks::default());
        last.spawn("admin", admin::serve(admin, service.admin, stop_admin.clone()));
        background.spawn("metrics upkeep", upkeep(metrics, stop_background.clone()));
        for (name, refresher) in service.refreshers {
            let until = stop_background.clone();
            background.spawn(name, async move {
                refresher.run(until).await;
                Ok::<(), Infallible>(())
            });
        }
        let (until, watched) = (stop_background.clone(), draining.clone());
        background.spawn("readiness", async move {
            service.readiness.run(watched).await?;
            until.cancelled_owned().await;
            Ok::<(), Infallible>(())
        });
        let (reflection, until, watched) = (options.reflection, stop_grpc.clone(), health.clone());
        front.spawn("ext_authz", async move {
            grpc::serve(grpc, service.ext_authz, &watched, reflection, until).await
        });

        let ended = tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            ended = front.first_to_end() => Err(ended),
            ended = background.first_to_end() => Err(ended),
            ended = last.first_to_end() => Err(ended),
        };
        if let Err(ended) = &ended {
            tracing::error!(error = %ended, "ending, because a part of the service is gone");
        }

        draining.cancel();
        health.set_serving(false).await;
        time::sleep(options.drain_delay).await;
        health.end_watches().await;
        stop_grpc.cancel();
        let finished = front.finish(options.drain_deadline).await;
        stop_background.cancel();
        let stopped = background.finish(BACKGROUND_DEADLINE).await;
        stop_admin.cancel();
        let closed = last.finish(BACKGROUND_DEADLINE).await;
        for late in [finished, stopped, closed].into_iter().filter_map(Result::err) {
            tracing::warn!(error = %late, "not everything ended in good order");
        }
        tracing::info!("ended");
        Ok(ended?)
    }
}

/// Background tasks hold nothing that must be finished.
const BACKGROUND_DEADLINE: Duration = Duration::from_secs(1);

const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

async fn upkeep(metrics: Arc<Metrics>, stop: CancellationToken) -> Result<(), Infallible> {
    while stop.run_until_cancelled(time::sleep(UPKEEP_INTERVAL)).await.is_some() {
        metrics.upkeep();
    }
    Ok(())
}

/// Everything that a configuration asks for, put together.
#[derive(Debug)]
struct Service {
    ext_authz: ExtAuthz,
    admin: Admin,
    readiness: Readiness,
    /// With the names of their tasks.
    refreshers: Vec<(String, KeyRefresher)>,
    demand: Arc<KeyDemand>,
    health: Health,
    metrics: Arc<Metrics>,
}

impl Service {
    async fn build(config: Config, options: &Options, health: Health) -> Self {
        say_what_is_weak(config.profile, &config.issuers);
        let labels: Vec<Label> = config.issuers.iter().map(|issuer| issuer.label.clone()).collect();
        let keys = Arc::new(KeyStore::with_kinds(&kinds_of_sources(&labels, &config.sources)));
        let located =
            config.sources.iter().map(|source| (source.id.clone(), source.kind.location()));
        let board = Arc::new(StatusBoard::new(located));
        let metrics = Arc::new(Metrics::new(MetricsSettings {
            rules: config.rules.rules().iter().map(|rule| rule.label.clone()).collect(),
            issuers: labels.clone(),
            reasons: DenialReason::ALL.map(DenialReason::as_str).into(),
            algorithms: SignedWith::NAMES.into(),
            profile: config.profile.as_str(),
        }));
        let demand = Arc::new(KeyDemand::new(labels.len(), &can_be_asked(&config.sources), &keys));
        let refreshers = config.sources.into_iter().map(|source| async {
            let name = format!("keys of {}, source {}", source.id.issuer, source.id.source);
            let outlets = Outlets {
                store: Arc::clone(&keys),
                board: Arc::clone(&board),
                metrics: metrics.source(&source.id.issuer, &source.id.source),
                disk: last_known_good(config.state_dir.as_deref(), &source),
            };
            let asked = demand.reader(&source.id);
            let mut refresher = KeyRefresher::new(source, asked, outlets, options.clock.clone());
            refresher.prepare().await;
            (name, refresher)
        });
        let refreshers = join_all(refreshers).await;
        let clock = || Arc::clone(&options.clock);
        let readiness =
            Readiness::new(labels, Arc::clone(&keys), Arc::clone(&board), clock(), health.clone());
        let admin = Admin {
            metrics: Arc::clone(&metrics),
            board,
            issuers: config.issuers.clone().into(),
            profile: config.profile.as_str(),
            ready: readiness.subscribe(),
            demand: Arc::clone(&demand),
            clock: clock(),
        };
        let authorizer = Arc::new(Authorizer::new(PolicySnapshot {
            rules: config.rules,
            tokens: config.tokens,
            verifier: Verifier::new(config.issuers, config.limits.token_bytes),
            keys,
            forward: config.forward,
        }));
        let ext_authz = ExtAuthz::new(
            authorizer,
            Arc::clone(&demand),
            config.answers,
            config.limits.concurrent_checks,
            Arc::clone(&metrics),
            DecisionLog::new(options.log_sample),
            clock(),
        );
        Self { ext_authz, admin, readiness, refreshers, demand, health, metrics }
    }
}

fn say_what_is_weak(profile: Profile, issuers: &[Issuer]) {
    for issuer in issuers.iter().filter(|issuer| issuer.danger_accept_hs256) {
        let issuer = issuer.label.name();
        tracing::warn!(
            issuer,
            "HS256 IS ACCEPTED: whoever knows the secret can sign for this issuer"
        );
    }
    match profile {
        Profile::Production => {}
        Profile::Development => tracing::warn!(
            profile = profile.as_str(),
            "THE DEVELOPMENT PROFILE IS ON: it allows what weakens security; never use it in production"
        ),
    }
}

/// What each source of each issuer may hold.
fn kinds_of_sources(issuers: &[Label], sources: &[SourceSettings]) -> Vec<Vec<KeyKind>> {
    let of = |issuer: &Label| {
        let own = sources.iter().filter(|source| source.id.issuer == *issuer);
        own.map(|source| source.kind.holds()).collect()
    };
    issuers.iter().map(of).collect()
}

fn last_known_good(state_dir: Option<&Path>, source: &SourceSettings) -> Option<LastKnownGood> {
    Some(LastKnownGood::new(state_dir?, &source.kind.identity(&source.id.issuer)?))
}

fn can_be_asked(sources: &[SourceSettings]) -> Vec<DemandSettings> {
    // A secret is in a file that is looked at every second anyway.
    let can_be_read = sources
        .iter()
        .filter(|source| source.kind.can_be_read() && source.kind.holds() == KeyKind::Public);
    let settings = can_be_read.map(|source| DemandSettings {
        id: source.id.clone(),
        wait: source.refresh.unknown_kid_wait,
    });
    settings.collect()
}

async fn listen(
    listener: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), AppError> {
    let error = |error| AppError::Listen { listener, address, error };
    let socket = TcpListener::bind(address).await.map_err(error)?;
    let bound = socket.local_addr().map_err(error)?;
    Ok((socket, bound))
}
