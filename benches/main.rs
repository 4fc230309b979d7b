//! The benchmarks: parts that are run one by one, in one process that loads others. benches/run.sh runs it.
//!
//! `grpc` and `envoy` load servers over the wire, `memory` looks at what claimgate takes, `scale` and `steps` call the
//! library. What each finds is printed, and kept for benches/RESULTS.md. benches/allocations.rs is the part that needs
//! an allocator which counts, and so a program of its own.

#![allow(clippy::print_stdout, reason = "a benchmark's results go to stdout")]

mod checks;
mod corpus;
mod envoy;
mod figures;
mod grpc;
mod load;
mod machine;
mod memory;
mod micro;
mod no_op;
mod report;
mod scale;
mod steps;
mod timing;
mod world;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser as _;

use self::load::Load;
use self::load::servers::SERVE_NO_OP;
use self::machine::{Machine, Place};

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Run the benchmarks, or some of them.
#[derive(Debug, clap::Parser)]
struct Cli {
    /// Which: grpc, envoy, scale, memory, steps; all by default.
    parts: Vec<Part>,
    /// Only whether everything runs and every answer is right: the figures are worth nothing.
    #[arg(long)]
    quick: bool,
    /// Rounds of each figure, after one that does not count.
    #[arg(long)]
    rounds: Option<usize>,
    /// Seconds of load a round.
    #[arg(long)]
    seconds: Option<f64>,
    /// The Envoy of the part `envoy`.
    #[arg(long, value_name = "PATH")]
    envoy: Option<PathBuf>,
    /// Ignored: cargo says it.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Grpc,
    Envoy,
    Scale,
    Memory,
    Steps,
}

/// How to measure.
#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) machine: Machine,
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    seconds: f64,
    pub(crate) envoy: Option<PathBuf>,
}

impl Args {
    pub(crate) fn load(&self) -> Load {
        let duration = Duration::from_secs_f64(self.seconds);
        // A program that was not optimised is too slow for more.
        Load { connections: 8, in_flight: if self.quick { 2 } else { 32 }, duration }
    }

    /// For what is timed in this process, in each round.
    pub(crate) fn moment(&self) -> Duration {
        Duration::from_millis(if self.quick { 1 } else { 30 })
    }

    /// How many different tokens.
    pub(crate) fn tokens(&self) -> usize {
        if self.quick { 300 } else { 240_000 }
    }

    /// `usual`, or a thousandth.
    pub(crate) fn scaled(&self, usual: usize) -> usize {
        if self.quick { usual.div_ceil(1_000) } else { usual }
    }
}

fn main() -> Result<(), BoxError> {
    if std::env::args().nth(1).as_deref() == Some(SERVE_NO_OP) {
        return no_op::serve();
    }
    let cli = Cli::parse();
    let args = Args {
        machine: Machine::new()?,
        quick: cli.quick,
        rounds: cli.rounds.unwrap_or(if cli.quick { 1 } else { 7 }),
        seconds: cli.seconds.unwrap_or(if cli.quick { 0.05 } else { 1.5 }),
        envoy: cli.envoy,
    };
    println!("{}\n{}", args.machine.told(), machine::versions());
    let all = [Part::Grpc, Part::Envoy, Part::Scale, Part::Memory, Part::Steps];
    let parts = if cli.parts.is_empty() { all.into() } else { cli.parts };
    for part in parts {
        args.machine.move_to(Place::Everywhere)?;
        let took = timing::stopwatch();
        match part {
            Part::Grpc => grpc::run(&args)?,
            Part::Envoy => envoy::run(&args)?,
            Part::Scale => scale::run(&args)?,
            Part::Memory => memory::run(&args)?,
            Part::Steps => micro::run(&args)?,
        }
        println!("{part:?} took {:.0} s", took.elapsed().as_secs_f64());
    }
    Ok(())
}
