//! One shared secret for HS256 (RFC 7518 §3.2), for the time in which an issuer moves from HS256 to RS256.
//!
//! It is no [`super::key::VerificationKey`] and shares no list, lookup or enum with one: a token's header can
//! choose which of the two is asked, never what it is asked with (RFC 8725 §2.1). [`super::source`] reads the
//! secret, [`super::store`] keeps it, `token::verifier` calls [`HmacKey::verify`].

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, PAD};
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

/// A key is at least as long as the hash's output (RFC 7518 §3.2).
pub const MIN_SECRET_BYTES: usize = 32;

/// Longer secrets are something else. HMAC itself hashes whatever is longer than 64 octets.
pub const MAX_SECRET_BYTES: usize = 1024;

/// So much of a file is looked at: enough to tell a JWK Set or a certificate by what it is, not by its length.
pub const MAX_CONTENT_BYTES: usize = 16 * 1024;

/// A secret that HS256 tokens are verified with. Neither `Debug` nor an error shows it; the library wipes it
/// when it is dropped.
pub struct HmacKey {
    kid: Option<Arc<str>>,
    key: hmac::Key,
    /// What the key makes of [`SAME`]: tells two keys apart without keeping either secret in readable form.
    mark: hmac::Tag,
}

/// No signing input has a space in it, so the mark is no token's signature.
const SAME: &[u8] = b"claimgate: the same secret";

impl HmacKey {
    /// The secret in a file's `content`: all of it but one line break at the end. Who read it wipes it.
    ///
    /// # Errors
    /// Too short, too long, or a public key, which is no secret: whoever has it could sign.
    pub fn parse(kid: Option<&str>, content: &[u8]) -> Result<Self, HmacKeyError> {
        if is_published(content) {
            return Err(HmacKeyError::NotASecret);
        }
        let secret = content.strip_suffix(b"\n").unwrap_or(content);
        let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
        if secret.len() < MIN_SECRET_BYTES {
            return Err(HmacKeyError::TooShort);
        }
        if secret.len() > MAX_SECRET_BYTES {
            return Err(HmacKeyError::TooLong);
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let mark = hmac::sign(&key, SAME);
        Ok(Self { kid: kid.map(Into::into), key, mark })
    }

    /// Whether `tag` is this key's HS256 tag of `message`. Compares in constant time, and all 32 octets.
    pub fn verify(&self, message: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.key, message, tag).is_ok()
    }

    /// The key ID that the configuration gives it; a key without one is for tokens that name no other.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The same, shared by the tokens that it verified.
    pub fn shared_kid(&self) -> Option<&Arc<str>> {
        self.kid.as_ref()
    }

    /// Whether both verify the same tokens, whatever their `kid`.
    pub fn same_material(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(self.mark.as_ref(), other.mark.as_ref()).is_ok()
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HmacKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// Why a secret cannot be used. The text never holds any of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HmacKeyError {
    /// A PEM, a JWK, or a DER structure of a key or certificate, as it is or in base64.
    #[error(
        "a PEM, a JWK or a DER key, expected a shared secret: a public key used as one lets anyone sign"
    )]
    NotASecret,
    /// More than [`MAX_SECRET_BYTES`].
    #[error("longer than {MAX_SECRET_BYTES} bytes")]
    TooLong,
    /// Fewer than [`MIN_SECRET_BYTES`].
    #[error("shorter than the {MIN_SECRET_BYTES} bytes that HS256 needs")]
    TooShort,
}

/// Whether this is what people publish, put into the wrong file: the classic confusion of HS256 with RS256,
/// made by an operator instead of an attacker.
fn is_published(content: &[u8]) -> bool {
    looks_published(content) || unarmoured(content).is_some_and(|decoded| looks_published(&decoded))
}

fn looks_published(content: &[u8]) -> bool {
    let holds = |text: &[u8]| content.windows(text.len()).any(|window| window == text);
    holds(b"-----BEGIN ")
        || is_openssh(content)
        || holds(b"\"kty\"")
        || is_json(content)
        || is_der(content)
}

/// A public key in a line, as in `authorized_keys`.
fn is_openssh(content: &[u8]) -> bool {
    let line = content.trim_ascii_start();
    let types = [b"ssh-rsa ".as_slice(), b"ssh-ed25519 ", b"ecdsa-sha2-nistp"];
    types.into_iter().any(|name| line.starts_with(name))
}

/// A JWK, a JWK Set, or any other JSON document: an object or an array.
fn is_json(content: &[u8]) -> bool {
    let opens = matches!(content.trim_ascii_start().first(), Some(b'{' | b'['));
    opens && serde_json::from_slice::<IgnoredAny>(content).is_ok()
}

/// A DER SEQUENCE of exactly this length that begins with a SEQUENCE (SPKI, certificate) or an INTEGER (PKCS#1,
/// a private key): one random secret in eight million looks like that.
fn is_der(content: &[u8]) -> bool {
    let (length, body) = match content {
        [0x30, length @ 0..=0x7f, body @ ..] => (usize::from(*length), body),
        [0x30, 0x81, length, body @ ..] => (usize::from(*length), body),
        [0x30, 0x82, high, low, body @ ..] => {
            (usize::from(u16::from_be_bytes([*high, *low])), body)
        }
        _ => return false,
    };
    let spare = body.len().checked_sub(length);
    // One line break may follow, as behind a secret.
    spare.is_some_and(|spare| spare <= 2) && matches!(body.first(), Some(0x02 | 0x30))
}

/// The content of base64 text, of either alphabet, in one line or several.
fn unarmoured(content: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = content.iter().copied().filter(|byte| !byte.is_ascii_whitespace());
    let text = text.map(|byte| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    });
    let text: Zeroizing<Vec<u8>> = Zeroizing::new(text.collect());
    BASE64.decode(text.as_slice()).ok().map(Zeroizing::new)
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use serde_json::json;

    use super::super::testing::{p256_jwk, rsa_jwk, rsa_pair, set};
    use super::*;

    const SECRET: &[u8; 32] = b"correct horse battery staple, 32";

    fn parse(content: &[u8]) -> Result<HmacKey, HmacKeyError> {
        HmacKey::parse(Some("old"), content)
    }

    #[test]
    fn verifies_the_example_of_rfc_7515_a_1() {
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let key = parse(&URL_SAFE_NO_PAD.decode(key).unwrap()).unwrap();
        let message = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let tag = URL_SAFE_NO_PAD.decode("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
        assert!(key.verify(message.as_bytes(), &tag));
        assert!(!key.verify(b"another message", &tag));
        for wrong in [&tag[..31], &tag[..0], &[tag.as_slice(), &[0]].concat(), &[0; 32]] {
            assert!(!key.verify(message.as_bytes(), wrong), "{} octets", wrong.len());
        }
    }

    #[test]
    fn one_line_break_at_the_end_is_no_part_of_the_secret() {
        let key = parse(SECRET).unwrap();
        let with = |end: &[u8]| parse(&[SECRET, end].concat()).unwrap();
        for end in [b"\n".as_slice(), b"\r\n"] {
            assert!(key.same_material(&with(end)), "{end:?}");
        }
        for end in [b"\n\n".as_slice(), b" ", b" \n", b"\r\r\n"] {
            assert!(!key.same_material(&with(end)), "{end:?}");
        }
    }

    #[test]
    fn a_secret_has_at_least_32_and_at_most_1024_octets() {
        assert_eq!(parse(b"").err(), Some(HmacKeyError::TooShort));
        assert_eq!(parse(&SECRET[1..]).err(), Some(HmacKeyError::TooShort));
        let padded = [&SECRET[1..], b"\n"].concat();
        assert_eq!(parse(&padded).err(), Some(HmacKeyError::TooShort), "the line break counts");
        assert!(parse(SECRET).is_ok());
        assert!(parse(&[b'x'; 1024]).is_ok());
        assert!(parse(&[[b'x'; 1024].as_slice(), b"\r\n"].concat()).is_ok());
        assert_eq!(parse(&[b'x'; 1025]).err(), Some(HmacKeyError::TooLong));
    }

    #[test]
    fn what_is_published_is_no_secret() {
        let (pair, _) = rsa_pair();
        let pkcs1 = pair.public_key().as_ref().to_vec();
        let ed25519 = Ed25519KeyPair::generate().unwrap();
        let point = ed25519.public_key().as_ref();
        // RFC 8410 §4: the SPKI of an Ed25519 key.
        let spki = [b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00", point].concat();
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(&spki)
        );
        let wrapped = STANDARD.encode(&pkcs1);
        let wrapped = wrapped.as_bytes().chunks(64).collect::<Vec<_>>().join(b"\n".as_slice());
        let set = set(&[p256_jwk("k")]);
        for published in [
            pem.clone().into_bytes(),
            pem.replace('\n', "\r\n").into_bytes(),
            format!("\n  # from the provider\n{pem}").into_bytes(),
            STANDARD.encode(&pem).into_bytes(),
            rsa_jwk("k").to_string().into_bytes(),
            format!("ssh-ed25519 {} me@here\n", STANDARD.encode(point)).into_bytes(),
            format!("ssh-rsa {}\n", STANDARD.encode(&pkcs1)).into_bytes(),
            format!(" {:#}\n", p256_jwk("k")).into_bytes(),
            json!([p256_jwk("k")]).to_string().into_bytes(),
            STANDARD.encode(&set).into_bytes(),
            set.into_bytes(),
            STANDARD.encode(&spki).into_bytes(),
            URL_SAFE_NO_PAD.encode(&spki).into_bytes(),
            [spki.as_slice(), b"\n"].concat(),
            spki,
            pkcs1,
            wrapped,
        ] {
            let shown = String::from_utf8_lossy(&published);
            assert_eq!(parse(&published).err(), Some(HmacKeyError::NotASecret), "{shown}");
        }
    }

    #[test]
    fn secrets_of_the_usual_forms_are_taken() {
        let mut octets = [0; 64];
        for first in [b'{', b'[', 0x30, b'-', b'"', 0] {
            aws_lc_rs::rand::fill(&mut octets[1..]).unwrap();
            octets[0] = first;
            // Else one run in 65,536 would begin like DER.
            octets[1] = 0xff;
            assert!(parse(&octets).is_ok(), "{first}");
            assert!(parse(STANDARD.encode(octets).as_bytes()).is_ok(), "{first}");
        }
        assert!(parse(b"0123456789abcdef0123456789abcdef").is_ok());
        assert!(parse(b"----- this is not the BEGIN of a key -----").is_ok());
    }

    #[test]
    fn keys_differ_by_material_and_not_by_name() {
        let key = parse(SECRET).unwrap();
        let renamed = HmacKey::parse(None, SECRET).unwrap();
        let other = parse(b"correct horse battery staple, 33").unwrap();
        assert!(key.same_material(&renamed));
        assert!(!key.same_material(&other));
        assert_eq!((key.kid(), renamed.kid()), (Some("old"), None));
    }

    #[test]
    fn neither_debug_nor_an_error_shows_a_secret() {
        let key = parse(SECRET).unwrap();
        assert_eq!(format!("{key:?}"), "HmacKey { kid: Some(\"old\"), .. }");
        let error = parse(b"hunter2").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter"), "{error}");
    }
}
