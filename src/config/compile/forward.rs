//! `forward`: what goes on to the upstream, and back to the caller.

use super::Compiler;
use crate::check::forward::{
    ClaimFormat, Forward, ForwardSettings, ForwardedClaim, ForwardedHeader, ForwardedValue,
    PayloadHeader, StripPattern, TargetHeader, TargetHeaderError, TooLong,
};
use crate::check::locations::{TokenLocation, TokenLocations};
use crate::config::raw::{RawForward, RawForwardedHeader};
use crate::config::report::{Path, quote};
use crate::config::scalar::{ClaimPath, List, Mapping, Size, Text};
use crate::config::words::{RawClaimFormat, RawTooLong};

/// Envoy takes at most 100 headers in a request unless told otherwise, and the client has some of its own.
const MOST_HEADERS: usize = 64;

impl Compiler<'_> {
    /// What upstreams get to see.
    pub(super) fn forward(
        &mut self,
        path: &Path,
        raw: Option<Mapping<RawForward>>,
        tokens: &TokenLocations,
    ) -> Forward {
        let raw = raw.map(|Mapping(raw)| raw).unwrap_or_default();
        let mut requests = Targets { tokens: Some(tokens), never: &MEANINGFUL, taken: Vec::new() };
        let headers = self.forwarded(&path.key("headers"), raw.headers, &mut requests);
        let payload_path = path.key("payload_header");
        if raw.payload_header.is_none() && raw.payload_padded.is_some() {
            let expected = "no such key without payload_header";
            self.report.wrong(&path.key("payload_padded"), "a value", expected);
        }
        let payload =
            raw.payload_header.and_then(|name| self.target(&payload_path, &name, &mut requests));
        let padded = raw.payload_padded.unwrap_or(false);
        let mut responses =
            Targets { tokens: None, never: &MEANINGFUL_TO_CALLERS, taken: Vec::new() };
        let response_path = path.key("response_headers");
        Forward::new(ForwardSettings {
            headers,
            payload: payload.map(|header| PayloadHeader { header, padded }),
            response_headers: self.forwarded(&response_path, raw.response_headers, &mut responses),
            strip: self.strip(&path.key("strip"), raw.strip),
            metadata: raw.metadata.unwrap_or(false),
            max_bytes: self.limits.header_bytes,
        })
    }

    fn strip(&mut self, path: &Path, raw: Option<List<String>>) -> Vec<StripPattern> {
        let mut strip = Vec::new();
        let patterns = raw.map(|List(list)| list).unwrap_or_default();
        for (index, pattern) in patterns.into_iter().enumerate() {
            let Some(pattern) = pattern else { continue };
            match StripPattern::parse(&pattern) {
                Ok(pattern) => strip.push(pattern),
                Err(error) => {
                    let expected = format!("{error}, or the start of such names and a *");
                    self.report.wrong(&path.index(index), quote(&pattern), expected);
                }
            }
        }
        strip
    }

    fn forwarded(
        &mut self,
        path: &Path,
        raw: Option<List<Mapping<RawForwardedHeader>>>,
        targets: &mut Targets<'_>,
    ) -> Vec<ForwardedHeader> {
        let list = raw.map(|List(list)| list).unwrap_or_default();
        if list.len() > MOST_HEADERS {
            self.report.wrong(path, list.len(), format!("at most {MOST_HEADERS} headers"));
        }
        let mut headers = Vec::with_capacity(list.len());
        for (index, raw) in list.into_iter().enumerate() {
            let Some(Mapping(raw)) = raw else { continue };
            headers.extend(self.forwarded_header(&path.index(index), raw, targets));
        }
        headers
    }

    fn forwarded_header(
        &mut self,
        path: &Path,
        raw: RawForwardedHeader,
        targets: &mut Targets<'_>,
    ) -> Option<ForwardedHeader> {
        let header_path = path.key("header");
        let header = match &raw.header {
            None => {
                self.report.missing(&header_path, "a header name, such as x-jwt-sub");
                None
            }
            Some(name) => self.target(&header_path, name, targets),
        };
        let value = match &raw.value {
            None => self.forwarded_claim(path, raw).map(ForwardedValue::Claim),
            Some(text) => {
                self.constant(path, text, &raw);
                Some(ForwardedValue::Constant(text.clone()))
            }
        };
        Some(ForwardedHeader { header: header?, value: value? })
    }

    fn constant(&mut self, path: &Path, text: &str, raw: &RawForwardedHeader) {
        let is_plain = text.chars().all(|c| c.is_ascii_graphic() || c == ' ');
        if text.is_empty() || text.len() > 1024 || text.trim() != text || !is_plain {
            let expected = "1 to 1024 visible ASCII characters, with spaces only between them";
            self.report.wrong(&path.key("value"), quote(text), expected);
        }
        let RawForwardedHeader { claim, join, format, required, max_bytes, too_long, .. } = raw;
        let of_claims = [
            ("claim", claim.is_some()),
            ("join", join.is_some()),
            ("format", format.is_some()),
            ("required", required.is_some()),
            ("max_bytes", max_bytes.is_some()),
            ("too_long", too_long.is_some()),
        ];
        for (key, _) in of_claims.into_iter().filter(|(_, is_given)| *is_given) {
            self.report.wrong(&path.key(key), "a value", "no such key beside value");
        }
    }

    fn forwarded_claim(&mut self, path: &Path, raw: RawForwardedHeader) -> Option<ForwardedClaim> {
        let claim = self.claim_path(&path.key("claim"), raw.claim);
        let format = match (raw.join, raw.format) {
            (None, None) => ClaimFormat::Join(",".to_owned()),
            (None, Some(Text(RawClaimFormat::Json))) => ClaimFormat::Json,
            (None, Some(Text(RawClaimFormat::Base64))) => ClaimFormat::Base64,
            (None, Some(Text(RawClaimFormat::Base64Url))) => ClaimFormat::Base64Url,
            (Some(separator), None) => self.join(&path.key("join"), separator),
            (Some(_), Some(_)) => {
                let expected = "one of them: join: \",\" or format: json";
                self.report.wrong(path, "join and format", expected);
                ClaimFormat::Json
            }
        };
        let max_bytes = raw.max_bytes.map(|Text(Size(bytes))| bytes);
        let most = self.limits.header_bytes;
        if let Some(bytes) = max_bytes.filter(|bytes| *bytes == 0 || *bytes > most) {
            let expected = format!("1 to {most}, which is limits.header_bytes");
            self.report.wrong(&path.key("max_bytes"), bytes, expected);
        }
        if raw.too_long.is_some() && max_bytes.is_none() {
            let expected = "no such key without max_bytes";
            self.report.wrong(&path.key("too_long"), "a value", expected);
        }
        let too_long = match raw.too_long {
            Some(Text(RawTooLong::Drop)) => TooLong::Drop,
            Some(Text(RawTooLong::Deny)) | None => TooLong::Deny,
        };
        let required = raw.required.unwrap_or(false);
        if required && too_long == TooLong::Drop {
            let expected = "deny, since the claim is required";
            self.report.wrong(&path.key("too_long"), "drop", expected);
        }
        Some(ForwardedClaim { claim: claim?, format, required, max_bytes, too_long })
    }

    /// A claim that is named somewhere.
    pub(super) fn claim_path(
        &mut self,
        path: &Path,
        raw: Option<ClaimPath>,
    ) -> Option<Vec<String>> {
        let claim = raw.map(|claim| claim.0);
        match &claim {
            None => {
                if !self.report.has(path) {
                    self.report.missing(path, "a claim, such as sub or realm_access.roles");
                }
            }
            Some(names) if names.is_empty() || names.iter().any(String::is_empty) => {
                let expected =
                    "a dotted path such as realm_access.roles, or a list of literal names";
                self.report.wrong(path, "an empty name", expected);
            }
            Some(_) => {}
        }
        claim
    }

    fn join(&mut self, path: &Path, separator: String) -> ClaimFormat {
        // Letters, digits, `%` and `'` have a meaning in the ext-values that elements may be written as.
        let is_fit = |c: char| (c.is_ascii_punctuation() && !"%'".contains(c)) || c == ' ';
        if separator.is_empty() || separator.len() > 8 || !separator.chars().all(is_fit) {
            self.report.wrong(
                path,
                quote(&separator),
                "1 to 8 ASCII punctuation marks (not % or ') or spaces",
            );
        }
        ClaimFormat::Join(separator)
    }

    fn target(
        &mut self,
        path: &Path,
        name: &str,
        targets: &mut Targets<'_>,
    ) -> Option<TargetHeader> {
        let header = match TargetHeader::parse(name) {
            Ok(header) => header,
            Err(error) => {
                self.report.wrong(path, quote(name), error);
                return None;
            }
        };
        if targets.never.contains(&header.as_str()) {
            self.report.wrong(path, quote(name), TargetHeaderError::Reserved);
        } else if targets.tokens.is_some_and(|tokens| holds_tokens(tokens, &header)) {
            self.report.wrong(path, quote(name), "a header that no token is looked for in");
        } else if targets.taken.contains(&header) {
            self.report.wrong(path, quote(name), "each header once in forward");
        }
        targets.taken.push(header.clone());
        Some(header)
    }
}

/// Whether tokens are looked for in this very header.
pub(super) fn holds_tokens(tokens: &TokenLocations, header: &TargetHeader) -> bool {
    tokens.iter().any(|location| match location {
        TokenLocation::Header(location) => *location.header == *header.as_str(),
        TokenLocation::Cookie(_) | TokenLocation::Query(_) => false,
    })
}

/// Upstreams act on these, so a claim must not become one; to strip them is a fair wish, which is why
/// [`TargetHeader`] itself knows nothing of them.
const MEANINGFUL: [&str; 7] = [
    "content-encoding",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// Browsers and caches act on these.
const MEANINGFUL_TO_CALLERS: [&str; 12] = [
    "cache-control",
    "clear-site-data",
    "content-encoding",
    "content-security-policy",
    "date",
    "location",
    "refresh",
    "server",
    "set-cookie",
    "strict-transport-security",
    "vary",
    "www-authenticate",
];

/// What a header of ours must differ from.
struct Targets<'a> {
    tokens: Option<&'a TokenLocations>,
    never: &'a [&'a str],
    taken: Vec<TargetHeader>,
}
