//! `tokens` and `forward`: where a token comes in, and what goes on to the upstream.

use super::Compiler;
use crate::check::claim_value::ArrayFormat;
use crate::check::extract::HeaderSource;
use crate::check::headers::{
    ClaimHeader, Forward, StripPattern, TargetHeader, TargetHeaderError, plain_header_name,
};
use crate::config::raw::{RawClaimHeader, RawForward, RawTokenSource};
use crate::config::report::{Path, quote};
use crate::config::scalar::{List, Mapping};

impl Compiler<'_> {
    /// The headers that may carry a token.
    pub(super) fn tokens(
        &mut self,
        path: &Path,
        raw: Option<List<Mapping<RawTokenSource>>>,
    ) -> Vec<HeaderSource> {
        let Some(List(list)) = raw else {
            return vec![HeaderSource::bearer()];
        };
        self.not_empty(
            path,
            list.len(),
            "at least one header, or no such key for Authorization: Bearer",
        );
        let mut sources: Vec<HeaderSource> = Vec::with_capacity(list.len());
        for (index, raw) in list.into_iter().enumerate() {
            let Some(Mapping(raw)) = raw else { continue };
            let path = path.index(index);
            let header = self.token_header(&path.key("header"), raw.header, &sources);
            let prefix = self.token_prefix(&path.key("prefix"), raw.prefix, &header);
            sources.push(HeaderSource { header, prefix });
        }
        sources
    }

    fn token_header(&mut self, path: &Path, raw: Option<String>, taken: &[HeaderSource]) -> String {
        const EXPECTED: &str =
            "a header name of letters, digits and hyphens, such as authorization";
        let Some(name) = raw else {
            self.report.missing(path, EXPECTED);
            return String::new();
        };
        let Some(header) = plain_header_name(&name) else {
            self.report.wrong(path, quote(&name), EXPECTED);
            return String::new();
        };
        if NEVER_A_TOKEN.contains(&header.as_str()) {
            self.report.wrong(path, quote(&name), "a header that HTTP does not need for itself");
        } else if taken.iter().any(|other| other.header == header) {
            self.report.wrong(path, quote(&name), "each header once");
        }
        header
    }

    fn token_prefix(&mut self, path: &Path, raw: Option<String>, header: &str) -> String {
        let is_authorization = header == "authorization" || header == "proxy-authorization";
        let Some(prefix) = raw else {
            return if is_authorization { HeaderSource::bearer().prefix } else { String::new() };
        };
        let (word, is_scheme) = match prefix.strip_suffix(' ') {
            Some(scheme) => (scheme, !scheme.is_empty()),
            None => (prefix.as_str(), false),
        };
        let is_plain = word.chars().all(|c| c.is_ascii_graphic() && c != ',');
        if prefix.len() > 64 || !is_plain || (prefix.ends_with(' ') && !is_scheme) {
            let expected = "at most 64 visible ASCII characters without a comma, then one space if it is a scheme";
            self.report.wrong(path, quote(&prefix), expected);
        } else if is_authorization && !is_scheme {
            self.report.wrong(
                path,
                quote(&prefix),
                "a scheme followed by a space, such as \"Bearer \"",
            );
        }
        prefix
    }

    /// What upstreams get to see.
    pub(super) fn forward(
        &mut self,
        path: &Path,
        raw: Option<Mapping<RawForward>>,
        tokens: &[HeaderSource],
    ) -> Forward {
        let raw = raw.map(|Mapping(raw)| raw).unwrap_or_default();
        let mut targets = Targets { tokens, taken: Vec::new() };
        let mut claims = Vec::new();
        let headers = raw.headers.map(|List(list)| list).unwrap_or_default();
        for (index, raw) in headers.into_iter().enumerate() {
            let Some(Mapping(raw)) = raw else { continue };
            let path = path.key("headers").index(index);
            claims.extend(self.claim_header(&path, raw, &mut targets));
        }
        let payload_path = path.key("payload_header");
        let payload =
            raw.payload_header.and_then(|name| self.target(&payload_path, &name, &mut targets));
        let mut strip = Vec::new();
        let patterns = raw.strip.map(|List(list)| list).unwrap_or_default();
        for (index, pattern) in patterns.into_iter().enumerate() {
            let Some(pattern) = pattern else { continue };
            match StripPattern::parse(&pattern) {
                Ok(pattern) => strip.push(pattern),
                Err(error) => {
                    let path = path.key("strip").index(index);
                    let expected = format!("{error}, or the start of such names and a *");
                    self.report.wrong(&path, quote(&pattern), expected);
                }
            }
        }
        let keep_token = raw.keep_token.unwrap_or(false);
        Forward::new(claims, payload, strip, keep_token, self.limits.header_bytes)
    }

    fn claim_header(
        &mut self,
        path: &Path,
        raw: RawClaimHeader,
        targets: &mut Targets<'_>,
    ) -> Option<ClaimHeader> {
        let claim = raw.claim.map(|claim| claim.0);
        match &claim {
            None => self
                .report
                .missing(&path.key("claim"), "a claim, such as sub or realm_access.roles"),
            Some(names) if names.is_empty() || names.iter().any(String::is_empty) => {
                let expected =
                    "a dotted path such as realm_access.roles, or a list of literal names";
                self.report.wrong(&path.key("claim"), "an empty name", expected);
            }
            Some(_) => {}
        }
        let header_path = path.key("header");
        let header = match raw.header {
            None => {
                self.report.missing(&header_path, "a header name, such as x-jwt-sub");
                None
            }
            Some(name) => self.target(&header_path, &name, targets),
        };
        let arrays = match (raw.join, raw.format) {
            (None, None) => ArrayFormat::Join(",".to_owned()),
            (None, Some(_)) => ArrayFormat::Json,
            (Some(separator), None) => self.join(&path.key("join"), separator),
            (Some(_), Some(_)) => {
                let expected = "one of them: join: \",\" or format: json";
                self.report.wrong(path, "join and format", expected);
                ArrayFormat::Json
            }
        };
        Some(ClaimHeader { claim: claim?, header: header?, arrays })
    }

    fn join(&mut self, path: &Path, separator: String) -> ArrayFormat {
        // Letters, digits, `%` and `'` have a meaning in the ext-values that elements may be written as.
        let is_fit = |c: char| (c.is_ascii_punctuation() && !"%'".contains(c)) || c == ' ';
        if separator.is_empty() || separator.len() > 8 || !separator.chars().all(is_fit) {
            self.report.wrong(
                path,
                quote(&separator),
                "1 to 8 ASCII punctuation marks (not % or ') or spaces",
            );
        }
        ArrayFormat::Join(separator)
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
        if MEANINGFUL.contains(&header.as_str()) {
            self.report.wrong(path, quote(name), TargetHeaderError::Reserved);
        } else if targets.tokens.iter().any(|source| source.header == header.as_str()) {
            self.report.wrong(path, quote(name), "a header that no token is looked for in");
        } else if targets.taken.contains(&header) {
            self.report.wrong(path, quote(name), "each header once in forward");
        }
        targets.taken.push(header.clone());
        Some(header)
    }
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

/// What a header of ours must differ from.
struct Targets<'a> {
    tokens: &'a [HeaderSource],
    taken: Vec<TargetHeader>,
}

/// Removing one of these from a request would change what it is.
const NEVER_A_TOKEN: [&str; 10] = [
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
