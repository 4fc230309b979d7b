//! Envoy's messages → what is decided on, and a decision → Envoy's message. [`super::ExtAuthz`] calls it; nothing is
//! decided or recorded here.

use std::time::Duration;

use tonic::metadata::MetadataMap;

use super::metadata;
use crate::check::answer::{AnswerSettings, DeniedAnswer};
use crate::check::forward::HeaderMutations;
use crate::check::{CheckRequest, Decision};
use crate::proto::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use crate::proto::envoy::config::core::v3::{HeaderMap, HeaderValue, HeaderValueOption};
use crate::proto::envoy::service::auth::v3::check_response::HttpResponse;
use crate::proto::envoy::service::auth::v3::{
    CheckRequest as WireRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse,
};
use crate::proto::envoy::r#type::v3::HttpStatus;
use crate::proto::google::rpc;
use crate::server::checks::header_text;

/// `grpc-timeout`, at most eight digits and a unit: how long whoever asked waits for the answer. Zero has
/// given up already. What passes later is tonic's to watch.
pub(super) fn deadline(metadata: &MetadataMap) -> Option<Duration> {
    let timeout = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = timeout.split_at_checked(timeout.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// The request without its wire format; `None` when it has no HTTP part.
pub(super) fn translate(request: WireRequest) -> Option<CheckRequest> {
    let attributes = request.attributes?;
    let context = attributes.context_extensions.into_iter().collect();
    let http = attributes.request?.http?;
    let mut headers: Vec<(String, String)> = http.headers.into_iter().collect();
    // Filled in place of `headers` under `encode_raw_headers`. Should both ever be there, both count.
    let raw: Vec<HeaderValue> =
        http.header_map.map(|map: HeaderMap| map.headers).unwrap_or_default();
    headers.extend(raw.into_iter().map(|header| {
        let value =
            if header.raw_value.is_empty() { header.value } else { header_text(header.raw_value) };
        (header.key, value)
    }));
    let (method, host, path) = (http.method, http.host, http.path);
    Some(CheckRequest { method, host, path, headers, context })
}

/// The only place where an answer is made. The message starts as a denial without a reason, and becomes
/// an "allow" in one line.
pub(super) fn respond(
    decision: Decision,
    settings: AnswerSettings,
    is_grpc: bool,
) -> CheckResponse {
    let mut response = CheckResponse {
        status: Some(status(CODE_PERMISSION_DENIED)),
        http_response: None,
        dynamic_metadata: None,
    };
    match decision {
        Decision::Allow(allowance) => {
            response.dynamic_metadata = metadata::of_allowance(&allowance);
            response.http_response = Some(HttpResponse::OkResponse(ok(allowance.mutations)));
            response.status = Some(status(CODE_OK));
        }
        Decision::Deny(denial) => {
            let answer = DeniedAnswer::new(denial.reason, settings, is_grpc);
            response.status = Some(status(code_of(answer.status)));
            response.http_response = Some(HttpResponse::DeniedResponse(denied(answer)));
            response.dynamic_metadata = Some(metadata::of_denial(&denial));
        }
    }
    response
}

fn ok(mutations: HeaderMutations) -> OkHttpResponse {
    OkHttpResponse {
        headers: mutations.set.into_iter().map(|(name, value)| overwrite(name, value)).collect(),
        headers_to_remove: mutations.remove,
        query_parameters_to_remove: mutations.remove_query,
        response_headers_to_add: mutations
            .response
            .into_iter()
            .map(|(name, value)| overwrite(name, value))
            .collect(),
        ..OkHttpResponse::default()
    }
}

fn denied(answer: DeniedAnswer) -> DeniedHttpResponse {
    let headers = answer.headers.into_iter();
    DeniedHttpResponse {
        status: Some(HttpStatus { code: i32::from(answer.status) }),
        headers: headers.map(|(name, value)| overwrite(name.to_owned(), value)).collect(),
        body: answer.body,
    }
}

/// Versions of Envoy read one or the other of `append` and `append_action`, and only ever `value`.
fn overwrite(key: String, value: String) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue { key, value, raw_value: Vec::new() }),
        append: Some(false),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd as i32,
        keep_empty_value: false,
    }
}

fn status(code: i32) -> rpc::Status {
    rpc::Status { code, ..rpc::Status::default() }
}

/// `google.rpc.Code`. Zero is what lets a request pass.
const CODE_OK: i32 = 0;
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
