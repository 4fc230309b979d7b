//! Whether the bytes of a message would take much more memory than they are long. A header of two bytes on the wire is a
//! hundred in memory, so a message of 16 MiB could take most of a gigabyte; what Envoy sends is nowhere near. Looked at
//! before the message is decoded. It decides nothing else: what is odd here in another way is the decoder's to refuse.

/// Entries of maps and lists in one message: headers, labels, what the route's configuration says. Envoy takes 100
/// headers unless told otherwise.
const MAX_ENTRIES: usize = 16_384;

/// Metadata nests, and nobody reads it.
const MAX_METADATA_BYTES: usize = 256 * 1024;

/// What a message is made of, as far as it can be repeated.
#[derive(Clone, Copy)]
enum Part {
    CheckRequest,
    AttributeContext,
    Peer,
    Request,
    HttpRequest,
    HeaderMap,
}

enum Inside {
    Message(Part),
    Entry,
    Metadata,
    Other,
}

impl Part {
    const fn field(self, number: u64) -> Inside {
        match (self, number) {
            (Self::CheckRequest, 1) => Inside::Message(Self::AttributeContext),
            (Self::AttributeContext, 1 | 2) => Inside::Message(Self::Peer),
            (Self::AttributeContext, 4) => Inside::Message(Self::Request),
            (Self::AttributeContext, 11 | 13) => Inside::Metadata,
            (Self::Request, 2) => Inside::Message(Self::HttpRequest),
            (Self::HttpRequest, 13) => Inside::Message(Self::HeaderMap),
            (Self::AttributeContext, 10)
            | (Self::Peer | Self::HttpRequest, 3)
            | (Self::HeaderMap, 1) => Inside::Entry,
            _ => Inside::Other,
        }
    }
}

/// What is still within the bounds.
struct Left {
    entries: usize,
    metadata: usize,
}

/// Whether a `CheckRequest` of these bytes is small in memory as well.
pub(super) fn is_within(message: &[u8]) -> bool {
    // An entry takes two bytes at least: most messages cannot have too many.
    if message.len() <= 2 * MAX_ENTRIES {
        return true;
    }
    let mut left = Left { entries: MAX_ENTRIES, metadata: MAX_METADATA_BYTES };
    left.take(Part::CheckRequest, message).is_some()
}

impl Left {
    /// `None` when a bound is passed. What cannot be read ends the look: the decoder stops there as well.
    fn take(&mut self, part: Part, mut message: &[u8]) -> Option<()> {
        while let Some((number, content, rest)) = field(message) {
            message = rest;
            match part.field(number) {
                // No deeper than the parts are.
                Inside::Message(part) => self.take(part, content)?,
                Inside::Entry => self.entries = self.entries.checked_sub(1)?,
                Inside::Metadata => self.metadata = self.metadata.checked_sub(content.len())?,
                Inside::Other => {}
            }
        }
        Some(())
    }
}

/// The number of the first field, its content (nothing for one that has a fixed length), and what follows.
fn field(message: &[u8]) -> Option<(u64, &[u8], &[u8])> {
    let (tag, rest) = varint(message)?;
    let number = tag >> 3;
    let (content, rest) = match tag & 7 {
        0 => (&[][..], varint(rest)?.1),
        1 => (&[][..], rest.get(8..)?),
        2 => {
            let (length, rest) = varint(rest)?;
            rest.split_at_checked(usize::try_from(length).ok()?)?
        }
        5 => (&[][..], rest.get(4..)?),
        // Groups are in none of these messages.
        _ => return None,
    };
    Some((number, content, rest))
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (place, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(u32::try_from(place).ok()? * 7)?;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(place + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::proto::envoy::config::core::v3::{HeaderMap, HeaderValue};
    use crate::proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
    use crate::proto::envoy::service::auth::v3::{AttributeContext, CheckRequest};

    fn message(attributes: AttributeContext) -> Vec<u8> {
        CheckRequest { attributes: Some(attributes) }.encode_to_vec()
    }

    fn with_http(http: HttpRequest) -> Vec<u8> {
        let request = Some(Request { http: Some(http), ..Request::default() });
        message(AttributeContext { request, ..AttributeContext::default() })
    }

    fn numbered(count: usize) -> impl Iterator<Item = (String, String)> {
        (0..count).map(|n| (format!("name-{n}"), String::new()))
    }

    #[test]
    fn what_envoy_sends_is_within() {
        let headers = numbered(1000).map(|(name, _)| (name, "v".repeat(1000)));
        let long = HttpRequest {
            path: "/".repeat(1 << 20),
            body: "b".repeat(1 << 20),
            headers: headers.collect(),
            ..HttpRequest::default()
        };
        assert!(is_within(&with_http(long)));
        assert!(is_within(&[]));
    }

    #[test]
    fn too_many_entries_are_not_wherever_they_are() {
        let many = MAX_ENTRIES + 1;
        let headers =
            with_http(HttpRequest { headers: numbered(many).collect(), ..HttpRequest::default() });
        let raw = vec![HeaderValue::default(); many];
        let header_map = with_http(HttpRequest {
            header_map: Some(HeaderMap { headers: raw }),
            ..HttpRequest::default()
        });
        let context = message(AttributeContext {
            context_extensions: numbered(many).collect(),
            ..AttributeContext::default()
        });
        let source = Some(Peer { labels: numbered(many).collect(), ..Peer::default() });
        let labels = message(AttributeContext { source, ..AttributeContext::default() });
        for (what, message) in
            [("headers", headers), ("map", header_map), ("context", context), ("labels", labels)]
        {
            assert!(!is_within(&message), "{what}");
        }
        let one = with_http(HttpRequest {
            headers: numbered(MAX_ENTRIES / 2 + 1).collect(),
            ..HttpRequest::default()
        });
        assert!(is_within(&one));
        // Messages that are there twice are merged by whoever decodes them.
        assert!(!is_within(&[one.clone(), one].concat()));
    }

    #[test]
    fn metadata_that_nobody_reads_is_bounded() {
        let metadata = |bytes: usize| {
            // Field 11 of AttributeContext, in field 1 of CheckRequest.
            let mut inner = vec![0x5a];
            prost::encoding::encode_varint(bytes as u64, &mut inner);
            inner.resize(inner.len() + bytes, 0);
            let mut outer = vec![0x0a];
            prost::encoding::encode_varint(inner.len() as u64, &mut outer);
            [outer, inner].concat()
        };
        assert!(is_within(&metadata(MAX_METADATA_BYTES)));
        assert!(!is_within(&metadata(MAX_METADATA_BYTES + 1)));
    }

    #[test]
    fn what_cannot_be_read_is_left_to_the_decoder() {
        let odd = [
            vec![0xff; 40_000],
            vec![0x0b; 40_000],
            [&[0x0a, 0xff, 0xff, 0x7f], &[1_u8; 40_000][..]].concat(),
        ];
        for bytes in odd {
            assert!(is_within(&bytes));
            assert!(CheckRequest::decode(&bytes[..]).is_err());
        }
    }
}
