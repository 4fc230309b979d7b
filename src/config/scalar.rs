//! What the leaves of the YAML are written like: durations, sizes, addresses, words. And the three shapes
//! ([`Text`], [`Mapping`], [`List`]) that make serde's complaints say what is accepted in an operator's words.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Unexpected, Visitor};

use super::Profile;
use crate::server::tls::TlsVersion;
use crate::util::clock::UnixTime;
use crate::util::rfc3339::parse_rfc3339;

/// Something that is written as one word.
pub(super) trait Scalar: Sized {
    /// What is accepted, for people.
    const EXPECTED: &'static str;
    /// Reads the word.
    fn parse(text: &str) -> Option<Self>;
    /// Reads a plain number, where one makes sense.
    fn from_number(_number: u64) -> Option<Self> {
        None
    }
    /// Reads `true` or `false`, where one of them makes sense.
    fn from_bool(_flag: bool) -> Option<Self> {
        None
    }
}

/// Reads a duration on the command line as it is written in the configuration.
///
/// # Errors
/// What is accepted.
pub fn duration(text: &str) -> Result<Duration, String> {
    Duration::parse(text).ok_or_else(|| format!("{} is accepted", Duration::EXPECTED))
}

/// Reads a number of bytes on the command line as it is written in the configuration.
///
/// # Errors
/// What is accepted.
pub fn size(text: &str) -> Result<usize, String> {
    let size = Size::parse(text).map(|Size(bytes)| bytes);
    size.ok_or_else(|| format!("{} is accepted", Size::EXPECTED))
}

/// A leaf that holds a [`Scalar`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<S>(pub(super) S);

impl<'de, S: Scalar> Deserialize<'de> for Text<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor(PhantomData))
    }
}

struct TextVisitor<S>(PhantomData<S>);

impl<S: Scalar> Visitor<'_> for TextVisitor<S> {
    type Value = Text<S>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(S::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        let value = S::parse(text).map(Text);
        value.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Self::Value, E> {
        S::from_bool(flag).map(Text).ok_or_else(|| E::invalid_type(Unexpected::Bool(flag), &self))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        let value = S::from_number(number).map(Text);
        value.ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }
}

/// A mapping, and never a list: derived structs would take one, by position.
#[derive(Clone, Debug)]
pub(super) struct Mapping<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Mapping<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MappingVisitor(PhantomData))
    }
}

struct MappingVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for MappingVisitor<T> {
    type Value = Mapping<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Mapping)
    }
}

/// What a list is a list of.
pub(super) trait Element {
    /// For people: `a list of strings`.
    const LIST: &'static str;
}

impl Element for String {
    const LIST: &'static str = "a list of strings";
}

impl<T> Element for Mapping<T> {
    const LIST: &'static str = "a list of mappings";
}

/// A list. An element is `None` when it was a mistake: the others keep their index.
#[derive(Clone, Debug)]
pub(super) struct List<T>(pub(super) Vec<Option<T>>);

impl<'de, T: Deserialize<'de> + Element> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Element> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::LIST)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(List)
    }
}

/// Where to listen: one address, or a list of them.
#[derive(Clone, Debug)]
pub(super) enum Addresses {
    One(String),
    /// An element is `None` when it was a mistake.
    Several(Vec<Option<String>>),
}

impl<'de> Deserialize<'de> for Addresses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AddressesVisitor)
    }
}

impl Addresses {
    /// What is accepted, for people.
    pub(super) const EXPECTED: &str = "an address such as 127.0.0.1:9191, or a list of them";
}

struct AddressesVisitor;

impl<'de> Visitor<'de> for AddressesVisitor {
    type Value = Addresses;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Addresses::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Addresses::One(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(Addresses::Several)
    }
}

/// A claim: a dotted path, or a list of literal names where a name holds a dot itself.
#[derive(Clone, Debug)]
pub(super) struct ClaimPath(pub(super) Vec<String>);

impl ClaimPath {
    /// What is accepted, for people.
    pub(super) const EXPECTED: &str =
        "a dotted path such as realm_access.roles, or a list of literal names";
}

impl<'de> Deserialize<'de> for ClaimPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ClaimVisitor)
    }
}

struct ClaimVisitor;

impl<'de> Visitor<'de> for ClaimVisitor {
    type Value = ClaimPath;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ClaimPath::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(ClaimPath(text.split('.').map(str::to_owned).collect()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        let names = Vec::<Option<String>>::deserialize(SeqAccessDeserializer::new(list))?;
        Ok(ClaimPath(names.into_iter().flatten().collect()))
    }
}

impl Scalar for Profile {
    const EXPECTED: &'static str = "production or development";

    fn parse(text: &str) -> Option<Self> {
        [Self::Production, Self::Development].into_iter().find(|profile| profile.as_str() == text)
    }
}

/// The permission bits of a socket. In quotes: YAML 1.1 and 1.2 take a bare `0660` for different numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileMode(pub(super) u32);

impl Scalar for FileMode {
    const EXPECTED: &'static str = "permission bits in quotes, such as \"0660\"";

    fn parse(text: &str) -> Option<Self> {
        let is_octal =
            matches!(text.len(), 3 | 4) && text.bytes().all(|b| (b'0'..b'8').contains(&b));
        let mode = u32::from_str_radix(text, 8).ok().filter(|mode| is_octal && *mode <= 0o777);
        mode.map(Self)
    }
}

impl Scalar for TlsVersion {
    const EXPECTED: &'static str = "\"1.2\" or \"1.3\"";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "1.2" => Some(Self::V1_2),
            "1.3" => Some(Self::V1_3),
            _ => None,
        }
    }
}

/// `max_connection_age`: how long a client may stay on one connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Age {
    AtMost(Duration),
    Unlimited,
}

impl Scalar for Age {
    const EXPECTED: &'static str = "a duration such as 30m, or unlimited";

    fn parse(text: &str) -> Option<Self> {
        if text == "unlimited" {
            return Some(Self::Unlimited);
        }
        Duration::parse(text).map(Self::AtMost)
    }
}

impl Scalar for Duration {
    const EXPECTED: &'static str = "a duration such as 150ms, 30s, 5m or 24h";

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split_unit(text)?;
        let seconds = |each: u64| number.checked_mul(each).map(Self::from_secs);
        match unit {
            "ms" => Some(Self::from_millis(number)),
            "s" => seconds(1),
            "m" => seconds(60),
            "h" => seconds(60 * 60),
            "d" => seconds(24 * 60 * 60),
            _ => None,
        }
    }
}

/// `max_stale`: how long old keys are used.
#[derive(Clone, Copy, Debug)]
pub(super) enum MaxStale {
    For(Duration),
    Unlimited,
}

impl Scalar for MaxStale {
    const EXPECTED: &'static str = "a duration such as 24h, or unlimited";

    fn parse(text: &str) -> Option<Self> {
        if text == "unlimited" {
            return Some(Self::Unlimited);
        }
        Duration::parse(text).map(Self::For)
    }
}

/// A point in time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment(pub(super) UnixTime);

impl Scalar for Moment {
    const EXPECTED: &'static str = "a time such as 2026-01-31T12:00:00Z";

    fn parse(text: &str) -> Option<Self> {
        parse_rfc3339(text).map(Self)
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size(pub(super) usize);

impl Scalar for Size {
    const EXPECTED: &'static str = "a size such as 512KiB, 1MiB or a number of bytes";

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split_unit(text)?;
        let factor = match unit {
            "" | "B" => 1,
            "KiB" => 1024,
            "MiB" => 1024 * 1024,
            _ => return None,
        };
        Self::from_number(number.checked_mul(factor)?)
    }

    fn from_number(number: u64) -> Option<Self> {
        usize::try_from(number).ok().map(Self)
    }
}

/// How many of something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count(pub(super) usize);

impl Scalar for Count {
    const EXPECTED: &'static str = "a whole number";

    fn parse(_text: &str) -> Option<Self> {
        None
    }

    fn from_number(number: u64) -> Option<Self> {
        usize::try_from(number).ok().map(Self)
    }
}

/// `discovery`: where the issuer's metadata is.
#[derive(Clone, Debug)]
pub(super) enum RawDiscovery {
    /// Where the standards have it.
    OfIssuer,
    /// At this URL.
    At(String),
}

impl Scalar for RawDiscovery {
    const EXPECTED: &'static str = "true, or the URL of a discovery document";

    fn parse(text: &str) -> Option<Self> {
        Some(Self::At(text.to_owned()))
    }

    fn from_bool(flag: bool) -> Option<Self> {
        flag.then_some(Self::OfIssuer)
    }
}

/// `5m` → 5 and `m`. Only digits count: no sign, no fraction.
fn split_unit(text: &str) -> Option<(u64, &str)> {
    let (number, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    Some((number.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_and_do_not_overflow() {
        assert_eq!(Duration::parse("150ms"), Some(Duration::from_millis(150)));
        assert_eq!(Duration::parse("24h"), Some(Duration::from_secs(86_400)));
        for text in
            ["", "5", "s", "-5s", "1.5s", "5 s", "5S", "5m30s", "999999999999999999h", "+5s"]
        {
            assert_eq!(Duration::parse(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_binary_or_plain() {
        assert_eq!(Size::parse("16KiB").map(|size| size.0), Some(16_384));
        assert_eq!(Size::parse("7").map(|size| size.0), Some(7));
        for text in ["", "16KB", "16k", "KiB", "18446744073709551615MiB"] {
            assert!(Size::parse(text).is_none(), "{text}");
        }
    }
}
