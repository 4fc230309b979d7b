//! The parts of Envoy's messages that are read, in protobuf's own hands: what decides nothing is bytes, whatever is in
//! them. For tests: what is read by hand is held against it, here and by the fuzz target.

use std::collections::HashMap;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Check {
    #[prost(message, optional, tag = "1")]
    pub(super) attributes: Option<Attributes>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Attributes {
    #[prost(bytes = "vec", tag = "1")]
    source: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    destination: Vec<u8>,
    #[prost(message, optional, tag = "4")]
    pub(super) request: Option<Request>,
    #[prost(map = "string, string", tag = "10")]
    pub(super) context: HashMap<String, String>,
    #[prost(bytes = "vec", tag = "11")]
    metadata: Vec<u8>,
    #[prost(bytes = "vec", tag = "12")]
    tls: Vec<u8>,
    #[prost(bytes = "vec", tag = "13")]
    route: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Request {
    #[prost(bytes = "vec", tag = "1")]
    time: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    pub(super) http: Option<Http>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Http {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(string, tag = "2")]
    pub(super) method: String,
    #[prost(map = "string, string", tag = "3")]
    pub(super) headers: HashMap<String, String>,
    #[prost(string, tag = "4")]
    pub(super) path: String,
    #[prost(string, tag = "5")]
    pub(super) host: String,
    #[prost(bytes = "vec", tag = "6")]
    scheme: Vec<u8>,
    #[prost(bytes = "vec", tag = "7")]
    query: Vec<u8>,
    #[prost(bytes = "vec", tag = "8")]
    fragment: Vec<u8>,
    #[prost(int64, tag = "9")]
    size: i64,
    #[prost(bytes = "vec", tag = "10")]
    protocol: Vec<u8>,
    #[prost(bytes = "vec", tag = "11")]
    body: Vec<u8>,
    #[prost(bytes = "vec", tag = "12")]
    raw_body: Vec<u8>,
    #[prost(message, optional, tag = "13")]
    pub(super) header_map: Option<HeaderMap>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HeaderMap {
    #[prost(message, repeated, tag = "1")]
    pub(super) headers: Vec<HeaderValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HeaderValue {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) raw_value: Vec<u8>,
}
