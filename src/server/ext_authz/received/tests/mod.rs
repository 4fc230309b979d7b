//! What is read by hand against what protobuf's decoder reads, on messages of every kind and on what chance makes of
//! them.

mod parts;

use std::collections::BTreeMap;

use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::proto::envoy::config::core::v3::{HeaderMap, HeaderValue, Metadata};
use crate::proto::envoy::service::auth::v3 as wire;
use crate::proto::envoy::service::auth::v3::AttributeContext;
use crate::proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};

/// What is decided on, in an order of its own.
#[derive(Debug, PartialEq)]
struct Seen {
    texts: [String; 3],
    headers: BTreeMap<String, String>,
    raw: Vec<(String, String)>,
    context: BTreeMap<String, String>,
}

fn seen_by_protobuf(message: parts::Check) -> Option<Seen> {
    let attributes = message.attributes?;
    let http = attributes.request?.http?;
    let raw = http.header_map.unwrap_or_default().headers.into_iter().map(|header| {
        let is_raw = !header.raw_value.is_empty();
        let value = if is_raw { header_text(&header.raw_value).into() } else { header.value };
        (header.key, value)
    });
    Some(Seen {
        texts: [http.method, http.host, http.path],
        headers: http.headers.into_iter().collect(),
        raw: raw.collect(),
        context: attributes.context.into_iter().collect(),
    })
}

/// Of a name that is there twice protobuf's map keeps the last value. `raw` says how many of the headers, of those at the
/// end, are of the other kind.
fn seen_here(request: CheckRequest<'_>, raw: usize) -> Seen {
    let CheckRequest { method, host, path, headers, context } = request;
    let owned = |(name, value): (Cow<'_, str>, Cow<'_, str>)| (name.into(), value.into());
    let mut headers: Vec<(String, String)> = headers.into_iter().map(owned).collect();
    let raw = headers.split_off(headers.len().saturating_sub(raw));
    Seen {
        texts: [method.into(), host.into(), path.into()],
        headers: headers.into_iter().collect(),
        raw,
        context: context.into_iter().map(owned).collect(),
    }
}

/// Both ways of reading lead to the same; what only one of them takes is what is said at the top of this module.
fn agree(message: &[u8]) {
    let here = read(message);
    let parts = parts::Check::decode(message);
    let whole = wire::CheckRequest::decode(message);
    match (here, parts) {
        (Ok(here), Ok(parts)) => {
            let parts = seen_by_protobuf(parts);
            // A header map in two pieces with headers between them stands in another order.
            let raw = parts.as_ref().map_or(0, |parts| parts.raw.len());
            let here = here.map(|request| seen_here(request, raw));
            if let (Some(here), Some(parts)) = (&here, &parts) {
                let all = |seen: &Seen| {
                    let mut all: Vec<_> = seen.headers.clone().into_iter().collect();
                    all.extend(seen.raw.clone());
                    all.sort();
                    all.dedup_by(|one, other| one.0 == other.0);
                    all.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
                };
                assert_eq!((&here.texts, &here.context), (&parts.texts, &parts.context));
                assert_eq!(all(here), all(parts));
            }
            assert_eq!(here.is_some(), parts.is_some());
        }
        // A map's field that is none of bytes protobuf's decoder takes for one.
        (Err(Unreadable::Group | Unreadable::TooMany | Unreadable::Type), Ok(_)) => {}
        (Err(_), Err(_)) => assert!(whole.is_err(), "refused in a part, taken whole"),
        (here, parts) => panic!("{here:?} here, {:?} by protobuf: {message:?}", parts.map(drop)),
    }
}

fn message(http: HttpRequest) -> wire::CheckRequest {
    let peer = Peer { labels: [("a".into(), "b".into())].into(), ..Peer::default() };
    let attributes = AttributeContext {
        source: Some(peer),
        request: Some(Request { time: Some(prost_types::Timestamp::default()), http: Some(http) }),
        context_extensions: [("claimgate.rule".to_owned(), "admin".to_owned())].into(),
        metadata_context: Some(Metadata::default()),
        ..AttributeContext::default()
    };
    wire::CheckRequest { attributes: Some(attributes) }
}

fn ordinary() -> HttpRequest {
    HttpRequest {
        id: "1".into(),
        method: "GET".into(),
        headers: [("a", "1"), ("b", "2")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        path: "/a?b".into(),
        host: "h".into(),
        size: -1,
        body: "xyz".into(),
        raw_body: vec![0xff],
        header_map: Some(HeaderMap {
            headers: vec![
                HeaderValue { key: "c".into(), value: "3".into(), raw_value: vec![] },
                HeaderValue { key: "c".into(), value: "x".into(), raw_value: vec![b'4', 0xff] },
            ],
        }),
        ..HttpRequest::default()
    }
}

#[test]
fn reads_all_that_decides_and_copies_nothing() {
    let sent = message(ordinary()).encode_to_vec();
    let request = read(&sent).unwrap().unwrap();
    assert_eq!((&*request.method, &*request.host, &*request.path), ("GET", "h", "/a?b"));
    let mut headers = request.headers.clone();
    headers.sort();
    let expected = [("a", "1"), ("b", "2"), ("c", "3"), ("c", "4!")];
    assert_eq!(headers, expected.map(|(name, value)| (name.into(), value.into())));
    assert_eq!(request.context, [("claimgate.rule".into(), "admin".into())]);
    let range = sent.as_ptr_range();
    let borrowed = headers.iter().flat_map(|(name, value)| [name, value]);
    let copied = borrowed.filter(|text| !range.contains(&text.as_ptr())).count();
    assert_eq!(copied, 1, "all but the one that is no UTF-8");
}

#[test]
fn without_an_http_request_there_is_none() {
    let no_http = wire::CheckRequest {
        attributes: Some(AttributeContext {
            request: Some(Request::default()),
            ..AttributeContext::default()
        }),
    };
    let none = wire::CheckRequest { attributes: Some(AttributeContext::default()) };
    for sent in [wire::CheckRequest::default(), none, no_http] {
        assert_eq!(read(&sent.encode_to_vec()), Ok(None));
    }
    assert_eq!(read(&message(HttpRequest::default()).encode_to_vec()).unwrap().unwrap().path, "");
}

#[test]
fn what_is_there_twice_is_merged_and_no_header_is_passed_over() {
    let one = message(ordinary()).encode_to_vec();
    let header = [("a".to_owned(), "9".to_owned())].into();
    let other =
        message(HttpRequest { path: "/z".into(), headers: header, ..HttpRequest::default() });
    let both = [one, other.encode_to_vec()].concat();
    let request = read(&both).unwrap().unwrap();
    assert_eq!((&*request.method, &*request.path), ("GET", "/z"));
    let values: Vec<_> = request.header_values("a").collect();
    assert_eq!(values, ["1", "9"]);
    assert_eq!(request.context.len(), 2);
    agree(&both);
}

#[test]
fn what_is_no_message_is_refused_for_what_it_is() {
    for (bytes, why) in [
        (&b"\x0a\x7f\x22"[..], Unreadable::Cut),
        (b"\x0a\x07\x22\x05\x12\x03\x12\x01\xff", Unreadable::Text),
        (b"\xff\xff\xff\xff", Unreadable::Cut),
        (b"\x00\x00", Unreadable::Number),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", Unreadable::Number),
        (b"\x80\x80\x80\x80\x10\x00", Unreadable::Number),
        (b"\x08\x00", Unreadable::Type),
        (b"\x0e\x00", Unreadable::Type),
        (b"\x09\x00\x00", Unreadable::Cut),
        (b"\x0b\x0c", Unreadable::Group),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Unreadable::Cut),
    ] {
        assert_eq!(read(bytes), Err(why), "{bytes:?}");
        assert!(
            why == Unreadable::Group || wire::CheckRequest::decode(bytes).is_err(),
            "{bytes:?}"
        );
    }
    assert_eq!(read(&[0x0b; 10_000]), Err(Unreadable::Group));
}

#[test]
fn fields_that_nobody_knows_are_passed_over() {
    // Of every type, at the end of the innermost message.
    let unknown = b"\xa0\x06\x05\xa1\x06\0\0\0\0\0\0\0\0\xa2\x06\x01z\xa5\x06\0\0\0\0";
    let http = [&[0x12, 3][..], b"GET", unknown].concat();
    let nest = |tag: u8, inner: &[u8]| [&[tag, u8::try_from(inner.len()).unwrap()], inner].concat();
    let sent = [
        nest(0x0a, &[nest(0x22, &nest(0x12, &http)), unknown.to_vec()].concat()),
        unknown.to_vec(),
    ];
    let sent = sent.concat();
    assert_eq!(read(&sent).unwrap().unwrap().method, "GET");
    agree(&sent);
}

#[test]
fn more_entries_than_anybody_sends_are_refused_wherever_they_are() {
    let numbered = |count: usize| (0..count).map(|n| (format!("n{n}"), String::new()));
    let fits = |http: HttpRequest, context: usize| {
        let mut message = message(http);
        let attributes = message.attributes.as_mut().unwrap();
        attributes.context_extensions = numbered(context).collect();
        read(&message.encode_to_vec()).map(drop)
    };
    let headers =
        |count: usize| HttpRequest { headers: numbered(count).collect(), ..HttpRequest::default() };
    let raw = HttpRequest {
        header_map: Some(HeaderMap { headers: vec![HeaderValue::default(); MAX_ENTRIES + 1] }),
        ..HttpRequest::default()
    };
    assert_eq!(fits(headers(MAX_ENTRIES), 0), Ok(()));
    for (http, context) in [
        (headers(MAX_ENTRIES + 1), 0),
        (headers(0), MAX_ENTRIES + 1),
        (headers(9000), 9000),
        (raw, 0),
    ] {
        assert_eq!(fits(http, context), Err(Unreadable::TooMany));
    }
}

/// A header, as Envoy sends it or as nobody does.
fn header() -> impl Strategy<Value = (String, String)> {
    ("(authorization|cookie|x-[a-c]|.{0,3})", "(Bearer [a-z.]{0,9}|.{0,6})")
}

fn request() -> impl Strategy<Value = wire::CheckRequest> {
    let raw = (header(), prop::collection::vec(any::<u8>(), 0..6))
        .prop_map(|((key, value), raw_value)| HeaderValue { key, value, raw_value });
    let headers = prop::collection::hash_map(".{0,4}", ".{0,200}", 0..6);
    let fields = (
        "(GET|POST|.{0,4})",
        "/.{0,20}",
        ".{0,8}",
        headers,
        prop::option::of(prop::collection::vec(raw, 0..4)),
        prop::collection::vec(any::<u8>(), 0..9),
        any::<i64>(),
    );
    fields.prop_map(|(method, path, host, headers, raw, raw_body, size)| {
        let header_map = raw.map(|headers| HeaderMap { headers });
        let (body, id) = (path.clone(), host.clone());
        message(HttpRequest {
            method,
            path,
            host,
            headers,
            header_map,
            raw_body,
            size,
            body,
            id,
            ..ordinary()
        })
    })
}

/// What chance does to bytes.
#[derive(Clone, Debug)]
enum Damage {
    Set(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Insert(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Double(prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = any::<prop::sample::Index>;
    prop_oneof![
        (place(), any::<u8>()).prop_map(|(place, byte)| Damage::Set(place, byte)),
        place().prop_map(Damage::Remove),
        (place(), any::<u8>()).prop_map(|(place, byte)| Damage::Insert(place, byte)),
        place().prop_map(Damage::Cut),
        place().prop_map(Damage::Double),
    ]
}

impl Damage {
    fn done_to(self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        if length == 0 {
            return;
        }
        match self {
            Self::Set(place, byte) => bytes[place.index(length)] = byte,
            Self::Remove(place) => drop(bytes.remove(place.index(length))),
            Self::Insert(place, byte) => bytes.insert(place.index(length), byte),
            Self::Cut(place) => bytes.truncate(place.index(length)),
            Self::Double(place) => bytes.extend_from_within(..place.index(length)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_is_sent_is_read_as_protobuf_reads_it(sent in request()) {
        let bytes = sent.encode_to_vec();
        let here = read(&bytes).unwrap().unwrap();
        let parts = seen_by_protobuf(parts::Check::decode(&*bytes).unwrap()).unwrap();
        let raw = parts.raw.len();
        prop_assert_eq!(seen_here(here, raw), parts);
    }

    #[test]
    fn damaged_messages_are_read_alike_or_refused_alike(
        sent in request(), damages in prop::collection::vec(damage(), 1..4)
    ) {
        let mut bytes = sent.encode_to_vec();
        damages.into_iter().for_each(|damage| damage.done_to(&mut bytes));
        agree(&bytes);
    }

    #[test]
    fn any_bytes_are_read_alike_or_refused_alike(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        agree(&bytes);
    }
}
