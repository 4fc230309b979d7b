//! Strict JWS compact serialization (RFC 7515 §7.1, RFC 7519 §7.2): what can be said of a token before
//! anything of it is believed. [`super::Verifier`] is the only caller that goes on from here.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::fault::{Fault, Segment};
use crate::keys::key::MAX_KID_BYTES;
use crate::util::json::{self, RawMembers};

/// A token as it was sent: any text. `Debug` does not show it.
#[derive(Clone, Copy)]
pub struct RawToken<'a>(&'a str);

impl<'a> RawToken<'a> {
    /// Wraps what stood where a token is expected.
    pub fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// As it was sent.
    pub(super) fn text(self) -> &'a str {
        self.0
    }

    /// How long it is.
    pub fn bytes(self) -> usize {
        self.0.len()
    }

    /// The second segment, base64url as sent: what `payload_header` forwards. Empty when there is none.
    pub fn payload_segment(self) -> &'a str {
        self.0.split('.').nth(1).unwrap_or_default()
    }
}

impl fmt::Debug for RawToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawToken({} bytes)", self.0.len())
    }
}

/// A token that has the right form. Nothing in it is verified.
pub struct UnverifiedJws<'a> {
    /// `alg` as the header names it; never what decides how a signature is checked.
    pub(super) algorithm: String,
    pub(super) kid: Option<String>,
    pub(super) typ: Option<String>,
    /// Header and payload as sent, with the dot between them: what the signature is over.
    pub(super) signing_input: &'a str,
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl<'a> UnverifiedJws<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// [`Fault::TooLarge`] beyond `max_bytes`, looked at before anything else. Another one for
    /// anything but three non-empty segments of canonical base64url, a header that is not strict JSON, one
    /// with `crit` or `b64` (RFC 7515 §4.1.11, RFC 7797: nothing of the kind is supported), a `typ` of
    /// another purpose (RFC 8725 §3.11), or an `alg` or `kid` that is not a proper string.
    pub fn parse(token: RawToken<'a>, max_bytes: usize) -> Result<Self, Fault> {
        let text = token.0;
        if text.len() > max_bytes {
            return Err(Fault::TooLarge);
        }
        let (signing_input, signature) = text.rsplit_once('.').ok_or(Fault::Segments)?;
        let (header, payload) = signing_input.split_once('.').ok_or(Fault::Segments)?;
        // A further dot is in the payload, where it is no base64url.
        let header = decode(header, Segment::Header)?;
        let payload = decode(payload, Segment::Payload)?;
        let signature = decode(signature, Segment::Signature)?;
        let header = RawMembers::parse(&header)
            .map_err(|malformed| Fault::Json(Segment::Header, malformed))?;
        for name in ["crit", "b64"] {
            if header.get(name).is_some() {
                return Err(Fault::Unsupported(name));
            }
        }
        let typ = string(&header, "typ")?;
        if typ.as_ref().is_some_and(|typ| !is_token_type(typ)) {
            return Err(Fault::Type);
        }
        let algorithm = string(&header, "alg")?.ok_or(Fault::NoAlgorithm)?;
        let kid = string(&header, "kid")?;
        if kid.as_ref().is_some_and(|kid| kid.is_empty() || kid.len() > MAX_KID_BYTES) {
            return Err(Fault::Kid);
        }
        Ok(Self { algorithm, kid, typ, signing_input, payload, signature })
    }
}

impl fmt::Debug for UnverifiedJws<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedJws").finish_non_exhaustive()
    }
}

/// The engine refuses padding, other alphabets and non-zero trailing bits (RFC 4648 §3.5), so that one
/// token has exactly one spelling.
fn decode(text: &str, segment: Segment) -> Result<Vec<u8>, Fault> {
    if text.is_empty() {
        return Err(Fault::Empty(segment));
    }
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Fault::Base64(segment))
}

fn string(header: &RawMembers<'_>, name: &'static str) -> Result<Option<String>, Fault> {
    let Some(raw) = header.get(name) else { return Ok(None) };
    let text = json::string_of(raw).map_err(|_| Fault::NotAString(Segment::Header, name))?;
    Ok(Some(text.into_owned()))
}

/// Access tokens and plain JWTs (RFC 7519 §5.1, RFC 9068 §2.1); media types compare without case and
/// may spell `application/` out.
fn is_token_type(typ: &str) -> bool {
    let application = "application/";
    let typ = match typ.get(..application.len()) {
        Some(prefix) if prefix.eq_ignore_ascii_case(application) => {
            typ.get(application.len()..).unwrap_or_default()
        }
        Some(_) | None => typ,
    };
    typ.eq_ignore_ascii_case("JWT") || typ.eq_ignore_ascii_case("at+jwt")
}
