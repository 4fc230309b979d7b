//! Spans as OTLP's messages. Names of attributes are OpenTelemetry's where it has one, and begin with `claimgate.` elsewhere;
//! `deploy/docs/traces.md` lists them.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, SpanFlags, Status};

use super::settings::TraceSettings;
use super::span::CheckSpan;

/// One export of `spans`, by the process that calls itself `instance`.
pub(super) fn export(
    settings: &TraceSettings,
    instance: &str,
    spans: &[CheckSpan],
) -> ExportTraceServiceRequest {
    let version = env!("CARGO_PKG_VERSION");
    let of_ours = [
        ("service.name", settings.service_name.as_str()),
        ("service.version", version),
        ("service.instance.id", instance),
    ];
    let configured = settings.resource.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let attributes = of_ours.into_iter().chain(configured);
    let attributes = attributes.map(|(name, value)| text(name, value)).collect();
    let scope = InstrumentationScope {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: version.to_owned(),
        ..InstrumentationScope::default()
    };
    let spans = spans.iter().map(span).collect();
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, schema_url: String::new() }];
    let resource = Some(Resource { attributes, ..Resource::default() });
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource, scope_spans, schema_url: String::new() }],
    }
}

fn span(span: &CheckSpan) -> Span {
    let attributes = [
        ("claimgate.decision", Some(span.decision)),
        ("claimgate.reason", span.reason),
        ("claimgate.rule", span.rule.as_ref().map(|rule| rule.name())),
        ("claimgate.issuer", span.issuer.as_ref().map(|issuer| issuer.name())),
        ("claimgate.algorithm", span.algorithm),
        ("claimgate.kid", span.kid.as_deref()),
        ("claimgate.unknown_kid", span.unknown_kid),
        ("claimgate.request_id", span.request_id.as_deref()),
        ("http.request.method", Some(span.method.as_str())),
        ("url.path", Some(span.path.as_str())),
    ];
    let attributes = attributes.into_iter().filter_map(|(name, value)| Some(text(name, value?)));
    // That somebody else's token is refused is no error of this service.
    let status = span.is_fault.then(|| Status {
        code: StatusCode::Error.into(),
        message: span.reason.unwrap_or_default().to_owned(),
    });
    Span {
        trace_id: span.ids.trace_id.to_vec(),
        span_id: span.ids.span_id.to_vec(),
        parent_span_id: span.ids.parent.map(|parent| parent.to_vec()).unwrap_or_default(),
        trace_state: span.state.as_deref().unwrap_or_default().to_owned(),
        flags: flags(span),
        name: span.name.to_owned(),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: span.begun,
        end_time_unix_nano: span.ended,
        attributes: attributes.collect(),
        status,
        ..Span::default()
    }
}

/// The flags of W3C Trace Context, and that it is known whose the parent is: another process'.
fn flags(span: &CheckSpan) -> u32 {
    const SAMPLED: u32 = 1;
    let parent = match span.ids.parent {
        Some(_) => SpanFlags::ContextHasIsRemoteMask as u32 | SpanFlags::ContextIsRemoteMask as u32,
        None => SpanFlags::ContextHasIsRemoteMask as u32,
    };
    SAMPLED | parent
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}
