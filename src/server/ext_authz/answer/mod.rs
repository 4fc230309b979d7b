//! A decision → the bytes of Envoy's `CheckResponse`, in their frame. [`super::ExtAuthz`] calls it; nothing is decided or
//! recorded here.
//!
//! Protobuf reads messages that stand one behind the other as one message. So what a token says is encoded once and kept
//! with it, and an answer is put together of that and of what is new. An empty `CheckResponse` means "allow": there is one
//! place that writes one, and a denial is never made of less than its status.

use std::sync::OnceLock;

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message as _;

use super::call::framed;
use super::metadata;
use crate::check::answer::{AnswerSettings, DeniedAnswer};
use crate::check::forward::HeaderMutations;
use crate::check::{Allowance, Decision, Denial, DenialReason};
use crate::proto::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use crate::proto::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use crate::proto::envoy::service::auth::v3::check_response::HttpResponse;
use crate::proto::envoy::service::auth::v3::{CheckResponse, DeniedHttpResponse};
use crate::proto::envoy::r#type::v3::HttpStatus;
use crate::proto::google::rpc;
use crate::util::protobuf::{field_len, put_head};

/// Denials as far as they are alike: all but who is told of it.
#[derive(Debug, Default)]
pub struct Answers {
    /// By reason, by whether the caller speaks gRPC, by whether it gets to know the reason.
    denials: [[OnceLock<Box<[u8]>>; 4]; DenialReason::ALL.len()],
}

impl Answers {
    /// The only place where an answer is made: a `CheckResponse`, in its gRPC frame.
    pub fn encode(&self, decision: &Decision, settings: AnswerSettings, is_grpc: bool) -> Bytes {
        match decision {
            Decision::Allow(allowance) => allow(allowance),
            Decision::Deny(denial) => self.deny(denial, settings, is_grpc),
        }
    }

    fn deny(&self, denial: &Denial, settings: AnswerSettings, is_grpc: bool) -> Bytes {
        let variant = usize::from(is_grpc) + 2 * usize::from(settings.reason_header);
        let known = self.denials.get(denial.reason as usize).and_then(|row| row.get(variant));
        let made;
        let common: &[u8] = match known {
            Some(known) => known.get_or_init(|| common(denial.reason, settings, is_grpc)),
            None => {
                made = common(denial.reason, settings, is_grpc);
                &made
            }
        };
        let told = metadata::of_denial(denial).encode_to_vec();
        let mut buffer = framed(common.len() + field_len(told.len()));
        buffer.put(common);
        put_nested(&mut buffer, DYNAMIC_METADATA, [&told]);
        buffer.freeze()
    }
}

/// Status and answer of a denial.
fn common(reason: DenialReason, settings: AnswerSettings, is_grpc: bool) -> Box<[u8]> {
    let answer = DeniedAnswer::new(reason, settings, is_grpc);
    let status = rpc::Status { code: code_of(answer.status), ..rpc::Status::default() };
    let headers = answer.headers.into_iter();
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: i32::from(answer.status) }),
        headers: headers.map(|(name, value)| overwrite(name, &value)).collect(),
        body: answer.body,
    };
    let http_response = Some(HttpResponse::DeniedResponse(denied));
    let response = CheckResponse { status: Some(status), http_response, dynamic_metadata: None };
    response.encode_to_vec().into()
}

/// The fields of `CheckResponse` and of `OkHttpResponse` that are written here.
const STATUS: u8 = 1;
const OK_RESPONSE: u8 = 3;
const DYNAMIC_METADATA: u8 = 4;
const HEADERS_TO_REMOVE: u8 = 5;
const QUERY_PARAMETERS_TO_REMOVE: u8 = 8;

fn allow(allowance: &Allowance) -> Bytes {
    let HeaderMutations { token, remove, remove_query, .. } = &allowance.mutations;
    let of_token = token.as_ref().map(|token| token.encoded()).unwrap_or_default();
    let cookie = allowance.mutations.encoded_cookie();
    let removed = remove.iter().map(|name| field_len(name.len())).sum::<usize>()
        + remove_query.iter().map(|name| field_len(name.len())).sum::<usize>();
    let ok = of_token.len() + cookie.len() + removed;

    let (of_token_told, told) = metadata::of_allowance(allowance);
    let told_bytes = of_token_told.len() + told.len();
    let told_field = if told_bytes == 0 { 0 } else { field_len(told_bytes) };

    let mut buffer = framed(field_len(0) + field_len(ok) + told_field);
    // No field of a status is set: that is `OK`.
    put_nested(&mut buffer, STATUS, []);
    put_head(&mut buffer, OK_RESPONSE, ok);
    buffer.put(of_token);
    buffer.put(&*cookie);
    for name in remove {
        put_nested(&mut buffer, HEADERS_TO_REMOVE, [name.as_bytes()]);
    }
    for name in remove_query {
        put_nested(&mut buffer, QUERY_PARAMETERS_TO_REMOVE, [name.as_bytes()]);
    }
    if told_bytes > 0 {
        put_nested(&mut buffer, DYNAMIC_METADATA, [of_token_told, &told]);
    }
    buffer.freeze()
}

/// Versions of Envoy read one or the other of `append` and `append_action`, and only ever `value`.
fn overwrite(key: &str, value: &str) -> HeaderValueOption {
    let (key, value) = (key.to_owned(), value.to_owned());
    HeaderValueOption {
        header: Some(HeaderValue { key, value, raw_value: Vec::new() }),
        append: Some(false),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd as i32,
        keep_empty_value: false,
    }
}

fn put_nested<const N: usize>(buffer: &mut BytesMut, number: u8, content: [&[u8]; N]) {
    put_head(buffer, number, content.iter().map(|part| part.len()).sum());
    content.into_iter().for_each(|part| buffer.put(part));
}

/// `google.rpc.Code`. Zero is what lets a request pass.
const CODE_PERMISSION_DENIED: i32 = 7;
const CODE_UNAVAILABLE: i32 = 14;
const CODE_UNAUTHENTICATED: i32 = 16;

const fn code_of(http_status: u16) -> i32 {
    match http_status {
        401 => CODE_UNAUTHENTICATED,
        503 => CODE_UNAVAILABLE,
        _ => CODE_PERMISSION_DENIED,
    }
}

#[cfg(test)]
mod tests;
