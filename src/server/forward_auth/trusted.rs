//! Whom to believe: `listen.trusted_forwarders`. The configuration parses with it.

use std::net::IpAddr;

use crate::server::listener::Peer;

/// Who may say what another request was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedForwarders(Vec<Forwarder>);

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarder {
    /// Whoever connects from these addresses.
    Network {
        /// The lowest of them.
        address: IpAddr,
        /// How many of its bits count.
        bits: u8,
    },
    /// Whoever may connect to the Unix sockets of `listen.http`.
    Unix,
}

/// For people.
pub const ACCEPTED: &str =
    "an address such as 10.0.0.7 or ::1, a network such as 10.0.0.0/8, or the word unix";

impl Forwarder {
    /// Reads one. `None` for anything else than [`ACCEPTED`], for bits beyond the network's own, and for IPv4 written
    /// as IPv6, which would match nobody.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "unix" {
            return Some(Self::Unix);
        }
        let (address, bits) = match text.split_once('/') {
            None => (text, None),
            Some((address, bits)) => (address, Some(bits)),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|bits| *bits <= most)?
            }
            Some(_) => return None,
        };
        let is_lowest = address == lowest(address, bits);
        (is_lowest && address == address.to_canonical()).then_some(Self::Network { address, bits })
    }

    /// Whether it is everybody.
    pub fn is_everybody(&self) -> bool {
        matches!(self, Self::Network { bits: 0, .. })
    }

    fn contains(&self, peer: Peer) -> bool {
        match (*self, peer) {
            (Self::Network { address, bits }, Peer::Ip(ip)) => {
                address.is_ipv4() == ip.is_ipv4() && lowest(ip, bits) == address
            }
            (Self::Unix, Peer::Unix) => true,
            (Self::Network { .. }, Peer::Unix) | (Self::Unix, Peer::Ip(_)) => false,
        }
    }
}

impl TrustedForwarders {
    /// These and no other.
    pub fn new(forwarders: Vec<Forwarder>) -> Self {
        Self(forwarders)
    }

    pub(super) fn contains(&self, peer: Peer) -> bool {
        self.0.iter().any(|forwarder| forwarder.contains(peer))
    }
}

/// The first address that shares so many bits.
fn lowest(address: IpAddr, bits: u8) -> IpAddr {
    let bits = u32::from(bits);
    match address {
        IpAddr::V4(ip) => {
            let host = u32::MAX.checked_shr(bits).unwrap_or(0);
            IpAddr::V4((ip.to_bits() & !host).into())
        }
        IpAddr::V6(ip) => {
            let host = u128::MAX.checked_shr(bits).unwrap_or(0);
            IpAddr::V6((ip.to_bits() & !host).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusts(entry: &str, peer: &str) -> bool {
        let trusted = TrustedForwarders::new(vec![Forwarder::parse(entry).unwrap()]);
        let peer = peer.parse().map_or(Peer::Unix, Peer::Ip);
        trusted.contains(peer)
    }

    #[test]
    fn an_address_is_itself_and_a_network_is_what_is_in_it() {
        #[rustfmt::skip]
        let table = [
            ("10.0.0.7", "10.0.0.7", true), ("10.0.0.7", "10.0.0.6", false),
            ("10.0.0.0/8", "10.255.255.255", true), ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.128/25", "10.0.0.127", false), ("10.0.0.128/25", "10.0.0.129", true),
            ("10.0.0.7/32", "10.0.0.7", true), ("0.0.0.0/0", "203.0.113.1", true),
            ("0.0.0.0/0", "::1", false), ("::/0", "10.0.0.7", false), ("::/0", "fe80::1", true),
            ("::1", "::1", true), ("::1", "::2", false), ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe00::1", false), ("fd00::1/128", "fd00::1", true),
            ("unix", "a socket", true), ("unix", "127.0.0.1", false), ("127.0.0.1", "a socket", false),
            ("0.0.0.0/0", "a socket", false),
        ];
        for (entry, peer, expected) in table {
            assert_eq!(trusts(entry, peer), expected, "{entry} {peer}");
        }
        assert!(!TrustedForwarders::default().contains(Peer::Unix));
    }

    #[test]
    fn what_is_no_address_and_no_network_is_refused() {
        for text in [
            "",
            "localhost",
            "10.0.0",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.0.0.0/8/8",
            "::1/129",
            "::1/64",
            "::ffff:10.0.0.1",
            "Unix",
            "*",
            "10.0.0.1:80",
            "[::1]",
            " 10.0.0.1",
            "10.0.0.0/255.0.0.0",
            "10.0.0.0/999",
        ] {
            assert_eq!(Forwarder::parse(text), None, "{text:?}");
        }
    }
}
