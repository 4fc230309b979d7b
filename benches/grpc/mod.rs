//! Part 1: Check requests over gRPC, one worker each: the service that does nothing, and claimgate with a token that is
//! remembered, with ones that come once, and with ones that are refused.

mod half;
pub(crate) mod subject;

use self::subject::{Measured, Subject};
use crate::checks::Expectation;
use crate::checks::bodies::{self, Each, Kind};
use crate::corpus::Corpus;
use crate::figures::{grouped, median};
use crate::load::servers::Server;
use crate::machine::Place;
use crate::report::{Section, Table};
use crate::{Args, BoxError, steps, timing, world};

const PART: &str = "grpc";

pub(crate) fn run(args: &Args) -> Result<(), BoxError> {
    let corpus = Corpus::load(args.tokens())?;
    args.machine.move_to(Place::Driver)?;
    let config = world::config(std::slice::from_ref(corpus.jwk()), "RS256");
    let no_op = Server::no_op(args.machine, Place::Subject)?;
    let server = || Server::claimgate(args.machine, Place::Subject, &config);
    let (claimgate, other) = (server()?, server()?);

    let same = |token: Option<&str>| Box::new(bodies::same(token));
    let cached = corpus.token(0);
    let each = |kind| Each::new(&corpus, kind);
    let genuine = Box::new(each(Kind::Genuine)?);
    let forged = Box::new(each(Kind::Forged)?);
    let per_round = corpus.len() / (args.rounds + 1);
    let allow = Expectation::Allow;
    let deny = |reason| Expectation::Deny { reason };
    let mut subjects = [
        Subject::new("no-op tonic + prost", &no_op, same(Some(cached)), Expectation::Nothing)?,
        Subject::new("claimgate, cached token", &claimgate, same(Some(cached)), allow)?,
        // Its own process: no token comes to it twice.
        Subject::new("claimgate, unique tokens", &other, genuine, allow)?.with_allotment(per_round),
        Subject::new("claimgate, forged", &claimgate, forged, deny("bad_signature"))?,
        Subject::new(
            "claimgate, expired",
            &claimgate,
            same(Some(corpus.expired())),
            deny("expired"),
        )?,
        Subject::new("claimgate, no token", &claimgate, same(None), deny("missing_token"))?,
    ];
    let mut verification = steps::verification(&corpus)?;
    let mut verifications = Vec::new();
    for round in 0..=args.rounds {
        for subject in &mut subjects {
            // The first is not counted: connections, caches and branch predictors warm up.
            subject.measure(args.load(), round > 0)?;
        }
        args.machine.move_to(Place::Subject)?;
        verifications.push(timing::by_the_wall(&mut verification, 10 * args.moment()));
        args.machine.move_to(Place::Driver)?;
    }
    must_be_unique(&other)?;

    let mut section = Section::new(PART, "gRPC, one worker each");
    let load = args.load();
    section.add(format!(
        "{} connections with {} requests under way on each, {} rounds of {} s (unique tokens: {} in a round, {} in \
         all, each once). One processor has the server alone, the other the driver. Ratios are to the no-op.",
        load.connections,
        load.in_flight,
        args.rounds,
        load.duration.as_secs_f64(),
        grouped(per_round as f64),
        grouped(corpus.len() as f64),
    ));
    let verification = median(&verifications);
    let rates = report(&mut section, &subjects.each_ref().map(|subject| &subject.measured));
    let busiest = subjects.iter().map(|subject| median(&subject.measured.driver));
    let busiest = busiest.fold(0.0, f64::max);
    section.add(format!("The driver was busy for {:.0} % of the time at most.", busiest * 100.0));
    section.add(format!(
        "One verification of such a signature with a parsed key, in turns with the rounds: {:.1} µs.",
        verification / 1e3
    ));
    let [no_op_rate, cached_rate, unique_rate, forged_rate, ..] = rates;
    let bound = 1.0 / (1.0 / no_op_rate + verification / 1e9);
    section.at_least("cached token, × the no-op", 1.3, cached_rate / no_op_rate);
    section.at_least("unique tokens, × 1/(1/no-op + one verification)", 0.9, unique_rate / bound);
    section.at_least("forged tokens, × unique tokens", 1.0, forged_rate / unique_rate);
    half::run(args, &mut section, &subjects, &claimgate, cached)?;
    section.finish(args.machine, args.quick)
}

/// Requests a second of each.
fn report<const N: usize>(section: &mut Section, measured: &[&Measured; N]) -> [f64; N] {
    let head = ["", "checks/s", "ratio", "lowest … highest", "p50", "p99", "p99.9", "CPU a check"];
    let mut table = Table::new(head);
    let rates = measured.map(|measured| median(&measured.per_second));
    let base = rates.first().copied().unwrap_or(f64::NAN);
    for (measured, rate) in measured.iter().zip(rates) {
        let lowest = measured.per_second.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = measured.per_second.iter().copied().fold(0.0, f64::max);
        let latency = |figures: &[f64]| format!("{:.2} ms", median(figures) / 1e3);
        table.row([
            measured.name.to_owned(),
            grouped(rate),
            format!("{:.2}", rate / base),
            format!("{} … {}", grouped(lowest), grouped(highest)),
            latency(&measured.p50),
            latency(&measured.p99),
            latency(&measured.p999),
            format!("{:.1} µs", median(&measured.processor)),
        ]);
    }
    section.add(table);
    rates
}

/// Else what was measured was the memory of tokens.
fn must_be_unique(server: &Server) -> Result<(), BoxError> {
    let hits = server.metric("claimgate_token_cache_hits_total")?;
    if hits > 0.0 {
        return Err(format!("{hits} of the tokens that come once were known").into());
    }
    Ok(())
}
