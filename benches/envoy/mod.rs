//! Part 2: requests through one worker of Envoy 1.40, which answers them itself: without a filter, with its own
//! `jwt_authn`, and with `ext_authz` that asks the service that does nothing or claimgate. The same token and the same
//! rules; Envoy has one processor alone.

mod config;
mod process;

use std::sync::Arc;

use self::config::{Authorizer, Filter};
use self::process::Envoy;
use crate::corpus::Corpus;
use crate::figures::{grouped, median};
use crate::grpc::subject::Measured;
use crate::load::hpack::Blocks;
use crate::load::servers::Server;
use crate::load::{self, Same, Target};
use crate::machine::Place;
use crate::report::{Section, Table};
use crate::{Args, BoxError, world};

/// What Envoy answers itself.
const ANSWER: &str = "let through";

pub(crate) fn run(args: &Args) -> Result<(), BoxError> {
    let path = args.envoy.as_deref().ok_or(
        "the part `envoy` needs Envoy 1.40: benches/run.sh installs it, or give the path of one with --envoy",
    )?;
    let corpus = Corpus::load(args.tokens())?;
    args.machine.move_to(Place::Driver)?;
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("claimgate");
    let mut config = world::config(std::slice::from_ref(corpus.jwk()), "RS256");
    let unix = format!("unix://{}", socket.display());
    config["listen"]["grpc"] = serde_json::json!(["127.0.0.1:0", unix]);
    // Beside the driver: Envoy is what there is too little of.
    let no_op = Server::no_op(args.machine, Place::Driver)?;
    let claimgate = Server::claimgate(args.machine, Place::Driver, &config)?;
    // As decided as the other, and as little told as by the no-op.
    let mut silent = world::config(std::slice::from_ref(corpus.jwk()), "RS256");
    silent["forward"] = serde_json::json!({});
    silent["rules"][1]["keep_token"] = true.into();
    let silent = Server::claimgate(args.machine, Place::Driver, &silent)?;
    let filters = [
        ("no filter", Filter::None, None),
        ("jwt_authn", Filter::JwtAuthn { cached: false }, None),
        ("jwt_authn with its cache", Filter::JwtAuthn { cached: true }, None),
        ("ext_authz, no-op", Filter::ExtAuthz(Authorizer::Tcp(no_op.grpc)), Some(&no_op)),
        (
            "ext_authz, claimgate",
            Filter::ExtAuthz(Authorizer::Tcp(claimgate.grpc)),
            Some(&claimgate),
        ),
        (
            "ext_authz, claimgate, no headers",
            Filter::ExtAuthz(Authorizer::Tcp(silent.grpc)),
            Some(&silent),
        ),
        (
            "ext_authz, claimgate, Unix socket",
            Filter::ExtAuthz(Authorizer::Unix(socket)),
            Some(&claimgate),
        ),
    ];
    let wanted = filters.each_ref().map(|(_, filter, _)| filter.clone());
    let envoy = Envoy::start(args, path, &wanted, corpus.jwk())?;

    let mut subjects = Vec::new();
    for ((name, filter, server), address) in filters.into_iter().zip(&envoy.listeners) {
        let blocks = Arc::new(Blocks::new(&headers(Some(&bearer(corpus.token(0))))));
        let target = Target { address: *address, blocks };
        let anonymous = Target { blocks: Arc::new(Blocks::new(&headers(None))), ..target.clone() };
        must_be(name, &target, true)?;
        let lets_anybody = matches!(filter, Filter::None) || name.ends_with("no-op");
        must_be(name, &anonymous, lets_anybody)?;
        let measured = Measured { name, ..Measured::default() };
        subjects.push((target, server, measured, Vec::new()));
    }
    let expected: Arc<[u8]> = ANSWER.as_bytes().into();
    for round in 0..=args.rounds {
        for (target, server, measured, of_server) in &mut subjects {
            let before = (envoy.processor_time(), server.map(Server::processor_time));
            let outcome = load::closed(target, &mut Same(None), &expected, args.load());
            let outcome = outcome.map_err(|error| format!("{}: {error}", measured.name))?;
            if round == 0 {
                continue;
            }
            let answers = outcome.answers();
            measured.add(outcome, envoy.processor_time().saturating_sub(before.0).as_secs_f64());
            if let (Some(server), Some(before)) = (server, before.1) {
                let spent = server.processor_time().saturating_sub(before);
                of_server.push(spent.as_secs_f64() * 1e6 / answers);
            }
        }
    }
    report(args, &subjects)
}

type Subject<'a> = (Target, Option<&'a Server>, Measured, Vec<f64>);

fn report(args: &Args, subjects: &[Subject<'_>]) -> Result<(), BoxError> {
    let mut section = Section::new("envoy", "Through Envoy 1.40, one worker");
    let load = args.load();
    section.add(format!(
        "HTTP/2, {} connections with {} requests under way on each, {} rounds of {} s. Envoy answers with a \
         direct_response, so what is measured is what a filter costs it. One processor has Envoy alone; the other the \
         driver and the service that is asked. Ratios are to `jwt_authn`.",
        load.connections, load.in_flight, args.rounds, load.duration.as_secs_f64()
    ));
    let head = ["", "requests/s", "ratio", "p50", "p99", "Envoy's CPU", "the service's CPU"];
    let mut table = Table::new(head);
    let rates: Vec<f64> =
        subjects.iter().map(|(_, _, measured, _)| median(&measured.per_second)).collect();
    let rate = |place: usize| rates.get(place).copied().unwrap_or(f64::NAN);
    let [jwt_authn, no_op, claimgate] = [1, 3, 4].map(rate);
    for ((_, _, measured, of_server), rate) in subjects.iter().zip(&rates) {
        let of_server = match of_server.as_slice() {
            [] => "-".to_owned(),
            figures => format!("{:.1} µs", median(figures)),
        };
        table.row([
            measured.name.to_owned(),
            grouped(*rate),
            format!("{:.2}", rate / jwt_authn),
            format!("{:.2} ms", median(&measured.p50) / 1e3),
            format!("{:.2} ms", median(&measured.p99) / 1e3),
            format!("{:.1} µs", median(&measured.processor)),
            of_server,
        ]);
    }
    section.add(table);
    section.at_least("through Envoy, × ext_authz to the no-op", 1.05, claimgate / no_op);
    section.at_least("through Envoy, × jwt_authn without its cache", 0.88, claimgate / jwt_authn);
    section.finish(args.machine, args.quick)
}

fn must_be(name: &str, target: &Target, allowed: bool) -> Result<(), BoxError> {
    let answer = load::ask(target, &mut Same(None)).map_err(|error| format!("{name}: {error}"))?;
    if (answer == ANSWER.as_bytes()) == allowed {
        return Ok(());
    }
    let answer = answer.escape_ascii();
    Err(format!("{name}: expected allowed to be {allowed}, answered {answer}").into())
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// A browser's.
fn headers(bearer: Option<&str>) -> Vec<(&str, &str)> {
    let pseudo = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", world::PATH),
        (":authority", "orders.example.com"),
    ];
    let bearer = bearer.map(|bearer| ("authorization", bearer));
    pseudo.into_iter().chain(world::HEADERS).chain(bearer).collect()
}
