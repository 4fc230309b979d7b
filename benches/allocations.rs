//! The benchmarks' part that counts allocations: of each step of a check, and of a request over gRPC, next to the service
//! that does nothing. A program of its own, because its allocator counts and others' times should not pay for that.
//! benches/run.sh runs it.
//!
//! A server runs in one thread, in which everything is counted from its start to its end, with fewer requests and with
//! more of them; the difference is theirs. So these figures are the same on every machine, busy or not.

#![allow(clippy::print_stdout, reason = "a benchmark's results go to stdout")]
#![allow(dead_code, reason = "the other program uses the rest of what they share")]

mod checks;
mod corpus;
mod figures;
mod load;
mod machine;
mod no_op;
mod report;
mod steps;
mod timing;
mod world;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use allocation_counter::{AllocationInfo, measure};
use claimgate::app::App;
use claimgate::config::Config;
use claimgate::issuer::SigningKey;
use claimgate::keys::key::Algorithm;
use clap::Parser as _;
use tokio_util::sync::CancellationToken;

use self::checks::Expectation;
use self::checks::bodies::{self, Each, Kind};
use self::load::{Bodies, Load, Target};
use self::machine::Machine;
use self::report::{Section, Table};

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Requests that are not counted, and then are.
const REQUESTS: usize = 2_000;

const LOAD: Load = Load { connections: 1, in_flight: 8, duration: Duration::from_secs(600) };

/// Count allocations.
#[derive(Debug, clap::Parser)]
struct Cli {
    /// Show the figures, do not keep them.
    #[arg(long)]
    quick: bool,
    /// Ignored: cargo says it.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), BoxError> {
    let cli = Cli::parse();
    let mut section = Section::new("allocations", "Allocations");
    section.add("Of one request over gRPC, all that its server does for it included:");
    section.add(of_requests()?);
    section.add("Of each step alone:");
    let mut table = table("step");
    for step in &mut steps::all()? {
        (0..100).for_each(|_| step.run());
        let times = 100;
        let counted = measure(|| (0..times).for_each(|_| step.run()));
        row(&mut table, &step.name, counted.count_total, counted.bytes_total, times);
    }
    section.add(table);
    section.finish(Machine::new()?, cli.quick)
}

fn of_requests() -> Result<Table, BoxError> {
    let key = SigningKey::generate(Algorithm::EdDsa)?;
    let now = world::now()?;
    let tokens = world::mint_all(&key, 3 * REQUESTS, |n| world::claims(now, now + 3_600, n))?;
    let token = tokens.first().map(String::as_str);
    let config = world::config(&[key.public_jwk()], key.algorithm().name()).to_string();
    let config = || Config::from_yaml(&config, Path::new("."));
    let mut table = table("request");
    let mut count = |name: &str, asked: Asked<'_>, must: Expectation| {
        let run = |requests: usize| -> Result<AllocationInfo, BoxError> {
            let mut bodies: Box<dyn Bodies> = match asked {
                Asked::Same(token) => Box::new(bodies::same(token)),
                Asked::Each(kind) => Box::new(Each::new(&tokens, kind)?),
            };
            let is_claimgate = !matches!(must, Expectation::Nothing);
            let config = is_claimgate.then(config).transpose()?;
            counted(config, &mut *bodies, must, requests)
        };
        let (fewer, more) = (run(REQUESTS)?, run(2 * REQUESTS)?);
        let allocations = more.count_total.saturating_sub(fewer.count_total);
        let bytes = more.bytes_total.saturating_sub(fewer.bytes_total);
        row(&mut table, name, allocations, bytes, REQUESTS);
        Ok::<_, BoxError>(())
    };
    let denied = |reason| Expectation::Deny { reason };
    count("no-op tonic + prost", Asked::Same(token), Expectation::Nothing)?;
    count("claimgate, cached token", Asked::Same(token), Expectation::Allow)?;
    count("claimgate, unique tokens", Asked::Each(Kind::Genuine), Expectation::Allow)?;
    count("claimgate, forged", Asked::Each(Kind::Forged), denied("bad_signature"))?;
    count("claimgate, no token", Asked::Same(None), denied("missing_token"))?;
    Ok(table)
}

#[derive(Clone, Copy, Debug)]
enum Asked<'a> {
    /// With the same token each time, or without one.
    Same(Option<&'a str>),
    /// With another one each time.
    Each(Kind),
}

/// What a server allocates from its start to its end, with so many requests in between.
fn counted(
    config: Option<Config>,
    bodies: &mut dyn Bodies,
    must: Expectation,
    requests: usize,
) -> Result<AllocationInfo, BoxError> {
    let (tell, told) = mpsc::sync_channel(1);
    let stop = CancellationToken::new();
    let until = stop.clone();
    let server = std::thread::spawn(move || -> Result<AllocationInfo, BoxError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut outcome = Ok(());
        let counted = measure(|| outcome = runtime.block_on(serve(config, tell, until)));
        outcome.map(|()| counted)
    });
    let sent = told.recv().map_err(BoxError::from).and_then(|address| {
        let target = Target { address, blocks: Arc::new(checks::headers()) };
        let answer = load::ask(&target, bodies)?;
        must.must_hold(&answer)?;
        let expected = answer.into();
        let mut bodies = First { left: requests, bodies };
        let outcome = load::closed(&target, &mut bodies, &expected, LOAD)?;
        Ok::<_, BoxError>(outcome.answers() as usize)
    });
    stop.cancel();
    let counted = server.join().map_err(|_| "the server panicked")??;
    if sent? == requests { Ok(counted) } else { Err("answers are missing".into()) }
}

/// The service that does nothing, or claimgate.
async fn serve(
    config: Option<Config>,
    tell: mpsc::SyncSender<SocketAddr>,
    until: CancellationToken,
) -> Result<(), BoxError> {
    let Some(config) = config else {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        tell.send(listener.local_addr()?)?;
        return no_op::run(listener, until.cancelled_owned()).await;
    };
    let bound = App::bind(config).await?;
    tell.send(bound.grpc_addr())?;
    Ok(bound.run(until).await?)
}

/// The first few of them.
struct First<'a> {
    left: usize,
    bodies: &'a mut dyn Bodies,
}

impl Bodies for First<'_> {
    fn next(&mut self) -> Option<Option<&[u8]>> {
        self.left = self.left.checked_sub(1)?;
        self.bodies.next()
    }
}

fn table(what: &str) -> Table {
    Table::new([what, "allocations", "bytes"])
}

fn row(table: &mut Table, name: &str, allocations: u64, bytes: u64, times: usize) {
    let each = |sum: u64| format!("{:.1}", sum as f64 / times as f64);
    table.row([name.to_owned(), each(allocations), each(bytes)]);
}
