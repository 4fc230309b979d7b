//! What is to be revoked, as the command line says it → an entry. One set of arguments a kind.

use std::time::Duration;

use crate::cli::at;
use crate::config;
use crate::revocation::{RevocationEntry, Revoked};
use crate::util::clock::UnixTime;

/// What there is to write.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) iss: String,
    pub(super) revoked: Revoked,
    end: End,
}

/// Arguments of `revoke token`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Token {
    /// Who issued it: its iss.
    #[arg(long, value_name = "ISS")]
    iss: String,
    /// Its jti.
    #[arg(long, value_name = "JTI", allow_hyphen_values = true)]
    jti: String,
    #[command(flatten)]
    end: End,
}

/// Arguments of `revoke subject`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Subject {
    /// Who issued the tokens: their iss.
    #[arg(long, value_name = "ISS")]
    iss: String,
    /// Their sub.
    #[arg(long, value_name = "SUB", allow_hyphen_values = true)]
    sub: String,
    /// Those that were issued before this: 2026-01-31T12:00:00Z, or seconds since 1970. Default: everything up to now.
    #[arg(long, value_name = "TIME", value_parser = at::time)]
    not_before: Option<UnixTime>,
    #[command(flatten)]
    end: End,
}

/// Arguments of `revoke session`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Session {
    /// Who issued the tokens: their iss.
    #[arg(long, value_name = "ISS")]
    iss: String,
    /// Their sid.
    #[arg(long, value_name = "SID", allow_hyphen_values = true)]
    sid: String,
    #[command(flatten)]
    end: End,
}

/// Arguments of `revoke key`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Key {
    /// Who signs with it: the iss of its tokens.
    #[arg(long, value_name = "ISS")]
    iss: String,
    /// Its kid.
    #[arg(long, value_name = "KID", allow_hyphen_values = true)]
    kid: String,
    #[command(flatten)]
    end: End,
}

/// Arguments of `revoke issuer`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Issuer {
    /// Who: the iss of its tokens.
    #[arg(long, value_name = "ISS")]
    iss: String,
    /// What was issued before this: 2026-01-31T12:00:00Z, or seconds since 1970. Default: everything up to now.
    #[arg(long, value_name = "TIME", value_parser = at::time)]
    not_before: Option<UnixTime>,
    #[command(flatten)]
    end: End,
}

/// Until when it has to be remembered: the end of the last token that it is about.
#[derive(Clone, Copy, Debug, clap::Args)]
struct End {
    /// Remember it until then, when the last such token has expired: 2026-01-31T12:00:00Z, or seconds since 1970.
    #[arg(long, value_name = "TIME", value_parser = at::time, required_unless_present_any = ["lasts", "undo"])]
    expires: Option<UnixTime>,
    /// Remember it for so long: such tokens are valid for no longer.
    #[arg(long = "for", id = "lasts", value_name = "DURATION", value_parser = config::duration, conflicts_with = "expires")]
    lasts: Option<Duration>,
}

impl Token {
    pub(super) fn target(&self) -> Target {
        let Self { iss, jti, end } = self.clone();
        Target { iss, revoked: Revoked::Token { jti: jti.into() }, end }
    }
}

impl Subject {
    pub(super) fn target(&self, now: UnixTime) -> Target {
        let Self { iss, sub, not_before, end } = self.clone();
        let not_before = not_before.unwrap_or_else(|| after(now));
        Target { iss, revoked: Revoked::Subject { sub: sub.into(), not_before }, end }
    }
}

impl Session {
    pub(super) fn target(&self) -> Target {
        let Self { iss, sid, end } = self.clone();
        Target { iss, revoked: Revoked::Session { sid: sid.into() }, end }
    }
}

impl Key {
    pub(super) fn target(&self) -> Target {
        let Self { iss, kid, end } = self.clone();
        Target { iss, revoked: Revoked::Key { kid: kid.into() }, end }
    }
}

impl Issuer {
    pub(super) fn target(&self, now: UnixTime) -> Target {
        let Self { iss, not_before, end } = self.clone();
        let not_before = not_before.unwrap_or_else(|| after(now));
        Target { iss, revoked: Revoked::Issuer { not_before }, end }
    }
}

impl Target {
    /// The entry to write at `now`.
    ///
    /// # Errors
    /// Why nobody could write that.
    pub(super) fn entry(self, now: UnixTime) -> Result<RevocationEntry, String> {
        let Self { iss, revoked, end } = self;
        let expires_at = match (end.expires, end.lasts) {
            (Some(at), _) => at,
            (None, Some(lasts)) => now.saturating_add(lasts),
            (None, None) => return Err("--expires or --for says until when".to_owned()),
        };
        if expires_at <= now {
            return Err("by then it would have been forgotten: the time is in the past".to_owned());
        }
        RevocationEntry::new(&iss, revoked, expires_at).map_err(|error| error.to_string())
    }
}

/// The next whole second: `iat` has no fractions, and what was issued in this one is meant too.
fn after(now: UnixTime) -> UnixTime {
    UnixTime::from_secs(now.as_millis().div_euclid(1000).saturating_add(1)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_millis(1_000_500);

    fn lasting(seconds: u64) -> End {
        End { expires: None, lasts: Some(Duration::from_secs(seconds)) }
    }

    #[test]
    fn what_was_issued_in_this_very_second_is_revoked_too() {
        let iss = "i".to_owned();
        let issuer = Issuer { iss, not_before: None, end: lasting(60) };
        let entry = issuer.target(NOW).entry(NOW).unwrap();
        assert_eq!(entry.revoked().not_before(), UnixTime::from_secs(1001));
        assert_eq!(entry.expires_at(), UnixTime::from_secs(1061).unwrap(), "rounded up");
    }

    #[test]
    fn an_entry_that_would_be_forgotten_at_once_is_not_written() {
        let end = End { expires: Some(NOW), lasts: None };
        let key = Key { iss: "i".to_owned(), kid: "k".to_owned(), end };
        assert!(key.target().entry(NOW).unwrap_err().contains("past"));
    }
}
