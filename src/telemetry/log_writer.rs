//! Log lines on their way to where they are written: a thread of its own writes them, so that nobody who logs waits for
//! a full pipe or a slow disk. What it cannot keep up with is dropped and counted; what cannot be written is lost.
//! [`super::logging`] puts it between the lines and standard error.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait take at most so much memory, twice: those that gather and those that are being written.
const MAX_BYTES: usize = 1 << 20;

/// Takes lines at once, writes them later.
#[derive(Clone, Debug)]
pub struct LogWriter(Arc<Queue>);

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    /// There is something to write.
    filled: Condvar,
    /// Everything is written, or there is nobody to write.
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<u8>,
    /// Lines that found no room since the last ones were taken.
    dropped: u64,
    is_writing: bool,
}

impl LogWriter {
    /// Writes to `output`, on a thread that lives as long as the process.
    ///
    /// # Errors
    /// When the system gives us no thread.
    pub fn start(output: impl Write + Send + 'static) -> io::Result<Self> {
        let writer = Self(Arc::new(Queue::default()));
        let queue = Arc::clone(&writer.0);
        thread::Builder::new().name("log".to_owned()).spawn(move || queue.write_to(output))?;
        Ok(writer)
    }

    /// Waits until everything is written, but not longer than `at_most`.
    pub fn flush(&self, at_most: Duration) {
        let is_busy = |state: &mut State| state.is_writing || state.has_something();
        let state = self.0.lock();
        // Who does not take our last words in this time goes without.
        let _late = self.0.emptied.wait_timeout_while(state, at_most, is_busy).is_err();
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.0.lock();
        if state.lines.len() + line.len() > MAX_BYTES {
            state.dropped += 1;
        } else {
            state.lines.extend_from_slice(line);
        }
        drop(state);
        self.0.filled.notify_one();
    }
}

impl State {
    fn has_something(&self) -> bool {
        !self.lines.is_empty() || self.dropped > 0
    }
}

impl Queue {
    fn write_to(&self, mut output: impl Write) {
        let mut lines = Vec::new();
        loop {
            let dropped = self.next(&mut lines);
            // A closed pipe, a full disk: there is nowhere left to say it.
            let _lost = output.write_all(&lines).and_then(|()| output.flush()).is_err();
            lines.clear();
            if dropped > 0 {
                tracing::warn!(dropped, "log lines were dropped: whoever reads them is too slow");
            }
        }
    }

    /// Waits for lines and takes them; returns how many were dropped after them.
    fn next(&self, lines: &mut Vec<u8>) -> u64 {
        let mut state = self.lock();
        state.is_writing = false;
        if !state.has_something() {
            self.emptied.notify_all();
        }
        let waiting = self.filled.wait_while(state, |state| !state.has_something());
        let mut state = waiting.unwrap_or_else(PoisonError::into_inner);
        state.is_writing = true;
        std::mem::swap(&mut state.lines, lines);
        std::mem::take(&mut state.dropped)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One line: it is pushed whole, so that no line is cut.
#[derive(Debug)]
pub struct Line<'a> {
    to: &'a LogWriter,
    bytes: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        self.to.push(&self.bytes);
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { to: self, bytes: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    /// Whoever reads takes one write at a time.
    struct Pipe(SyncSender<Vec<u8>>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let sent = self.0.send(bytes.to_vec());
            sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn pipe() -> (LogWriter, Receiver<Vec<u8>>) {
        let (send, receive) = sync_channel(0);
        (LogWriter::start(Pipe(send)).unwrap(), receive)
    }

    fn log(writer: &LogWriter, line: &str) {
        writer.make_writer().write_all(line.as_bytes()).unwrap();
    }

    #[test]
    fn lines_arrive_in_order_and_whole() {
        let (writer, reader) = pipe();
        let lines: String = (0..1000).map(|line| format!("{line}\n")).collect();
        for line in lines.split_inclusive('\n') {
            log(&writer, line);
        }
        let mut read = Vec::new();
        while read.len() < lines.len() {
            read.extend(reader.recv().unwrap());
        }
        assert_eq!(read, lines.into_bytes());
        writer.flush(Duration::MAX);
    }

    #[test]
    fn who_logs_does_not_wait_for_who_does_not_read() {
        let (writer, reader) = pipe();
        let line = "x".repeat(1000);
        log(&writer, &line);
        while !writer.0.lock().is_writing {
            thread::yield_now();
        }
        for _ in 0..10_000 {
            log(&writer, &line);
        }
        let state = writer.0.lock();
        assert!(state.dropped > 7_000 && state.lines.len() <= MAX_BYTES);
        drop(state);
        writer.flush(Duration::from_millis(1));
        let mut read = 0;
        while writer.0.lock().has_something() {
            read += reader.recv().unwrap().len();
        }
        assert!(read <= 2 * MAX_BYTES, "{read}");
    }

    #[test]
    fn a_reader_that_went_away_and_a_full_disk_are_no_end() {
        let (writer, reader) = pipe();
        drop(reader);
        log(&writer, "lost");
        writer.flush(Duration::MAX);
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let writer = LogWriter::start(full).unwrap();
        for _ in 0..10 {
            log(&writer, "lost");
            writer.flush(Duration::MAX);
        }
    }
}
