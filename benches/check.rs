//! Checks per second of claimgate for one valid token, next to a tonic service that does nothing, in the same run.
//!
//! Both serve on loopback from one worker thread each and are asked in turns, so that a machine whose speed varies
//! bends both figures alike; the ratio is what to remember. Run by benches/run.sh.

#![allow(clippy::print_stdout, reason = "a benchmark's results go to stdout")]

mod driver;
mod provider;
mod servers;

use std::time::Duration;

use claimgate::proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use claimgate::proto::envoy::service::auth::v3::check_response::HttpResponse;
use claimgate::proto::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use clap::Parser as _;
use driver::{Call, Load};
use prost::Message as _;
use provider::Provider;
use servers::{BoxError, Running};

const METHOD: &str = "/envoy.service.auth.v3.Authorization/Check";

#[derive(Debug, clap::Parser)]
struct Args {
    /// Connections to each server.
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// Calls under way at once on each connection.
    #[arg(long, default_value_t = 32)]
    in_flight: usize,
    /// Turns of each server.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Seconds a turn.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Ignored: cargo says it.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), BoxError> {
    let args = Args::parse();
    let load = Load {
        connections: args.connections,
        in_flight: args.in_flight,
        duration: Duration::from_secs_f64(args.seconds),
    };
    println!("machine: {}", machine());
    println!(
        "load: {} connections, {} calls under way on each, {} rounds of {} s",
        args.connections, args.in_flight, args.rounds, args.seconds
    );

    let provider = Provider::new()?;
    let servers = [Running::no_op()?, Running::claimgate(provider.config()?)?];
    let request = request(&provider.token()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let measured = runtime.block_on(measure(&servers, &request, load, args.rounds))?;
    report(&servers, &measured);
    servers.into_iter().try_for_each(Running::stop)
}

/// One server's figures, one entry a round.
#[derive(Debug, Default)]
struct Measured {
    per_second: Vec<f64>,
    /// Microseconds of processor time that one check took the server.
    processor: Vec<f64>,
}

async fn measure(
    servers: &[Running],
    request: &CheckRequest,
    load: Load,
    rounds: usize,
) -> Result<Vec<Measured>, BoxError> {
    let frame = driver::frame(request);
    let mut subjects = vec![];
    for server in servers {
        let call = Call { address: server.address, method: METHOD, frame: frame.clone() };
        let answer = driver::ask(&call).await?;
        must_allow(server.name, &answer)?;
        // Not counted: connections, caches and branch predictors warm up.
        driver::drive(&call, &answer, Load { duration: load.duration / 4, ..load }).await?;
        subjects.push((server, call, answer, Measured::default()));
    }
    for _ in 0..rounds {
        for (server, call, answer, measured) in &mut subjects {
            let before = server.processor_time();
            let outcome = driver::drive(call, answer, load).await?;
            measured.per_second.push(outcome.per_second());
            if let (Some(before), Some(after)) = (before, server.processor_time()) {
                let spent = after.saturating_sub(before);
                measured.processor.push(spent.as_secs_f64() * 1e6 / outcome.answers as f64);
            }
        }
    }
    Ok(subjects.into_iter().map(|(_, _, _, measured)| measured).collect())
}

/// A server that denies is fast, and no use as a figure.
fn must_allow(name: &str, answer: &[u8]) -> Result<(), BoxError> {
    let message = answer.get(5..).ok_or("an answer without a message")?;
    let answer = CheckResponse::decode(message)?;
    let code = answer.status.as_ref().map_or(0, |status| status.code);
    match answer.http_response {
        Some(HttpResponse::OkResponse(_)) if code == 0 => Ok(()),
        other => Err(format!("{name} does not allow the request: code {code}, {other:?}").into()),
    }
}

fn report(servers: &[Running], measured: &[Measured]) {
    println!();
    println!("{:<12} {:>12} {:>24} {:>16}", "", "checks/s", "lowest … highest", "CPU a check");
    for (server, measured) in servers.iter().zip(measured) {
        let rates = &measured.per_second;
        let lowest = rates.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = rates.iter().copied().fold(0.0, f64::max);
        let processor = match median(&measured.processor) {
            Some(microseconds) => format!("{microseconds:.1} µs"),
            None => "unknown".to_owned(),
        };
        let middle = median(rates).unwrap_or_default();
        let span = format!("{lowest:.0} … {highest:.0}");
        println!("{:<12} {middle:>12.0} {span:>24} {processor:>16}", server.name);
    }
    if let [base, ours] = measured
        && let (Some(base), Some(ours)) = (median(&base.per_second), median(&ours.per_second))
    {
        println!("\nratio of the medians: {:.3}", ours / base);
    }
}

fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

/// What Envoy sends for a browser's request: fifteen headers and the pseudo headers.
fn request(token: &str) -> CheckRequest {
    let headers = [
        (":authority", "orders.example.com"),
        (":method", "GET"),
        (":path", "/orders/4711?expand=items"),
        (":scheme", "https"),
        ("accept", "application/json, text/plain, */*"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("accept-language", "en-GB,en;q=0.9,de;q=0.8"),
        ("authorization", &format!("Bearer {token}")),
        ("cache-control", "no-cache"),
        ("cookie", "theme=dark; consent=1; locale=en-GB"),
        ("origin", "https://shop.example.com"),
        ("referer", "https://shop.example.com/account/orders"),
        ("sec-fetch-mode", "cors"),
        ("sec-fetch-site", "same-site"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-proto", "https"),
        ("x-request-id", "b7c0e1de-91a4-4c52-8a3c-3a1e0d2f6b11"),
    ];
    let http = HttpRequest {
        id: "15078204513217461021".into(),
        method: "GET".into(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        path: "/orders/4711?expand=items".into(),
        host: "orders.example.com".into(),
        scheme: "https".into(),
        protocol: "HTTP/2".into(),
        ..HttpRequest::default()
    };
    let time = Some(prost_types::Timestamp { seconds: 1_790_000_000, nanos: 0 });
    CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(Peer { principal: "spiffe://mesh/shop".into(), ..Peer::default() }),
            destination: Some(Peer { principal: "spiffe://mesh/orders".into(), ..Peer::default() }),
            request: Some(Request { time, http: Some(http) }),
            ..AttributeContext::default()
        }),
    }
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    format!("{cores} cores, {}", model.map_or("unknown processor", |(_, name)| name))
}
