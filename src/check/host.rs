//! The host of a request, and a condition on it. [`super::rules`] choose by it, and [`super::cel`] shows it to conditions.

/// A condition on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// This host, in lower case, without port or trailing dot.
    Exact(String),
    /// Any host below this suffix, which starts with a dot and is in lower case: `*.example.com`.
    Below(String),
}

impl HostPattern {
    pub(super) fn matches(&self, host: &Host<'_>) -> bool {
        match self {
            Self::Exact(exact) => host.0.eq_ignore_ascii_case(exact),
            Self::Below(suffix) => {
                let start = host.0.len().checked_sub(suffix.len());
                let tail = start.filter(|start| *start > 0).and_then(|start| host.0.get(start..));
                tail.is_some_and(|tail| tail.eq_ignore_ascii_case(suffix))
            }
        }
    }
}

/// A host without port and trailing dot; case is left as sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host<'a>(pub(super) &'a str);

/// Names are at most 253 octets long (RFC 1035 §2.3.4 without length octet and root).
const MAX_BYTES: usize = 253;

impl<'a> Host<'a> {
    /// Refuses what is no authority (userinfo, lists, spaces), so that no rule is chosen by it.
    pub(super) fn parse(authority: &'a str) -> Result<Self, ()> {
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.chars().all(|c| c.is_ascii_digit()) => host,
            // An IPv6 address ends in its bracket.
            Some(_) if authority.ends_with(']') => authority,
            Some(_) => return Err(()),
            None => authority,
        };
        let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let (name, separator) = match address {
            Some(address) => (address, ':'),
            None => (host.strip_suffix('.').unwrap_or(host), '.'),
        };
        // An escape or an empty label would be another host to whoever decodes or trims it.
        let is_plain = |c: char| c == separator || c.is_ascii_alphanumeric() || "-._~".contains(c);
        let has_gap = address.is_none() && !name.is_empty() && name.split('.').any(str::is_empty);
        if has_gap || name.len() > MAX_BYTES || !name.chars().all(is_plain) {
            return Err(());
        }
        Ok(Self(if address.is_some() { host } else { name }))
    }
}
