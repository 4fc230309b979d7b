//! What no library does: RSA with the bare private exponent, and the numbers of the curves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use claimgate::issuer::SigningKey;
use num_bigint::BigUint;

/// An RSA key as numbers.
pub(crate) struct RsaPrivate {
    pub(crate) n: BigUint,
    d: BigUint,
}

impl RsaPrivate {
    /// From its PKCS#8 (RFC 5208 §5, RFC 8017 §A.1.2).
    pub(crate) fn of(key: &SigningKey) -> Self {
        let pem = key.private_pem().unwrap();
        let base64: String = pem.expose().lines().filter(|line| !line.starts_with('-')).collect();
        let der = STANDARD.decode(base64).unwrap();
        let info = children(children(&der)[0]);
        let numbers = children(children(info[2])[0]);
        let number = |place: usize| BigUint::from_bytes_be(numbers[place]);
        Self { n: number(1), d: number(3) }
    }

    /// `message^d mod n`, whatever the message, as long as the modulus.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature = BigUint::from_bytes_be(message).modpow(&self.d, &self.n);
        padded(&signature, self.bytes())
    }

    pub(crate) fn bytes(&self) -> usize {
        self.n.bits().div_ceil(8).try_into().unwrap()
    }
}

/// The contents of a run of DER values.
fn children(mut der: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let [_, length, rest @ ..] = der {
        let long = if *length < 0x80 { 0 } else { usize::from(length & 0x7f) };
        let length = match long {
            0 => usize::from(*length),
            _ => rest[..long].iter().fold(0, |value, octet| value << 8 | usize::from(*octet)),
        };
        let (content, next) = rest[long..].split_at(length);
        found.push(content);
        der = next;
    }
    found
}

/// Big-endian, with zeros in front.
pub(crate) fn padded(number: &BigUint, bytes: usize) -> Vec<u8> {
    let octets = number.to_bytes_be();
    [vec![0; bytes.saturating_sub(octets.len())], octets].concat()
}

fn hex(text: &str) -> BigUint {
    BigUint::parse_bytes(text.as_bytes(), 16).unwrap()
}

/// The orders of P-256, P-384 and P-521 (SP 800-186 §3.2.1), by the octets of a coordinate.
pub(crate) fn order(bytes: usize) -> BigUint {
    match bytes {
        32 => hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
        48 => hex("ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf\
             581a0db248b0a77aecec196accc52973"),
        _ => hex("01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa\
             51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409"),
    }
}

/// The order of edwards25519's base point (RFC 8032 §5.1).
pub(crate) fn order_of_ed25519() -> BigUint {
    (BigUint::from(1_u8) << 252) + hex("14def9dea2f79cd65812631a5cf5d3ed")
}

/// Every spelling of the eight points of edwards25519 whose order divides eight, canonical or not, with either sign bit.
pub(crate) fn small_order_points() -> Vec<[u8; 32]> {
    let p: BigUint = (BigUint::from(1_u8) << 255) - 19_u8;
    let order_8 = hex("05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826");
    let other = &p - &order_8;
    let ys = [BigUint::ZERO, 1_u8.into(), &p - 1_u8, p.clone(), &p + 1_u8, order_8, other];
    let mut points = Vec::new();
    for y in ys {
        let mut octets: Vec<u8> = padded(&y, 32);
        octets.reverse();
        let point: [u8; 32] = octets.try_into().unwrap();
        let mut negative = point;
        negative[31] |= 0x80;
        points.extend([point, negative]);
    }
    points
}
