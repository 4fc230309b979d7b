//! Part 5: each step of a check alone, so that a check that has become slower can be told by its step. [`crate::steps`]
//! has them.

use crate::figures::time;
use crate::machine::Place;
use crate::report::{Section, Table};
use crate::{Args, BoxError, steps, timing};

pub(crate) fn run(args: &Args) -> Result<(), BoxError> {
    let mut steps = steps::all()?;
    args.machine.move_to(Place::Subject)?;
    timing::in_turns(&mut steps, args.rounds, args.moment());
    let mut section = Section::new("steps", "Each step alone");
    section.add(
        "Processor time in one thread, medians of rounds in turn; the token is signed with RS256.",
    );
    let mut table = Table::new(["step", "time"]);
    for step in &steps {
        table.row([step.name.clone(), time(step.median())]);
        if step.name == steps::CACHE_HIT {
            section.at_most("cache hit", 1.5, step.median() / 1e3, " µs");
        }
    }
    section.add(table);
    section.finish(args.machine, args.quick)
}
