//! One contract for every kind of key source: good content is used, new content replaces it, bad content is
//! refused with a word about where and why but none of what it was, and the last good keys stay meanwhile.
//!
//! Each kind is a [`Place`] that keys are put into and that is spoiled in every way. The service is the real one.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use claimgate::issuer::SigningKey;
use claimgate::keys::key::Algorithm;
use pkcs1::{RsaPublicKeyRef, UintRef};
use rcgen::{CertificateParams, Issuer, PublicKeyData, SignatureAlgorithm};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use x509_cert::der::Encode as _;

use crate::answers::claims;
use crate::kept;
use crate::kept::mint;
use crate::provider::config;
use crate::service::{Answer, TestService, eventually};

/// In all bad content, and in nothing that is said of it.
const MARKER: &str = "marker-of-the-content";

const ISSUER: &str = "https://accounts.example.com";

/// Longer documents are refused.
const MAX_BYTES: usize = 4096;

#[tokio::test]
async fn a_jwks_url_keeps_the_contract() {
    contract(Place::web(Form::Jwks, |web| json!({"jwks_url": format!("{web}/jwks")})).await).await;
}

#[tokio::test]
async fn discovery_keeps_the_contract() {
    let place = Place::web(Form::Jwks, |web| json!({"discovery": format!("{web}/metadata")})).await;
    let Site::Web(web) = &place.site else { panic!("it is one") };
    let metadata = json!({"issuer": ISSUER, "jwks_uri": format!("{}/jwks", web.url)});
    web.pages.lock().unwrap().insert("/metadata".to_owned(), metadata.to_string());
    contract(place).await;
}

#[tokio::test]
async fn a_jwks_file_keeps_the_contract() {
    contract(Place::file(Form::Jwks, |path| json!({"jwks_file": path}))).await;
}

#[tokio::test]
async fn a_keyset_file_keeps_the_contract() {
    contract(Place::file(Form::Keyset, |path| json!({"jwks_file": path}))).await;
}

#[tokio::test]
async fn a_pem_file_of_public_keys_keeps_the_contract() {
    contract(Place::file(Form::Spki, |path| json!({"pem_file": path}))).await;
}

#[tokio::test]
async fn a_pem_file_of_rsa_public_keys_keeps_the_contract() {
    contract(Place::file(Form::Pkcs1, |path| json!({"pem_file": path}))).await;
}

#[tokio::test]
async fn a_pem_file_of_certificates_keeps_the_contract() {
    contract(Place::file(Form::X509, |path| json!({"pem_file": path}))).await;
}

#[tokio::test]
async fn a_command_keeps_the_contract() {
    contract(Place::file(Form::Jwks, |path| json!({"command": ["cat", path]}))).await;
}

#[tokio::test]
async fn a_command_that_prints_a_keyset_keeps_the_contract() {
    contract(Place::file(Form::Keyset, |path| json!({"command": ["cat", path]}))).await;
}

#[tokio::test]
async fn sources_of_one_issuer_are_merged_and_the_failure_of_one_is_its_own() {
    let places = [
        Place::web(Form::Jwks, |web| json!({"jwks_url": format!("{web}/jwks")})).await,
        Place::file(Form::Spki, |path| json!({"pem_file": path})),
    ];
    let [a, b, c] = [(); 3].map(|()| places[0].key());
    places[0].put(&a);
    places[1].put(&b);
    let sources: Vec<Value> = places.iter().map(|place| place.source.clone()).collect();
    let service = TestService::start(configured(&sources)).await;
    eventually("merged", async || accepts(&service, &a).await && accepts(&service, &b).await).await;
    service.until_ready().await;
    places[0].spoil(Damage::Absent);
    eventually("said", async || error_of(&service, 0).await.is_some()).await;
    places[1].put(&c);
    eventually("replaced", async || accepts(&service, &c).await).await;
    assert!(accepts(&service, &a).await, "the last good key of the one that fails");
    assert!(!accepts(&service, &b).await, "withdrawn by the one that does not");
    assert_eq!(error_of(&service, 1).await, None);
    assert_eq!(service.admin("/readyz").await.0, 200);
    service.stop().await.unwrap();
}

#[tokio::test]
async fn keys_that_come_with_the_configuration_are_there_from_the_start() {
    let key = key(Algorithm::EdDsa);
    let keys = json!({"keys": [key.public_jwk()]});
    let service = TestService::start(configured(&[json!({"jwks": keys})])).await;
    assert!(accepts(&service, &key).await);
    service.stop().await.unwrap();
}

#[test]
fn an_environment_variable_is_read_with_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("claimgate.yaml");
    fs::write(&file, configured(&[json!({"jwks_env": "ACCOUNTS_JWKS"})]).to_string()).unwrap();
    let good = Form::Keyset.document(&[&key(Algorithm::EdDsa)]);
    for (value, code, said) in [
        (Some(good.as_str()), 0, "1 key source"),
        (Some(MARKER), 2, "issuers[0].keys[0].jwks_env: found not a JSON object"),
        (Some(""), 2, "issuers[0].keys[0].jwks_env: found \"ACCOUNTS_JWKS\", not set or empty"),
        (None, 2, "issuers[0].keys[0].jwks_env: found \"ACCOUNTS_JWKS\", not set or empty"),
    ] {
        let mut check = Command::new(env!("CARGO_BIN_EXE_claimgate"));
        check.arg("check").arg(&file).env_clear().envs(value.map(|value| ("ACCOUNTS_JWKS", value)));
        let output = check.output().unwrap();
        kept::printed(&output);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(said) && !text.contains(MARKER), "{text}");
    }
}

/// What every source does, whatever its kind.
async fn contract(place: Place) {
    let [first, second] = [(); 2].map(|()| place.key());
    place.put(&first);
    let service = TestService::start(configured(std::slice::from_ref(&place.source))).await;
    eventually("read", async || accepts(&service, &first).await).await;
    service.until_ready().await;
    assert_eq!(error_of(&service, 0).await, None);
    place.put(&second);
    eventually("replaced", async || accepts(&service, &second).await).await;
    let answer = service.ask_with(&token(&first)).await;
    assert_eq!(answer, Answer::denied(401, "unknown_kid"));
    let mut good = second;
    for damage in [Damage::Broken, Damage::Empty, Damage::Oversize, Damage::Absent] {
        place.spoil(damage);
        eventually("said", async || error_of(&service, 0).await.is_some()).await;
        let (error, location) = (error_of(&service, 0).await.unwrap(), location_of(&service).await);
        assert!(error.starts_with(&format!("{location}: ")), "{damage:?}: {error}");
        assert!(!error.contains(MARKER), "{damage:?}: {error}");
        assert!(accepts(&service, &good).await, "{damage:?}: the last good keys stay");
        assert_eq!(service.admin("/readyz").await.0, 200, "{damage:?}");
        let next = place.key();
        place.put(&next);
        eventually("repaired", async || accepts(&service, &next).await).await;
        assert_eq!(error_of(&service, 0).await, None, "{damage:?}");
        assert!(!accepts(&service, &good).await, "{damage:?}");
        good = next;
    }
    service.stop().await.unwrap();
}

fn configured(sources: &[Value]) -> Value {
    let mut config = config(ISSUER, &json!({}));
    config["limits"] = json!({"jwks_bytes": MAX_BYTES});
    let issuer = &mut config["issuers"][0];
    issuer["keys"] = json!(sources);
    issuer["algorithms"] = json!(["EdDSA", "RS256"]);
    issuer["refresh"] = json!({"interval": "1s", "min": "1s", "max": "1s"});
    config
}

fn key(algorithm: Algorithm) -> SigningKey {
    SigningKey::generate(algorithm).unwrap()
}

fn token(key: &SigningKey) -> String {
    mint(key, &claims(&json!({}))).unwrap()
}

async fn accepts(service: &TestService, key: &SigningKey) -> bool {
    service.ask_with(&token(key)).await.is_allowed()
}

async fn status(service: &TestService, source: usize) -> Value {
    let page: Value = serde_json::from_str(&service.admin("/status").await.1).unwrap();
    page["issuers"][0]["sources"][source].clone()
}

async fn error_of(service: &TestService, source: usize) -> Option<String> {
    status(service, source).await["last_error"].as_str().map(str::to_owned)
}

async fn location_of(service: &TestService) -> String {
    status(service, 0).await["location"].as_str().unwrap().to_owned()
}

/// How content can be bad.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Broken,
    Empty,
    Oversize,
    Absent,
}

/// Where one source looks, and what it expects there.
struct Place {
    /// The entry in the configuration.
    source: Value,
    form: Form,
    site: Site,
}

enum Site {
    File(TempDir),
    Web(Web),
}

impl Place {
    fn file(form: Form, source: fn(PathBuf) -> Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let source = source(directory.path().join("keys"));
        Self { source, form, site: Site::File(directory) }
    }

    async fn web(form: Form, source: fn(&str) -> Value) -> Self {
        let web = Web::start().await;
        Self { source: source(&web.url), form, site: Site::Web(web) }
    }

    /// A key that can be put here.
    fn key(&self) -> SigningKey {
        key(if self.form == Form::Pkcs1 { Algorithm::Rs256 } else { Algorithm::EdDsa })
    }

    fn put(&self, key: &SigningKey) {
        self.write(Some(self.form.document(&[key])));
    }

    fn spoil(&self, damage: Damage) {
        let document = self.form.document(&[&self.key()]);
        self.write(match damage {
            Damage::Broken => Some(format!("{}{MARKER}", document.split_at(document.len() / 2).0)),
            Damage::Empty => Some(String::new()),
            Damage::Oversize => Some(format!("{document}{}", MARKER.repeat(MAX_BYTES / 8))),
            Damage::Absent => None,
        });
    }

    fn write(&self, content: Option<String>) {
        match (&self.site, content) {
            (Site::File(directory), Some(content)) => {
                let next = directory.path().join("next");
                fs::write(&next, content).unwrap();
                fs::rename(next, directory.path().join("keys")).unwrap();
            }
            (Site::File(directory), None) => {
                fs::remove_file(directory.path().join("keys")).unwrap();
            }
            (Site::Web(web), Some(content)) => {
                web.pages.lock().unwrap().insert("/jwks".to_owned(), content);
            }
            (Site::Web(web), None) => {
                web.pages.lock().unwrap().remove("/jwks");
            }
        }
    }
}

/// What keys are written as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Jwks,
    Keyset,
    Spki,
    Pkcs1,
    X509,
}

impl Form {
    fn document(self, keys: &[&SigningKey]) -> String {
        let member = |key: &SigningKey, name: &str| {
            URL_SAFE_NO_PAD.decode(key.public_jwk()[name].as_str().unwrap()).unwrap()
        };
        let pkcs1 = |key: &SigningKey| {
            let (n, e) = (member(key, "n"), member(key, "e"));
            let (modulus, public_exponent) = (UintRef::new(&n).unwrap(), UintRef::new(&e).unwrap());
            let der = RsaPublicKeyRef { modulus, public_exponent }.to_der().unwrap();
            let text = STANDARD.encode(der);
            format!("-----BEGIN RSA PUBLIC KEY-----\n{text}\n-----END RSA PUBLIC KEY-----\n")
        };
        match self {
            Self::Jwks => {
                json!({"keys": keys.iter().map(|key| key.public_jwk()).collect::<Vec<_>>()})
                    .to_string()
            }
            // As key management systems write it: PEM for one, a JWK for another.
            Self::Keyset => {
                let pem =
                    keys.iter().map(|key| (key.kid().to_owned(), json!(key.public_pem().unwrap())));
                let mut members: serde_json::Map<String, Value> = pem.collect();
                let retired = key(Algorithm::EdDsa);
                members.insert(retired.kid().to_owned(), retired.public_jwk());
                json!({"active_kid": keys[0].kid(), "keys": members}).to_string()
            }
            Self::Spki => keys.iter().map(|key| key.public_pem().unwrap()).collect(),
            Self::Pkcs1 => keys.iter().map(|key| pkcs1(key)).collect(),
            Self::X509 => keys.iter().map(|key| certificate(&member(key, "x"))).collect(),
        }
    }
}

/// A certificate of an Ed25519 key, by an authority that nobody knows.
fn certificate(public: &[u8]) -> String {
    struct Public<'a>(&'a [u8]);
    impl PublicKeyData for Public<'_> {
        fn der_bytes(&self) -> &[u8] {
            self.0
        }

        fn algorithm(&self) -> &'static SignatureAlgorithm {
            &rcgen::PKCS_ED25519
        }
    }
    let params = CertificateParams::new(vec!["accounts.example.com".to_owned()]).unwrap();
    let issuer = Issuer::from_params(&params, rcgen::KeyPair::generate().unwrap());
    params.signed_by(&Public(public), &issuer).unwrap().pem()
}

/// Pages that can be changed. What has no page is 404.
struct Web {
    url: String,
    pages: Arc<Mutex<HashMap<String, String>>>,
}

impl Web {
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let pages = Arc::new(Mutex::new(HashMap::<String, String>::new()));
        let served = Arc::clone(&pages);
        let _detached = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 4096];
                let Ok(read) = stream.read(&mut request).await else { continue };
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                let path = request.split(' ').nth(1).unwrap_or_default();
                let page = served.lock().unwrap().get(path).cloned();
                let status = if page.is_some() { "200 OK" } else { "404 Not Found" };
                let page = page.unwrap_or_else(|| MARKER.to_owned());
                let length = page.len();
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n");
                let answer = format!("{head}connection: close\r\n\r\n{page}");
                let _gone = stream.write_all(answer.as_bytes()).await.is_err();
            }
        });
        Self { url, pages }
    }
}
