//! The bytes of a `CheckRequest` → what is decided on, without a copy: texts are slices of the message, and what decides
//! nothing is passed over. [`super::ExtAuthz`] calls it.
//!
//! Whatever protobuf's own decoder takes is taken here and means the same; whatever it refuses in a part that is read is
//! refused. Three things differ. A name that a map holds twice stays there twice, so that neither is passed over; groups,
//! which none of these messages has, are refused; and so is a message with more entries than anybody sends, since an
//! entry of two bytes is fifty in memory.

use std::borrow::Cow;

use crate::check::CheckRequest;
use crate::server::checks::header_text;

/// Headers and what the route's configuration says, together. Envoy takes 100 headers unless told otherwise.
const MAX_ENTRIES: usize = 16_384;

/// Of what comes through a browser there are about twenty.
const USUAL_HEADERS: usize = 24;

/// Why bytes are no `CheckRequest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It ends before a field does.
    Cut,
    /// A number that is too long, or a field without one.
    Number,
    /// A field is not what it should be.
    Type,
    /// A text is not UTF-8.
    Text,
    /// A group.
    Group,
    /// More than anybody sends.
    TooMany,
}

/// Reads a message; `None` when there is no HTTP request in it.
///
/// # Errors
/// It is no `CheckRequest`, or has more entries than anybody sends.
pub fn read(message: &[u8]) -> Result<Option<CheckRequest<'_>>, Unreadable> {
    let mut received = Received { has_http: false, entries: 0, request: CheckRequest::default() };
    received.check_request(message)?;
    Ok(received.has_http.then_some(received.request))
}

/// What was found so far. A message that is there twice is merged, and of a text that is there twice the last one counts
/// (as protobuf has it), by going on with what there is.
struct Received<'a> {
    has_http: bool,
    entries: usize,
    request: CheckRequest<'a>,
}

impl<'a> Received<'a> {
    fn check_request(&mut self, message: &'a [u8]) -> Result<(), Unreadable> {
        for_each(message, |number, content| match number {
            1 => self.attributes(content.bytes()?),
            _ => Ok(()),
        })
    }

    fn attributes(&mut self, message: &'a [u8]) -> Result<(), Unreadable> {
        for_each(message, |number, content| match number {
            4 => self.request(content.bytes()?),
            10 => {
                let (key, value) = entry(content.bytes()?)?;
                self.count()?;
                self.request.context.push((key.into(), value.into()));
                Ok(())
            }
            // Source and destination, metadata, TLS.
            1 | 2 | 11 | 12 | 13 => content.bytes().map(drop),
            _ => Ok(()),
        })
    }

    fn request(&mut self, message: &'a [u8]) -> Result<(), Unreadable> {
        for_each(message, |number, content| match number {
            2 => {
                self.has_http = true;
                self.http(content.bytes()?)
            }
            // The time.
            1 => content.bytes().map(drop),
            _ => Ok(()),
        })
    }

    fn http(&mut self, message: &'a [u8]) -> Result<(), Unreadable> {
        let usual = if self.request.headers.is_empty() { USUAL_HEADERS } else { 0 };
        self.request.headers.reserve(usual.min(message.len() / 4));
        for_each(message, |number, content| {
            match number {
                2 => self.request.method = content.text()?.into(),
                3 => {
                    let (name, value) = entry(content.bytes()?)?;
                    self.header(name.into(), value.into())?;
                }
                4 => self.request.path = content.text()?.into(),
                5 => self.request.host = content.text()?.into(),
                // In place of the other headers, under `encode_raw_headers`. Should both ever be there, both count.
                13 => self.header_map(content.bytes()?)?,
                9 => content.varint()?,
                // Id, scheme, query, fragment, protocol, body.
                1 | 6 | 7 | 8 | 10 | 11 | 12 => drop(content.bytes()?),
                _ => {}
            }
            Ok(())
        })
    }

    fn header_map(&mut self, message: &'a [u8]) -> Result<(), Unreadable> {
        for_each(message, |number, content| match number {
            1 => {
                let (mut name, mut value, mut raw) = ("", "", &[][..]);
                for_each(content.bytes()?, |number, content| {
                    match number {
                        1 => name = content.text()?,
                        2 => value = content.text()?,
                        3 => raw = content.bytes()?,
                        _ => {}
                    }
                    Ok(())
                })?;
                let value = if raw.is_empty() { value.into() } else { header_text(raw) };
                self.header(name.into(), value)
            }
            _ => Ok(()),
        })
    }

    fn header(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) -> Result<(), Unreadable> {
        self.count()?;
        self.request.headers.push((name, value));
        Ok(())
    }

    fn count(&mut self) -> Result<(), Unreadable> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES { Err(Unreadable::TooMany) } else { Ok(()) }
    }
}

/// An entry of a map of texts.
fn entry(message: &[u8]) -> Result<(&str, &str), Unreadable> {
    if let Some(entry) = short_entry(message) {
        return Ok(entry);
    }
    let (mut key, mut value) = ("", "");
    for_each(message, |number, content| {
        match number {
            1 => key = content.text()?,
            2 => value = content.text()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((key, value))
}

/// A key and a value as everybody writes them, both shorter than 128 bytes: then tags and lengths are ASCII, and all of it
/// is looked at as one text. `None` for every other entry.
fn short_entry(message: &[u8]) -> Option<(&str, &str)> {
    let [KEY, key, rest @ ..] = message else { return None };
    let key = usize::from(*key);
    let [VALUE, value, last @ ..] = rest.get(key..)? else { return None };
    if key >= 0x80 || *value >= 0x80 || last.len() != usize::from(*value) {
        return None;
    }
    let text = str::from_utf8(message).ok()?;
    Some((text.get(2..2 + key)?, text.get(4 + key..)?))
}

/// The tags of texts that are the first and the second field.
const KEY: u8 = 1 << 3 | 2;
const VALUE: u8 = 2 << 3 | 2;

/// What a field holds.
#[derive(Clone, Copy)]
enum Content<'a> {
    Varint,
    /// Four bytes, or eight.
    Fixed,
    Bytes(&'a [u8]),
}

impl<'a> Content<'a> {
    fn bytes(self) -> Result<&'a [u8], Unreadable> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Varint | Self::Fixed => Err(Unreadable::Type),
        }
    }

    fn text(self) -> Result<&'a str, Unreadable> {
        str::from_utf8(self.bytes()?).map_err(|_| Unreadable::Text)
    }

    fn varint(self) -> Result<(), Unreadable> {
        match self {
            Self::Varint => Ok(()),
            Self::Fixed | Self::Bytes(_) => Err(Unreadable::Type),
        }
    }
}

/// Each field of a message, in order: its number and what it holds.
fn for_each<'a>(
    message: &'a [u8],
    mut field: impl FnMut(u64, Content<'a>) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    let mut rest = message;
    while !rest.is_empty() {
        let (tag, after) = varint(rest)?;
        let number = tag >> 3;
        if number == 0 || tag > u64::from(u32::MAX) {
            return Err(Unreadable::Number);
        }
        let (content, after) = match tag & 7 {
            0 => (Content::Varint, varint(after)?.1),
            1 => (Content::Fixed, after.get(8..).ok_or(Unreadable::Cut)?),
            2 => {
                let (length, after) = varint(after)?;
                let length = usize::try_from(length).map_err(|_| Unreadable::Cut)?;
                let (bytes, after) = after.split_at_checked(length).ok_or(Unreadable::Cut)?;
                (Content::Bytes(bytes), after)
            }
            3 | 4 => return Err(Unreadable::Group),
            5 => (Content::Fixed, after.get(4..).ok_or(Unreadable::Cut)?),
            _ => return Err(Unreadable::Type),
        };
        field(number, content)?;
        rest = after;
    }
    Ok(())
}

/// A number of up to 64 bits, seven to a byte, and what follows it.
#[inline]
fn varint(bytes: &[u8]) -> Result<(u64, &[u8]), Unreadable> {
    // Nearly all of them are of one byte.
    if let Some((&byte, rest)) = bytes.split_first()
        && byte < 0x80
    {
        return Ok((u64::from(byte), rest));
    }
    let mut value = 0_u64;
    for (place, byte) in bytes.iter().copied().enumerate().take(10) {
        if place == 9 && byte > 1 {
            return Err(Unreadable::Number);
        }
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Ok((value, bytes.get(place + 1..).unwrap_or_default()));
        }
    }
    Err(if bytes.len() < 10 { Unreadable::Cut } else { Unreadable::Number })
}

#[cfg(test)]
mod tests;
