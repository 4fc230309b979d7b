//! Which names of headers are claimgate's own, however they are spelled. Asked for each header of each request, so most
//! are told apart by their first character. [`super::Forward`] asks.

use super::target::{StripPattern, TargetHeader, folded};

/// The headers that are set, and those that are taken away whoever sends them.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnNames {
    exact: Vec<Box<str>>,
    prefixes: Vec<Box<str>>,
    /// What the names above begin with, a bit for each character of ASCII.
    firsts: u128,
}

impl OwnNames {
    pub(super) fn new<'a>(
        targets: impl Iterator<Item = &'a TargetHeader>,
        strip: &[StripPattern],
    ) -> Self {
        let mut own = Self::default();
        for target in targets {
            own.add_exact(target.as_str());
        }
        for pattern in strip {
            match pattern {
                StripPattern::Exact(name) => own.add_exact(name),
                StripPattern::Prefix(prefix) => {
                    own.firsts |= bit(prefix.bytes().next());
                    own.prefixes.push(prefix.as_str().into());
                }
            }
        }
        own
    }

    fn add_exact(&mut self, name: &str) {
        if !self.exact.iter().any(|known| **known == *name) {
            self.firsts |= bit(name.bytes().next());
            self.exact.push(name.into());
        }
    }

    /// Whether a received name folds to one of ours.
    pub(super) fn has(&self, name: &str) -> bool {
        // Pseudo-headers are Envoy's own and cannot be removed.
        if name.starts_with(':') {
            return false;
        }
        if !name.is_ascii() {
            return self.has_folded(name);
        }
        let is = |own: &str, name: &[u8]| name.iter().copied().map(folded_ascii).eq(own.bytes());
        self.firsts & bit(name.bytes().next().map(folded_ascii)) != 0
            && (self.exact.iter().any(|own| own.len() == name.len() && is(own, name.as_bytes()))
                || self.prefixes.iter().any(|own| {
                    name.as_bytes().get(..own.len()).is_some_and(|start| is(own, start))
                }))
    }

    /// The same for any name, character by character.
    fn has_folded(&self, name: &str) -> bool {
        let starts = |prefix: &str| {
            let mut name = folded(name);
            prefix.chars().all(|c| name.next() == Some(c))
        };
        self.exact.iter().any(|own| folded(name).eq(own.chars()))
            || self.prefixes.iter().any(|prefix| starts(prefix))
    }
}

/// As [`folded`], of one character of ASCII.
const fn folded_ascii(byte: u8) -> u8 {
    if byte.is_ascii_punctuation() || byte == b' ' { b'-' } else { byte.to_ascii_lowercase() }
}

fn bit(first: Option<u8>) -> u128 {
    first.and_then(|byte| 1_u128.checked_shl(u32::from(byte))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn own() -> OwnNames {
        let targets = ["x-jwt-sub", "tenant"].map(|name| TargetHeader::parse(name).unwrap());
        let strip = ["x-user", "x-jwt-*", "a1*"].map(|text| StripPattern::parse(text).unwrap());
        OwnNames::new(targets.iter(), &strip)
    }

    #[test]
    fn every_ascii_character_folds_alike_in_both_ways() {
        for byte in 0..=127_u8 {
            let slow: Vec<char> = folded(&char::from(byte).to_string()).collect();
            assert_eq!(slow, [char::from(folded_ascii(byte))], "{byte}");
        }
    }

    #[test]
    fn a_name_is_ours_in_every_spelling() {
        for name in
            ["x-jwt-sub", "X_JWT_anything", "x.jwt.", "TENANT", "A1", "x user", "tenan\u{ff54}"]
        {
            assert_eq!(own().has(name), !name.contains('\u{ff54}'), "{name}");
        }
        // The Kelvin sign is a k in lower case, the long s an S in upper case.
        assert!(own().has("x-u\u{17f}er"));
        for name in ["", "x", "x-jwt", "tenants", "x-users", ":tenant", "b1"] {
            assert!(!own().has(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn the_short_way_finds_what_the_long_way_finds(
            name in "[xXaA1tT.:_ -]{0,3}(jwt|JWT|user|enant|\u{17f})?[-_. ]{0,2}[a-zA-Z\u{212a}\u{17f}]{0,4}"
        ) {
            let slow = !name.starts_with(':') && own().has_folded(&name);
            prop_assert_eq!(own().has(&name), slow, "{:?}", name);
        }
    }
}
