//! The key schema: which keys there are, and what a change in the stream says. Pure. `deploy/revocation.md` tells it to
//! everybody who writes in another language; a new version would have another number in the names.
//!
//! | key | type | what |
//! | --- | --- | --- |
//! | `{PREFIX}:v1:epoch` | string | says that the list is whole; lost with it |
//! | `{PREFIX}:v1:changes` | stream | every entry, as it was written |
//! | `{PREFIX}:v1:entry:DIGEST` | string with a TTL | one entry; DIGEST is the SHA-256 of it, in hexadecimal |
//!
//! The braces are part of the names: in a Cluster, all of them are in one slot, on one node, in one transaction.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

/// What the names of the keys begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(Box<str>);

/// Longer prefixes are refused.
const MAX_PREFIX_BYTES: usize = 128;

impl Prefix {
    /// What is accepted, for people.
    pub const EXPECTED: &'static str =
        "1 to 128 characters out of a-z, A-Z, 0-9, `:`, `.`, `_` and `-`";

    /// `None` unless it is what [`Self::EXPECTED`] says: braces have a meaning in a Cluster, and stars in SCAN.
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b":._-".contains(&byte);
        let is_right = (1..=MAX_PREFIX_BYTES).contains(&text.len()) && text.bytes().all(is_plain);
        is_right.then(|| Self(text.into()))
    }

    /// The key of the epoch.
    pub(super) fn epoch(&self) -> String {
        self.key("epoch")
    }

    /// The key of the stream.
    pub(super) fn changes(&self) -> String {
        self.key("changes")
    }

    /// The key of an entry, given its text. Whoever writes the same entry again writes the same key.
    pub(super) fn entry(&self, text: &str) -> String {
        let digest = digest(&SHA256, text.as_bytes());
        let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        self.key(&format!("entry:{digest}"))
    }

    /// What SCAN matches the entries' keys with.
    pub(super) fn entries(&self) -> String {
        self.key("entry:*")
    }

    /// A key that nobody ever writes, among those of entries: whoever may read them may ask for it.
    pub(super) fn probe(&self) -> String {
        self.key("entry:none")
    }

    fn key(&self, name: &str) -> String {
        format!("{{{self}}}:v1:{name}")
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self("claimgate:revocation".into())
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of the field of the stream that holds an entry.
pub(super) const ENTRY: &str = "entry";

/// The name of the field of the stream that holds a new epoch: an entry of the stream that revokes nothing.
pub(super) const EPOCH: &str = "epoch";

/// The name of the field of the stream that says that a key was deleted: the same.
pub(super) const REMOVED: &str = "removed";

/// What one entry of the stream says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// This is revoked.
    Entry(Vec<u8>),
    /// The store was set up, or set up again.
    Epoch,
    /// A key was deleted: something is revoked no more.
    Removed,
    /// None of these. Somebody wanted something revoked, perhaps.
    Unreadable,
}

impl Change {
    /// Of the fields of an entry of the stream, names and values in turn.
    pub(super) fn of(fields: Vec<Vec<u8>>) -> Self {
        let mut fields = fields.into_iter();
        match (fields.next(), fields.next(), fields.next()) {
            (Some(name), Some(value), None) if name == ENTRY.as_bytes() => Self::Entry(value),
            (Some(name), Some(_), None) if name == EPOCH.as_bytes() => Self::Epoch,
            (Some(name), Some(_), None) if name == REMOVED.as_bytes() => Self::Removed,
            _ => Self::Unreadable,
        }
    }
}

/// The place of an entry in the stream: milliseconds, and a number within them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StreamId(u64, u64);

impl StreamId {
    /// `MILLISECONDS-NUMBER`, both of digits only.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let (millis, number) = std::str::from_utf8(text).ok()?.split_once('-')?;
        let digits = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
        };
        Some(Self(digits(millis)?, digits(number)?))
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_in_the_slot_of_the_prefix() {
        let prefix = Prefix::default();
        for key in [prefix.epoch(), prefix.changes(), prefix.entry("x"), prefix.entries()] {
            assert!(key.starts_with("{claimgate:revocation}:v1:"), "{key}");
        }
        // The SHA-256 of "x", as sha256sum has it.
        assert!(
            prefix.entry("x").ends_with(
                ":entry:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
            )
        );
    }

    #[test]
    fn a_prefix_means_nothing_to_a_cluster_or_to_scan() {
        for text in ["", "{a}", "a*", "a?", "a[b]", "a b", "a\\", "ä", &"a".repeat(129)] {
            assert_eq!(Prefix::parse(text), None, "{text}");
        }
        assert_eq!(Prefix::parse("shop:eu-1").unwrap().epoch(), "{shop:eu-1}:v1:epoch");
    }

    #[test]
    fn a_change_is_an_entry_or_an_epoch_and_nothing_else_is_taken_for_one() {
        let fields = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
        assert_eq!(Change::of(fields(&["entry", "{}"])), Change::Entry(b"{}".to_vec()));
        assert_eq!(Change::of(fields(&["epoch", "1"])), Change::Epoch);
        assert_eq!(Change::of(fields(&["removed", "1"])), Change::Removed);
        for odd in [&[][..], &["entry"], &["Entry", "{}"], &["entry", "{}", "entry", "{}"]] {
            assert_eq!(Change::of(fields(odd)), Change::Unreadable, "{odd:?}");
        }
    }

    #[test]
    fn places_in_the_stream_are_ordered_by_number_and_not_by_text() {
        let id = |text: &str| StreamId::parse(text.as_bytes()).unwrap();
        assert!(id("9-0") < id("10-0") && id("10-9") < id("10-10"));
        assert_eq!(id("18446744073709551615-1").to_string(), "18446744073709551615-1");
        for text in ["", "1", "-", "1-", "-1", "+1-1", "1-1-1", "18446744073709551616-0", "a-b"] {
            assert_eq!(StreamId::parse(text.as_bytes()), None, "{text}");
        }
    }
}
