//! HTTP as it is configured: authorities, client certificates, bearer tokens and a proxy, against real TLS.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::super::ClientCertificate;
use super::super::testing::{Server, head};
use super::*;

/// Long enough for the busiest machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A certificate authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Self { issuer: Issuer::new(params, key), pem, der }
    }

    /// A certificate for this machine, and its key.
    fn certificate(&self) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A server with a certificate of this authority, which asks clients for one of `clients`.
    async fn server(&self, clients: Option<&Self>) -> Server {
        let (certificate, key) = self.certificate();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(clients.der.clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                config.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        let server = Server::start_with(Some(TlsAcceptor::from(Arc::new(config)))).await;
        server.ok("/jwks", "the keys");
        server
    }
}

/// Files in a directory of their own.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }
}

async fn get(client: &mut HttpClient, url: &Url) -> Result<String, SourceError> {
    let fetched = client.fetch(url, None, 1000, TIMEOUT).await?;
    Ok(String::from_utf8(fetched.document.unwrap()).unwrap())
}

async fn error(client: &mut HttpClient, url: &Url) -> String {
    get(client, url).await.unwrap_err().to_string()
}

fn trusting(ca_file: &Path) -> HttpSettings {
    HttpSettings { ca_file: Some(ca_file.to_owned()), ..HttpSettings::default() }
}

#[tokio::test]
async fn only_the_configured_authorities_are_trusted_and_a_new_bundle_at_the_next_fetch() {
    let (ours, other, files) = (Authority::new(), Authority::new(), Files::new());
    let server = ours.server(None).await;
    let url = server.url("/jwks");
    let ca_file = files.write("ca.pem", &ours.pem);
    let mut client = HttpClient::with(trusting(&ca_file), &url);
    assert_eq!(get(&mut client, &url).await.unwrap(), "the keys");
    files.write("ca.pem", &other.pem);
    let refused = error(&mut client, &url).await;
    assert!(
        refused.starts_with("cannot be read: ") && refused.contains("invalid peer certificate"),
        "{refused}"
    );
    files.write("ca.pem", &format!("# both\n{}{}", other.pem, ours.pem));
    assert_eq!(get(&mut client, &url).await.unwrap(), "the keys");
    // Without a bundle it is the system's authorities, which do not know ours.
    let mut client = HttpClient::with(HttpSettings::default(), &url);
    assert!(get(&mut client, &url).await.is_err());
}

#[tokio::test]
async fn a_client_made_for_https_refuses_plain_http() {
    let server = Server::start().await;
    server.ok("/jwks", "the keys");
    let https = Url::parse("https://127.0.0.1:1/jwks").unwrap();
    let mut client = HttpClient::with(HttpSettings::default(), &https);
    let outcome = get(&mut client, &server.url("/jwks")).await;
    assert!(matches!(outcome, Err(SourceError::Unreachable(_))), "{outcome:?}");
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn a_bundle_that_is_gone_or_broken_is_said_and_nothing_is_trusted_instead() {
    let (ours, files) = (Authority::new(), Files::new());
    let server = ours.server(None).await;
    let url = server.url("/jwks");
    let ca_file = files.path("ca.pem");
    let mut client = HttpClient::with(trusting(&ca_file), &url);
    let place = format!("ca_file {}: cannot be read: ", ca_file.display());
    let missing = error(&mut client, &url).await;
    assert!(missing.starts_with(&place) && missing.contains("No such file"), "{missing}");
    let cut_off = ours.pem.get(..ours.pem.len() / 2).unwrap();
    for broken in ["", "hidden", cut_off] {
        files.write("ca.pem", broken);
        let told = error(&mut client, &url).await;
        assert!(told.starts_with(&place) && !told.contains("hidden"), "{told}");
    }
    assert_eq!(server.paths().len(), 0);
    files.write("ca.pem", &ours.pem);
    assert!(get(&mut client, &url).await.is_ok());
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_server_that_asks_and_a_new_one_at_the_next_fetch() {
    let (ours, clients, files) = (Authority::new(), Authority::new(), Files::new());
    let server = ours.server(Some(&clients)).await;
    let url = server.url("/jwks");
    let ca_file = files.write("ca.pem", &ours.pem);
    let mut nobody = HttpClient::with(trusting(&ca_file), &url);
    assert!(get(&mut nobody, &url).await.is_err());
    let show = |authority: &Authority| {
        let (certificate, key) = authority.certificate();
        (
            files.write("client.pem", &certificate.pem()),
            files.write("key.pem", &key.serialize_pem()),
        )
    };
    let (cert_file, key_file) = show(&ours);
    let certificate =
        ClientCertificate { cert_file, key_file: key_file.clone(), accepts_readable_key: false };
    let settings = HttpSettings { client_certificate: Some(certificate), ..trusting(&ca_file) };
    let mut client = HttpClient::with(settings, &url);
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o644)).unwrap();
    let readable = error(&mut client, &url).await;
    assert!(
        readable.starts_with("client_key_file ") && readable.contains("its mode is 0644"),
        "{readable}"
    );
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(get(&mut client, &url).await.is_err(), "of an authority that the server does not know");
    show(&clients);
    assert_eq!(get(&mut client, &url).await.unwrap(), "the keys");
    // A key of somebody else's certificate, and no key at all.
    let (_, other) = clients.certificate();
    for broken in [other.serialize_pem(), "hidden".to_owned()] {
        files.write("key.pem", &broken);
        let told = error(&mut client, &url).await;
        let secret = broken.lines().nth(1).unwrap_or("hidden");
        assert!(told.contains("cannot be ") && !told.contains(secret), "{told}");
    }
}

#[tokio::test]
async fn a_bearer_token_is_read_for_each_fetch_and_sent_to_the_configured_origin_only() {
    let (home, other, files) = (Server::start().await, Server::start().await, Files::new());
    home.ok("/jwks", "the keys");
    other.ok("/jwks", "other keys");
    let token_file = files.write("token", "first-secret\n");
    let settings =
        HttpSettings { bearer_token_file: Some(token_file.clone()), ..HttpSettings::default() };
    let mut client = HttpClient::with(settings.clone(), &home.url("/configuration"));
    for token in ["first-secret", "second-secret"] {
        files.write("token", &format!("{token}\n"));
        get(&mut client, &home.url("/jwks")).await.unwrap();
        assert!(home.requests()[0].contains(&format!("\r\nauthorization: bearer {token}\r\n")));
        get(&mut client, &other.url("/jwks")).await.unwrap();
        assert!(!other.requests()[0].contains("authorization"));
    }
    assert!(!format!("{client:?}{settings:?}").contains("secret"));
    for (content, expected) in
        [("", "empty"), ("a b", "more than one"), ("a\r\nhost: b", "more than")]
    {
        files.write("token", content);
        let told = error(&mut client, &home.url("/jwks")).await;
        assert!(told.starts_with("bearer_token_file ") && told.contains(expected), "{told}");
        assert!(!told.contains("host"), "{told}");
    }
    fs::remove_file(&token_file).unwrap();
    assert!(error(&mut client, &home.url("/jwks")).await.contains("No such file"));
    assert_eq!(home.requests().len(), 0, "no request without the token");
    // Neither by a plain proxy, nor to another machine in the clear.
    let proxied = HttpSettings { proxy: Some(other.url("/")), ..settings.clone() };
    let client = HttpClient::with(proxied, &home.url("/jwks"));
    assert_eq!(client.bearer(&home.url("/jwks")).await, Ok(None));
    let far = Url::parse("http://id.example/jwks").unwrap();
    assert_eq!(HttpClient::with(settings, &far).bearer(&far).await, Ok(None));
}

#[tokio::test]
async fn a_proxy_is_used_when_it_is_configured() {
    let (ours, files) = (Authority::new(), Files::new());
    let server = ours.server(None).await;
    let url = server.url("/jwks");
    let ca_file = files.write("ca.pem", &ours.pem);
    let (proxy, connects) = proxy().await;
    let settings = HttpSettings { proxy: Some(proxy), ..trusting(&ca_file) };
    let mut client = HttpClient::with(settings, &url);
    for fetches in 1..=2 {
        assert_eq!(get(&mut client, &url).await.unwrap(), "the keys");
        assert_eq!(connects.load(Ordering::SeqCst), fetches);
    }
    let closed = Url::parse("http://127.0.0.1:1").unwrap();
    let settings = HttpSettings { proxy: Some(closed), ..trusting(&ca_file) };
    let told = error(&mut HttpClient::with(settings, &url), &url).await;
    assert!(told.contains("through the proxy http://127.0.0.1:1/: "), "{told}");
    let mut direct = HttpClient::with(trusting(&ca_file), &url);
    assert!(get(&mut direct, &url).await.is_ok());
    assert_eq!(connects.load(Ordering::SeqCst), 2);
}

/// A proxy that counts what it connects (RFC 9110 §9.3.6).
#[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
async fn proxy() -> (Url, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let connects = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connects);
    let _detached = tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let head = head(&mut client).await;
            let mut words = head.split(' ');
            let (Some("CONNECT"), Some(target)) = (words.next(), words.next()) else { continue };
            let Ok(mut server) = TcpStream::connect(target).await else { continue };
            count.fetch_add(1, Ordering::SeqCst);
            if client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.is_ok() {
                let _over = copy_bidirectional(&mut client, &mut server).await;
            }
        }
    });
    (url, connects)
}
