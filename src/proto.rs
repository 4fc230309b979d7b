//! The types that Envoy's external-authorization API is made of, generated from `proto/` by `build.rs`.
//!
//! The modules mirror the protobuf packages. Only `server::ext_authz` answers with them, and `check::forward`, which
//! keeps headers as they are sent; requests are read without them, and only tests and benchmarks make any. The rest of the
//! crate has types of its own, which cannot hold what the wire can. The generated server is for benchmarks; `build.rs` says
//! why.
//!
//! Written by hand here: `Debug` for the messages that hold tokens or claims, which shows names and sizes only, so
//! that no log line or panic message can print a request whole.

#![allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::or_fun_call,
    clippy::use_self,
    clippy::wildcard_enum_match_arm,
    reason = "generated code: what it is for is said in proto/, and its form is prost's and tonic's"
)]

use std::fmt;

/// What reflection clients are told: every file under `proto/` and what these import, as a `FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

pub mod envoy {
    pub mod config {
        pub mod core {
            pub mod v3 {
                include!(concat!(env!("OUT_DIR"), "/envoy.config.core.v3.rs"));
            }
        }
    }

    pub mod service {
        pub mod auth {
            pub mod v3 {
                include!(concat!(env!("OUT_DIR"), "/envoy.service.auth.v3.rs"));
            }
        }
    }

    pub mod r#type {
        pub mod v3 {
            include!(concat!(env!("OUT_DIR"), "/envoy.r#type.v3.rs"));
        }
    }
}

pub mod google {
    pub mod rpc {
        include!(concat!(env!("OUT_DIR"), "/google.rpc.rs"));
    }
}

use envoy::config::core::v3::{HeaderValue, Metadata, QueryParameter};
use envoy::service::auth::v3::attribute_context::HttpRequest;
use envoy::service::auth::v3::check_response::HttpResponse;
use envoy::service::auth::v3::{CheckResponse, OkHttpResponse};

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the path: its query may carry a token.
        f.debug_struct("HttpRequest")
            .field("id", &self.id)
            .field("method", &self.method)
            .field("protocol", &self.protocol)
            .field("headers", &self.headers.len())
            .field("header_map", &self.header_map.as_ref().map(|map| map.headers.len()))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeaderValue")
            .field("key", &self.key)
            .field("bytes", &self.value.len().max(self.raw_value.len()))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for QueryParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryParameter").field("key", &self.key).finish_non_exhaustive()
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        list.entries(self.filter_metadata.keys()).entries(self.typed_filter_metadata.keys());
        list.finish()
    }
}

impl fmt::Debug for OkHttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OkHttpResponse")
            .field("headers", &self.headers)
            .field("headers_to_remove", &self.headers_to_remove)
            .field("response_headers_to_add", &self.response_headers_to_add)
            .field("query_parameters_to_set", &self.query_parameters_to_set)
            .field("query_parameters_to_remove", &self.query_parameters_to_remove)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CheckResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckResponse")
            .field("status", &self.status)
            .field("http_response", &self.http_response)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeniedResponse(denied) => f.debug_tuple("DeniedResponse").field(denied).finish(),
            Self::OkResponse(ok) => f.debug_tuple("OkResponse").field(ok).finish(),
            Self::ErrorResponse(error) => f.debug_tuple("ErrorResponse").field(error).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::envoy::config::core::v3::HeaderMap;
    use super::envoy::config::core::v3::HeaderValueOption;
    use super::envoy::service::auth::v3::attribute_context::Request;
    use super::envoy::service::auth::v3::{AttributeContext, CheckRequest};
    use super::*;

    const SECRET: &str = "s3cret";

    fn header() -> HeaderValue {
        HeaderValue { key: "authorization".into(), value: SECRET.into(), raw_value: SECRET.into() }
    }

    #[test]
    fn a_request_in_debug_form_shows_no_header_value_path_or_body() {
        let http = HttpRequest {
            headers: [("authorization".to_owned(), SECRET.to_owned())].into(),
            header_map: Some(HeaderMap { headers: vec![header()] }),
            path: format!("/?access_token={SECRET}"),
            query: SECRET.into(),
            body: SECRET.into(),
            raw_body: SECRET.into(),
            ..HttpRequest::default()
        };
        let metadata = Metadata {
            filter_metadata: [("ns".to_owned(), claims())].into(),
            ..Metadata::default()
        };
        let request = CheckRequest {
            attributes: Some(AttributeContext {
                request: Some(Request { http: Some(http), ..Request::default() }),
                metadata_context: Some(metadata),
                ..AttributeContext::default()
            }),
        };

        let shown = format!("{request:?} {:?}", header());

        assert!(shown.contains("authorization") && shown.contains("ns"), "{shown}");
        assert!(!shown.contains(SECRET), "{shown}");
    }

    #[test]
    fn an_answer_in_debug_form_shows_no_header_value_parameter_or_metadata() {
        let option = HeaderValueOption { header: Some(header()), ..HeaderValueOption::default() };
        let ok = OkHttpResponse {
            headers: vec![option.clone()],
            response_headers_to_add: vec![option],
            query_parameters_to_set: vec![QueryParameter {
                key: "sub".into(),
                value: SECRET.into(),
            }],
            dynamic_metadata: Some(claims()),
            ..OkHttpResponse::default()
        };
        let answer = CheckResponse {
            http_response: Some(HttpResponse::OkResponse(ok)),
            dynamic_metadata: Some(claims()),
            ..CheckResponse::default()
        };

        let shown = format!("{answer:?}");

        assert!(shown.contains("authorization") && shown.contains("sub"), "{shown}");
        assert!(!shown.contains(SECRET), "{shown}");
    }

    fn claims() -> prost_types::Struct {
        let kind = prost_types::value::Kind::StringValue(SECRET.into());
        prost_types::Struct {
            fields: [("sub".to_owned(), prost_types::Value { kind: Some(kind) })].into(),
        }
    }
}
