//! Every log line of this process: for tests that look what is in them, and for what is kept of all tests.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use claimgate::telemetry::logging::{LogFormat, subscriber};
use tracing_subscriber::filter::LevelFilter;

use crate::kept;

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static COLLECTING: AtomicBool = AtomicBool::new(false);
static SET_UP: OnceLock<()> = OnceLock::new();

/// Collects from now on. Tests run side by side, so lines of others are among them.
pub(crate) fn collect() {
    COLLECTING.store(true, Ordering::SeqCst);
    set_up();
}

/// From now on all of it is kept, if anything is.
pub(crate) fn keep() {
    if kept::is_on() {
        set_up();
    }
}

/// What was logged so far.
pub(crate) fn lines() -> String {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    String::from_utf8(lines.clone()).unwrap()
}

fn set_up() {
    SET_UP.get_or_init(|| {
        let subscriber = subscriber(LogFormat::Json, LevelFilter::TRACE, || Writer);
        tracing::subscriber::set_global_default(subscriber).unwrap();
        kept::panics();
    });
}

struct Writer;

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        kept::logged(bytes);
        if COLLECTING.load(Ordering::SeqCst) {
            LINES.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
