//! Part 3: the same decision with ever more keys, issuers, rules and remembered tokens, and with ever longer tokens, each
//! next to the smallest in the same run. In process: what is compared is the decision alone.

mod cached;
mod subjects;

use self::subjects::Sized;
use crate::figures::{grouped, time};
use crate::machine::Place;
use crate::report::{Section, Table};
use crate::timing::{self, Step};
use crate::{Args, BoxError};

/// Of the smallest one's speed.
const WANTED: f64 = 0.9;

pub(crate) fn run(args: &Args) -> Result<(), BoxError> {
    let mut section = Section::new("scale", "Scale");
    section.add(
        "`Authorizer::check`, processor time in one thread. Tokens are signed with EdDSA, of which ten thousand keys \
         are made in no time. Speeds are next to the first row of each table.",
    );
    of(
        args,
        &mut section,
        "keys",
        "keys of one issuer",
        &subjects::keys([1, args.scaled(100), args.scaled(10_000)])?,
    );
    of(
        args,
        &mut section,
        "issuers",
        "issuers",
        &subjects::issuers_of([1, args.scaled(100), args.scaled(1_000)])?,
    );
    of(
        args,
        &mut section,
        "rules",
        "rules",
        &subjects::rules_of([1, args.scaled(100), args.scaled(10_000)])?,
    );
    of(args, &mut section, "token", "bytes of the token", &subjects::lengths()?);
    cached::run(args, &mut section)?;
    section.finish(args.machine, args.quick)
}

/// Times one decision, with the token remembered and without, for each size.
fn of(args: &Args, section: &mut Section, short: &str, what: &str, sizes: &[Sized]) {
    let mut steps = Vec::new();
    for sized in sizes {
        for decider in [&sized.cached, &sized.uncached] {
            steps.push(Step::new("", || {
                std::hint::black_box(decider.allows(&sized.request));
            }));
        }
    }
    in_turns(args, &mut steps);
    let mut table = Table::new([what, "cached", "speed", "verified", "speed"]);
    let mut worst = [f64::INFINITY; 2];
    let times: Vec<f64> = steps.iter().map(Step::median).collect();
    let first = [0, 1].map(|kind| times.get(kind).copied().unwrap_or(f64::NAN));
    for (sized, took) in sizes.iter().zip(times.chunks_exact(2)) {
        let &[cached, verified] = took else { continue };
        let [cached_speed, verified_speed] = [first[0] / cached, first[1] / verified];
        worst = [worst[0].min(cached_speed), worst[1].min(verified_speed)];
        table.row([
            grouped(sized.size as f64),
            time(cached),
            format!("{cached_speed:.2}"),
            time(verified),
            format!("{verified_speed:.2}"),
        ]);
    }
    section.add(table);
    section.at_least(&format!("scale, {short}, cached: the slowest"), WANTED, worst[0]);
    section.at_least(&format!("scale, {short}, verified: the slowest"), WANTED, worst[1]);
}

/// On the processor that the driver is not on.
fn in_turns(args: &Args, steps: &mut [Step<'_>]) {
    if let Err(error) = args.machine.move_to(Place::Subject) {
        println!("not on a processor of its own: {error}");
    }
    timing::in_turns(steps, args.rounds, args.moment());
}
