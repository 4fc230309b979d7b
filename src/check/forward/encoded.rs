//! Headers that are set, as the bytes that Envoy is sent: a part of an `OkHttpResponse`, in which a header stands in one of
//! two lists. [`super::TokenHeaders`] keeps them so, since nearly all of them go there and a text beside them would take
//! as much again; whoever answers otherwise reads them back. Nothing that came from outside is read here.

use bytes::BufMut;

use crate::proto::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use crate::util::protobuf::{LENGTH_DELIMITED, field_len, put_head};

/// Whom a header is for: the number of its list in `OkHttpResponse`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    /// `headers`, which the upstream gets.
    Request = 2,
    /// `response_headers_to_add`, which the caller gets.
    Response = 6,
}

/// The fields of `HeaderValueOption` and of `HeaderValue`, and the types of what they hold.
const HEADER: u8 = 1;
const APPEND: u8 = 2;
const APPEND_ACTION: u8 = 3;
const KEY: u8 = 1;
const VALUE: u8 = 2;
const VARINT: u8 = 0;

/// That it overwrites what is there, twice: versions of Envoy read one or the other of `append`, an empty `BoolValue`, and
/// `append_action`.
const OVERWRITE: [u8; 4] = [
    APPEND << 3 | LENGTH_DELIMITED,
    0,
    APPEND_ACTION << 3 | VARINT,
    HeaderAppendAction::OverwriteIfExistsOrAdd as u8,
];

/// How many bytes [`put`] writes.
pub(super) fn len(name: &str, value: &str) -> usize {
    field_len(option(name, value))
}

/// Writes a header into `list`.
pub(super) fn put(buffer: &mut impl BufMut, list: List, (name, value): (&str, &str)) {
    put_head(buffer, list as u8, option(name, value));
    put_head(buffer, HEADER, field_len(name.len()) + field_len(value.len()));
    for (number, text) in [(KEY, name), (VALUE, value)] {
        put_head(buffer, number, text.len());
        buffer.put_slice(text.as_bytes());
    }
    buffer.put_slice(&OVERWRITE);
}

/// The headers of `list`, of what [`put`] wrote.
pub(super) fn read(mut bytes: &[u8], list: List) -> impl Iterator<Item = (&str, &str)> {
    std::iter::from_fn(move || take(&mut bytes))
        .filter(move |(number, _)| *number == list as u8)
        .filter_map(|(_, mut option)| {
            let (_, mut header) = take(&mut option)?;
            let (_, name) = take(&mut header)?;
            let (_, value) = take(&mut header)?;
            Some((str::from_utf8(name).ok()?, str::from_utf8(value).ok()?))
        })
}

/// The length of a `HeaderValueOption`.
fn option(name: &str, value: &str) -> usize {
    field_len(field_len(name.len()) + field_len(value.len())) + OVERWRITE.len()
}

/// Takes the next field off: its number and its content.
fn take<'a>(bytes: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (tag, mut rest) = bytes.split_first()?;
    let length = prost::decode_length_delimiter(&mut rest).ok()?;
    let (content, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    Some((tag >> 3, content))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::proto::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
    use crate::proto::envoy::service::auth::v3::OkHttpResponse;

    type Pairs = Vec<(String, String)>;

    fn pairs() -> impl Strategy<Value = Pairs> {
        prop::collection::vec((".{0,40}", ".{0,200}"), 0..6)
    }

    fn option((key, value): &(String, String)) -> HeaderValueOption {
        let (key, value) = (key.clone(), value.clone());
        HeaderValueOption {
            header: Some(HeaderValue { key, value, raw_value: Vec::new() }),
            append: Some(false),
            append_action: HeaderAppendAction::OverwriteIfExistsOrAdd as i32,
            keep_empty_value: false,
        }
    }

    fn texts(bytes: &[u8], list: List) -> Pairs {
        read(bytes, list).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    proptest! {
        #[test]
        fn it_is_what_protobuf_reads_and_reads_back_what_was_put(
            (request, response) in (pairs(), pairs()),
        ) {
            let (mut bytes, mut expected) = (Vec::new(), 0);
            for (list, pairs) in [(List::Response, &response), (List::Request, &request)] {
                for (name, value) in pairs {
                    put(&mut bytes, list, (name, value));
                    expected += len(name, value);
                }
            }
            prop_assert_eq!(bytes.len(), expected);
            let message = OkHttpResponse {
                headers: request.iter().map(option).collect(),
                response_headers_to_add: response.iter().map(option).collect(),
                ..OkHttpResponse::default()
            };
            prop_assert_eq!(OkHttpResponse::decode(&*bytes).unwrap(), message);
            prop_assert_eq!(texts(&bytes, List::Request), request);
            prop_assert_eq!(texts(&bytes, List::Response), response);
        }
    }
}
