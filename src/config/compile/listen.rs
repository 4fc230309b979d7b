//! `listen`: where, who may connect, and with which certificate. No file is looked at.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::Compiler;
use crate::config::Listen;
use crate::config::raw::{RawListen, RawTls, RawUnix};
use crate::config::report::{Path, quote};
use crate::config::scalar::{Addresses, Age, Count, FileMode, List, Mapping, Text};
use crate::server::forward_auth::trusted::{ACCEPTED, Forwarder, TrustedForwarders};
use crate::server::listener::address::{Address, UnixAccess};
use crate::server::tls::{ACCEPTED_SAN, AllowedSan, TlsSettings, TlsVersion};

const DEFAULT_CONNECTION_AGE: Duration = Duration::from_secs(30 * 60);
/// A handshake and a GOAWAY more often than this would cost more than they move.
const LEAST_CONNECTION_AGE: Duration = Duration::from_secs(1);
const MOST_CONNECTION_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// More would be a mistake.
const MAX_ADDRESSES: usize = 16;
const MAX_FORWARDERS: usize = 256;

impl Compiler<'_> {
    pub(super) fn listen(&mut self, path: &Path, raw: Option<Mapping<RawListen>>) -> Listen {
        let raw = raw.map(|Mapping(raw)| raw).unwrap_or_default();
        let (grpc_path, admin_path) = (path.key("grpc"), path.key("admin"));
        let grpc = self.addresses(&grpc_path, raw.grpc, 9191);
        let admin = self.addresses(&admin_path, raw.admin, 9193);
        let is_on = raw.http.is_some();
        // The port is for when what is written there is a mistake.
        let http = raw.http.map(|raw| self.addresses(&path.key("http"), Some(raw), 9192));
        let http = http.unwrap_or_default();
        self.taken(&admin, &grpc, "listen.grpc");
        self.taken(&http, &grpc, "listen.grpc");
        self.taken(&http, &admin, "listen.admin");
        let forwarders = path.key("trusted_forwarders");
        let trusted_forwarders = self.forwarders(&forwarders, raw.trusted_forwarders, is_on, &http);
        let unix = self.unix(&path.key("unix"), raw.unix);
        let tls = self.tls(&path.key("tls"), raw.tls, "listen.grpc", &grpc);
        let admin_tls = self.tls(&path.key("admin_tls"), raw.admin_tls, "listen.admin", &admin);
        let http_tls = self.tls(&path.key("http_tls"), raw.http_tls, "listen.http", &http);
        let age = self.connection_age(&path.key("max_connection_age"), raw.max_connection_age);
        let places =
            |addresses: Vec<(Path, Address)>| addresses.into_iter().map(|(_, one)| one).collect();
        Listen {
            grpc: places(grpc),
            admin: places(admin),
            http: places(http),
            trusted_forwarders,
            unix,
            tls,
            admin_tls,
            http_tls,
            max_connection_age: age,
        }
    }

    /// At least one, each with its place.
    pub(super) fn addresses(
        &mut self,
        path: &Path,
        raw: Option<Addresses>,
        port: u16,
    ) -> Vec<(Path, Address)> {
        let default = || {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            vec![(path.clone(), Address::Tcp(address))]
        };
        let written = match raw {
            None => return default(),
            Some(Addresses::One(text)) => vec![(path.clone(), text)],
            Some(Addresses::Several(list)) => {
                if list.is_empty() || list.len() > MAX_ADDRESSES {
                    let expected = format!("1 to {MAX_ADDRESSES} addresses");
                    self.report.wrong(path, list.len(), expected);
                }
                let written = list.into_iter().enumerate();
                written.filter_map(|(i, text)| Some((path.index(i), text?))).collect()
            }
        };
        let mut found: Vec<(Path, Address)> = Vec::new();
        for (path, text) in written {
            match Address::parse(&text) {
                Err(expected) => self.report.wrong(&path, quote(&text), expected),
                Ok(address) if found.iter().any(|(_, other)| address.collides(other)) => {
                    self.report.wrong(&path, quote(&text), "each address once");
                }
                Ok(address) => found.push((path, address)),
            }
        }
        if found.is_empty() { default() } else { found }
    }

    /// Reports which of `ours` `other` has taken.
    pub(super) fn taken(
        &mut self,
        ours: &[(Path, Address)],
        others: &[(Path, Address)],
        other: &str,
    ) {
        let is_taken = |one: &Address| others.iter().any(|(_, other)| one.collides(other));
        for (path, address) in ours.iter().filter(|(_, address)| is_taken(address)) {
            let expected = format!("an address of its own: {other} has this one");
            self.report.wrong(path, quote(&address.to_string()), expected);
        }
    }

    fn forwarders(
        &mut self,
        path: &Path,
        raw: Option<List<String>>,
        is_on: bool,
        http: &[(Path, Address)],
    ) -> TrustedForwarders {
        let Some(List(written)) = raw else { return TrustedForwarders::default() };
        if !is_on {
            let expected = "no such key: without listen.http there is nobody to believe";
            self.report.wrong(path, "a list", expected);
        }
        if written.len() > MAX_FORWARDERS {
            self.report.wrong(path, written.len(), format!("at most {MAX_FORWARDERS} entries"));
        }
        let mut forwarders = Vec::with_capacity(written.len());
        for (index, text) in written.into_iter().enumerate() {
            let Some(text) = text else { continue };
            let path = path.index(index);
            match Forwarder::parse(&text) {
                None => self.report.wrong(&path, quote(&text), ACCEPTED),
                Some(everybody) if everybody.is_everybody() && self.is_production() => {
                    let expected =
                        "the addresses of your proxies: everybody else could make up requests";
                    self.report.wrong(&path, quote(&text), expected);
                }
                Some(Forwarder::Unix) if is_on && !has_file(http) => {
                    let expected = "an address or a network: listen.http has no unix:///path, whose mode would say who may connect";
                    self.report.wrong(&path, quote(&text), expected);
                }
                Some(forwarder) => forwarders.push(forwarder),
            }
        }
        TrustedForwarders::new(forwarders)
    }

    pub(super) fn unix(&mut self, path: &Path, raw: Option<Mapping<RawUnix>>) -> UnixAccess {
        let raw = raw.map(|Mapping(raw)| raw).unwrap_or_default();
        let mut number = |key: &str, given: Option<Text<Count>>| {
            let Text(Count(given)) = given?;
            // The last number means "leave it" to the system.
            let number = u32::try_from(given).ok().filter(|number| *number != u32::MAX);
            if number.is_none() {
                self.report.wrong(&path.key(key), given, format!("0 to {}", u32::MAX - 1));
            }
            number
        };
        let (owner, group) = (number("owner", raw.owner), number("group", raw.group));
        let default = UnixAccess::default();
        let mode = raw.mode.map_or(default.mode, |Text(FileMode(mode))| mode);
        UnixAccess { mode, owner, group }
    }

    pub(super) fn tls(
        &mut self,
        path: &Path,
        raw: Option<Mapping<RawTls>>,
        listener: &str,
        addresses: &[(Path, Address)],
    ) -> Option<TlsSettings> {
        let Mapping(raw) = raw?;
        if addresses.iter().all(|(_, address)| address.tcp().is_none()) {
            let expected = format!("no such key: {listener} has no TCP address to speak TLS on");
            self.report.wrong(path, "a mapping", expected);
        }
        let is_abstract = |address: &Address| matches!(address, Address::Abstract(_));
        let open = addresses.iter().find(|(_, address)| is_abstract(address));
        if let (Some((path, address)), Some(_)) = (open, &raw.client_ca_file) {
            let expected =
                "a path: a name is open to everybody, and client_ca_file is to let in few";
            self.report.wrong(path, quote(&address.to_string()), expected);
        }
        let mut file = |key: &str, given: &Option<String>, what: &str| {
            self.file_at(path, key, given.as_deref(), what)
        };
        let cert_file = file("cert_file", &raw.cert_file, "a certificate in PEM");
        let key_file = file("key_file", &raw.key_file, "a private key in PEM");
        let client_ca_file = file("client_ca_file", &raw.client_ca_file, "certificates in PEM");
        if cert_file.is_none() {
            self.report.missing(&path.key("cert_file"), "a certificate in PEM");
        }
        if key_file.is_none() {
            self.report.missing(&path.key("key_file"), "the private key of cert_file");
        }
        let sans = path.key("allowed_client_sans");
        if raw.allowed_client_sans.is_some() && client_ca_file.is_none() {
            let missing = path.key("client_ca_file");
            self.report.missing(&missing, "the authorities of the clients in allowed_client_sans");
        }
        let allowed_client_sans = self.sans(&sans, raw.allowed_client_sans);
        Some(TlsSettings {
            cert_file: cert_file?,
            key_file: key_file?,
            client_ca_file,
            allowed_client_sans,
            min_version: raw.min_version.map_or(TlsVersion::V1_2, |Text(version)| version),
            accepts_readable_key: !self.is_production(),
        })
    }

    fn sans(&mut self, path: &Path, raw: Option<List<String>>) -> Vec<AllowedSan> {
        let Some(List(written)) = raw else { return Vec::new() };
        if written.is_empty() {
            // It would let in everybody of client_ca_file, and reads like nobody.
            self.report.wrong(path, "an empty list", "one or more names, or no such key");
        }
        let mut sans = Vec::new();
        for (index, text) in written.into_iter().enumerate() {
            let Some(text) = text else { continue };
            match AllowedSan::parse(&text) {
                Some(san) => sans.push(san),
                None => self.report.wrong(&path.index(index), quote(&text), ACCEPTED_SAN),
            }
        }
        sans
    }

    pub(super) fn connection_age(
        &mut self,
        path: &Path,
        raw: Option<Text<Age>>,
    ) -> Option<Duration> {
        match raw {
            None => Some(DEFAULT_CONNECTION_AGE),
            Some(Text(Age::Unlimited)) => None,
            Some(Text(Age::AtMost(age))) => {
                if !(LEAST_CONNECTION_AGE..=MOST_CONNECTION_AGE).contains(&age) {
                    let found = format!("{} s", age.as_secs_f64());
                    self.report.wrong(path, found, "1s to 30d, or unlimited");
                }
                Some(age)
            }
        }
    }
}

/// Whether there are Unix sockets, none of which is open to everybody.
fn has_file(addresses: &[(Path, Address)]) -> bool {
    let is_file = |address: &Address| matches!(address, Address::Unix(_));
    let is_name = |address: &Address| matches!(address, Address::Abstract(_));
    addresses.iter().any(|(_, address)| is_file(address))
        && !addresses.iter().any(|(_, address)| is_name(address))
}
