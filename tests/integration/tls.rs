//! TLS on the listeners, with real clients: who is let in, certificates that are replaced under load, and those that
//! cannot be used.

use std::cell::{Cell, RefCell};
use std::fs::{Permissions, set_permissions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;

use claimgate::app::{App, Options};
use claimgate::proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{HandshakeKind, version};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::answers::key;
use crate::authority::{Authority, Client, Mounted, Pair};
use crate::listeners::{listening, serve};
use crate::logs;
use crate::provider::inline;
use crate::service::{PATIENCE, TestService, connect, eventually, request};

#[tokio::test]
async fn grpc_and_admin_speak_tls_and_nothing_else() {
    let authority = Authority::new();
    let files = Mounted::new(&authority.issue(&["localhost"]));
    let listen = json!({
        "grpc": "127.0.0.1:0", "admin": "127.0.0.1:0", "tls": tls(&files),
        "admin_tls": {"cert_file": files.certificate(), "key_file": files.key(), "min_version": "1.3"},
    });
    let service = TestService::run(listening(inline(&key()), &listen), Options::default()).await;
    let client = authority.client(None);
    assert!(answers(&client.channel(service.grpc)).await);
    let tls12 = authority.client_with(None, &[&version::TLS12]);
    assert!(answers(&tls12.channel(service.grpc)).await, "which Envoy offers by default");
    for _ in 0..2 {
        let stream = tls12.connect(service.grpc).await.unwrap();
        let kind = stream.get_ref().1.handshake_kind();
        assert_eq!(kind, Some(HandshakeKind::Full), "a resumed one would verify no client");
    }
    assert!(!answers(&connect(service.grpc)).await, "without TLS");
    assert!(!answers(&Authority::new().client(None).channel(service.grpc)).await, "no trust");
    assert!(tls12.http1().connect(service.admin).await.is_err(), "too old for min_version");
    let (status, page) = get(&client.http1(), service.admin, "/metrics").await;
    assert_eq!(status, 200);
    let metric = "claimgate_tls_certificate_expiry_timestamp_seconds";
    for listener in ["grpc", "admin"] {
        let expected = format!("{metric}{{listener=\"{listener}\"}} 4102444800");
        assert!(page.contains(&expected), "{page}");
    }
    service.stop().await.unwrap();
}

#[tokio::test]
async fn only_clients_with_an_allowed_name_of_our_authority_are_let_in() {
    logs::collect();
    let (ours, theirs) = (Authority::new(), Authority::new());
    let files = Mounted::new(&ours.issue(&["localhost"]));
    let mut settings = tls(&files);
    settings["client_ca_file"] = json!(files.write("ca.crt", &ours.pem));
    settings["allowed_client_sans"] =
        json!(["envoy.example.com", "spiffe://td/ns/edge/*", "spiffe://td/ns/one/sa/x"]);
    let service = start(&settings).await;
    #[rustfmt::skip]
    let table = [
        (&ours, vec!["envoy.example.com"], true),
        (&ours, vec!["other.example.com", "envoy.example.com"], true),
        (&ours, vec!["spiffe://td/ns/edge/sa/gateway"], true),
        (&ours, vec!["spiffe://td/ns/one/sa/x"], true),
        (&ours, vec!["spiffe://td/ns/one/sa/xy"], false),
        (&ours, vec!["spiffe://td/ns/edges/sa/gateway"], false),
        (&ours, vec!["spiffe://td/ns/edge/sa/a", "spiffe://td/ns/edge/sa/b"], false),
        (&ours, vec!["intruder.example.com"], false),
        (&ours, vec![], false),
        (&theirs, vec!["envoy.example.com"], false),
        (&theirs, vec!["spiffe://td/ns/edge/sa/gateway"], false),
    ];
    let refused = table.iter().filter(|(_, _, is_let_in)| !is_let_in).count();
    for versions in [&version::TLS12, &version::TLS13] {
        for (authority, names, is_let_in) in &table {
            let pair = authority.issue(names);
            let client = ours.client_with(Some(&pair), &[versions]);
            assert_eq!(answers(&client.channel(service.grpc)).await, *is_let_in, "{names:?}");
        }
    }
    assert!(!answers(&ours.client(None).channel(service.grpc)).await, "without a certificate");
    let expired = ours.issue_until(&["envoy.example.com"], 2020);
    assert!(!answers(&ours.client(Some(&expired)).channel(service.grpc)).await, "expired");
    let failed = service.metric(&["tls_handshakes_total", "listener=\"grpc\"", "failed"]).await;
    assert!(failed >= (2 * refused + 2) as f64, "{failed}");
    let said = logs::lines();
    assert!(said.contains("none of the allowed names") && said.contains("intruder.example.com"));
    service.stop().await.unwrap();
}

#[tokio::test]
async fn clients_of_an_authority_that_was_replaced_are_let_in_no_more() {
    let (old, new) = (Authority::new(), Authority::new());
    let files = Mounted::new(&old.issue(&["localhost"]));
    let mut settings = tls(&files);
    settings["client_ca_file"] = json!(files.write("ca.crt", &old.pem));
    let service = start(&settings).await;
    let [before, after] =
        [&old, &new].map(|authority| old.client(Some(&authority.issue(&["envoy"]))));
    let open = before.channel(service.grpc);
    assert!(answers(&open).await && !answers(&after.channel(service.grpc)).await);
    files.write("ca.crt", &new.pem);
    eventually("taken over", async || answers(&after.channel(service.grpc)).await).await;
    assert!(!answers(&before.channel(service.grpc)).await);
    assert!(answers(&open).await, "connections that there are stay");
    drop(open);
    service.stop().await.unwrap();
}

/// As an operator changes an authority: the old and the new one are trusted for as long as clients have certificates of
/// the old one. The certificate that claimgate shows is another one each time, too.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_client_authorities_are_replaced_under_load_without_a_failed_handshake() {
    const ROTATIONS: u32 = 50;
    let (shown_by, mut trusted) = (Authority::new(), Authority::new());
    let client_of = |trusted: &Authority| shown_by.client(Some(&trusted.issue(&["envoy"])));
    let files = Mounted::with(&shown_by.issue(&["localhost"]), &trusted.pem);
    let mut settings = tls(&files);
    settings["client_ca_file"] = json!(files.root().join("ca.crt"));
    let service = start(&settings).await;
    let client = RefCell::new(client_of(&trusted));
    let current = || client.borrow().clone();
    let long_lived = current().channel(service.grpc);
    assert!(answers(&long_lived).await);
    let stop = CancellationToken::new();
    let counts: [Cell<u32>; 3] = Default::default();
    let load = join_all(counts.each_ref().map(async |count| {
        while !stop.is_cancelled() {
            let client = current();
            drop(client.connect(service.grpc).await.expect("a handshake"));
            assert!(answers(&client.channel(service.grpc)).await, "after {} rounds", count.get());
            count.set(count.get() + 1);
        }
    }));
    let mut old_connection = 0;
    let rotate = async {
        for _ in 0..ROTATIONS {
            let (pair, new) = (shown_by.issue(&["localhost"]), Authority::new());
            files.put_with(&pair, &format!("{}{}", trusted.pem, new.pem));
            let in_use = async || shown(&current(), service.grpc).await == pair.der();
            eventually("shown", in_use).await;
            client.replace(client_of(&new));
            // A round that had begun with the old certificate, and one with the new.
            let rounds = counts.each_ref().map(|count| count.get() + 2);
            eventually("used", async || counts.iter().zip(rounds).all(|(c, r)| c.get() >= r)).await;
            let reloads = async || service.metric(&["tls_reloads_total", "result=\"ok\""]).await;
            let before = reloads().await;
            files.put_with(&pair, &new.pem);
            eventually("the old authority is gone", async || reloads().await > before).await;
            trusted = new;
            assert!(answers(&long_lived).await, "on the oldest connection");
            old_connection += 1;
        }
        stop.cancel();
    };
    tokio::join!(load, rotate);
    let metric = async |result: &str| {
        service.metric(&["tls_handshakes_total", &format!("result=\"{result}\"")]).await
    };
    let count = 2 * counts.iter().map(Cell::get).sum::<u32>();
    let failed = metric("failed").await + metric("timeout").await;
    writeln!(
        io::stdout().lock(),
        "certificates and client authorities replaced: {ROTATIONS} times, new connections meanwhile: {count}, failed \
         handshakes: {failed}, requests on the oldest connection: {old_connection}, none failed"
    )
    .unwrap();
    assert!(failed.abs() < f64::EPSILON && count > 0);
    assert!(metric("ok").await >= f64::from(count));
    drop(long_lived);
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_changes_nothing_and_is_told_with_its_file() {
    logs::collect();
    let authority = Authority::new();
    let good = authority.issue(&["localhost"]);
    let files = Mounted::new(&good);
    let service = start(&tls(&files)).await;
    let client = authority.client(None);
    let other = authority.issue(&["localhost"]);
    let with = |certificate: &str, key: &str| Pair {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
    };
    let (key_file, cert_file) = (files.key(), files.certificate());
    #[rustfmt::skip]
    let table = [
        (with(&other.certificate, &good.key), &key_file, "it is not the key of the certificate in"),
        (authority.issue_until(&["localhost"], 2020), &cert_file, "its certificate expired at 2020-01-01"),
        (with("", &good.key), &cert_file, "no certificates in PEM in it"),
        (with(&good.certificate, "-----BEGIN PRIVATE KEY-----\nmarker\n"), &key_file, "no private key in PEM"),
        (with(&good.certificate, &"marker".repeat(1 << 18)), &key_file, "longer than the limit"),
    ];
    for (count, (pair, file, reason)) in (1..).zip(&table) {
        files.put(pair);
        let said = |line: &str| {
            line.contains("the old certificate stays in use")
                && line.contains(&format!("{}: {reason}", file.display()))
        };
        eventually(reason, async || logs::lines().lines().any(said)).await;
        let failed = service.metric(&["tls_reloads_total", "result=\"failed\""]).await;
        assert!(failed >= f64::from(count), "{failed} after {reason}");
        assert_eq!(shown(&client, service.grpc).await, good.der(), "{reason}");
        assert!(answers(&client.channel(service.grpc)).await, "{reason}");
    }
    assert!(!logs::lines().contains("marker"), "what is in a key file");
    files.put(&other);
    eventually("the next good one", async || shown(&client, service.grpc).await == other.der())
        .await;
    service.stop().await.unwrap();
}

#[tokio::test]
async fn clients_that_never_finish_their_handshake_hold_up_nobody() {
    let authority = Authority::new();
    let files = Mounted::new(&authority.issue(&["localhost"]));
    let service = start(&tls(&files)).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(service.grpc).await.unwrap());
    }
    assert!(answers(&authority.client(None).channel(service.grpc)).await);
    for mut stream in silent.drain(..10) {
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    }
    assert!(answers(&authority.client(None).channel(service.grpc)).await);
    service.stop().await.unwrap();
}

#[test]
fn a_certificate_that_cannot_be_used_at_the_start_ends_it_with_a_clear_message() {
    let authority = Authority::new();
    let (one, other) = (authority.issue(&["localhost"]), authority.issue(&["localhost"]));
    let pair = Pair { certificate: one.certificate, key: other.key };
    let files = Mounted::new(&pair);
    let directory = tempfile::tempdir().unwrap();
    for kind in ["tls", "admin_tls"] {
        let mut config = inline(&key());
        config["listen"] = json!({"grpc": "127.0.0.1:0", "admin": "127.0.0.1:0"});
        config["listen"][kind] = tls(&files);
        let (code, said) = serve(&directory, &config);
        assert_eq!(code, Some(2), "{said}");
        let (key, certificate) = (files.key(), files.certificate());
        let expected = format!(
            "claimgate serve: listen.{kind}.key_file {}: it is not the key of the certificate in {}\n",
            key.display(),
            certificate.display()
        );
        assert!(said.ends_with(&expected), "{said}");
    }
}

#[tokio::test]
async fn production_refuses_a_key_that_others_can_read() {
    let authority = Authority::new();
    let files = Mounted::new(&authority.issue(&["localhost"]));
    let mut config = inline(&key());
    config["issuers"][0]["refresh"] = json!({"interval": "30s"});
    for profile in ["production", "development"] {
        for (mode, is_private) in [(0o600, true), (0o640, true), (0o644, false)] {
            set_permissions(files.key(), Permissions::from_mode(mode)).unwrap();
            config["profile"] = profile.into();
            let listen = json!({"grpc": "127.0.0.1:0", "admin": "127.0.0.1:0", "tls": tls(&files)});
            let outcome = App::bind(listening(config.clone(), &listen)).await;
            assert_eq!(outcome.is_ok(), is_private || profile == "development", "{mode:o}");
            if let Err(error) = outcome {
                let error = error.to_string();
                assert!(error.starts_with("listen.tls.key_file "), "{error}");
                assert!(error.contains("its mode is 0644"), "{error}");
            }
        }
    }
}

fn tls(files: &Mounted) -> Value {
    json!({"cert_file": files.certificate(), "key_file": files.key()})
}

/// With TLS for gRPC, and an admin port without.
async fn start(tls: &Value) -> TestService {
    let listen = json!({"grpc": "127.0.0.1:0", "admin": "127.0.0.1:0", "tls": tls});
    TestService::run(listening(inline(&key()), &listen), Options::default()).await
}

/// Whether a check gets any answer.
async fn answers(channel: &Channel) -> bool {
    let request = request("GET", "/healthz", &[]);
    AuthorizationClient::new(channel.clone()).check(request).await.is_ok()
}

/// The certificate that a new connection is shown.
async fn shown(client: &Client, address: SocketAddr) -> CertificateDer<'static> {
    let stream = client.connect(address).await.unwrap();
    let (_, session) = stream.get_ref();
    session.peer_certificates().unwrap()[0].clone().into_owned()
}

async fn get(client: &Client, address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = client.connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}
