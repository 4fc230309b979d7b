//! Holds `proto/` against another implementation of Envoy's API, the `envoy-types` crate: every message and every
//! field, byte for byte, both ways.
//!
//! The same struct literals are compiled for both crates, without `..Default::default()`: a field that one side lacks
//! does not compile. That no literal leaves a field at its default, which the wire would not show, is checked with
//! the descriptors that `build.rs` writes.

#![allow(clippy::expect_used, reason = "a test's helpers may fail the test, as its functions may")]

use std::collections::{BTreeMap, BTreeSet};

use claimgate::proto::DESCRIPTORS;
use prost::Message;
use prost::bytes::Buf as _;
use prost::encoding::{WireType, decode_key, decode_varint};
use prost_types::{DescriptorProto, FileDescriptorSet};

/// The samples for one of the two crates: `$types` holds the packages, `$wkt` the well-known types,
/// `$truth` is its `BoolValue` of true.
macro_rules! samples {
    ($name:ident, $types:path, $wkt:path, $truth:expr) => {
        #[allow(deprecated, reason = "Envoy still reads what it calls deprecated, and we send it")]
        mod $name {
            use $types as types;
            use $wkt as wkt;

            use types::envoy::config::core::v3::address::Address as Where;
            use types::envoy::config::core::v3::envoy_internal_address::AddressNameSpecifier;
            use types::envoy::config::core::v3::header_value_option::HeaderAppendAction;
            use types::envoy::config::core::v3::socket_address::{PortSpecifier, Protocol};
            use types::envoy::config::core::v3::{
                Address, EnvoyInternalAddress, HeaderMap, HeaderValue, HeaderValueOption, Metadata,
                Pipe, QueryParameter, SocketAddress,
            };
            use types::envoy::service::auth::v3::attribute_context::{
                HttpRequest, Peer, Request, TlsSession,
            };
            use types::envoy::service::auth::v3::check_response::HttpResponse;
            pub(super) use types::envoy::service::auth::v3::{
                AttributeContext, CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse,
            };
            use types::envoy::r#type::v3::{HttpStatus, StatusCode};
            use types::google::rpc::Status;

            /// Between them, these set every field that a request can have.
            pub(super) fn requests() -> Vec<CheckRequest> {
                let tcp = Where::SocketAddress(socket(PortSpecifier::PortValue(443)));
                let named = Where::SocketAddress(socket(PortSpecifier::NamedPort("https".into())));
                let pipe = Where::Pipe(Pipe { path: "/run/a.sock".into(), mode: 0o600 });
                let name = AddressNameSpecifier::ServerListenerName("inner".into());
                let internal = Where::EnvoyInternalAddress(EnvoyInternalAddress {
                    endpoint_id: "endpoint".into(),
                    address_name_specifier: Some(name),
                });
                vec![request(tcp, pipe), request(named, internal)]
            }

            /// Between them, these set every field that an answer can have.
            pub(super) fn answers() -> Vec<CheckResponse> {
                let unauthorized = HttpResponse::DeniedResponse(denied(StatusCode::Unauthorized));
                let error = HttpResponse::ErrorResponse(denied(StatusCode::BadGateway));
                [unauthorized, error, HttpResponse::OkResponse(ok())].map(answer).into()
            }

            /// What each of the enums calls this number.
            pub(super) fn enum_names(number: i32) -> [Option<&'static str>; 3] {
                [
                    Protocol::try_from(number).ok().map(|value| value.as_str_name()),
                    HeaderAppendAction::try_from(number).ok().map(|value| value.as_str_name()),
                    StatusCode::try_from(number).ok().map(|value| value.as_str_name()),
                ]
            }

            fn request(source: Where, destination: Where) -> CheckRequest {
                let context = AttributeContext {
                    source: Some(peer("source", source)),
                    destination: Some(peer("destination", destination)),
                    request: Some(Request {
                        time: Some(wkt::Timestamp { seconds: 1_700_000_000, nanos: 7 }),
                        http: Some(http()),
                    }),
                    context_extensions: [("route".into(), "admin".into())].into(),
                    metadata_context: Some(metadata("one")),
                    tls_session: Some(TlsSession { sni: "orders.example".into() }),
                    route_metadata_context: Some(metadata("two")),
                };
                CheckRequest { attributes: Some(context) }
            }

            fn peer(which: &str, address: Where) -> Peer {
                Peer {
                    address: Some(Address { address: Some(address) }),
                    service: format!("{which} service"),
                    labels: [("version".into(), which.into())].into(),
                    principal: format!("spiffe://mesh/{which}"),
                    certificate: format!("{which} certificate"),
                }
            }

            fn socket(port: PortSpecifier) -> SocketAddress {
                SocketAddress {
                    protocol: Protocol::Udp.into(),
                    address: "10.0.0.1".into(),
                    resolver_name: "resolver".into(),
                    ipv4_compat: true,
                    network_namespace_filepath: "/run/netns/a".into(),
                    port_specifier: Some(port),
                }
            }

            fn http() -> HttpRequest {
                HttpRequest {
                    id: "17".into(),
                    method: "GET".into(),
                    headers: [("authorization".into(), "Bearer a.b.c".into())].into(),
                    path: "/orders?id=1".into(),
                    host: "orders.example".into(),
                    scheme: "https".into(),
                    query: "id=1".into(),
                    fragment: "top".into(),
                    size: -1,
                    protocol: "HTTP/2".into(),
                    body: "text".into(),
                    raw_body: vec![0, 159, 255],
                    header_map: Some(HeaderMap { headers: vec![header("a"), header("b")] }),
                }
            }

            fn header(key: &str) -> HeaderValue {
                HeaderValue {
                    key: key.into(),
                    value: format!("value of {key}"),
                    raw_value: vec![255, 0, 1],
                }
            }

            fn metadata(which: &str) -> Metadata {
                let any = wkt::Any { type_url: format!("type/{which}"), value: vec![8, 1] };
                Metadata {
                    filter_metadata: [("envoy.filters.http.jwt_authn".into(), claims(which))]
                        .into(),
                    typed_filter_metadata: [("typed".into(), any)].into(),
                }
            }

            fn claims(subject: &str) -> wkt::Struct {
                use wkt::value::Kind;
                let scalars = [
                    Kind::StringValue(subject.into()),
                    Kind::NumberValue(1.5),
                    Kind::BoolValue(true),
                    Kind::NullValue(0),
                ];
                let values = scalars.map(|kind| wkt::Value { kind: Some(kind) }).into();
                let list = Kind::ListValue(wkt::ListValue { values });
                wkt::Struct { fields: [("sub".into(), wkt::Value { kind: Some(list) })].into() }
            }

            fn answer(http_response: HttpResponse) -> CheckResponse {
                let detail = wkt::Any { type_url: "type/detail".into(), value: vec![1] };
                CheckResponse {
                    status: Some(Status {
                        code: 16,
                        message: "denied".into(),
                        details: vec![detail],
                    }),
                    dynamic_metadata: Some(claims("outer")),
                    http_response: Some(http_response),
                }
            }

            fn ok() -> OkHttpResponse {
                let parameter = QueryParameter { key: "tenant".into(), value: "a%20b".into() };
                OkHttpResponse {
                    headers: vec![option("x-jwt-sub", HeaderAppendAction::OverwriteIfExistsOrAdd)],
                    headers_to_remove: vec!["x_jwt_sub".into(), "x.jwt.sub".into()],
                    dynamic_metadata: Some(claims("inner")),
                    response_headers_to_add: vec![option("x-a", HeaderAppendAction::AddIfAbsent)],
                    query_parameters_to_set: vec![parameter],
                    query_parameters_to_remove: vec!["access_token".into()],
                }
            }

            fn denied(code: StatusCode) -> DeniedHttpResponse {
                DeniedHttpResponse {
                    status: Some(HttpStatus { code: code.into() }),
                    headers: vec![option("x-b", HeaderAppendAction::OverwriteIfExists)],
                    body: "{}".into(),
                }
            }

            fn option(key: &str, action: HeaderAppendAction) -> HeaderValueOption {
                HeaderValueOption {
                    header: Some(header(key)),
                    append: Some($truth),
                    append_action: action.into(),
                    keep_empty_value: true,
                }
            }
        }
    };
}

samples!(ours, claimgate::proto, prost_types, true);
samples!(
    theirs,
    envoy_types::pb,
    envoy_types::pb::google::protobuf,
    envoy_types::pb::google::protobuf::BoolValue { value: true }
);

/// Encodes `from`, decodes it as a `To`, compares that with `expected`, and encodes it again to the same bytes.
fn crosses_over<From, To>(from: &From, expected: &To)
where
    From: Message,
    To: Message + Default + PartialEq,
{
    let bytes = from.encode_to_vec();
    assert_eq!(bytes, expected.encode_to_vec(), "the same sample encodes to other bytes");
    let decoded = To::decode(&bytes[..]).expect("decodes");
    // No assert_eq: our Debug hides the values, so the two would look alike in the message.
    assert!(decoded == *expected, "the decoded message is another one");
    assert_eq!(decoded.encode_to_vec(), bytes, "decoding lost a field");
}

#[test]
fn requests_cross_over_both_ways_byte_for_byte() {
    for (ours, theirs) in ours::requests().iter().zip(&theirs::requests()) {
        crosses_over(ours, theirs);
        crosses_over(theirs, ours);
    }
}

#[test]
fn answers_cross_over_both_ways_byte_for_byte() {
    for (ours, theirs) in ours::answers().iter().zip(&theirs::answers()) {
        crosses_over(ours, theirs);
        crosses_over(theirs, ours);
    }
}

#[test]
fn an_empty_message_crosses_over_to_an_empty_message() {
    crosses_over(&theirs::CheckRequest::default(), &ours::CheckRequest::default());
    crosses_over(&ours::CheckResponse::default(), &theirs::CheckResponse::default());
}

#[test]
fn enum_values_have_the_same_names_and_numbers() {
    for number in -1..1_000 {
        assert_eq!(ours::enum_names(number), theirs::enum_names(number), "number {number}");
    }
}

#[tokio::test]
async fn their_client_reaches_our_server_stub_by_the_same_service_and_method_name() {
    use claimgate::proto::envoy::service::auth::v3::authorization_server as server;
    use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;

    struct Echo;

    #[tonic::async_trait]
    impl server::Authorization for Echo {
        async fn check(
            &self,
            request: tonic::Request<ours::CheckRequest>,
        ) -> Result<tonic::Response<ours::CheckResponse>, tonic::Status> {
            assert!(ours::requests().contains(request.get_ref()), "another request than was sent");
            Ok(tonic::Response::new(ours::answers().remove(0)))
        }
    }

    let mut client = AuthorizationClient::new(server::AuthorizationServer::new(Echo));
    let answer = client.check(theirs::requests().remove(0)).await.expect("answered").into_inner();

    assert_eq!(answer, theirs::answers().remove(0));
}

#[test]
fn the_samples_set_every_field_of_every_message() {
    let mut seen = Seen::new();
    for request in ours::requests() {
        seen.walk(".envoy.service.auth.v3.CheckRequest", &request.encode_to_vec());
    }
    for answer in ours::answers() {
        seen.walk(".envoy.service.auth.v3.CheckResponse", &answer.encode_to_vec());
    }
    assert_eq!(seen.never(), Vec::<String>::new(), "fields that no sample sets");
}

#[test]
fn a_field_that_no_sample_sets_is_noticed() {
    let mut seen = Seen::new();
    for answer in ours::answers() {
        seen.walk(".envoy.service.auth.v3.CheckResponse", &answer.encode_to_vec());
    }
    let never = seen.never();
    assert!(never.contains(&".envoy.service.auth.v3.CheckRequest.attributes".into()), "{never:?}");
    assert!(!never.contains(&".envoy.service.auth.v3.CheckResponse.status".into()), "{never:?}");
}

/// Which fields of which of our messages were on the wire.
struct Seen {
    messages: BTreeMap<String, DescriptorProto>,
    fields: BTreeSet<String>,
}

impl Seen {
    fn new() -> Self {
        let mut messages = BTreeMap::new();
        let set = FileDescriptorSet::decode(DESCRIPTORS).expect("build.rs wrote it");
        for file in set.file.into_iter().filter(|file| file.package() != "google.protobuf") {
            let package = format!(".{}", file.package());
            for message in file.message_type {
                collect(&package, message, &mut messages);
            }
        }
        Self { messages, fields: BTreeSet::new() }
    }

    /// Notes the fields in `bytes`, which are a message of type `name`, and in the messages in it.
    fn walk(&mut self, name: &str, mut bytes: &[u8]) {
        // The well-known types are prost-types', not ours.
        let Some(message) = self.messages.get(name).cloned() else { return };
        while !bytes.is_empty() {
            let (number, wire_type) = decode_key(&mut bytes).expect("a key");
            let payload = payload(wire_type, &mut bytes);
            let number = i32::try_from(number).expect("field numbers are small");
            let field = message.field.iter().find(|field| field.number() == number);
            let field = field.expect("we wrote only fields that we have");
            self.fields.insert(format!("{name}.{}", field.name()));
            self.walk(field.type_name(), payload);
        }
    }

    fn never(&self) -> Vec<String> {
        let all = self.messages.iter().flat_map(|(name, message)| {
            message.field.iter().map(move |field| format!("{name}.{}", field.name()))
        });
        all.filter(|field| !self.fields.contains(field)).collect()
    }
}

fn collect(parent: &str, message: DescriptorProto, into: &mut BTreeMap<String, DescriptorProto>) {
    let name = format!("{parent}.{}", message.name());
    for nested in &message.nested_type {
        collect(&name, nested.clone(), into);
    }
    into.insert(name, message);
}

/// Takes the value of one field off the front; of a number nothing is kept.
fn payload<'a>(wire_type: WireType, bytes: &mut &'a [u8]) -> &'a [u8] {
    let length = match wire_type {
        WireType::Varint => {
            decode_varint(bytes).expect("a varint");
            0
        }
        WireType::LengthDelimited => {
            usize::try_from(decode_varint(bytes).expect("a length")).expect("fits")
        }
        WireType::SixtyFourBit => 8,
        WireType::ThirtyTwoBit => 4,
        WireType::StartGroup | WireType::EndGroup => unreachable!("proto3 has no groups"),
    };
    let (payload, _) = bytes.split_at(length);
    bytes.advance(length);
    payload
}
