//! PEM armour (RFC 7468): one block of one label, strictly. What is inside is the caller's affair.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// `der` between the lines that name `label`, 64 characters a line.
pub(in crate::keys) fn encode(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for (place, character) in text.chars().enumerate() {
        if place > 0 && place % 64 == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.push_str(&format!("\n-----END {label}-----\n"));
    pem
}

/// The content of `pem`, when that is exactly one block of that label with nothing but white space around it.
pub(in crate::keys) fn decode(pem: &str, label: &str) -> Option<Vec<u8>> {
    let body =
        pem.trim().strip_prefix("-----BEGIN ")?.strip_prefix(label)?.strip_prefix("-----")?;
    let body = body.strip_suffix("-----")?.strip_suffix(label)?.strip_suffix("-----END ")?;
    let text: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_again() {
        for length in [0, 1, 47, 48, 49, 96, 500] {
            let der = vec![7; length];
            let pem = encode("PUBLIC KEY", &der);
            assert!(pem.lines().all(|line| line.len() <= 64), "{pem}");
            assert_eq!(decode(&pem, "PUBLIC KEY"), Some(der));
        }
    }

    #[test]
    fn another_label_two_blocks_and_other_text_are_refused() {
        let pem = encode("PUBLIC KEY", b"key");
        assert_eq!(decode(&pem, "PRIVATE KEY"), None);
        assert_eq!(decode(&format!("{pem}{pem}"), "PUBLIC KEY"), None);
        assert_eq!(decode(&format!("x{pem}"), "PUBLIC KEY"), None);
        assert_eq!(decode(&pem.replace("END PUBLIC", "END PRIVATE"), "PUBLIC KEY"), None);
    }
}
