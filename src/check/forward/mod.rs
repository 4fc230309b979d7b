//! What the upstream gets to see: which headers are set from verified claims, and which of the
//! client's are removed.
//!
//! The promise is that an upstream never sees a claim header that was not set in this very answer. Upstreams
//! fold names in their own ways (CGI reads `X-JWT-Sub`, `x_jwt_sub` and `x.jwt.sub` as one), so names are
//! compared folded, and every spelling that was received is removed by that spelling. Envoy removes after it
//! sets, so what is set and what is removed never share a name.

mod encoded;
mod headers;
mod own;
mod target;
mod value;

use std::sync::Arc;

pub use self::headers::{Forwarded, HeaderMutations, TokenHeaders};
pub use self::target::{StripPattern, TargetHeader, TargetHeaderError, plain_header_name};
pub use self::value::ClaimFormat;

use self::own::OwnNames;
use self::target::is_field_name;
use super::KnownToken;
use super::locations::TokenTraces;
use super::reason::DenialReason;
use super::request::CheckRequest;
use crate::token::{RawToken, VerifiedToken};

/// What is forwarded, and what is claimgate's own.
#[derive(Clone, Debug, Default)]
pub struct Forward {
    settings: ForwardSettings,
    own: OwnNames,
}

/// What a configuration says of it.
#[derive(Clone, Debug, Default)]
pub struct ForwardSettings {
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

impl Forward {
    /// Forwards as `settings` say.
    pub fn new(settings: ForwardSettings) -> Self {
        let own = OwnNames::new(settings.targets(), &settings.strip);
        Self { settings, own }
    }

    /// As configured.
    pub fn settings(&self) -> &ForwardSettings {
        &self.settings
    }

    /// What an allowed request gets, with the claims of `token` or, where there is none, without any. The tokens at
    /// `traces` are taken away.
    ///
    /// # Errors
    /// `malformed` when a claim cannot be written into a header or the request's own headers are out
    /// of order, `header_too_large` when there is more to set than the limit allows, `missing_claim` when there is
    /// none for a header that must be there; and which header it is about.
    pub fn mutations(
        &self,
        request: &CheckRequest<'_>,
        token: Option<(&KnownToken, RawToken<'_>)>,
        traces: TokenTraces,
    ) -> Result<HeaderMutations, Unforwardable> {
        if self.connection_names_ours(request) {
            let header = "connection".to_owned();
            return Err(Unforwardable { header, reason: DenialReason::Malformed });
        }
        let token = token.map(|(token, raw)| {
            let make = || self.settings.of_token(token, raw).map(Arc::new).map_err(Box::new);
            token.derived.0.get_or_init(make).clone().map_err(|refusal| *refusal)
        });
        let token = token.transpose()?;
        let mut remove = self.names_to_remove(request, token.as_deref())?;
        remove.extend(traces.headers);
        let cookie = traces.cookie.filter(|rest| {
            let is_left = !rest.is_empty();
            if !is_left {
                remove.push("cookie".into());
            }
            is_left
        });
        remove.sort_unstable();
        remove.dedup();
        let remove_query = traces.query.into_iter().collect();
        Ok(HeaderMutations { token, cookie, remove, remove_query })
    }

    /// Received names that are ours however they are spelled, and our names that are not set; without the
    /// exact names that are set, which Envoy overwrites in all their copies.
    fn names_to_remove(
        &self,
        request: &CheckRequest<'_>,
        token: Option<&TokenHeaders>,
    ) -> Result<Vec<Arc<str>>, Unforwardable> {
        let mut remove: Vec<Arc<str>> = match token {
            Some(token) => token.unset.to_vec(),
            None => self.settings.targets().map(TargetHeader::shared).collect(),
        };
        let is_target = |name: &str| self.settings.targets().any(|one| one.as_str() == name);
        for (name, _) in request.headers.iter().filter(|(name, _)| self.own.has(name)) {
            let name = name.to_ascii_lowercase();
            // What is no field name cannot be removed by name.
            if !is_field_name(&name) {
                return Err(Unforwardable { header: name, reason: DenialReason::Malformed });
            }
            // Ours are set, or removed already.
            if !is_target(&name) {
                remove.push(name.into());
            }
        }
        Ok(remove)
    }

    /// `Connection: x-jwt-sub` asks the next hop to drop a header of ours (RFC 9110 §7.6.1).
    fn connection_names_ours(&self, request: &CheckRequest<'_>) -> bool {
        let named = request.header_values("connection").flat_map(|value| value.split(','));
        named.map(str::trim).any(|name| self.own.has(name))
    }
}

impl ForwardSettings {
    fn of_token(
        &self,
        token: &VerifiedToken,
        raw: RawToken<'_>,
    ) -> Result<TokenHeaders, Unforwardable> {
        let request = self.written(&self.headers, token, self.payload.as_ref(), raw)?;
        let response = self.written(&self.response_headers, token, None, raw)?;
        let is_set = |target: &&TargetHeader| request.iter().any(|(header, _)| header == target);
        let unset = self.targets().filter(|target| !is_set(target)).map(TargetHeader::shared);
        let unset = unset.collect();
        let [request, response] = [&request, &response].map(|pairs| {
            pairs
                .iter()
                .map(|(header, value)| (header.as_str(), value.as_str()))
                .collect::<Vec<_>>()
        });
        let mut headers = TokenHeaders::new(&request, &response);
        headers.unset = unset;
        headers.encoded_metadata = self.metadata.then(Box::default);
        Ok(headers)
    }

    /// Every header of a request that claimgate sets, whoever asks.
    pub fn targets(&self) -> impl Iterator<Item = &TargetHeader> {
        let payload = self.payload.iter().map(|payload| &payload.header);
        self.headers.iter().map(|forwarded| &forwarded.header).chain(payload)
    }

    fn written<'a>(
        &'a self,
        headers: &'a [ForwardedHeader],
        verified: &VerifiedToken,
        payload: Option<&'a PayloadHeader>,
        raw: RawToken<'_>,
    ) -> Result<Vec<(&'a TargetHeader, String)>, Unforwardable> {
        let mut set = Vec::with_capacity(headers.len() + 1);
        let mut bytes = 0_usize;
        let mut add = |header: &'a TargetHeader, value: String| {
            bytes = bytes.saturating_add(header.as_str().len() + value.len());
            if bytes > self.max_bytes {
                return Err(DenialReason::HeaderTooLarge);
            }
            set.push((header, value));
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
