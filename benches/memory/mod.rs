//! Part 4: what the real service takes of memory, idle and with tokens remembered, and how long it takes to start from
//! what it kept on disk.

mod start;

use std::sync::Arc;
use std::time::Duration;

use claimgate::issuer::SigningKey;
use claimgate::keys::key::Algorithm;
use serde_json::{Value, json};

pub(crate) use self::start::free_port;
use crate::checks::bodies::{Each, Kind, Tokens};
use crate::checks::{self, Expectation};
use crate::corpus::Corpus;
use crate::figures::{grouped, mebibytes};
use crate::load::servers::Server;
use crate::load::{self, Load, Target};
use crate::machine::Place;
use crate::report::{Section, Table};
use crate::{Args, BoxError, world};

pub(crate) fn run(args: &Args) -> Result<(), BoxError> {
    let mut section = Section::new("memory", "Memory and start");
    section.add("Resident memory of `claimgate serve` with one worker, as the system counts it.");
    let corpus = Corpus::load(args.tokens())?;
    let mut table = Table::new(["", "resident"]);
    let mut row = |name: String, bytes: f64| table.row([name, mebibytes(bytes)]);

    let mut config = world::config(std::slice::from_ref(corpus.jwk()), "RS256");
    config["cache"] = json!({"max_bytes": 1 << 30});
    let server = serve(args, &config)?;
    // What is done once at the start is done by then.
    std::thread::sleep(Duration::from_millis(if args.quick { 0 } else { 2_000 }));
    let idle = server.resident();
    row("idle".to_owned(), idle);
    section.at_most("resident, idle", 20.0, idle / 1e6, " MB");

    let count = args.scaled(100_000);
    feed(&server, &corpus, args.scaled(1_000))?;
    let before = server.resident();
    row("after a thousand requests".to_owned(), before);
    feed(&server, &corpus, count)?;
    let after = server.resident();
    row(format!("with {} remembered tokens", grouped(count as f64)), after);
    let token = corpus.token(0);
    let claims = token.split('.').nth(1).map_or(0, |payload| payload.len() * 3 / 4);
    let each = (after - before) / (count - args.scaled(1_000)) as f64;
    let beyond = each - (token.len() + claims) as f64;
    let remembered = format!(
        "A remembered token takes {each:.0} bytes: itself ({}), its claims as JSON ({claims}) and {beyond:.0} more.",
        token.len()
    );
    section.at_most("a remembered token, beyond itself and its claims", 600.0, beyond, " bytes");
    drop(server);

    for (count, resident) in million(args)? {
        row(format!("after {} tokens that came once", grouped(count as f64)), resident);
    }
    section.add(table);
    section.add(remembered);
    section.add("The tokens that came once met the default cache, of 64 MiB.");
    start::run(args, &mut section)?;
    section.finish(args.machine, args.quick)
}

/// Memory after ever more different tokens. EdDSA: a million RSA signatures take ten minutes.
fn million(args: &Args) -> Result<Vec<(usize, f64)>, BoxError> {
    let key = SigningKey::generate(Algorithm::EdDsa)?;
    let server = serve(args, &world::config(&[key.public_jwk()], key.algorithm().name()))?;
    let (steps, share) = (10, args.scaled(100_000));
    let now = world::now()?;
    let mut seen = Vec::new();
    for step in 0..steps {
        args.machine.move_to(Place::Everywhere)?;
        let claims = |n| world::claims(now, now + 3_600, step * share + n);
        let tokens = world::mint_all(&key, share, claims)?;
        args.machine.move_to(Place::Driver)?;
        feed(&server, &tokens, share)?;
        if [1, 2, 5, 10].contains(&(step + 1)) {
            seen.push(((step + 1) * share, server.resident()));
        }
    }
    if server.metric("claimgate_token_cache_hits_total")? > 0.0 {
        return Err("a token that comes once was known".into());
    }
    Ok(seen)
}

fn serve(args: &Args, config: &Value) -> Result<Server, BoxError> {
    Server::claimgate(args.machine, Place::Subject, config)
}

/// Sends each of the first `count` tokens once; all must be let in.
fn feed(server: &Server, tokens: &dyn Tokens, count: usize) -> Result<(), BoxError> {
    let target = Target { address: server.grpc, blocks: Arc::new(checks::headers()) };
    let mut bodies = Each::new(tokens, Kind::Genuine)?;
    bodies.limit(1);
    let allowed = load::ask(&target, &mut bodies)?;
    Expectation::Allow.must_hold(&allowed)?;
    bodies.limit(count - 1);
    let load = Load { connections: 8, in_flight: 32, duration: Duration::from_secs(600) };
    let outcome = load::closed(&target, &mut bodies, &allowed.into(), load)?;
    if outcome.answers() as usize == count - 1 { Ok(()) } else { Err("answers are missing".into()) }
}
