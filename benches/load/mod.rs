//! A driver of load over HTTP/2, in one thread: so many connections, so many requests under way on each, as fast as the
//! answers come ([`closed`]) or at a fixed rate whatever comes ([`open`]). It knows nothing of what is asked.
//!
//! At a fixed rate a request's latency counts from when it was due, not from when it could be sent: a server that
//! stalls does not make its own figures better.

pub(crate) mod hpack;
pub(crate) mod http1;
mod http2;
pub(crate) mod servers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use self::hpack::Blocks;
use self::http2::Connection;
use crate::figures::Latencies;
use crate::timing;

/// Why a run is worth nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DriverError {
    #[error("connecting to {address}: {error}")]
    Connect { address: SocketAddr, error: std::io::Error },
    #[error("the connection ended, or a request on it was reset")]
    Ended,
    #[error("the connection: {0}")]
    Io(#[from] std::io::Error),
    #[error("an answer differs from the one that is right: {0}")]
    OtherAnswer(String),
    #[error("setting {0} of the server is {1}, for which this driver is too simple")]
    Setting(u16, u32),
    #[error("a frame of type {kind} with flags {flags}, for which this driver is too simple")]
    Unexpected { kind: u8, flags: u8 },
    #[error("no answer for {PATIENCE:?}")]
    Silence,
    #[error("the server does not keep up with {0:.0} requests a second")]
    TooFast(f64),
}

const PATIENCE: Duration = Duration::from_secs(10);

/// More under way than this, at a fixed rate, and the rate is too high.
const MAX_UNDER_WAY: usize = 20_000;

/// Where to and with which headers.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) blocks: Arc<Blocks>,
}

/// What each request's body is.
pub(crate) trait Bodies {
    /// The next one; `None` when there are no more. What is borrowed is `None` where requests have no body.
    fn next(&mut self) -> Option<Option<&[u8]>>;
}

/// The same each time.
#[derive(Clone, Debug)]
pub(crate) struct Same(pub(crate) Option<Arc<[u8]>>);

impl Bodies for Same {
    fn next(&mut self) -> Option<Option<&[u8]>> {
        Some(self.0.as_deref())
    }
}

/// How much is asked at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    pub(crate) in_flight: usize,
    pub(crate) duration: Duration,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) elapsed: Duration,
    pub(crate) latencies: Latencies,
    /// Processor time of the driver itself.
    driver: Duration,
}

impl Outcome {
    pub(crate) fn answers(&self) -> f64 {
        self.latencies.0.len() as f64
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.answers() / self.elapsed.as_secs_f64()
    }

    /// For which share of the time the driver was busy. Near 1 it is the driver that was measured.
    pub(crate) fn driver(&self) -> f64 {
        self.driver.as_secs_f64() / self.elapsed.as_secs_f64()
    }

    fn answered(&mut self, due: Instant, now: Instant) {
        let nanoseconds = now.saturating_duration_since(due).as_nanos();
        self.latencies.0.push(u32::try_from(nanoseconds).unwrap_or(u32::MAX));
    }
}

/// One request; the body of its answer.
pub(crate) fn ask(target: &Target, bodies: &mut dyn Bodies) -> Result<Vec<u8>, DriverError> {
    let mut connection = Connection::open(target.address, Arc::clone(&target.blocks), None)?;
    connection.begin(bodies.next().flatten(), now());
    let mut is_done = false;
    while !is_done {
        connection.flush()?;
        wait(std::slice::from_ref(&connection), PATIENCE)?;
        connection.receive(|_| is_done = true)?;
    }
    Ok(connection.body)
}

/// Requests as fast as the answers come, until the time is over or there are no more.
pub(crate) fn closed(
    target: &Target,
    bodies: &mut dyn Bodies,
    expected: &Arc<[u8]>,
    load: Load,
) -> Result<Outcome, DriverError> {
    let mut connections = connect(target, expected, load.connections)?;
    let mut outcome = Outcome::default();
    let (begun, before) = (now(), timing::processor_time());
    let mut is_over = false;
    loop {
        for connection in &mut connections {
            let arrived = now();
            connection.receive(|due| outcome.answered(due, arrived))?;
            is_over |= arrived - begun >= load.duration;
            while !is_over && connection.under_way() < load.in_flight && connection.has_room() {
                match bodies.next() {
                    Some(body) => connection.begin(body, arrived),
                    None => is_over = true,
                }
            }
            connection.flush()?;
        }
        if is_over && connections.iter().all(|connection| connection.under_way() == 0) {
            outcome.elapsed = begun.elapsed();
            outcome.driver = timing::processor_time().saturating_sub(before);
            return Ok(outcome);
        }
        wait(&connections, PATIENCE)?;
    }
}

/// `rate` requests a second, evenly, whether or not the answers keep up. It does not sleep: a timer is too coarse.
pub(crate) fn open(
    target: &Target,
    bodies: &mut dyn Bodies,
    expected: &Arc<[u8]>,
    rate: f64,
    load: Load,
) -> Result<Outcome, DriverError> {
    let mut connections = connect(target, expected, load.connections)?;
    let mut outcome = Outcome::default();
    let begun = now();
    let mut sent = 0_u32;
    loop {
        let mut due = begun + Duration::from_secs_f64(f64::from(sent) / rate);
        while due <= now() && due - begun < load.duration {
            let place = sent as usize % connections.len();
            let Some(connection) = connections.get_mut(place).filter(|one| one.has_room()) else {
                break;
            };
            if let Some(body) = bodies.next() {
                connection.begin(body, due);
            }
            sent += 1;
            due = begun + Duration::from_secs_f64(f64::from(sent) / rate);
        }
        for connection in &mut connections {
            connection.flush()?;
            connection.receive(|due| outcome.answered(due, now()))?;
        }
        let under_way: usize = connections.iter().map(Connection::under_way).sum();
        if under_way > MAX_UNDER_WAY {
            return Err(DriverError::TooFast(rate));
        }
        if due - begun >= load.duration && under_way == 0 {
            outcome.elapsed = begun.elapsed();
            return Ok(outcome);
        }
        if begun.elapsed() > load.duration + PATIENCE {
            return Err(DriverError::Silence);
        }
    }
}

fn connect(
    target: &Target,
    expected: &Arc<[u8]>,
    count: usize,
) -> Result<Vec<Connection>, DriverError> {
    let open = || {
        let (blocks, expected) = (Arc::clone(&target.blocks), Some(Arc::clone(expected)));
        Connection::open(target.address, blocks, expected)
    };
    (0..count).map(|_| open()).collect()
}

/// Until something can be read, or written where something is left to write.
fn wait(connections: &[Connection], longest: Duration) -> Result<(), DriverError> {
    let mut sockets: Vec<PollFd<'_>> = Vec::with_capacity(connections.len());
    for one in connections {
        let write = if one.wants_to_write() { PollFlags::OUT } else { PollFlags::empty() };
        sockets.push(PollFd::new(&one.socket, PollFlags::IN | write));
    }
    let longest = Timespec::try_from(longest).map_err(|_| DriverError::Silence)?;
    match poll(&mut sockets, Some(&longest)) {
        Ok(0) => Err(DriverError::Silence),
        Ok(_) => Ok(()),
        Err(error) => Err(std::io::Error::from(error).into()),
    }
}

#[expect(clippy::disallowed_methods, reason = "latencies are what this measures")]
fn now() -> Instant {
    Instant::now()
}
