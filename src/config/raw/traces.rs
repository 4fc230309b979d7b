//! The YAML of `traces`, one to one.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::scalar::{Count, List, Mapping, Text};
use crate::telemetry::traces::settings::Protocol;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Traces", extend("required" = ["endpoint"]))]
pub(in crate::config) struct RawTraces {
    /// The collector: http:// or https://, host and port; for http/protobuf with a path, if that is not /v1/traces.
    pub(in crate::config) endpoint: Option<String>,
    /// grpc (default), mostly at port 4317, or http/protobuf, mostly at 4318.
    pub(in crate::config) protocol: Option<Text<Protocol>>,
    /// What this service is called in traces. Default claimgate.
    pub(in crate::config) service_name: Option<String>,
    /// Further attributes of the resource, such as deployment.environment.name. At most 32. Default: none.
    pub(in crate::config) resource: Option<List<Mapping<RawResourceAttribute>>>,
    /// One in so many checks begins a trace where nobody has decided whether there is to be one; 0: none does. Default 0.
    pub(in crate::config) sample: Option<Text<Count>>,
    /// Of one export. From 100ms to 60s. Default 5s.
    pub(in crate::config) timeout: Option<Text<Duration>>,
    /// Sent with every export, each with its value in a file. At most 8. Default: none.
    pub(in crate::config) headers: Option<List<Mapping<RawHeaderFile>>>,
    /// The only authorities to trust, under https://. Default: the system's.
    pub(in crate::config) ca_file: Option<String>,
    /// With client_key_file: for mutual TLS. Default: none.
    pub(in crate::config) client_cert_file: Option<String>,
    /// With client_cert_file; not readable by everybody.
    pub(in crate::config) client_key_file: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "ResourceAttribute", extend("required" = ["name", "value"]))]
pub(in crate::config) struct RawResourceAttribute {
    /// As OpenTelemetry calls it, or as you do.
    pub(in crate::config) name: Option<String>,
    /// A text.
    pub(in crate::config) value: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "HeaderFile", extend("required" = ["name", "file"]))]
pub(in crate::config) struct RawHeaderFile {
    /// Such as authorization.
    pub(in crate::config) name: Option<String>,
    /// Holds the whole value, such as "Bearer " and a token; not readable by everybody.
    pub(in crate::config) file: Option<String>,
}
