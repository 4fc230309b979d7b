//! What the subjects are asked with: `CheckRequest`s in their gRPC frames. One with a token is encoded once; another token
//! of the same length is then written over the first.

use crate::corpus::Corpus;
use crate::load::{Bodies, Same};
use crate::{BoxError, world};

/// The path that all of them are about.
pub(crate) fn same(token: Option<&str>) -> Same {
    Same(Some(frame(&world::check_request(token, world::PATH)).into()))
}

/// A message as gRPC sends it: uncompressed, with its length before it.
pub(crate) fn frame(message: &impl prost::Message) -> Vec<u8> {
    let length = u32::try_from(message.encoded_len()).unwrap_or(u32::MAX);
    let mut frame = vec![0];
    frame.extend(length.to_be_bytes());
    frame.extend(message.encode_to_vec());
    frame
}

/// The first message of an answer.
pub(crate) fn message<M: prost::Message + Default>(body: &[u8]) -> Result<M, BoxError> {
    Ok(M::decode(body.get(5..).ok_or("an answer without a message")?)?)
}

/// Tokens of one length.
pub(crate) trait Tokens: std::fmt::Debug {
    /// The one at `place`, from the start again beyond the last.
    fn token(&self, place: usize) -> &str;
}

impl Tokens for Corpus {
    fn token(&self, place: usize) -> &str {
        self.token(place)
    }
}

impl Tokens for Vec<String> {
    fn token(&self, place: usize) -> &str {
        self.get(place % self.len()).map_or("", String::as_str)
    }
}

/// Another token each time.
#[derive(Debug)]
pub(crate) struct Each<'a> {
    tokens: &'a dyn Tokens,
    kind: Kind,
    frame: Vec<u8>,
    /// Where the token stands in it.
    at: usize,
    next: usize,
    until: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Genuine,
    Forged,
}

impl<'a> Each<'a> {
    pub(crate) fn new(tokens: &'a dyn Tokens, kind: Kind) -> Result<Self, BoxError> {
        let token = tokens.token(0);
        let frame = frame(&world::check_request(Some(token), world::PATH));
        let at = frame.windows(token.len()).position(|window| window == token.as_bytes());
        let at = at.ok_or("the request does not hold its token")?;
        Ok(Self { tokens, kind, frame, at, next: 0, until: usize::MAX })
    }

    /// No more than `count` from here on.
    pub(crate) fn limit(&mut self, count: usize) {
        self.until = self.next.saturating_add(count);
    }
}

impl Bodies for Each<'_> {
    fn next(&mut self) -> Option<Option<&[u8]>> {
        if self.next >= self.until {
            return None;
        }
        let token = self.tokens.token(self.next);
        self.next += 1;
        let place = self.frame.get_mut(self.at..self.at + token.len())?;
        place.copy_from_slice(token.as_bytes());
        if self.kind == Kind::Forged {
            forge(place);
        }
        Some(Some(&self.frame))
    }
}

/// Changes the signature and nothing else, without an allocation. The shortest one here has 86 characters.
fn forge(token: &mut [u8]) {
    let place = token.len().saturating_sub(40);
    if let Some(character) = token.get_mut(place) {
        *character = if *character == b'A' { b'B' } else { b'A' };
    }
}
