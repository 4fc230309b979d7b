//! What the upstream gets to see: which headers are set from verified claims, and which of the
//! client's are removed.
//!
//! The promise is that an upstream never sees a claim header that was not set in this very answer. Upstreams
//! fold names in their own ways (CGI reads `X-JWT-Sub`, `x_jwt_sub` and `x.jwt.sub` as one), so names are
//! compared folded, and every spelling that was received is removed by that spelling. Envoy removes after it
//! sets, so what is set and what is removed never share a name.

mod target;
mod value;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::OnceLock;

pub use self::target::{StripPattern, TargetHeader, TargetHeaderError, plain_header_name};
pub use self::value::ClaimFormat;

use self::target::{folded, is_field_name};
use super::KnownToken;
use super::decision::DenialReason;
use super::locations::TokenTraces;
use super::request::CheckRequest;
use crate::token::{RawToken, VerifiedToken};

/// What is forwarded, and what is claimgate's own.
#[derive(Clone, Debug, Default)]
pub struct Forward {
    /// Headers for the upstream.
    pub headers: Vec<ForwardedHeader>,
    /// A header for the whole payload.
    pub payload: Option<PayloadHeader>,
    /// Headers for the caller, in the answer of the upstream.
    pub response_headers: Vec<ForwardedHeader>,
    /// Names that are removed from every request.
    pub strip: Vec<StripPattern>,
    /// Whether Envoy is told the claims, as dynamic metadata.
    pub metadata: bool,
    /// At most so many bytes of names and values are set in one answer, requests and responses each.
    pub max_bytes: usize,
}

/// A header that is set for a verified token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardedHeader {
    /// The header.
    pub header: TargetHeader,
    /// What it says.
    pub value: ForwardedValue,
}

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardedValue {
    /// A claim.
    Claim(ForwardedClaim),
    /// Always this, which is visible ASCII.
    Constant(String),
}

/// A claim, and how it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardedClaim {
    /// A top-level name, then names of members.
    pub claim: Vec<String>,
    /// How it is written.
    pub format: ClaimFormat,
    /// Whether a token without it is denied.
    pub required: bool,
    /// A longer value is too long.
    pub max_bytes: Option<usize>,
    /// What happens then.
    pub too_long: TooLong,
}

/// What happens to a claim that is too long. It is never cut: half a value is another value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooLong {
    /// `header_too_large`.
    Deny,
    /// The upstream does not get it.
    Drop,
}

/// A header for the whole payload in base64url.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadHeader {
    /// The header.
    pub header: TargetHeader,
    /// Whether it is padded with `=`, unlike the token itself.
    pub padded: bool,
}

/// Why a request cannot be passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unforwardable {
    /// The header that it is about: one that was to be set, or one of the request's, as received.
    pub header: String,
    /// Why.
    pub reason: DenialReason,
}

/// Changes to a request. `set` and `remove` share no name. `Debug` shows names and no value.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HeaderMutations {
    /// Overwrites every header of that name. Names in lower case, values fit for a header field.
    pub set: Vec<(String, String)>,
    /// Removed, spelled as received or, where a name of ours was not received, as ours.
    pub remove: Vec<String>,
    /// Query parameters to remove, spelled as received.
    pub remove_query: Vec<String>,
    /// Overwrites every header of that name in the upstream's answer.
    pub response: Vec<(String, String)>,
}

impl fmt::Debug for HeaderMutations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |headers: &[(String, String)]| -> Vec<String> {
            headers.iter().map(|(name, _)| name.clone()).collect()
        };
        f.debug_struct("HeaderMutations")
            .field("set", &names(&self.set))
            .field("remove", &self.remove)
            .field("remove_query", &self.remove_query)
            .field("response", &names(&self.response))
            .finish()
    }
}

/// Headers for the upstream, and for the caller.
type Written = (Vec<(String, String)>, Vec<(String, String)>);

/// What is made of a token for its headers, once. `Debug` shows none of it.
#[derive(Default)]
pub struct Forwarded(OnceLock<Result<Written, Unforwardable>>);

impl fmt::Debug for Forwarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarded").finish_non_exhaustive()
    }
}

impl Forward {
    /// What an allowed request gets, with the claims of `token` or, where there is none, without any. The tokens at
    /// `traces` are taken away.
    ///
    /// # Errors
    /// `malformed` when a claim cannot be written into a header or the request's own headers are out
    /// of order, `header_too_large` when there is more to set than the limit allows, `missing_claim` when there is
    /// none for a header that must be there; and which header it is about.
    pub fn mutations(
        &self,
        request: &CheckRequest,
        token: Option<(&KnownToken, RawToken<'_>)>,
        traces: TokenTraces,
    ) -> Result<HeaderMutations, Unforwardable> {
        if self.connection_names_ours(request) {
            let header = "connection".to_owned();
            return Err(Unforwardable { header, reason: DenialReason::Malformed });
        }
        let mut mutations = HeaderMutations::default();
        if let Some((token, raw)) = token {
            let made = token.derived.0.get_or_init(|| {
                let payload = self.payload.as_ref();
                let set = self.written(&self.headers, token, payload, raw)?;
                Ok((set, self.written(&self.response_headers, token, None, raw)?))
            });
            (mutations.set, mutations.response) = made.clone()?;
        }
        let mut remove = self.names_to_remove(request, &mutations.set)?;
        remove.extend(traces.headers);
        match traces.cookie {
            None => {}
            Some(rest) if rest.is_empty() => {
                remove.insert("cookie".to_owned());
            }
            Some(rest) => mutations.set.push(("cookie".to_owned(), rest)),
        }
        mutations.remove = remove.into_iter().collect();
        mutations.remove_query = traces.query.into_iter().collect();
        Ok(mutations)
    }

    /// Every header of a request that claimgate sets, whoever asks.
    pub fn targets(&self) -> impl Iterator<Item = &TargetHeader> {
        let payload = self.payload.iter().map(|payload| &payload.header);
        self.headers.iter().map(|forwarded| &forwarded.header).chain(payload)
    }

    fn written(
        &self,
        headers: &[ForwardedHeader],
        verified: &VerifiedToken,
        payload: Option<&PayloadHeader>,
        raw: RawToken<'_>,
    ) -> Result<Vec<(String, String)>, Unforwardable> {
        let mut set = Vec::with_capacity(headers.len() + 1);
        let mut bytes = 0_usize;
        let mut add = |header: &TargetHeader, value: String| {
            let name = header.as_str();
            bytes = bytes.saturating_add(name.len() + value.len());
            if bytes > self.max_bytes {
                return Err(DenialReason::HeaderTooLarge);
            }
            set.push((name.to_owned(), value));
            Ok(())
        };
        for ForwardedHeader { header, value } in headers {
            let value = match value {
                ForwardedValue::Constant(text) => Ok(Some(text.clone())),
                ForwardedValue::Claim(claim) => claim.written(verified),
            };
            let added = value.and_then(|value| value.map_or(Ok(()), |value| add(header, value)));
            added.map_err(|reason| Unforwardable { header: header.to_string(), reason })?;
        }
        if let Some(PayloadHeader { header, padded }) = payload {
            let mut value = raw.payload_segment().to_owned();
            while *padded && !value.len().is_multiple_of(4) {
                value.push('=');
            }
            add(header, value)
                .map_err(|reason| Unforwardable { header: header.to_string(), reason })?;
        }
        Ok(set)
    }

    /// Received names that are ours however they are spelled, and our names that are not set; without the
    /// exact names that are set, which Envoy overwrites in all their copies.
    fn names_to_remove(
        &self,
        request: &CheckRequest,
        set: &[(String, String)],
    ) -> Result<BTreeSet<String>, Unforwardable> {
        let is_set = |name: &str| set.iter().any(|(header, _)| header == name);
        let mut remove = BTreeSet::new();
        for (name, _) in &request.headers {
            if !self.owns(name) {
                continue;
            }
            let name = name.to_ascii_lowercase();
            // What is no field name cannot be removed by name.
            if !is_field_name(&name) {
                return Err(Unforwardable { header: name, reason: DenialReason::Malformed });
            }
            if !is_set(&name) {
                remove.insert(name);
            }
        }
        let unset = self.targets().map(TargetHeader::as_str).filter(|name| !is_set(name));
        remove.extend(unset.map(str::to_owned));
        Ok(remove)
    }

    /// Whether a received name folds to one of ours.
    fn owns(&self, name: &str) -> bool {
        // Pseudo-headers are Envoy's own and cannot be removed.
        !name.starts_with(':')
            && (self.targets().any(|header| folded(name).eq(header.as_str().chars()))
                || self.strip.iter().any(|pattern| pattern.matches(name)))
    }

    /// `Connection: x-jwt-sub` asks the next hop to drop a header of ours (RFC 9110 §7.6.1).
    fn connection_names_ours(&self, request: &CheckRequest) -> bool {
        let named = request.header_values("connection").flat_map(|value| value.split(','));
        named.map(str::trim).any(|name| self.owns(name))
    }
}

impl ForwardedClaim {
    /// `None` when the upstream does not get it.
    fn written(&self, verified: &VerifiedToken) -> Result<Option<String>, DenialReason> {
        let claim = verified.claims().at(&self.claim);
        let value = claim.map(|claim| value::header_value(claim, &self.format)).transpose();
        let value = value.map_err(|_| DenialReason::Malformed)?.flatten();
        let Some(value) = value else {
            return if self.required { Err(DenialReason::MissingClaim) } else { Ok(None) };
        };
        let is_too_long = self.max_bytes.is_some_and(|most| value.len() > most);
        match self.too_long {
            _ if !is_too_long => Ok(Some(value)),
            TooLong::Deny => Err(DenialReason::HeaderTooLarge),
            TooLong::Drop => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_value_of_a_claim() {
        let set = vec![("x-jwt-sub".to_owned(), "alice".to_owned())];
        let shown = format!("{:?}", HeaderMutations { set, ..HeaderMutations::default() });
        assert!(shown.contains("x-jwt-sub") && !shown.contains("alice"), "{shown}");
    }
}
