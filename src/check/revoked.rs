//! Whether a verified token was taken back. It is asked for every request, remembered token or not: nothing that was
//! remembered outlives a revocation.

use super::DenialReason;
use super::steps::{Fact, Step, Watch};
use crate::revocation::{Revocations, TokenFacts, Verdict};
use crate::token::VerifiedToken;
use crate::util::clock::UnixTime;
use crate::util::json::View;

/// Whether `token` may pass as far as the revocations are concerned.
pub(super) fn judge(
    revocations: &Revocations,
    token: &VerifiedToken,
    now: UnixTime,
    watch: &mut impl Watch,
) -> Result<(), DenialReason> {
    let sid = token.claims().get("sid");
    let text = |name: &str| token.claims().get(name).and_then(View::as_str);
    // As with `sub` and `jti`: a number that reads like a revoked session must not dodge the comparison.
    if sid.is_some_and(|sid| sid.as_str().is_none()) {
        watch.note(|| Step {
            looked_at: Fact::Revocation(None),
            reason: Some(DenialReason::Malformed),
        });
        return Err(DenialReason::Malformed);
    }
    let facts = TokenFacts {
        iss: token.iss().unwrap_or_default(),
        jti: text("jti"),
        sub: token.subject(),
        sid: sid.and_then(View::as_str),
        kid: token.key_id(),
        iat: token.claims().issued_at(),
    };
    let verdict = revocations.judge(&facts, now);
    let reason = match verdict {
        Verdict::Good | Verdict::Unchecked => None,
        Verdict::Revoked(_) => Some(DenialReason::Revoked),
        Verdict::Stale => Some(DenialReason::RevocationStale),
        Verdict::NoJti => Some(DenialReason::MissingClaim),
    };
    watch.note(|| Step { looked_at: Fact::Revocation(Some(verdict)), reason });
    reason.map_or(Ok(()), Err)
}
