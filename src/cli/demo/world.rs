//! Everything that the demo runs, on loopback: the development identity provider, claimgate, an upstream
//! and a real Envoy.
//!
//! Nothing is spawned: the services are one future that runs beside the story ([`World::run`]), so that when
//! either ends, for whatever reason, all of it does.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::client;
use super::echo::Echo;
use super::envoy::Envoy;
use super::envoy_config::{self, Addresses, BARE, INGRESS, ShippedError};
use super::program::ProgramError;
use super::wait::{TimedOut, wait_until};
use crate::app::{App, AppError, Bound};
use crate::config::{Config, ConfigErrors};
use crate::issuer::development::{Settings, TokenError};
use crate::issuer::{DevelopmentIssuer, SigningError};

/// The configuration, with the addresses that a user would write.
const CLAIMGATE: &str = include_str!("claimgate.yaml");
/// Where it is written with those of the demo, beside Envoy's: for `claimgate explain`. Nobody follows it.
const CLAIMGATE_FILE: &str = "claimgate.yaml";
/// The audience of the configuration above.
const AUDIENCE: &str = "orders";
/// A first fetch on loopback is immediate; a loaded machine gets more.
const READY: Duration = Duration::from_secs(20);

/// Why the demo cannot start, or ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    #[error("cannot listen on {address}: {error}")]
    Listen { address: SocketAddr, error: io::Error },
    #[error(transparent)]
    Signing(#[from] SigningError),
    #[error("the demo's own configuration is refused:\n{0}")]
    Config(#[from] ConfigErrors),
    #[error(transparent)]
    Claimgate(#[from] AppError),
    #[error(transparent)]
    Shipped(#[from] ShippedError),
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error("`claimgate {command}` failed: {said}")]
    Own { command: String, said: String },
    #[error("{error}; /readyz said: {pending}")]
    NotReady { error: TimedOut, pending: String },
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    #[error("{what} ended early: {error}")]
    Service { what: &'static str, error: io::Error },
    #[error("the HTTP/2 client cannot be made: {0}")]
    Client(#[source] reqwest::Error),
    #[error("cannot write to the standard output: {0}")]
    Output(#[source] io::Error),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("cannot start the runtime: {0}")]
    Runtime(#[source] io::Error),
    #[error("cannot make a temporary directory: {0}")]
    State(#[source] io::Error),
    #[error("cannot write claimgate.yaml for whoever wants to read it: {0}")]
    Shown(#[source] io::Error),
    #[error("cannot listen for signals: {0}")]
    Signals(#[source] io::Error),
}

/// What the caller chose.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) envoy: PathBuf,
    /// Port 0: any.
    pub(super) ingress: SocketAddr,
}

/// The running demo, as the story sees it.
#[derive(Debug)]
pub(super) struct World {
    pub(super) issuer: DevelopmentIssuer,
    pub(super) echo: Echo,
    pub(super) envoy: Envoy,
    pub(super) places: Places,
    claimgate: Switch,
}

/// What runs where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    /// Envoy, as shipped.
    pub(super) ingress: SocketAddr,
    /// Envoy without what protects the reserved headers besides claimgate.
    pub(super) bare: SocketAddr,
    pub(super) issuer: SocketAddr,
    pub(super) grpc: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) upstream: SocketAddr,
}

/// Asks claimgate to stop or to run, and learns whether it does.
#[derive(Clone, Debug)]
struct Switch {
    wanted: watch::Sender<bool>,
    running: watch::Sender<bool>,
}

impl Switch {
    fn on() -> Self {
        Self { wanted: watch::Sender::new(true), running: watch::Sender::new(true) }
    }

    /// Waits until claimgate is wanted, or not.
    async fn until_wanted(&self, wanted: bool) {
        // The sender is `self`: it is not gone.
        let _gone = self.wanted.subscribe().wait_for(|is| *is == wanted).await.is_err();
    }

    fn is_running(&self) -> bool {
        *self.running.borrow()
    }
}

impl World {
    /// Starts everything, waits until it is ready, runs `story`, and ends everything. `None` if it was
    /// interrupted.
    pub(super) async fn run<T>(
        options: Options,
        interrupted: &CancellationToken,
        story: impl AsyncFnOnce(&mut Self) -> Result<T, DemoError>,
    ) -> Result<Option<T>, DemoError> {
        let (services, parts) = Box::pin(Services::bind()).await?;
        let stop_all = CancellationToken::new();
        let telling = async {
            let told = Self::begin_and_tell(&options, parts, interrupted, story).await?;
            stop_all.cancel();
            Ok(told)
        };
        // An error on either side ends both at once; what was told to stop ends in order.
        let services = Box::pin(services.run(stop_all.clone()));
        let ((), told) = tokio::try_join!(services, Box::pin(telling))?;
        Ok(told)
    }

    async fn begin_and_tell<T>(
        options: &Options,
        parts: Parts,
        interrupted: &CancellationToken,
        story: impl AsyncFnOnce(&mut Self) -> Result<T, DemoError>,
    ) -> Result<Option<T>, DemoError> {
        let Some(world) = interrupted.run_until_cancelled(Self::start(options, parts)).await else {
            return Ok(None);
        };
        let mut world = world?;
        let told = interrupted.run_until_cancelled(story(&mut world)).await.transpose();
        // Envoy first: it holds connections to everything else.
        world.envoy.stop().await?;
        told
    }

    /// Stops claimgate alone, and waits until it has.
    pub(super) async fn stop_claimgate(&self) -> Result<(), DemoError> {
        self.claimgate.wanted.send_replace(false);
        let stopped = async || !self.claimgate.is_running();
        Ok(wait_until("claimgate to stop", READY, stopped).await?)
    }

    /// Stops claimgate and starts it again in the same place, with nothing in memory.
    pub(super) async fn restart_claimgate(&self) -> Result<(), DemoError> {
        self.stop_claimgate().await?;
        self.claimgate.wanted.send_replace(true);
        let running = async || self.claimgate.is_running();
        wait_until("claimgate to start again", READY, running).await?;
        ready(self.places.admin).await
    }

    async fn start(options: &Options, parts: Parts) -> Result<Self, DemoError> {
        let Parts { issuer, echo, claimgate, configuration, issuer_addr, grpc, admin, upstream } =
            parts;
        ready(admin).await?;
        let addresses = Addresses { ingress: options.ingress, claimgate: grpc, upstream };
        let config = envoy_config::patched(addresses)?;
        let mut envoy = Envoy::start(&options.envoy, &config)?;
        std::fs::write(envoy.directory().join(CLAIMGATE_FILE), configuration)
            .map_err(DemoError::Shown)?;
        let [ingress, bare] = envoy.listeners([INGRESS, BARE]).await?;
        let places = Places { ingress, bare, issuer: issuer_addr, grpc, admin, upstream };
        Ok(Self { issuer, echo, envoy, places, claimgate })
    }
}

/// What is bound and not yet served.
struct Services {
    issuer: (DevelopmentIssuer, TcpListener),
    echo: (Echo, TcpListener),
    claimgate: Claimgate,
}

/// claimgate, and what it takes to start it again.
struct Claimgate {
    bound: Bound,
    switch: Switch,
    issuer: SocketAddr,
    /// Its `state_dir`; gone with it.
    state: TempDir,
}

impl Claimgate {
    async fn bind(issuer: SocketAddr) -> Result<Self, DemoError> {
        let state = tempfile::tempdir().map_err(DemoError::State)?;
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let bound = App::bind(configuration(issuer, [any, any], state.path())?).await?;
        Ok(Self { bound, switch: Switch::on(), issuer, state })
    }

    /// Runs while it is wanted, and again when it is wanted again.
    async fn run(self, stop_all: &CancellationToken) -> Result<(), DemoError> {
        let Self { mut bound, switch, issuer, state } = self;
        loop {
            let places = [bound.grpc_addr(), bound.admin_addr()];
            let stop = CancellationToken::new();
            let stopping = async {
                let _stopped = stop_all.run_until_cancelled(switch.until_wanted(false)).await;
                stop.cancel();
                Ok(())
            };
            tokio::try_join!(bound.run(stop.clone()), stopping)?;
            switch.running.send_replace(false);
            if stop_all.run_until_cancelled(switch.until_wanted(true)).await.is_none() {
                return Ok(());
            }
            bound = App::bind(configuration(issuer, places, state.path())?).await?;
            switch.running.send_replace(true);
        }
    }
}

/// What the world keeps of the services.
struct Parts {
    issuer: DevelopmentIssuer,
    echo: Echo,
    claimgate: Switch,
    /// claimgate's, as it runs.
    configuration: String,
    issuer_addr: SocketAddr,
    grpc: SocketAddr,
    admin: SocketAddr,
    upstream: SocketAddr,
}

impl Services {
    async fn bind() -> Result<(Self, Parts), DemoError> {
        let (for_issuer, issuer_addr) = listen().await?;
        let (for_echo, upstream) = listen().await?;
        let issuer = DevelopmentIssuer::new(Settings::at(issuer_addr, AUDIENCE))?;
        let claimgate = Claimgate::bind(issuer_addr).await?;
        let echo = Echo::default();
        let (grpc, admin) = (claimgate.bound.grpc_addr(), claimgate.bound.admin_addr());
        let parts = Parts {
            issuer: issuer.clone(),
            echo: echo.clone(),
            claimgate: claimgate.switch.clone(),
            configuration: configuration_text(issuer_addr, [grpc, admin], claimgate.state.path()),
            issuer_addr,
            grpc,
            admin,
            upstream,
        };
        let services = Self { issuer: (issuer, for_issuer), echo: (echo, for_echo), claimgate };
        Ok((services, parts))
    }

    /// Serves all three until `stop_all`; an error of one ends all.
    async fn run(self, stop_all: CancellationToken) -> Result<(), DemoError> {
        let (issuer, for_issuer) = self.issuer;
        let (echo, for_echo) = self.echo;
        let issuer = async {
            let ended = issuer.run(for_issuer, stop_all.clone()).await;
            ended.map_err(|error| DemoError::Service { what: "the identity provider", error })
        };
        let echo = async {
            let ended = echo.run(for_echo, stop_all.clone()).await;
            ended.map_err(|error| DemoError::Service { what: "the upstream", error })
        };
        let claimgate = self.claimgate.run(&stop_all);
        tokio::try_join!(issuer, echo, claimgate).map(|_| ())
    }
}

/// Waits for claimgate; if that is in vain, the error says what it was waiting for itself.
pub(super) async fn ready(admin: SocketAddr) -> Result<(), DemoError> {
    let mut pending = String::from("nothing, it did not answer");
    let look = async || match client::get(admin, "/readyz").await {
        Ok(answer) if answer.status == 200 => true,
        Ok(answer) => {
            pending = answer.text().trim().to_owned();
            false
        }
        Err(_) => false,
    };
    wait_until("claimgate to be ready", READY, look)
        .await
        .map_err(|error| DemoError::NotReady { error, pending })
}

pub(super) async fn listen() -> Result<(TcpListener, SocketAddr), DemoError> {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let failed = |error| DemoError::Listen { address, error };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn configuration(
    issuer: SocketAddr,
    places: [SocketAddr; 2],
    state_dir: &Path,
) -> Result<Config, ConfigErrors> {
    Config::from_yaml(&configuration_text(issuer, places, state_dir), Path::new("."))
}

fn configuration_text(issuer: SocketAddr, places: [SocketAddr; 2], state_dir: &Path) -> String {
    let [grpc, admin] = places;
    // Quoted as JSON, which YAML reads: the directory is the system's choice.
    let state_dir = json!(state_dir).to_string();
    CLAIMGATE
        .replace("/var/lib/claimgate", &state_dir)
        .replace("127.0.0.1:9000", &issuer.to_string())
        .replace("127.0.0.1:9191", &grpc.to_string())
        .replace("127.0.0.1:9193", &admin.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_accepted_and_every_address_in_it_is_replaced() {
        let issuer = SocketAddr::from(([127, 0, 0, 1], 4711));
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let state = Path::new("/tmp/a b");
        if let Err(errors) = configuration(issuer, [any, any], state) {
            panic!("{errors}");
        }
        let text = configuration_text(issuer, [any, any], state);
        for written in ["9000", "9191", "9193", "/var/lib"] {
            assert!(!text.contains(written), "{written}");
        }
    }
}
