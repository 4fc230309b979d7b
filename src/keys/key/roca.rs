//! The fingerprint of RSA keys made by the Infineon library of CVE-2017-15361 ("ROCA"), whose private half can be computed
//! from the modulus. It tells such a modulus; what is done with the key is [`super::VerificationKey::rsa`]'s affair.

/// Whether `modulus`, big-endian, has the form of those keys.
///
/// Their primes are `k·M + (65537^a mod M)`, `M` the product of the first 126 primes for keys of 2048 bits (of more of
/// them for longer keys), so that modulo each of these the modulus is a power of 65537. Another key looks like that with
/// a probability below 2⁻¹⁵⁰.
pub(super) fn is_roca(modulus: &[u8]) -> bool {
    odd_primes().all(|prime| is_power_of_f4(remainder(modulus, prime), prime))
}

/// The odd ones of the first 126.
fn odd_primes() -> impl Iterator<Item = u32> {
    const LAST: u32 = 701;
    (3..=LAST).step_by(2).filter(|number| {
        let mut divisors = (3..).step_by(2).take_while(|divisor| divisor * divisor <= *number);
        divisors.all(|divisor| number % divisor != 0)
    })
}

fn remainder(number: &[u8], prime: u32) -> u32 {
    number.iter().fold(0, |rest, octet| (rest << 8 | u32::from(*octet)) % prime)
}

fn is_power_of_f4(residue: u32, prime: u32) -> bool {
    let mut power = 1;
    loop {
        if power == residue {
            return true;
        }
        power = power * (65537 % prime) % prime;
        if power == 1 {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::testing::modulus;

    #[test]
    fn the_primes_are_the_first_126_without_two() {
        let primes: Vec<u32> = odd_primes().collect();
        assert_eq!((primes.len(), &primes[..5]), (125, &[3, 5, 7, 11, 13][..]));
        assert_eq!(primes.last(), Some(&701));
    }

    #[test]
    fn other_moduli_do_not_have_the_form() {
        for bits in [2048, 3072, 4096, 8192] {
            assert!(!is_roca(&modulus(bits)), "{bits}");
        }
        // Zero is no power, and this is zero modulo three.
        assert!(!is_roca(&[3]));
        assert!(is_roca(&[1, 0, 1]));
    }
}
