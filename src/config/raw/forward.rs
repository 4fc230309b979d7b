//! The YAML of `tokens` and `forward`, one to one.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::scalar::{ClaimPath, List, Mapping, Size, Text};
use crate::config::words::{RawClaimFormat, RawTooLong};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "TokenLocation", extend("oneOf" = crate::config::schema::one_of(&["header", "cookie", "query"])))]
pub(in crate::config) struct RawTokenLocation {
    /// The name of a header.
    pub(in crate::config) header: Option<String>,
    /// What the token follows; ending in a space it is a scheme. Default: "Bearer " for authorization, else none.
    pub(in crate::config) prefix: Option<String>,
    /// The name of a cookie.
    pub(in crate::config) cookie: Option<String>,
    /// The name of a query parameter.
    pub(in crate::config) query: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Forward")]
pub(in crate::config) struct RawForward {
    /// Claims and constants that become headers for the upstream. At most 64. Default: none.
    pub(in crate::config) headers: Option<List<Mapping<RawForwardedHeader>>>,
    /// Names, or beginnings with *, that are removed from every request. Default: none but those that are set here.
    pub(in crate::config) strip: Option<List<String>>,
    /// A header for the whole payload in base64url. Default: not forwarded.
    pub(in crate::config) payload_header: Option<String>,
    /// Whether payload_header is padded with =. Default false.
    pub(in crate::config) payload_padded: Option<bool>,
    /// Claims and constants that become headers of the answer to the caller. At most 64. Default: none.
    pub(in crate::config) response_headers: Option<List<Mapping<RawForwardedHeader>>>,
    /// Whether Envoy is told the claims, as dynamic metadata. Default false.
    pub(in crate::config) metadata: Option<bool>,
    /// Whether the upstream sees the token itself, unless a rule says otherwise. Default false.
    pub(in crate::config) keep_token: Option<bool>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "ForwardedHeader", extend("required" = ["header"], "oneOf" = crate::config::schema::one_of(&["claim", "value"])))]
pub(in crate::config) struct RawForwardedHeader {
    /// A dotted path, or a list of literal names.
    pub(in crate::config) claim: Option<ClaimPath>,
    /// A constant, in place of a claim.
    pub(in crate::config) value: Option<String>,
    /// The header that it becomes.
    pub(in crate::config) header: Option<String>,
    /// What arrays are joined with. Default ",".
    pub(in crate::config) join: Option<String>,
    /// json: arrays as JSON. base64, base64url: everything in it. Default: text, arrays joined.
    pub(in crate::config) format: Option<Text<RawClaimFormat>>,
    /// Whether a token without this claim is denied. Default false.
    pub(in crate::config) required: Option<bool>,
    /// The longest value. From 1 to limits.header_bytes. Default: no limit but that.
    pub(in crate::config) max_bytes: Option<Text<Size>>,
    /// deny (default) or drop: what becomes of a longer value than max_bytes.
    pub(in crate::config) too_long: Option<Text<RawTooLong>>,
}
