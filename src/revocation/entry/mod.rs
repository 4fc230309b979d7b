//! What can be revoked, as a value and as a line of JSON: the one form that the watched file, Redis and whoever writes
//! to them share. Pure; it knows no store.
//!
//! ```json
//! {"v":1,"kind":"token","iss":"https://id.example","jti":"9f1c","expires_at":1764000030}
//! {"v":1,"kind":"subject","iss":"https://id.example","sub":"alice","not_before":1763990000,"expires_at":1764076400}
//! {"v":1,"kind":"session","iss":"https://id.example","sid":"s-17","expires_at":1764076400}
//! {"v":1,"kind":"key","iss":"https://id.example","kid":"2026-10","expires_at":1766592000}
//! {"v":1,"kind":"issuer","iss":"https://id.example","not_before":1763990000,"expires_at":1764076400}
//! ```
//!
//! JSON, since `iss` is a URL and the others are whatever an issuer likes: no separator is safe in them, and every
//! language writes JSON. Strings are literal: no pattern, no case folding, no Unicode normalisation.

use std::borrow::Cow;
use std::fmt;

use crate::util::clock::UnixTime;
use crate::util::escape::escaped;
use crate::util::json::{self, Malformed, RawMembers};

/// The version of the form. Another one is refused: nobody guesses what it says.
pub const VERSION: u64 = 1;

/// The longest `iss`, `jti`, `sub`, `sid` or `kid`, in bytes. Whoever issues longer ones cannot have them revoked, and
/// tokens with such a claim are taken for what they are: tokens that cannot be revoked.
pub const MAX_TEXT_BYTES: usize = 1024;

/// The longest line, in bytes: every character of its texts as a `\u` escape, and room for the rest.
pub const MAX_LINE_BYTES: usize = 16 * 1024;

/// The latest time in an entry, in seconds since 1970 (the year 2106): it is kept in 32 bits.
pub const MAX_SECONDS: i64 = u32::MAX as i64 - 1;

/// Something that is revoked, by whom it was issued, and until when that has to be remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationEntry {
    iss: Box<str>,
    revoked: Revoked,
    expires_at: UnixTime,
}

/// What of an issuer is revoked.
#[derive(Clone, PartialEq, Eq)]
pub enum Revoked {
    /// The token of this ID.
    Token {
        /// `jti` (RFC 7519 §4.1.7).
        jti: Box<str>,
    },
    /// All tokens of a subject that were issued before a time, and those that do not say when they were.
    Subject {
        /// `sub`.
        sub: Box<str>,
        /// Tokens with an earlier `iat` are revoked.
        not_before: UnixTime,
    },
    /// All tokens of a session.
    Session {
        /// `sid` (OpenID Connect Front-Channel Logout §3).
        sid: Box<str>,
    },
    /// All tokens that were verified with the key of this ID.
    Key {
        /// `kid`.
        kid: Box<str>,
    },
    /// Everything that was issued before a time, and what does not say when it was.
    Issuer {
        /// Tokens with an earlier `iat` are revoked.
        not_before: UnixTime,
    },
}

/// A kind of entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// One token.
    Token,
    /// A subject's tokens.
    Subject,
    /// A session's tokens.
    Session,
    /// A key.
    Key,
    /// An issuer's tokens.
    Issuer,
}

impl EntryKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Token, Self::Subject, Self::Session, Self::Key, Self::Issuer];

    /// The word for it, everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Subject => "subject",
            Self::Session => "session",
            Self::Key => "key",
            Self::Issuer => "issuer",
        }
    }

    /// The kind of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The member that says which one, called like the claim; an issuer is told by `iss` alone.
    pub const fn member(self) -> Option<&'static str> {
        match self {
            Self::Token => Some("jti"),
            Self::Subject => Some("sub"),
            Self::Session => Some("sid"),
            Self::Key => Some("kid"),
            Self::Issuer => None,
        }
    }

    /// Whether it is about tokens issued before a time.
    pub const fn has_not_before(self) -> bool {
        match self {
            Self::Subject | Self::Issuer => true,
            Self::Token | Self::Session | Self::Key => false,
        }
    }
}

impl Revoked {
    /// What kind it is.
    pub const fn kind(&self) -> EntryKind {
        match self {
            Self::Token { .. } => EntryKind::Token,
            Self::Subject { .. } => EntryKind::Subject,
            Self::Session { .. } => EntryKind::Session,
            Self::Key { .. } => EntryKind::Key,
            Self::Issuer { .. } => EntryKind::Issuer,
        }
    }

    /// Which one: `jti`, `sub`, `sid` or `kid`; an issuer is told by `iss` alone.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Token { jti: id }
            | Self::Subject { sub: id, .. }
            | Self::Session { sid: id }
            | Self::Key { kid: id } => Some(id),
            Self::Issuer { .. } => None,
        }
    }

    /// The time before which tokens are revoked; `None` where it does not matter when they were issued.
    pub const fn not_before(&self) -> Option<UnixTime> {
        match self {
            Self::Subject { not_before, .. } | Self::Issuer { not_before } => Some(*not_before),
            Self::Token { .. } | Self::Session { .. } | Self::Key { .. } => None,
        }
    }

    /// Of this kind, from its parts. `None` when one is missing that the kind has.
    pub fn of(kind: EntryKind, id: Option<Box<str>>, not_before: Option<UnixTime>) -> Option<Self> {
        Some(match kind {
            EntryKind::Token => Self::Token { jti: id? },
            EntryKind::Subject => Self::Subject { sub: id?, not_before: not_before? },
            EntryKind::Session => Self::Session { sid: id? },
            EntryKind::Key => Self::Key { kid: id? },
            EntryKind::Issuer => Self::Issuer { not_before: not_before? },
        })
    }
}

/// Whom it is about is personal data: `Debug` names the kind.
impl fmt::Debug for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().as_str())
    }
}

impl RevocationEntry {
    /// An entry. Fractions of a second are rounded up: both times then revoke more rather than less.
    ///
    /// `expires_at` is from when on nobody has to remember it: of a token its own `exp` plus the largest clock skew that
    /// any verifier allows; of everything else the same of the last token that it is about.
    ///
    /// # Errors
    /// A text that is empty or too long, or a time outside of 1970 to 2106.
    pub fn new(iss: &str, revoked: Revoked, expires_at: UnixTime) -> Result<Self, EntryError> {
        check_text("iss", iss)?;
        if let (Some(member), Some(id)) = (revoked.kind().member(), revoked.id()) {
            check_text(member, id)?;
        }
        let revoked = match revoked {
            Revoked::Subject { sub, not_before } => {
                Revoked::Subject { sub, not_before: whole_seconds("not_before", not_before)? }
            }
            Revoked::Issuer { not_before } => {
                Revoked::Issuer { not_before: whole_seconds("not_before", not_before)? }
            }
            other @ (Revoked::Token { .. } | Revoked::Session { .. } | Revoked::Key { .. }) => {
                other
            }
        };
        let expires_at = whole_seconds("expires_at", expires_at)?;
        Ok(Self { iss: iss.into(), revoked, expires_at })
    }

    /// Reads an entry: exactly one JSON object with the members of its kind and no other.
    ///
    /// # Errors
    /// Anything else. The error names the member and never repeats what it holds.
    pub fn parse(line: &[u8]) -> Result<Self, EntryError> {
        if line.len() > MAX_LINE_BYTES {
            return Err(EntryError::LineTooLong);
        }
        let members = RawMembers::parse(line).map_err(EntryError::Json)?;
        match members.get("v") {
            None => return Err(EntryError::Missing("v")),
            Some(version) if version.get() != VERSION_TEXT => return Err(EntryError::Version),
            Some(_) => {}
        }
        let word = text_of(&members, "kind")?;
        let kind = EntryKind::from_word(&word).ok_or(EntryError::Kind)?;
        let known = ["v", "kind", "iss", "expires_at"];
        let is_known = |name: &str| {
            known.contains(&name)
                || kind.member() == Some(name)
                || kind.has_not_before() && name == "not_before"
        };
        // A misspelt `not_before` must not become an entry without one; and what a later version means is not guessed.
        if let Some((name, _)) = members.iter().find(|(name, _)| !is_known(name)) {
            return Err(EntryError::Unknown { name: escaped(name, 32), kind: kind.as_str() });
        }
        let iss = text_of(&members, "iss")?;
        let id = kind.member().map(|member| text_of(&members, member)).transpose()?;
        let not_before =
            kind.has_not_before().then(|| time_of(&members, "not_before")).transpose()?;
        let expires_at = time_of(&members, "expires_at")?;
        let revoked = Revoked::of(kind, id.map(Into::into), not_before);
        Self::new(&iss, revoked.ok_or(EntryError::Kind)?, expires_at)
    }

    /// The entry as a line of JSON, without a line break, in ASCII: equal entries are equal texts.
    pub fn to_json(&self) -> String {
        let mut line = format!(r#"{{"v":{VERSION},"kind":"{}","iss":"#, self.kind().as_str());
        json::write_string(&self.iss, &mut line);
        if let (Some(member), Some(id)) = (self.kind().member(), self.revoked.id()) {
            line.push_str(&format!(r#","{member}":"#));
            json::write_string(id, &mut line);
        }
        if let Some(not_before) = self.revoked.not_before() {
            line.push_str(&format!(r#","not_before":{}"#, seconds(not_before)));
        }
        line.push_str(&format!(r#","expires_at":{}}}"#, seconds(self.expires_at)));
        line
    }

    /// Whose tokens.
    pub fn iss(&self) -> &str {
        &self.iss
    }

    /// What is revoked.
    pub fn revoked(&self) -> &Revoked {
        &self.revoked
    }

    /// What kind of entry it is.
    pub fn kind(&self) -> EntryKind {
        self.revoked.kind()
    }

    /// From when on nobody has to remember it. Not an end of the revocation: claimgate keeps entries for
    /// [`super::snapshot::LEEWAY`] longer.
    pub fn expires_at(&self) -> UnixTime {
        self.expires_at
    }
}

/// Why something is no entry. No text of the entry is repeated but the name of an unknown member, escaped and cut.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Not exactly one JSON object, or one that names a member twice.
    #[error("not one JSON object: {0}")]
    Json(Malformed),
    /// Longer than [`MAX_LINE_BYTES`].
    #[error("longer than {MAX_LINE_BYTES} bytes")]
    LineTooLong,
    /// A member is not there.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// Another version than [`VERSION`].
    #[error("`v` is not {VERSION}")]
    Version,
    /// No kind that there is.
    #[error("`kind` is none of token, subject, session, key, issuer")]
    Kind,
    /// A member that its kind does not have.
    #[error("a {kind} has no member `{name}`")]
    Unknown {
        /// Its name, escaped and cut.
        name: String,
        /// The kind of entry.
        kind: &'static str,
    },
    /// Not a string.
    #[error("`{0}` is not a string")]
    NotAString(&'static str),
    /// An empty string.
    #[error("`{0}` is empty")]
    Empty(&'static str),
    /// Longer than [`MAX_TEXT_BYTES`].
    #[error("`{0}` is longer than {MAX_TEXT_BYTES} bytes")]
    TooLong(&'static str),
    /// Not a time.
    #[error("`{0}` is not a whole number of seconds since 1970, 0 to {MAX_SECONDS}")]
    NotATime(&'static str),
}

const VERSION_TEXT: &str = "1";

fn text_of<'a>(members: &RawMembers<'a>, member: &'static str) -> Result<Cow<'a, str>, EntryError> {
    let raw = members.get(member).ok_or(EntryError::Missing(member))?;
    json::string_of(raw).map_err(|_| EntryError::NotAString(member))
}

fn time_of(members: &RawMembers<'_>, member: &'static str) -> Result<UnixTime, EntryError> {
    let raw = members.get(member).ok_or(EntryError::Missing(member))?;
    let time = raw.get().parse().ok().and_then(UnixTime::from_secs);
    time.ok_or(EntryError::NotATime(member))
}

fn check_text(member: &'static str, text: &str) -> Result<(), EntryError> {
    match text.len() {
        0 => Err(EntryError::Empty(member)),
        1..=MAX_TEXT_BYTES => Ok(()),
        _ => Err(EntryError::TooLong(member)),
    }
}

fn whole_seconds(member: &'static str, time: UnixTime) -> Result<UnixTime, EntryError> {
    let millis = time.as_millis();
    let seconds = millis.div_euclid(1000) + i64::from(millis.rem_euclid(1000) > 0);
    let whole = UnixTime::from_secs(seconds).filter(|_| (0..=MAX_SECONDS).contains(&seconds));
    whole.ok_or(EntryError::NotATime(member))
}

/// Of a time that is whole seconds.
fn seconds(time: UnixTime) -> i64 {
    time.as_millis().div_euclid(1000)
}

#[cfg(test)]
mod tests;
