//! Strict JWS compact serialization (RFC 7515 §7.1, RFC 7519 §7.2): what can be said of a token before
//! anything of it is believed. [`super::Verifier`] is the only caller that goes on from here.

use std::borrow::Cow;
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

/// The three parts of a token, decoded, in one piece of memory.
pub struct Segments<'a> {
    /// Header and payload as sent, with the dot between them: what the signature is over.
    signing_input: &'a str,
    /// Header, payload and signature.
    decoded: Vec<u8>,
    payload_at: usize,
    signature_at: usize,
}

impl<'a> Segments<'a> {
    /// Takes a token apart at its dots.
    ///
    /// # Errors
    /// [`Fault::TooLarge`] beyond `max_bytes`, looked at before anything else. Another one for
    /// anything but three non-empty segments of canonical base64url.
    pub fn decode(token: RawToken<'a>, max_bytes: usize) -> Result<Self, Fault> {
        let text = token.0;
        if text.len() > max_bytes {
            return Err(Fault::TooLarge);
        }
        let (signing_input, signature) = text.rsplit_once('.').ok_or(Fault::Segments)?;
        let (header, payload) = signing_input.split_once('.').ok_or(Fault::Segments)?;
        // Three bytes of four characters, and what the engine asks for beyond that.
        let mut decoded = Vec::with_capacity(text.len() / 4 * 3 + 8);
        // A further dot is in the payload, where it is no base64url.
        decode(header, Segment::Header, &mut decoded)?;
        let payload_at = decoded.len();
        decode(payload, Segment::Payload, &mut decoded)?;
        let signature_at = decoded.len();
        decode(signature, Segment::Signature, &mut decoded)?;
        Ok(Self { signing_input, decoded, payload_at, signature_at })
    }

    pub(super) fn payload(&self) -> &[u8] {
        self.decoded.get(self.payload_at..self.signature_at).unwrap_or_default()
    }

    fn header(&self) -> &[u8] {
        self.decoded.get(..self.payload_at).unwrap_or_default()
    }

    fn signature(&self) -> &[u8] {
        self.decoded.get(self.signature_at..).unwrap_or_default()
    }
}

/// A token that has the right form. Nothing in it is verified.
pub struct UnverifiedJws<'a> {
    /// `alg` as the header names it; never what decides how a signature is checked.
    pub(super) algorithm: Cow<'a, str>,
    pub(super) kid: Option<Cow<'a, str>>,
    pub(super) typ: Option<Cow<'a, str>>,
    /// Header and payload as sent, with the dot between them: what the signature is over.
    pub(super) signing_input: &'a str,
    pub(super) signature: &'a [u8],
}

impl<'a> UnverifiedJws<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// For a header that is not strict JSON, one with `crit` or `b64` (RFC 7515 §4.1.11, RFC 7797: nothing of the kind is
    /// supported), a `typ` of another purpose (RFC 8725 §3.11), or an `alg` or `kid` that is not a proper string.
    pub fn parse(segments: &'a Segments<'_>) -> Result<Self, Fault> {
        let header = RawMembers::parse(segments.header())
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
        let (signing_input, signature) = (segments.signing_input, segments.signature());
        Ok(Self { algorithm, kid, typ, signing_input, signature })
    }
}

impl fmt::Debug for Segments<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Segments({} bytes)", self.decoded.len())
    }
}

impl fmt::Debug for UnverifiedJws<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedJws").finish_non_exhaustive()
    }
}

/// The engine refuses padding, other alphabets and non-zero trailing bits (RFC 4648 §3.5), so that one
/// token has exactly one spelling.
fn decode(text: &str, segment: Segment, decoded: &mut Vec<u8>) -> Result<(), Fault> {
    if text.is_empty() {
        return Err(Fault::Empty(segment));
    }
    URL_SAFE_NO_PAD.decode_vec(text, decoded).map_err(|_| Fault::Base64(segment))
}

fn string<'a>(header: &RawMembers<'a>, name: &'static str) -> Result<Option<Cow<'a, str>>, Fault> {
    let Some(raw) = header.get(name) else { return Ok(None) };
    json::string_of(raw).map(Some).map_err(|_| Fault::NotAString(Segment::Header, name))
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
