//! `claimgate demo`: a real Envoy in front of an upstream, claimgate beside it, an identity provider to get tokens from;
//! and the whole circle, in which tokens are taken back: the reference issuer, a Redis, and an Envoy in front of two
//! services. All on loopback, all gone at the end.
//!
//! With `--check` it tells the story of each, step by step, and the exit code says whether they came true. It is not a way
//! to run anything in production.

mod circle;
mod client;
mod echo;
mod envoy;
mod envoy_config;
mod program;
mod seen;
mod story;
mod table;
mod wait;
mod world;

use std::convert::Infallible;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use self::circle::{Circle, Redis};
use self::world::{DemoError, Options, Places, World};

/// Where people expect Envoy: the port of the shipped configuration.
const USUAL_PORT: u16 = 10000;

/// Run claimgate on this machine with all that it works with, to see it: Envoy, identity providers, Redis and upstreams.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The Envoy to run (1.40); without it, the `envoy` on the PATH.
    #[arg(long, value_name = "PATH", default_value = "envoy")]
    envoy: PathBuf,
    /// The Redis to run (6 or newer); without it, the `redis-server` on the PATH.
    #[arg(long, value_name = "PATH", default_value = "redis-server")]
    redis: PathBuf,
    /// Leave out what needs Redis: the reference issuer, and taking tokens back.
    #[arg(long, conflicts_with = "redis")]
    without_circle: bool,
    /// Try everything that claimgate promises, print tables, and exit with 0 if all of it held, else 1.
    #[arg(long)]
    check: bool,
    /// Envoy's port; without it 10000, or any port if that is taken or with --check.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
}

/// Runs the demo until Ctrl-C, or the story to its end. Exits 0 if it went well, 1 if a promise was
/// broken or the story was interrupted, 2 if the demo could not run.
pub fn run(args: Args) -> ExitCode {
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(DemoError::Runtime)
        .and_then(|runtime| runtime.block_on(Box::pin(demo(args))));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nobody is left to tell if this fails.
            let _gone = writeln!(io::stderr(), "claimgate demo: {error}");
            ExitCode::from(2)
        }
    }
}

async fn demo(args: Args) -> Result<bool, DemoError> {
    let interrupted = CancellationToken::new();
    let showing = async {
        let options = Options { ingress: ingress(&args)?, envoy: args.envoy.clone() };
        // First of all: whoever has none is told at once.
        let redis = if args.without_circle { None } else { Some(Redis::start(&args.redis).await?) };
        if args.check {
            return tell(options, redis, &interrupted).await;
        }
        show(options, redis, &interrupted).await?;
        Ok(true)
    };
    tokio::select! {
        ended = showing => ended,
        Err(error) = watch_signals(&interrupted) => Err(error),
    }
}

/// One story after the other: whether all of it came true, and was told to its end.
async fn tell(
    options: Options,
    redis: Option<Redis>,
    interrupted: &CancellationToken,
) -> Result<bool, DemoError> {
    let envoy = options.envoy.clone();
    let story = async |world: &mut World| story::tell(world).await;
    let Some(table) = World::run(options, interrupted, story).await? else { return Ok(false) };
    say(&format!("{table}\n\n"))?;
    let Some(redis) = redis else {
        say("left out, as asked for: the whole circle, in which tokens are taken back\n")?;
        return Ok(table.passed());
    };
    say(
        "The whole circle: issuer, Redis, claimgate, Envoy and two services, while others ask all the time\n\n",
    )?;
    let story = async |circle: &mut Circle| circle::story::tell(circle).await;
    let told = Circle::run(&envoy, redis, interrupted, story).await?;
    let Some((circle, figures)) = told else { return Ok(false) };
    say(&format!("{circle}\n\n{figures}\n"))?;
    Ok(table.passed() && circle.passed())
}

/// Everything at once, until it is interrupted.
async fn show(
    options: Options,
    redis: Option<Redis>,
    interrupted: &CancellationToken,
) -> Result<(), DemoError> {
    let envoy = options.envoy.clone();
    let story = async |world: &mut World| {
        say(&welcome(world)?)?;
        let Some(redis) = redis else {
            say(LAST)?;
            interrupted.cancelled().await;
            return Ok(());
        };
        let story = async |circle: &mut Circle| {
            say(&format!("{}\n{LAST}", circle.welcome()))?;
            interrupted.cancelled().await;
            Ok(())
        };
        Circle::run(&envoy, redis, interrupted, story).await.map(|_interrupted| ())
    };
    World::run(options, interrupted, story).await.map(|_interrupted| ())
}

/// Never ends, unless the signals cannot be watched: what was interrupted ends by itself, in order.
async fn watch_signals(interrupted: &CancellationToken) -> Result<Infallible, DemoError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(DemoError::Signals)?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed.map_err(DemoError::Signals)?,
        _ = terminate.recv() => {}
    }
    interrupted.cancel();
    std::future::pending().await
}

/// Where Envoy is to listen. A port that was asked for must be free; the usual one is only preferred.
fn ingress(args: &Args) -> Result<SocketAddr, DemoError> {
    let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
    if args.check && args.port.is_none() {
        return Ok(at(0));
    }
    let wanted = at(args.port.unwrap_or(USUAL_PORT));
    match std::net::TcpListener::bind(wanted) {
        Ok(_free) => Ok(wanted),
        Err(error) if args.port.is_some() => Err(DemoError::Listen { address: wanted, error }),
        Err(_) => Ok(at(0)),
    }
}

fn welcome(world: &World) -> Result<String, DemoError> {
    let Places { ingress, bare, issuer, grpc, admin, upstream } = world.places;
    let over = json!({"roles": ["reader", "writer"]});
    let token = world.issuer.token(&over, None)?;
    let directory = world.envoy.directory().display();
    Ok(format!(
        "\
Envoy, as deploy/envoy/envoy.yaml ships it   http://{ingress}
Envoy without its own header protections     http://{bare}
claimgate                                    gRPC {grpc}, admin http://{admin} (/ in a browser, /status, /metrics)
identity provider, development only          http://{issuer} (POST /token, /rotate, /down, /up)
upstream, answers what it saw                http://{upstream}
configurations, and Envoy's logs             {directory}

What the README goes on with, in another terminal:

ENVOY=http://{ingress} ADMIN=http://{admin} IDP=http://{issuer} DEMO={directory}

A token for five minutes, and three requests to paste:

TOKEN={token}

curl -i http://{ingress}/orders
curl -i http://{ingress}/orders -H \"Authorization: Bearer $TOKEN\"
curl -i http://{bare}/orders -H \"Authorization: Bearer $TOKEN\" -H 'X-JWT-Sub: mallory' -H 'x_jwt_sub: mallory'

Another token: curl -s -X POST http://{issuer}/token -d '{{\"sub\": \"bob\"}}'
"
    ))
}

const LAST: &str = "Ctrl-C ends all of it.\n";

fn say(text: &str) -> Result<(), DemoError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(DemoError::Output)
}
