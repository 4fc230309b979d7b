//! Latencies at half of what each server answers at most, at a fixed rate; and what a scrape of claimgate's metrics, ten
//! times a second, does to them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::subject::{Measured, Subject};
use crate::checks::bodies;
use crate::figures::median;
use crate::load::servers::Server;
use crate::load::{self, Load, Outcome, Same, http1};
use crate::report::{Section, Table};
use crate::{Args, BoxError};

const SCRAPE_INTERVAL: Duration = Duration::from_millis(100);

/// The first two of `subjects` are the service that does nothing, and claimgate with a token that it knows.
pub(super) fn run(
    args: &Args,
    section: &mut Section,
    subjects: &[Subject<'_>; 6],
    claimgate: &Server,
    cached: &str,
) -> Result<(), BoxError> {
    let [no_op, ours, ..] = subjects;
    let half = |subject: &Subject<'_>| median(&subject.measured.per_second) / 2.0;
    let admin = claimgate.admin.ok_or("claimgate without an admin port")?;
    let mut measured = [
        "no-op, half of its most",
        "claimgate, the same rate",
        "claimgate, half of its most",
        "claimgate, the same, scraped",
    ]
    .map(|name| Measured { name, ..Measured::default() });
    let rates = [half(no_op), half(no_op), half(ours), half(ours)];
    let body = bodies::same(Some(cached));
    for _ in 0..args.rounds {
        let runs = [(no_op, false), (ours, false), (ours, false), (ours, true)];
        for (((subject, is_scraped), rate), measured) in
            runs.into_iter().zip(rates).zip(&mut measured)
        {
            let scraped = is_scraped.then_some(admin);
            let outcome = at_rate(subject, &body, rate, args.load(), scraped)?;
            measured.add(outcome, f64::NAN);
        }
    }
    section.add("Latencies at a fixed rate, counted from when a request was due:");
    let mut table = Table::new(["", "checks/s", "p50", "p99", "p99.9"]);
    for measured in &measured {
        let latency = |figures: &[f64]| format!("{:.0} µs", median(figures));
        table.row([
            measured.name.to_owned(),
            crate::figures::grouped(median(&measured.per_second)),
            latency(&measured.p50),
            latency(&measured.p99),
            latency(&measured.p999),
        ]);
    }
    section.add(table);
    let [no_op, _, ours, scraped] = measured.map(|measured| median(&measured.p99));
    section.at_most("p99 at half of the most, × the no-op's", 1.5, ours / no_op, "");
    section.add(format!(
        "p99 while /metrics is read ten times a second: {:.2} × that without.",
        scraped / ours
    ));
    Ok(())
}

fn at_rate(
    subject: &Subject<'_>,
    body: &Same,
    rate: f64,
    load: Load,
    scraped: Option<SocketAddr>,
) -> Result<Outcome, BoxError> {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let scraper = scraped.map(|admin| {
            let is_over = &is_over;
            scope.spawn(move || scrape(admin, is_over))
        });
        let (target, expected) = (&subject.target, &subject.expected);
        let outcome = load::open(target, &mut body.clone(), expected, rate, load);
        is_over.store(true, Ordering::Relaxed);
        if let Some(scraper) = scraper {
            scraper.join().map_err(|_| "the scraper panicked")??;
        }
        Ok(outcome.map_err(|error| format!("{}: {error}", subject.measured.name))?)
    })
}

fn scrape(admin: SocketAddr, is_over: &AtomicBool) -> std::io::Result<()> {
    while !is_over.load(Ordering::Relaxed) {
        let (status, _) = http1::get(admin, "/metrics")?;
        if status != 200 {
            return Err(std::io::Error::other(format!("/metrics answers {status}")));
        }
        std::thread::sleep(SCRAPE_INTERVAL);
    }
    Ok(())
}
