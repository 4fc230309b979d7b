//! The client end of one HTTP/2 connection, as little of it as a driver of load needs, so that the driver costs a small
//! part of what the server does: no HPACK decoder, no allocation a request, one read and one write for many requests.
//!
//! An answer is good if its body is, byte for byte, the one that is expected: a gRPC error has none, a refusal of Envoy
//! another one. Everything that a well-behaved server does not do here (padding, continuation, a reset, a farewell) is
//! an error and ends the run.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use super::DriverError;
use super::hpack::Blocks;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The largest window there is: flow control never holds an answer back.
const WINDOW: u32 = (1 << 31) - 1;
const FIRST_WINDOW: u32 = 65_535;
const MAX_FRAME: usize = 16_384;
/// No body here is longer: a token of 16 kB and what is around it.
const MAX_BODY: i64 = 32 * 1024;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

/// One connection, with its requests under way.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) socket: TcpStream,
    blocks: Arc<Blocks>,
    /// What each answer's body must be; `None`: it is kept for whoever asks.
    expected: Option<Arc<[u8]>>,
    next_stream: u32,
    output: Vec<u8>,
    input: Vec<u8>,
    filled: usize,
    /// What the server still takes.
    window: i64,
    under_way: HashMap<u32, UnderWay>,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug)]
struct UnderWay {
    due: Instant,
    matched: usize,
}

impl Connection {
    pub(crate) fn open(
        address: SocketAddr,
        blocks: Arc<Blocks>,
        expected: Option<Arc<[u8]>>,
    ) -> Result<Self, DriverError> {
        let failed = |error| DriverError::Connect { address, error };
        let socket = TcpStream::connect(address).map_err(failed)?;
        socket.set_nodelay(true).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        let mut connection = Self {
            socket,
            blocks,
            expected,
            next_stream: 1,
            output: PREFACE.to_vec(),
            input: vec![0; 256 * 1024],
            filled: 0,
            window: FIRST_WINDOW.into(),
            under_way: HashMap::new(),
            body: Vec::new(),
        };
        // SETTINGS_INITIAL_WINDOW_SIZE, SETTINGS_ENABLE_PUSH.
        connection.frame(SETTINGS, 0, 0, 12);
        connection.output.extend([0, 4]);
        connection.output.extend(WINDOW.to_be_bytes());
        connection.output.extend([0, 2, 0, 0, 0, 0]);
        connection.frame(WINDOW_UPDATE, 0, 0, 4);
        connection.output.extend((WINDOW - FIRST_WINDOW).to_be_bytes());
        Ok(connection)
    }

    pub(crate) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    pub(crate) fn wants_to_write(&self) -> bool {
        !self.output.is_empty()
    }

    /// Whether the server takes another request of up to [`MAX_BODY`] now.
    pub(crate) fn has_room(&self) -> bool {
        self.window >= MAX_BODY
    }

    /// Begins a request that should have begun when it was `due`. [`Self::flush`] sends it.
    pub(crate) fn begin(&mut self, body: Option<&[u8]>, due: Instant) {
        let stream = self.next_stream;
        self.next_stream += 2;
        let blocks = Arc::clone(&self.blocks);
        let block = if stream == 1 { &blocks.first } else { &blocks.later };
        let end = if body.is_none() { END_STREAM } else { 0 };
        self.frame(HEADERS, END_HEADERS | end, stream, block.len());
        self.output.extend(block);
        if let Some(body) = body {
            self.window -= i64::try_from(body.len()).unwrap_or(i64::MAX);
            let mut pieces = body.chunks(MAX_FRAME).peekable();
            while let Some(piece) = pieces.next() {
                let end = if pieces.peek().is_none() { END_STREAM } else { 0 };
                self.frame(DATA, end, stream, piece.len());
                self.output.extend(piece);
            }
        }
        self.under_way.insert(stream, UnderWay { due, matched: 0 });
    }

    /// Writes what the socket takes.
    pub(crate) fn flush(&mut self) -> Result<(), DriverError> {
        while !self.output.is_empty() {
            match self.socket.write(&self.output) {
                Ok(0) => return Err(DriverError::Ended),
                Ok(written) => drop(self.output.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads what has arrived, and tells `done` when each request that is answered was due.
    pub(crate) fn receive(&mut self, mut done: impl FnMut(Instant)) -> Result<(), DriverError> {
        loop {
            let room = self.input.get_mut(self.filled..).unwrap_or_default();
            let wanted = room.len();
            let read = match self.socket.read(room) {
                Ok(0) => return Err(DriverError::Ended),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            self.filled += read;
            let input = std::mem::take(&mut self.input);
            let mut rest = input.get(..self.filled).unwrap_or_default();
            let mut outcome = Ok(());
            while let Some((head, payload, behind)) = next_frame(rest) {
                rest = behind;
                outcome = self.handle(head, payload, &mut done);
                if outcome.is_err() {
                    break;
                }
            }
            let (from, until) = (self.filled - rest.len(), self.filled);
            self.input = input;
            self.input.copy_within(from..until, 0);
            self.filled = until - from;
            outcome?;
            if read < wanted {
                return Ok(());
            }
        }
    }

    fn handle(
        &mut self,
        head: Head,
        payload: &[u8],
        done: &mut impl FnMut(Instant),
    ) -> Result<(), DriverError> {
        match head.kind {
            DATA if head.flags & PADDED == 0 => {
                self.body_arrived(head.stream, payload)?;
                self.maybe_done(head, done)
            }
            HEADERS if head.flags & END_HEADERS != 0 => self.maybe_done(head, done),
            SETTINGS if head.flags & ACK == 0 => {
                self.settings(payload)?;
                self.frame(SETTINGS, ACK, 0, 0);
                Ok(())
            }
            PING if head.flags & ACK == 0 => {
                self.frame(PING, ACK, 0, payload.len());
                self.output.extend(payload);
                Ok(())
            }
            WINDOW_UPDATE => {
                if head.stream == 0 {
                    self.window += i64::from(number(payload));
                }
                Ok(())
            }
            SETTINGS | PING => Ok(()),
            RST_STREAM | GOAWAY => Err(DriverError::Ended),
            kind => Err(DriverError::Unexpected { kind, flags: head.flags }),
        }
    }

    fn settings(&self, payload: &[u8]) -> Result<(), DriverError> {
        for setting in payload.chunks_exact(6) {
            let (name, value) = setting.split_at(2);
            let value = number(value);
            match name {
                // What was indexed would be gone.
                [0, 1] if value < 4096 => return Err(DriverError::Setting(1, value)),
                [0, 4] if value < FIRST_WINDOW => return Err(DriverError::Setting(4, value)),
                _ => {}
            }
        }
        Ok(())
    }

    fn body_arrived(&mut self, stream: u32, payload: &[u8]) -> Result<(), DriverError> {
        let Some(request) = self.under_way.get_mut(&stream) else { return Ok(()) };
        let Some(expected) = &self.expected else {
            self.body.extend(payload);
            return Ok(());
        };
        let until = request.matched + payload.len();
        if expected.get(request.matched..until) != Some(payload) {
            return Err(DriverError::OtherAnswer(payload.escape_ascii().to_string()));
        }
        request.matched = until;
        Ok(())
    }

    fn maybe_done(
        &mut self,
        head: Head,
        done: &mut impl FnMut(Instant),
    ) -> Result<(), DriverError> {
        if head.flags & END_STREAM == 0 {
            return Ok(());
        }
        let Some(request) = self.under_way.remove(&head.stream) else { return Ok(()) };
        if self.expected.as_ref().is_some_and(|expected| expected.len() != request.matched) {
            return Err(DriverError::OtherAnswer("one without the body".to_owned()));
        }
        done(request.due);
        Ok(())
    }

    /// The head of a frame; who calls appends its payload.
    fn frame(&mut self, kind: u8, flags: u8, stream: u32, bytes: usize) {
        let [_, length @ ..] = u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
        self.output.extend(length);
        self.output.extend([kind, flags]);
        self.output.extend(stream.to_be_bytes());
    }
}

#[derive(Clone, Copy, Debug)]
struct Head {
    kind: u8,
    flags: u8,
    stream: u32,
}

/// A frame's head and payload and what is behind it; `None` until it is whole.
fn next_frame(input: &[u8]) -> Option<(Head, &[u8], &[u8])> {
    let (head, rest) = input.split_at_checked(9)?;
    let &[a, b, c, kind, flags, ref stream @ ..] = head else { return None };
    let length = u32::from_be_bytes([0, a, b, c]);
    let (payload, behind) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((Head { kind, flags, stream: number(stream) }, payload, behind))
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte))
}
