//! So many remembered tokens, up to a million: what one of them costs that is asked for again and again, and what one
//! costs out of four thousand that take turns, which no processor cache holds.

use std::sync::Arc;

use claimgate::issuer::SigningKey;

use super::{WANTED, in_turns, subjects};
use crate::figures::{grouped, time};
use crate::report::{Section, Table};
use crate::steps::{Decider, Request};
use crate::timing::Step;
use crate::{Args, BoxError, world};

/// More than all of them take.
const CACHE: usize = 16 << 30;
const TAKING_TURNS: usize = 4_096;

pub(super) fn run(args: &Args, section: &mut Section) -> Result<(), BoxError> {
    let key = subjects::generate(1)?.into_iter().next().ok_or("no key")?;
    let sizes = [args.scaled(TAKING_TURNS), args.scaled(100_000), args.scaled(1_000_000)];
    let filled = sizes.into_iter().map(|size| Filled::new(args, &key, size));
    let filled = filled.collect::<Result<Vec<_>, _>>()?;
    let mut steps = Vec::new();
    for filled in &filled {
        steps.push(Step::new("", || {
            std::hint::black_box(filled.requests.first().map(|one| filled.decider.allows(one)));
        }));
        let mut turn = 0;
        steps.push(Step::new("", move || {
            turn = (turn + 1) % filled.requests.len();
            std::hint::black_box(filled.requests.get(turn).map(|one| filled.decider.allows(one)));
        }));
    }
    in_turns(args, &mut steps);
    let times: Vec<f64> = steps.iter().map(Step::median).collect();
    let first = [0, 1].map(|kind| times.get(kind).copied().unwrap_or(f64::NAN));
    let head = ["remembered tokens", "the same one", "speed", "one of 4 096 in turn", "speed"];
    let mut table = Table::new(head);
    let mut worst = [f64::INFINITY; 2];
    for (filled, took) in filled.iter().zip(times.chunks_exact(2)) {
        let &[same, turns] = took else { continue };
        let speeds = [first[0] / same, first[1] / turns];
        worst = [worst[0].min(speeds[0]), worst[1].min(speeds[1])];
        let [same_speed, turns_speed] = speeds.map(|speed| format!("{speed:.2}"));
        table.row([grouped(filled.size as f64), time(same), same_speed, time(turns), turns_speed]);
    }
    section.add(table);
    section.at_least("scale, remembered tokens, the same one: the slowest", WANTED, worst[0]);
    section.at_least("scale, remembered tokens, in turn: the slowest", WANTED, worst[1]);
    Ok(())
}

/// A decider that remembers so many tokens, and requests with some of them.
struct Filled {
    size: usize,
    decider: Decider,
    requests: Vec<Request>,
}

impl Filled {
    fn new(args: &Args, key: &Arc<SigningKey>, size: usize) -> Result<Self, BoxError> {
        // On all processors: it is not measured.
        args.machine.move_to(crate::machine::Place::Everywhere)?;
        let config = world::config(&[key.public_jwk()], key.algorithm().name());
        let decider = Decider::new(&config, &[vec![key.public_jwk()]], CACHE)?;
        let now = world::now()?;
        let tokens = world::mint_all(key, size, |n| world::claims(now, now + 36_000, n))?;
        let share = size.div_ceil(args.machine.processors());
        std::thread::scope(|scope| {
            for part in tokens.chunks(share) {
                let decider = &decider;
                scope.spawn(move || part.iter().for_each(|token| must_allow(decider, token)));
            }
        });
        // From all over the table.
        let asked = tokens.iter().step_by((size / TAKING_TURNS).max(1)).take(TAKING_TURNS);
        let requests: Vec<_> = asked.map(|token| Request::new(Some(token), world::PATH)).collect();
        let are_known = requests.iter().all(|request| decider.allows(request));
        if !are_known || decider.hits() != requests.len() as u64 {
            let hits = decider.hits();
            return Err(format!("of {} tokens {hits} are remembered", requests.len()).into());
        }
        Ok(Self { size, decider, requests })
    }
}

fn must_allow(decider: &Decider, token: &str) {
    let request = Request::new(Some(token), world::PATH);
    assert!(decider.allows(&request), "a genuine token is refused");
}
