//! `listen`: the forms of an address, who may connect to a Unix socket, and TLS.

use super::*;
use crate::server::forward_auth::trusted::TrustedForwarders;
use crate::server::listener::address::{Address, UnixAccess};
use crate::server::tls::{AllowedSan, TlsVersion};

const TLS: &str = "cert_file: tls.crt, key_file: tls.key";

#[test]
fn one_address_or_several_of_every_form_are_read() {
    let text = with(
        "",
        "listen: {grpc: ['[::1]:9191', unix:///run/a.sock, unix://@a], admin: unix:///run/b.sock, \
         unix: {mode: '0600', owner: 1, group: 2}, max_connection_age: unlimited}",
    );
    let listen = read(&text).unwrap().listen;
    let shown: Vec<String> = listen.grpc.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["[::1]:9191", "unix:///run/a.sock", "unix://@a"]);
    assert_eq!(listen.admin, [Address::Unix("/run/b.sock".into())]);
    assert_eq!(listen.unix, UnixAccess { mode: 0o600, owner: Some(1), group: Some(2) });
    assert_eq!(listen.max_connection_age, None);
    let default = read(MINIMAL).unwrap().listen;
    assert_eq!(default.unix, UnixAccess { mode: 0o660, owner: None, group: None });
    assert_eq!(default.max_connection_age, Some(Duration::from_secs(1800)));
    assert_eq!((default.tls, default.admin_tls), (None, None));
    assert_eq!((default.http, default.http_tls), (vec![], None));
    assert_eq!(default.trusted_forwarders, TrustedForwarders::default());
}

#[test]
fn tls_of_each_kind_is_read() {
    let text = with(
        "",
        &format!(
            "listen:\n  tls: {{{TLS}, client_ca_file: /ca.crt, min_version: '1.3', \
             allowed_client_sans: [a.example, 'spiffe://td/*']}}\n  admin_tls: {{{TLS}}}"
        ),
    );
    let listen = read(&text).unwrap().listen;
    let (tls, admin) = (listen.tls.unwrap(), listen.admin_tls.unwrap());
    assert_eq!(tls.cert_file, Path::new("/etc/claimgate/tls.crt"));
    assert_eq!(tls.client_ca_file.as_deref(), Some(Path::new("/ca.crt")));
    assert_eq!(tls.min_version, TlsVersion::V1_3);
    assert_eq!(
        tls.allowed_client_sans,
        [
            AllowedSan::Dns("a.example".to_owned()),
            AllowedSan::SpiffeBelow("spiffe://td/".to_owned())
        ]
    );
    assert!(!tls.accepts_readable_key, "in production");
    assert_eq!((admin.client_ca_file, admin.min_version), (None, TlsVersion::V1_2));
}

#[test]
fn mistakes_about_listeners_are_reported_at_their_path() {
    let long = format!("grpc: unix:///{}", "a".repeat(107));
    #[rustfmt::skip]
    let table = [
        ("grpc: []", "listen.grpc"),
        ("grpc: 9191", "listen.grpc"),
        ("grpc: localhost:9191", "listen.grpc"),
        ("grpc: unix://run/a.sock", "listen.grpc"),
        ("grpc: [127.0.0.1:1, 127.0.0.1:1]", "listen.grpc[1]"),
        ("grpc: [127.0.0.1:0, 127.0.0.1:0]", ""),
        ("grpc: [127.0.0.1:1, 7, nowhere]", "listen.grpc[1] listen.grpc[2]"),
        ("grpc: unix:///a, admin: [127.0.0.1:1, unix:///a]", "listen.admin[1]"),
        (&long, "listen.grpc"),
        ("grpc: 127.0.0.1:1, http: 127.0.0.1:1", "listen.http"),
        ("admin: 127.0.0.1:1, http: [127.0.0.1:2, 127.0.0.1:1]", "listen.http[1]"),
        ("http: []", "listen.http"),
        ("http_tls: {cert_file: a, key_file: a}", "listen.http_tls"),
        ("http: unix:///a, http_tls: {cert_file: a, key_file: a}", "listen.http_tls"),
        ("http: 127.0.0.1:1, http_tls: {cert_file: a}", "listen.http_tls.key_file"),
        ("trusted_forwarders: [127.0.0.1]", "listen.trusted_forwarders"),
        ("http: 127.0.0.1:1, trusted_forwarders: 127.0.0.1", "listen.trusted_forwarders"),
        ("http: 127.0.0.1:1, trusted_forwarders: [127.0.0.1, 10.0.0.1/8, proxy]", "listen.trusted_forwarders[1] listen.trusted_forwarders[2]"),
        ("http: 127.0.0.1:1, trusted_forwarders: [0.0.0.0/0, '::/0']", "listen.trusted_forwarders[0] listen.trusted_forwarders[1]"),
        ("http: 127.0.0.1:1, trusted_forwarders: [unix]", "listen.trusted_forwarders[0]"),
        ("http: [unix:///a, unix://@a], trusted_forwarders: [unix]", "listen.trusted_forwarders[0]"),
        ("http: [unix:///a, 127.0.0.1:1], trusted_forwarders: [unix, '::1', fd00::/8]", ""),
        ("http: 127.0.0.1:0, trusted_forwarders: []", ""),
        ("unix: {mode: 0660}", "listen.unix.mode"),
        ("unix: {mode: '1777'}", "listen.unix.mode"),
        ("unix: {mode: '+60'}", "listen.unix.mode"),
        ("unix: {owner: root}", "listen.unix.owner"),
        ("unix: {group: 4294967295}", "listen.unix.group"),
        ("max_connection_age: 0s", "listen.max_connection_age"),
        ("max_connection_age: 30", "listen.max_connection_age"),
        ("tls: {}", "listen.tls.cert_file listen.tls.key_file"),
        ("tls: {cert_file: a}", "listen.tls.key_file"),
        ("tls: {cert_file: '', key_file: a}", "listen.tls.cert_file"),
        ("tls: {cert_file: a, key_file: a, min_version: '1.1'}", "listen.tls.min_version"),
        ("tls: {cert_file: a, key_file: a, allowed_client_sans: [a]}", "listen.tls.client_ca_file"),
        ("tls: {cert_file: a, key_file: a, client_ca_file: a, allowed_client_sans: []}", "listen.tls.allowed_client_sans"),
        ("tls: {cert_file: a, key_file: a, client_ca_file: a, allowed_client_sans: ['*']}", "listen.tls.allowed_client_sans[0]"),
        ("grpc: unix:///a, tls: {cert_file: a, key_file: a}", "listen.tls"),
        ("grpc: [127.0.0.1:1, unix://@a], tls: {cert_file: a, key_file: a}", ""),
        ("grpc: [127.0.0.1:1, unix://@a], tls: {cert_file: a, key_file: a, client_ca_file: a}", "listen.grpc[1]"),
        ("admin_tls: {cert_files: a}", "listen.admin_tls.cert_files listen.admin_tls.key_file"),
    ];
    for (listen, expected) in table {
        let found = places(&with("", &format!("listen: {{{listen}}}")));
        assert_eq!(found.join(" "), expected, "{listen}");
    }
}

#[test]
fn a_path_that_is_too_long_is_told_with_the_limit_and_its_length() {
    let text = with("", &format!("listen: {{grpc: unix:///{}}}", "a".repeat(150)));
    let told = mistakes(&text).join("\n");
    assert!(told.starts_with("listen.grpc: found \"unix:///aaa"), "{told}");
    assert!(told.contains("at most 107 bytes") || !cfg!(target_os = "linux"), "{told}");
    assert!(told.ends_with("these are 151"), "{told}");
}
