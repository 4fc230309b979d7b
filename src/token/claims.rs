//! The claims set, read in two steps. Before the signature is checked only the
//! top level is split and `iss` and `exp` are read, to find the keys; all the rest is looked into afterwards.

use std::fmt;

use super::fault::{Fault, Segment};
use super::issuer::{Audiences, Issuer, IssuerName, TenantPattern};
use super::observe::{Observe, Times, TokenFact, TokenStep};
use super::verifier::Refusal;
use crate::util::clock::UnixTime;
use crate::util::json::{self, Document, RawMembers, View};

/// A claims set whose signature has not been checked: only `iss` may be asked for, and whether it is
/// worth looking for a key.
pub(super) struct UnverifiedClaims<'a>(RawMembers<'a>);

impl<'a> UnverifiedClaims<'a> {
    pub(super) fn parse(payload: &'a [u8]) -> Result<Self, Fault> {
        RawMembers::parse(payload).map(Self).map_err(not_json)
    }

    /// The `iss` claim; `None` when there is none.
    pub(super) fn issuer(&self) -> Result<Option<std::borrow::Cow<'a, str>>, Fault> {
        let Some(raw) = self.0.get("iss") else { return Ok(None) };
        json::string_of(raw).map(Some).map_err(|_| Fault::NotAString(Segment::Payload, "iss"))
    }

    /// Whether `exp` says, on its own word, that the token has expired; true as well for one that cannot be
    /// read, or is missing where `issuer` must set it. Nobody who holds such a token is let in, whatever key
    /// signed it.
    pub(super) fn seems_expired(&self, issuer: &Issuer, now: UnixTime) -> bool {
        let Some(raw) = self.0.get("exp") else { return issuer.require.exp };
        let expires_at = numeric_date(raw.get());
        expires_at.is_none_or(|expires_at| has_expired(expires_at, issuer, now))
    }

    /// Looks into every claim. The caller has verified the signature.
    pub(super) fn into_claims(self) -> Result<Claims, Fault> {
        let members = Document::parse(&self.0);
        Claims::new(members.map_err(not_json)?)
    }
}

fn not_json(malformed: json::Malformed) -> Fault {
    Fault::Json(Segment::Payload, malformed)
}

/// The claims of a token whose signature was good. `Debug` shows no value.
#[derive(Clone, PartialEq, Eq)]
pub struct Claims {
    members: Document,
    expires_at: Date,
    not_before: Date,
    issued_at: Date,
}

/// A time or none, in the eight bytes of a time.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Date(UnixTime);

impl Date {
    const NONE: UnixTime = UnixTime::from_millis(i64::MIN);
    /// Nobody can tell it from the one before.
    const FIRST: UnixTime = UnixTime::from_millis(i64::MIN + 1);

    fn get(self) -> Option<UnixTime> {
        Some(self.0).filter(|time| *time != Self::NONE)
    }
}

impl From<Option<UnixTime>> for Date {
    fn from(time: Option<UnixTime>) -> Self {
        Self(time.map_or(Self::NONE, |time| time.max(Self::FIRST)))
    }
}

impl Claims {
    fn new(members: Document) -> Result<Self, Fault> {
        let none = Date::from(None);
        let mut claims = Self { members, expires_at: none, not_before: none, issued_at: none };
        claims.expires_at = claims.numeric_date("exp")?.into();
        claims.not_before = claims.numeric_date("nbf")?.into();
        claims.issued_at = claims.numeric_date("iat")?.into();
        // A number or an array here would dodge whoever compares it as a string later (RFC 7519 §4.1).
        for name in ["iss", "sub", "jti"] {
            if claims.get(name).is_some_and(|claim| claim.as_str().is_none()) {
                return Err(Fault::NotAString(Segment::Payload, name));
            }
        }
        let is_audience = match claims.get("aud") {
            None | Some(View::String(_)) => true,
            Some(View::Array(several)) => several.elements().all(|one| one.as_str().is_some()),
            Some(View::Null | View::Bool(_) | View::Number(_) | View::Object(_)) => false,
        };
        if is_audience { Ok(claims) } else { Err(Fault::Audience) }
    }

    /// The top-level claim of that exact name.
    pub fn get(&self, name: &str) -> Option<View<'_>> {
        self.members.members().get(name)
    }

    /// Every claim, in the order they were written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, View<'_>)> {
        self.members.members().members()
    }

    /// The claim at `path`: a top-level name, then members of objects. `None` when any step is missing.
    pub fn at(&self, path: &[String]) -> Option<View<'_>> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.get(first)?, |value, name| value.member(name))
    }

    /// An estimate of the memory that they hold, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.members.bytes()
    }

    /// `exp`: when the token expires, without tolerance.
    pub fn expires_at(&self) -> Option<UnixTime> {
        self.expires_at.get()
    }

    /// `iat`: when the token was issued.
    pub fn issued_at(&self) -> Option<UnixTime> {
        self.issued_at.get()
    }

    /// Judges what holds for every token of `issuer`, whatever the rule: time, tenant and presence.
    pub(super) fn judge(
        &self,
        issuer: &Issuer,
        now: UnixTime,
        observer: &mut impl Observe<TokenStep>,
    ) -> Result<(), Refusal> {
        let timely = self.judge_time(issuer, now);
        observer.note(|| TokenStep {
            looked_at: TokenFact::Times(self.times(issuer, now)),
            refusal: timely.err(),
        });
        timely?;
        if let IssuerName::Tenants(pattern) = &issuer.issuer {
            let iss = self.get("iss").and_then(View::as_str).unwrap_or_default();
            let judged = self.judge_tenant(pattern, iss);
            observer.note(|| {
                let named = self.get(&pattern.claim).and_then(View::as_str).map(str::to_owned);
                let expected = pattern.tenant(iss).map(str::to_owned);
                let looked_at = TokenFact::Tenant { claim: pattern.claim.clone(), named, expected };
                TokenStep { looked_at, refusal: judged.err() }
            });
            judged?;
        }
        let wanted = &issuer.require.claims;
        let present = wanted.iter().all(|name| self.is_present(name));
        let present = present.then_some(()).ok_or(Refusal::MissingClaim);
        if !wanted.is_empty() {
            observer.note(|| {
                let missing = wanted.iter().filter(|name| !self.is_present(name)).cloned();
                let (wanted, missing) = (wanted.clone(), missing.collect());
                TokenStep {
                    looked_at: TokenFact::Present { wanted, missing },
                    refusal: present.err(),
                }
            });
        }
        present
    }

    fn judge_tenant(&self, pattern: &TenantPattern, iss: &str) -> Result<(), Refusal> {
        let named = self.get(&pattern.claim).ok_or(Refusal::MissingClaim)?;
        if named.as_str().is_none() || named.as_str() != pattern.tenant(iss) {
            return Err(Refusal::ClaimMismatch);
        }
        Ok(())
    }

    fn is_present(&self, name: &str) -> bool {
        match self.get(name) {
            None | Some(View::Null) => false,
            Some(View::String(text)) => !text.is_empty(),
            Some(View::Bool(_) | View::Number(_) | View::Array(_) | View::Object(_)) => true,
        }
    }

    fn times(&self, issuer: &Issuer, now: UnixTime) -> Times {
        Times {
            now,
            expires_at: self.expires_at.get(),
            not_before: self.not_before.get(),
            issued_at: self.issued_at.get(),
            clock_skew: issuer.clock_skew,
            needs_exp: issuer.require.exp,
            max_age: issuer.require.max_age,
            max_lifetime: issuer.require.max_lifetime,
        }
    }

    /// Whether the token is meant for one of `accepted` (RFC 7519 §4.1.3), as `aud` says, or the claim that is `in_place` of it.
    ///
    /// # Errors
    /// [`Refusal::MissingClaim`] when it says for nobody whom it is meant for, [`Refusal::AudienceMismatch`] when it
    /// is meant for others, and when it has an `aud` where another claim is in its place.
    pub fn judge_audience(
        &self,
        accepted: &Audiences,
        in_place: Option<&str>,
    ) -> Result<(), Refusal> {
        let Audiences::AnyOf(accepted) = accepted else { return Ok(()) };
        let named = self.get(in_place.unwrap_or("aud"));
        // RFC 7519 §4.1.3: who does not identify with a value of `aud` must reject.
        if in_place.is_some() && self.get("aud").is_some() {
            return Err(Refusal::AudienceMismatch);
        }
        let is_accepted = |one: View<'_>| {
            one.as_str().is_some_and(|one| accepted.iter().any(|accepted| accepted == one))
        };
        let names_one = match named {
            None => return Err(Refusal::MissingClaim),
            Some(View::Array(several)) => {
                let are_texts = several.elements().all(|one| one.as_str().is_some());
                are_texts && several.elements().any(is_accepted)
            }
            Some(one) => is_accepted(one),
        };
        if names_one { Ok(()) } else { Err(Refusal::AudienceMismatch) }
    }

    fn judge_time(&self, issuer: &Issuer, now: UnixTime) -> Result<(), Refusal> {
        match self.expires_at.get() {
            Some(expires_at) if has_expired(expires_at, issuer, now) => {
                return Err(Refusal::Expired);
            }
            None if issuer.require.exp => return Err(Refusal::MissingClaim),
            Some(_) | None => {}
        }
        let skew = issuer.clock_skew;
        let latest = now.saturating_add(skew);
        let starts = [self.not_before.get(), self.issued_at.get()];
        if starts.into_iter().flatten().any(|start| start > latest) {
            return Err(Refusal::NotYetValid);
        }
        if let Some(max_age) = issuer.require.max_age {
            let issued_at = self.issued_at.get().ok_or(Refusal::MissingClaim)?;
            if now >= issued_at.saturating_add(max_age).saturating_add(skew) {
                return Err(Refusal::TooOld);
            }
        }
        if let Some(max_lifetime) = issuer.require.max_lifetime {
            let expires_at = self.expires_at.get().ok_or(Refusal::MissingClaim)?;
            // A token that does not say when it was issued may have been issued right now.
            let since = self.issued_at.get().map_or(now, |issued_at| issued_at.min(now));
            if expires_at > since.saturating_add(max_lifetime) {
                return Err(Refusal::TooOld);
            }
        }
        Ok(())
    }

    fn numeric_date(&self, name: &'static str) -> Result<Option<UnixTime>, Fault> {
        match self.get(name) {
            None => Ok(None),
            Some(View::Number(text)) => numeric_date(text).map(Some).ok_or(Fault::NotADate(name)),
            Some(
                View::Null | View::Bool(_) | View::String(_) | View::Array(_) | View::Object(_),
            ) => Err(Fault::NotADate(name)),
        }
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims")
            .field("members", &self.members.members().count())
            .finish_non_exhaustive()
    }
}

/// "On or after" `exp` a token must not be accepted (RFC 7519 §4.1.4).
fn has_expired(expires_at: UnixTime, issuer: &Issuer, now: UnixTime) -> bool {
    now >= expires_at.saturating_add(issuer.clock_skew)
}

/// A NumericDate (RFC 7519 §2): seconds, an integer or a finite number with a fraction. What does not
/// fit in our time is no date: it must neither wrap nor mean "never".
pub fn numeric_date(text: &str) -> Option<UnixTime> {
    if let Ok(seconds) = text.parse::<i64>() {
        return UnixTime::from_secs(seconds);
    }
    let millis = text.parse::<f64>().ok()? * 1000.0;
    // 2^53: up to here every whole millisecond is exact.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (millis.is_finite() && millis.abs() <= EXACT)
        .then(|| UnixTime::from_millis(millis.floor() as i64))
}
