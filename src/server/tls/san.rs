//! Which client certificates are let in: rules on subject alternative names (RFC 5280 §4.2.1.6), and the verifier that
//! applies them after the chain has been found good. The common name is never looked at.

use std::fmt;

use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::util::escape::escaped;

/// One name that a client may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedSan {
    /// This DNS name, in any case. A wildcard in the certificate is no pattern here, only a name.
    Dns(String),
    /// Exactly this URI.
    Uri(String),
    /// This SPIFFE ID.
    Spiffe(String),
    /// Every SPIFFE ID below this one, which ends in a slash: `spiffe://cluster.local/ns/edge/`.
    SpiffeBelow(String),
}

/// For people.
pub const ACCEPTED: &str = "a DNS name, a URI, a SPIFFE ID such as spiffe://cluster.local/ns/edge/sa/envoy, \
                            or one that ends in /* for all below it";

impl AllowedSan {
    /// Reads one; `None` for what no certificate could have.
    pub fn parse(text: &str) -> Option<Self> {
        if !text.is_ascii() || text.contains(|c: char| c.is_ascii_control() || c == ' ') {
            return None;
        }
        if text.starts_with(SPIFFE) {
            return match text.strip_suffix("/*") {
                // The trust domain alone is an ID as well, so that its `/*` is all of its workloads.
                Some(parent) => {
                    is_spiffe_id(parent).then(|| Self::SpiffeBelow(format!("{parent}/")))
                }
                None => is_spiffe_id(text).then(|| Self::Spiffe(text.to_owned())),
            };
        }
        let is_uri = text.split_once(':').is_some_and(|(scheme, rest)| {
            !rest.is_empty()
                && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        });
        if is_uri {
            // An asterisk would look like a pattern and be none.
            return (!text.contains('*')).then(|| Self::Uri(text.to_owned()));
        }
        let is_label = |label: &str| {
            !label.is_empty()
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        };
        text.split('.').all(is_label).then(|| Self::Dns(text.to_owned()))
    }

    /// Whether a certificate with these names is meant.
    fn matches(&self, names: &Names) -> bool {
        match self {
            Self::Dns(name) => names.dns.iter().any(|dns| dns.eq_ignore_ascii_case(name)),
            Self::Uri(uri) => names.uris.contains(uri),
            Self::Spiffe(id) => names.spiffe_id() == Some(id),
            Self::SpiffeBelow(parent) => names
                .spiffe_id()
                .is_some_and(|id| id.len() > parent.len() && id.starts_with(parent)),
        }
    }
}

const SPIFFE: &str = "spiffe://";

/// By the SPIFFE ID standard: a trust domain in lower case, then segments that are not empty and never dots only. Nothing
/// is percent-encoded, so what is equal is spelled equally.
fn is_spiffe_id(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(SPIFFE) else { return false };
    let (domain, path) = rest.split_once('/').map_or((rest, None), |(d, p)| (d, Some(p)));
    let is_domain = !domain.is_empty()
        && domain
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c));
    let is_segment = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
    };
    is_domain && path.is_none_or(|path| path.split('/').all(is_segment))
}

/// Whether `certificate`, in DER, has one of the `allowed` names. What cannot be read has none.
///
/// # Errors
/// Its names, for the log, escaped and cut.
pub(super) fn check(allowed: &[AllowedSan], certificate: &[u8]) -> Result<(), String> {
    let Some(names) = Names::of(certificate) else {
        return Err(UNREADABLE.to_owned());
    };
    match allowed.iter().any(|allowed| allowed.matches(&names)) {
        true => Ok(()),
        false => Err(names.to_string()),
    }
}

/// The names in `certificate`, in DER, for people: escaped and cut.
pub(super) fn shown(certificate: &[u8]) -> String {
    Names::of(certificate).map_or_else(|| UNREADABLE.to_owned(), |names| names.to_string())
}

const UNREADABLE: &str = "names that cannot be read";

/// The names in a certificate that rules are about.
#[derive(Debug, Default)]
struct Names {
    dns: Vec<String>,
    uris: Vec<String>,
}

impl Names {
    fn of(certificate: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_der(certificate).ok()?;
        let names = certificate.tbs_certificate().get_extension::<SubjectAltName>().ok()?;
        let mut found = Self::default();
        for name in names.map(|(_, SubjectAltName(names))| names).into_iter().flatten() {
            match name {
                GeneralName::DnsName(name) => found.dns.push(name.as_str().to_owned()),
                GeneralName::UniformResourceIdentifier(uri) => {
                    found.uris.push(uri.as_str().to_owned());
                }
                GeneralName::OtherName(_)
                | GeneralName::Rfc822Name(_)
                | GeneralName::DirectoryName(_)
                | GeneralName::EdiPartyName(_)
                | GeneralName::IpAddress(_)
                | GeneralName::RegisteredId(_) => {}
            }
        }
        Some(found)
    }

    /// An X.509-SVID has exactly one URI; one with several says nothing certain about who it is.
    fn spiffe_id(&self) -> Option<&String> {
        match self.uris.as_slice() {
            [id] if is_spiffe_id(id) => Some(id),
            _ => None,
        }
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.dns.iter().chain(&self.uris).map(String::as_str).collect::<Vec<_>>();
        let all = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
        f.write_str(&escaped(&all, SHOWN))
    }
}

const SHOWN: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dns: &[&str], uris: &[&str]) -> Names {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Names { dns: owned(dns), uris: owned(uris) }
    }

    #[test]
    fn names_are_matched_exactly_and_spiffe_ids_below_a_segment_too() {
        #[rustfmt::skip]
        let table = [
            ("envoy.example.com", names(&["Envoy.Example.com"], &[]), true),
            ("envoy.example.com", names(&["*.example.com"], &[]), false),
            ("envoy.example.com", names(&["envoy.example.com.evil"], &[]), false),
            ("envoy.example.com", names(&[], &["envoy.example.com"]), false),
            ("https://h/a", names(&[], &["https://h/a"]), true),
            ("https://h/a", names(&[], &["https://h/a/b"]), false),
            ("spiffe://td/ns/a", names(&[], &["spiffe://td/ns/a"]), true),
            ("spiffe://td/ns/a", names(&[], &["spiffe://td/ns/a/b"]), false),
            ("spiffe://td/ns/a", names(&["spiffe://td/ns/a"], &[]), false),
            ("spiffe://td/ns/a", names(&[], &["spiffe://td/ns/a", "spiffe://td/ns/b"]), false),
            ("spiffe://td/ns/a/*", names(&[], &["spiffe://td/ns/a/sa/b"]), true),
            ("spiffe://td/ns/a/*", names(&[], &["spiffe://td/ns/a"]), false),
            ("spiffe://td/ns/a/*", names(&[], &["spiffe://td/ns/a/"]), false),
            ("spiffe://td/ns/a/*", names(&[], &["spiffe://td/ns/ab/c"]), false),
            ("spiffe://td/ns/a/*", names(&[], &["spiffe://td/ns/a/../b"]), false),
            ("spiffe://td/ns/a/*", names(&[], &["spiffe://td/ns/a/%2e%2e/b"]), false),
            ("spiffe://td/*", names(&[], &["spiffe://td/ns/b"]), true),
            ("spiffe://td/*", names(&[], &["spiffe://td.evil/ns/b"]), false),
            ("spiffe://td/*", names(&[], &[]), false),
        ];
        for (allowed, names, matches) in table {
            let rule = AllowedSan::parse(allowed).unwrap();
            assert_eq!(rule.matches(&names), matches, "{allowed} and {names:?}");
        }
    }

    #[test]
    fn what_no_certificate_could_have_or_looks_like_a_pattern_is_refused() {
        for text in [
            "",
            "*",
            "*.example.com",
            "a b",
            "ä.example.com",
            "a..b",
            ":x",
            "https://h/*",
            "spiffe://",
            "spiffe://*",
            "spiffe:///*",
            "spiffe://TD/ns",
            "spiffe://td/",
            "spiffe://td/ns/*/sa/x",
            "spiffe://td/ns*",
            "spiffe://td/a//*",
            "spiffe://td/../*",
            "spiffe://td/a?b",
        ] {
            assert_eq!(AllowedSan::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_certificate_that_cannot_be_read_has_no_name() {
        let any = [AllowedSan::parse("spiffe://td/*").unwrap()];
        assert_eq!(check(&any, b"\x30\x00"), Err("names that cannot be read".to_owned()));
    }

    #[test]
    fn names_are_escaped_and_cut_for_the_log() {
        let shown = names(&["a\n\u{1b}"], &[&"u".repeat(500)]).to_string();
        assert!(shown.starts_with("a\\n\\u{1b}, uuu") && shown.len() < 250, "{shown}");
    }
}
