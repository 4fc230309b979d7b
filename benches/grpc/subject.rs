//! One of what is compared: a server, what it is asked, what it must answer, and what was measured of it.

use std::fmt;
use std::sync::Arc;

use crate::BoxError;
use crate::checks::{self, Expectation, bodies};
use crate::load::servers::Server;
use crate::load::{self, Bodies, Load, Outcome, Target};

/// One entry a round.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) per_second: Vec<f64>,
    /// Microseconds.
    pub(crate) p50: Vec<f64>,
    pub(crate) p99: Vec<f64>,
    pub(crate) p999: Vec<f64>,
    /// Microseconds of processor time that one request took the server.
    pub(crate) processor: Vec<f64>,
    /// For which share of the time the driver was busy.
    pub(crate) driver: Vec<f64>,
}

pub(crate) struct Subject<'a> {
    pub(crate) measured: Measured,
    pub(crate) target: Target,
    pub(crate) expected: Arc<[u8]>,
    server: &'a Server,
    bodies: Box<dyn Allotted + 'a>,
    allotment: Option<usize>,
}

impl<'a> Subject<'a> {
    pub(crate) fn new(
        name: &'static str,
        server: &'a Server,
        mut bodies: Box<dyn Allotted + 'a>,
        expectation: Expectation,
    ) -> Result<Self, BoxError> {
        let target = Target { address: server.grpc, blocks: Arc::new(checks::headers()) };
        let answer = load::ask(&target, &mut *bodies)?;
        expectation.must_hold(&answer).map_err(|error| format!("{name}: {error}"))?;
        let measured = Measured { name, ..Measured::default() };
        let expected = answer.into();
        Ok(Self { measured, target, expected, server, bodies, allotment: None })
    }

    /// No more requests than that a round, however long it takes.
    pub(crate) fn with_allotment(self, allotment: usize) -> Self {
        // One was spent on the first answer.
        Self { allotment: Some(allotment.saturating_sub(1)), ..self }
    }

    /// One round, as fast as the answers come.
    pub(crate) fn measure(&mut self, load: Load, counts: bool) -> Result<(), BoxError> {
        if let Some(allotment) = self.allotment {
            self.bodies.allot(allotment);
        }
        let before = self.server.processor_time();
        let outcome = load::closed(&self.target, &mut *self.bodies, &self.expected, load);
        let outcome = outcome.map_err(|error| format!("{}: {error}", self.measured.name))?;
        let spent = self.server.processor_time().saturating_sub(before);
        if counts {
            self.measured.add(outcome, spent.as_secs_f64());
        }
        Ok(())
    }
}

impl fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("name", &self.measured.name).finish_non_exhaustive()
    }
}

impl Measured {
    pub(crate) fn add(&mut self, mut outcome: Outcome, processor_seconds: f64) {
        self.per_second.push(outcome.per_second());
        self.driver.push(outcome.driver());
        self.processor.push(processor_seconds * 1e6 / outcome.answers());
        self.p50.push(outcome.latencies.within(0.5));
        self.p99.push(outcome.latencies.within(0.99));
        self.p999.push(outcome.latencies.within(0.999));
    }
}

/// Bodies of which there may be only so many.
pub(crate) trait Allotted: Bodies {
    /// No more than `count` from here on; where all are alike, as many as anybody likes.
    fn allot(&mut self, count: usize);
}

impl Allotted for load::Same {
    fn allot(&mut self, _count: usize) {}
}

impl Allotted for bodies::Each<'_> {
    fn allot(&mut self, count: usize) {
        self.limit(count);
    }
}
