//! What the upstream gets to see: which headers are set from verified claims, and which of the
//! client's are removed.
//!
//! The promise is that an upstream never sees a claim header that was not set in this very answer. Upstreams
//! fold names in their own ways (CGI reads `X-JWT-Sub`, `x_jwt_sub` and `x.jwt.sub` as one), so names are
//! compared folded, and every spelling that was received is removed by that spelling. Envoy removes after it
//! sets, so what is set and what is removed never share a name.

use std::collections::BTreeSet;
use std::fmt;

use super::claim_value::{self, ArrayFormat};
use super::decision::DenialReason;
use super::extract::TokenSources;
use super::request::CheckRequest;
use crate::token::{RawToken, VerifiedToken};

/// What is forwarded, and what is claimgate's own.
#[derive(Clone, Debug)]
pub struct Forward {
    claims: Vec<ClaimHeader>,
    payload: Option<TargetHeader>,
    strip: Vec<StripPattern>,
    keep_token: bool,
    max_bytes: usize,
}

/// A claim and the header that carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimHeader {
    /// The claim: a top-level name, then names of members.
    pub claim: Vec<String>,
    /// The header.
    pub header: TargetHeader,
    /// How an array is written.
    pub arrays: ArrayFormat,
}

/// Changes to a request's headers. `set` and `remove` share no name. `Debug` shows names and no value.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HeaderMutations {
    /// Overwrites every header of that name. Names in lower case, values fit for a header field.
    pub set: Vec<(String, String)>,
    /// Removed, spelled as received or, where a name of ours was not received, as ours.
    pub remove: Vec<String>,
}

impl fmt::Debug for HeaderMutations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set: Vec<&str> = self.set.iter().map(|(name, _)| name.as_str()).collect();
        let mut debug = f.debug_struct("HeaderMutations");
        debug.field("set", &set).field("remove", &self.remove).finish()
    }
}

impl Forward {
    /// Forwards `claims` and, if asked, the whole payload. At most `max_bytes` of names and values
    /// together are set in one answer.
    pub fn new(
        claims: Vec<ClaimHeader>,
        payload: Option<TargetHeader>,
        strip: Vec<StripPattern>,
        keep_token: bool,
        max_bytes: usize,
    ) -> Self {
        Self { claims, payload, strip, keep_token, max_bytes }
    }

    /// What an allowed request gets, with the claims of `token` or, where anyone may pass, none.
    ///
    /// # Errors
    /// `malformed` when a claim cannot be written into a header or the request's own headers are out
    /// of order, `header_too_large` when there is more to set than the limit allows.
    pub fn mutations(
        &self,
        request: &CheckRequest,
        token: Option<(&VerifiedToken, RawToken<'_>)>,
        sources: &TokenSources,
    ) -> Result<HeaderMutations, DenialReason> {
        if self.connection_names_ours(request) {
            return Err(DenialReason::Malformed);
        }
        let set = match token {
            Some((verified, raw)) => self.claim_headers(verified, raw)?,
            None => Vec::new(),
        };
        let mut remove = self.names_to_remove(request, &set)?;
        if !self.keep_token {
            remove.extend(sources.headers_with_token(request).map(str::to_ascii_lowercase));
        }
        Ok(HeaderMutations { set, remove: remove.into_iter().collect() })
    }

    /// Every header that claimgate sets, whoever asks.
    pub fn targets(&self) -> impl Iterator<Item = &TargetHeader> {
        self.claims.iter().map(|claim| &claim.header).chain(&self.payload)
    }

    fn claim_headers(
        &self,
        verified: &VerifiedToken,
        raw: RawToken<'_>,
    ) -> Result<Vec<(String, String)>, DenialReason> {
        let mut set = Vec::with_capacity(self.claims.len() + 1);
        let mut bytes = 0_usize;
        let mut add = |header: &TargetHeader, value: String| {
            bytes = bytes.saturating_add(header.0.len() + value.len());
            if bytes > self.max_bytes {
                return Err(DenialReason::HeaderTooLarge);
            }
            set.push((header.0.clone(), value));
            Ok(())
        };
        for mapping in &self.claims {
            let Some(claim) = verified.claims().at(&mapping.claim) else { continue };
            let value = claim_value::header_value(claim, &mapping.arrays);
            if let Some(value) = value.map_err(|_| DenialReason::Malformed)? {
                add(&mapping.header, value)?;
            }
        }
        if let Some(header) = &self.payload {
            add(header, raw.payload_segment().to_owned())?;
        }
        Ok(set)
    }

    /// Received names that are ours however they are spelled, and our names that are not set; without the
    /// exact names that are set, which Envoy overwrites in all their copies.
    fn names_to_remove(
        &self,
        request: &CheckRequest,
        set: &[(String, String)],
    ) -> Result<BTreeSet<String>, DenialReason> {
        let is_set = |name: &str| set.iter().any(|(header, _)| header == name);
        let mut remove = BTreeSet::new();
        for (name, _) in &request.headers {
            if !self.owns(name) {
                continue;
            }
            let name = name.to_ascii_lowercase();
            // What is no field name cannot be removed by name.
            if !is_field_name(&name) {
                return Err(DenialReason::Malformed);
            }
            if !is_set(&name) {
                remove.insert(name);
            }
        }
        let unset = self.targets().map(|header| header.0.as_str()).filter(|name| !is_set(name));
        remove.extend(unset.map(str::to_owned));
        Ok(remove)
    }

    /// Whether a received name folds to one of ours.
    fn owns(&self, name: &str) -> bool {
        // Pseudo-headers are Envoy's own and cannot be removed.
        !name.starts_with(':')
            && (self.targets().any(|header| folded(name).eq(header.0.chars()))
                || self.strip.iter().any(|pattern| pattern.matches(name)))
    }

    /// `Connection: x-jwt-sub` asks the next hop to drop a header of ours (RFC 9110 §7.6.1).
    fn connection_names_ours(&self, request: &CheckRequest) -> bool {
        let named = request.header_values("connection").flat_map(|value| value.split(','));
        named.map(str::trim).any(|name| self.owns(name))
    }
}

/// The name of a header that claimgate may set: lower case, letters, digits and hyphens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetHeader(String);

impl TargetHeader {
    /// Checks a configured name.
    ///
    /// # Errors
    /// Anything that is spelled ambiguously, or that HTTP or Envoy gives a meaning of its own.
    pub fn parse(name: &str) -> Result<Self, TargetHeaderError> {
        let name = plain_header_name(name).ok_or(TargetHeaderError::Spelling)?;
        if RESERVED.contains(&name.as_str())
            || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        {
            return Err(TargetHeaderError::Reserved);
        }
        Ok(Self(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TargetHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A configured header name in lower case, if every reader spells it alike: at most 128 letters, digits
/// and hyphens.
pub fn plain_header_name(name: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let fits = !name.is_empty() && name.len() <= 128 && name.chars().all(is_plain);
    fits.then(|| name.to_ascii_lowercase())
}

/// Why a header may not be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetHeaderError {
    /// Not letters, digits and hyphens.
    #[error("a header name of letters, digits and hyphens")]
    Spelling,
    /// It would change how the request is routed, framed or authenticated.
    #[error("a header that carries no meaning for HTTP or Envoy, such as x-jwt-sub")]
    Reserved,
}

const RESERVED: [&str; 15] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-request-id",
];

const RESERVED_PREFIXES: [&str; 4] = ["proxy-", "x-envoy-", "x-forwarded-", "grpc-"];

/// Names that are reserved for claimgate and removed from every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StripPattern {
    /// Exactly this name, folded.
    Exact(String),
    /// Every name that starts like this, folded.
    Prefix(String),
}

impl StripPattern {
    /// Reads `x-jwt-sub` or `x-jwt-*`.
    ///
    /// # Errors
    /// What may not be a [`TargetHeader`] either, a start that such a name has as well (`c*` would take
    /// `content-length` away), and a `*` elsewhere than at the end of a name.
    pub fn parse(pattern: &str) -> Result<Self, TargetHeaderError> {
        let Some(prefix) = pattern.strip_suffix('*') else {
            return TargetHeader::parse(pattern).map(|name| Self::Exact(name.0));
        };
        let TargetHeader(prefix) = TargetHeader::parse(prefix)?;
        let mut reserved = RESERVED.iter().chain(&RESERVED_PREFIXES);
        if reserved.any(|name| name.starts_with(&prefix)) {
            return Err(TargetHeaderError::Reserved);
        }
        Ok(Self::Prefix(prefix))
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => folded(name).eq(exact.chars()),
            Self::Prefix(prefix) => {
                let mut name = folded(name);
                prefix.chars().all(|c| name.next() == Some(c))
            }
        }
    }
}

/// A name as the least strict reader sees it: lower case, also of letters that only become ASCII that way
/// (U+212A, U+017F), with everything but letters and digits read as `-`: CGI servers make `_` of it.
fn folded(name: &str) -> impl Iterator<Item = char> {
    name.chars()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .map(|c| if c.is_ascii_punctuation() || c == ' ' { '-' } else { c })
}

/// A field name of RFC 9110 §5.1.
fn is_field_name(name: &str) -> bool {
    let is_tchar = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !name.is_empty() && name.chars().all(is_tchar)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strip_pattern_never_covers_a_header_that_http_needs() {
        for pattern in
            ["c*", "h*", "con*", "content-*", "author*", "x-*", "x-env*", "t*", "*", "via*"]
        {
            assert!(StripPattern::parse(pattern).is_err(), "{pattern}");
        }
        for pattern in ["x-jwt-*", "x-jwt-sub", "x-user*"] {
            assert!(StripPattern::parse(pattern).is_ok(), "{pattern}");
        }
    }

    #[test]
    fn whatever_a_cgi_server_folds_to_our_name_is_ours() {
        let pattern = StripPattern::parse("x-jwt-*").unwrap();
        for separator in "!#$%&'*+-.^_`|~".chars() {
            assert!(pattern.matches(&format!("X{separator}jwt{separator}Sub")), "{separator}");
        }
        assert!(!pattern.matches("xjwtsub"));
    }

    #[test]
    fn debug_shows_no_value_of_a_claim() {
        let set = vec![("x-jwt-sub".to_owned(), "alice".to_owned())];
        let shown = format!("{:?}", HeaderMutations { set, remove: Vec::new() });
        assert!(shown.contains("x-jwt-sub") && !shown.contains("alice"), "{shown}");
    }
}
