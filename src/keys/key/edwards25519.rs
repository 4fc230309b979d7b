//! What can be said of an Ed25519 public key before anything is verified with it: whether its octets are the one
//! spelling of a point, and whether that point is fit to be a key. The cryptography library takes any 32 octets, and
//! verifies with points of small order. [`super::VerificationKey::ed25519`] calls it, once for each key that is loaded:
//! the arithmetic is short, not fast, and not for secrets.

/// Whether `point` is canonical (RFC 8032 §5.1.3): a y-coordinate below the field's modulus.
pub(super) fn is_canonical(point: &[u8; 32]) -> bool {
    without_sign(point).iter().rev().lt(FIELD.iter().rev())
}

/// Whether there is a point with this y-coordinate: `x² = (y² − 1) / (d·y² + 1)` has a solution (RFC 8032 §5.1.3).
pub(super) fn is_on_curve(point: &[u8; 32]) -> bool {
    let y = Element::from_le_bytes(&without_sign(point));
    let y_squared = y.times(&y);
    let numerator = y_squared.plus(&MINUS_ONE);
    let denominator = y_squared.times(&D).plus(&ONE);
    // The quotient is a square where the product is: they differ by the square of the denominator.
    numerator.times(&denominator).is_square()
}

/// Whether this is one of the eight points whose order divides eight, in whatever spelling: a canonical one or not, with
/// either sign. For such a key `R = S·B` with `S = 0` verifies many messages.
pub(super) fn is_small_order(point: &[u8; 32]) -> bool {
    const ORDER_8_A: [u8; 32] = [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ];
    const ORDER_8_B: [u8; 32] = [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ];
    let with_first = |mut bytes: [u8; 32], first: u8| {
        bytes[0] = first;
        bytes
    };
    [
        [0; 32],                 // order 4
        with_first([0; 32], 1),  // order 1
        with_first(FIELD, 0xec), // p − 1, order 2
        FIELD,                   // p, that is 0
        with_first(FIELD, 0xee), // p + 1, that is 1
        ORDER_8_A,
        ORDER_8_B,
    ]
    .contains(&without_sign(point))
}

/// The topmost bit is the sign of x.
fn without_sign(point: &[u8; 32]) -> [u8; 32] {
    let mut y = *point;
    y[31] &= 0x7f;
    y
}

/// p = 2²⁵⁵ − 19, little-endian.
const FIELD: [u8; 32] = {
    let mut field = [0xff; 32];
    field[0] = 0xed;
    field[31] = 0x7f;
    field
};

/// A number modulo p in four words, the lowest first; not always the smallest of its class.
#[derive(Clone, Copy)]
struct Element([u64; 4]);

const ONE: Element = Element([1, 0, 0, 0]);
const MINUS_ONE: Element = Element([u64::MAX - 19, u64::MAX, u64::MAX, u64::MAX >> 1]);

/// The curve's constant, −121665/121666 (RFC 8032 §5.1).
const D: Element = Element([
    0x75eb_4dca_1359_78a3,
    0x0070_0a4d_4141_d8ab,
    0x8cc7_4079_7779_e898,
    0x5203_6cee_2b6f_fe73,
]);

impl Element {
    fn from_le_bytes(bytes: &[u8; 32]) -> Self {
        let mut words = [0; 4];
        for (word, octets) in words.iter_mut().zip(bytes.chunks(8)) {
            *word = octets.iter().rev().fold(0, |word, octet| word << 8 | u64::from(*octet));
        }
        Self(words)
    }

    fn plus(&self, other: &Self) -> Self {
        let mut sum = [0; 4];
        let mut carry = 0_u128;
        for ((word, a), b) in sum.iter_mut().zip(self.0).zip(other.0) {
            carry += u128::from(a) + u128::from(b);
            (*word, carry) = (low(carry), carry >> 64);
        }
        Self(sum).with_overflow(carry)
    }

    fn times(&self, other: &Self) -> Self {
        let mut product = [0_u64; 8];
        for (place, a) in self.0.into_iter().enumerate() {
            let mut carry = 0_u128;
            for (word, b) in product.iter_mut().skip(place).zip(other.0) {
                carry += u128::from(*word) + u128::from(a) * u128::from(b);
                (*word, carry) = (low(carry), carry >> 64);
            }
            product[place + 4] = low(carry);
        }
        let [l0, l1, l2, l3, high @ ..] = product;
        let mut folded = [l0, l1, l2, l3];
        let mut carry = 0_u128;
        for (word, high) in folded.iter_mut().zip(high) {
            carry += u128::from(*word) + u128::from(high) * FOLD;
            (*word, carry) = (low(carry), carry >> 64);
        }
        Self(folded).with_overflow(carry)
    }

    /// Adds `overflow`·2²⁵⁶.
    fn with_overflow(mut self, overflow: u128) -> Self {
        let mut carry = overflow * FOLD;
        while carry > 0 {
            for word in &mut self.0 {
                carry += u128::from(*word);
                (*word, carry) = (low(carry), carry >> 64);
            }
            carry *= FOLD;
        }
        self
    }

    /// Whether some number's square is this one (Euler's criterion): its power of (p − 1)/2 is one, or it is zero.
    fn is_square(&self) -> bool {
        const EXPONENT: [u64; 4] = [u64::MAX - 9, u64::MAX, u64::MAX, u64::MAX >> 2];
        let mut power = ONE;
        for word in EXPONENT.into_iter().rev() {
            for bit in (0..64).rev() {
                power = power.times(&power);
                if word >> bit & 1 == 1 {
                    power = power.times(self);
                }
            }
        }
        let minus_one = power.plus(&ONE).is_zero();
        !minus_one
    }

    fn is_zero(&self) -> bool {
        // The words hold less than 2²⁵⁶, which is 2p + 38.
        let p = [u64::MAX - 18, u64::MAX, u64::MAX, u64::MAX >> 1];
        let twice = [u64::MAX - 37, u64::MAX, u64::MAX, u64::MAX];
        [[0; 4], p, twice].contains(&self.0)
    }
}

/// 2²⁵⁶ modulo p.
const FOLD: u128 = 38;

#[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
const fn low(wide: u128) -> u64 {
    wide as u64
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;

    #[test]
    fn small_coordinates_are_told_apart() {
        // Computed with another implementation.
        let off = [2, 7, 8, 11, 12, 13, 17, 20, 22];
        for y in 0..30 {
            let mut point = [0; 32];
            point[0] = y;
            assert_eq!(is_on_curve(&point), !off.contains(&y), "{y}");
            point[31] = 0x80;
            assert_eq!(is_on_curve(&point), !off.contains(&y), "{y}, negative");
        }
    }

    #[test]
    fn every_key_and_half_of_all_other_octets_are_points() {
        let mut points = 0;
        for _ in 0..400 {
            let pair = Ed25519KeyPair::generate().unwrap();
            let point: [u8; 32] = pair.public_key().as_ref().try_into().unwrap();
            assert!(is_on_curve(&point) && is_canonical(&point) && !is_small_order(&point));
            let mut random = [0; 32];
            aws_lc_rs::rand::fill(&mut random).unwrap();
            points += usize::from(is_on_curve(&random));
        }
        // 200 and ten times the standard deviation.
        assert!((100..300).contains(&points), "{points} of 400");
    }

    #[test]
    fn points_of_small_order_are_on_the_curve_in_every_spelling() {
        let mut found = 0;
        for first in 0..=255 {
            for rest in [[0; 32], FIELD] {
                let mut point = rest;
                point[0] = first;
                if is_small_order(&point) {
                    assert!(is_on_curve(&point), "{point:02x?}");
                    found += 1;
                }
            }
        }
        assert_eq!(found, 5);
    }
}
