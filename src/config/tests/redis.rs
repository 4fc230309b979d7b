//! `revocation.redis`: what becomes of it, and its mistakes.

use super::{mistakes, read, with_revocation};
use crate::revocation::redis::settings::{Address, RedisSettings, Servers};
use crate::revocation::source::SourceSettings;

fn redis(text: &str) -> RedisSettings {
    let text = with_revocation(&format!("  redis: {text}\n"));
    let config = read(&text).unwrap_or_else(|errors| panic!("{errors}"));
    match config.revocation.unwrap().source {
        Some(SourceSettings::Redis(settings)) => *settings,
        other => panic!("{other:?}"),
    }
}

fn wrong(text: &str) -> Vec<String> {
    mistakes(&with_revocation(&format!("  redis: {text}\n")))
}

fn tcp(host: &str, port: u16) -> Address {
    Address::Tcp(host.to_owned(), port)
}

#[test]
fn one_url_is_enough() {
    let settings = redis("{url: redis://redis.internal}");
    assert_eq!(settings.servers, Servers::One(tcp("redis.internal", 6379)));
    assert_eq!((settings.tls, settings.account, settings.database), (None, None, 0));
    assert_eq!(settings.prefix.to_string(), "claimgate:revocation");
    assert!(!settings.accepts_readable_secrets, "in production");
    let settings = redis("{url: rediss://redis.internal/3, server_name: a, ca_file: ca.pem}");
    assert_eq!(settings.database, 3);
    let tls = settings.tls.unwrap();
    assert!(tls.client.ca_file.is_some() && tls.client.identity.is_none());
}

#[test]
fn sentinels_and_nodes_have_ports_of_their_own() {
    let sentinel = "{sentinel: {master: m, urls: [\"redis://a\", \"redis://b:1\"], database: 2}}";
    let settings = redis(sentinel);
    let Servers::Sentinel { master, sentinels, account } = settings.servers else { panic!() };
    assert_eq!((master.as_str(), account, settings.database), ("m", None, 2));
    assert_eq!(sentinels, [tcp("a", 26379), tcp("b", 1)]);
    let settings = redis("{cluster: [\"rediss://a\", \"rediss://b:1\"]}");
    assert_eq!(settings.servers, Servers::Cluster(vec![tcp("a", 6379), tcp("b", 1)]));
    assert!(settings.tls.is_some());
}

#[test]
fn each_mistake_is_told_where_it_is_and_no_password_with_it() {
    let cases = [
        ("{}", "revocation.redis: missing, expected one of url, sentinel, cluster"),
        ("{url: http://a}", "revocation.redis.url: found a URL of another scheme"),
        ("{url: \"redis://:hunter2@a\"}", "revocation.redis.url: found a URL with userinfo"),
        (
            "{url: redis://a, cluster: [\"redis://b\"]}",
            "revocation.redis: found url and cluster, expected exactly one of",
        ),
        ("{cluster: []}", "revocation.redis.cluster: found an empty list"),
        ("{cluster: [\"redis://a/1\"]}", "revocation.redis.cluster[0]: found \"redis://a/1\""),
        (
            "{cluster: [\"redis://a\", \"rediss://b\"]}",
            "revocation.redis.cluster[1]: found \"rediss://b\", expected the scheme of the first",
        ),
        ("{sentinel: {urls: [\"redis://a\"]}}", "revocation.redis.sentinel.master: missing"),
        ("{sentinel: {master: m}}", "revocation.redis.sentinel.urls: missing"),
        ("{url: redis://a, username: u}", "revocation.redis.password_file: missing"),
        ("{url: redis://a, ca_file: a}", "revocation.redis: found a setting of TLS"),
        (
            "{url: rediss://a, client_cert_file: a}",
            "revocation.redis.client_key_file: missing, expected the private key",
        ),
        ("{url: redis://a, prefix: \"a*\"}", "revocation.redis.prefix: found \"a*\""),
    ];
    for (text, expected) in cases {
        let found = wrong(text);
        assert!(matches!(&found[..], [only] if only.starts_with(expected)), "{text}: {found:?}");
        assert!(!found[0].contains("hunter2"), "{found:?}");
    }
    let both = with_revocation("  file: a\n  redis: {url: redis://a}\n");
    assert!(mistakes(&both)[0].starts_with("revocation: found file and redis"));
}

#[test]
fn a_list_that_others_can_change_on_the_way_is_weak() {
    let is_weak = |text: &str| {
        let text = with_revocation(&format!("  redis: {text}\n"));
        let weak = read(&text).unwrap().weaknesses();
        weak.iter().any(|one| one.place == "revocation.redis")
    };
    assert!(is_weak("{url: redis://redis.internal}"));
    assert!(is_weak("{cluster: [\"redis://127.0.0.1\", \"redis://10.0.0.1\"]}"));
    for strong in [
        "{url: rediss://a}",
        "{url: redis://localhost}",
        "{url: \"redis://[::1]\"}",
        "{url: unix:///a}",
    ] {
        assert!(!is_weak(strong), "{strong}");
    }
}
