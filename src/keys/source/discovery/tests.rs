//! Issuers whose metadata is right, wrong, gone, and moves. Time is an argument.

use serde_json::json;

use super::super::reader::{Answer, SourceReader};
use super::super::testing::Server;
use super::super::{SourceKind, SourceSettings};
use super::*;
use crate::keys::key::AlgorithmSet;
use crate::keys::testing::{ed25519_jwk, set};
use crate::util::label::Label;

const CONFIGURATION: &str = "/tenant/.well-known/openid-configuration";
const RFC_8414: &str = "/.well-known/oauth-authorization-server/tenant";

/// An issuer with one path segment, and a reader of its keys.
struct Rig {
    server: Server,
    reader: SourceReader,
    now: UnixTime,
    known: Option<Validators>,
}

impl Rig {
    async fn new() -> Self {
        let server = Server::start().await;
        let reader = reader(Discovery::of_issuer(server.url("/tenant").as_str(), true).unwrap());
        Self { server, reader, now: UnixTime::from_millis(0), known: None }
    }

    fn metadata(&self, jwks_uri: &str) -> String {
        json!({"issuer": self.server.url("/tenant").as_str(), "jwks_uri": jwks_uri}).to_string()
    }

    fn names(&self, path: &str) {
        self.server.ok(CONFIGURATION, &self.metadata(self.server.url(path).as_str()));
    }

    /// The body that was read; `None` for a 304.
    async fn read(&mut self) -> Result<Option<String>, SourceError> {
        match self.reader.read(self.known.as_ref(), self.now).await? {
            Answer::Document { content, validators, .. } => {
                self.known = Some(validators);
                Ok(Some(String::from_utf8(content).unwrap()))
            }
            Answer::NotModified { .. } => Ok(None),
        }
    }

    async fn error(&mut self) -> String {
        self.read().await.unwrap_err().to_string()
    }

    fn wait(&mut self, seconds: u64) {
        self.now = self.now.saturating_add(Duration::from_secs(seconds));
    }
}

fn reader(discovery: Discovery) -> SourceReader {
    SourceReader::new(&SourceSettings {
        id: SourceId { issuer: Label::new(0, "issuer"), source: Label::new(0, "0") },
        kind: SourceKind::Discovery(discovery),
        refresh: RefreshSettings { timeout: Duration::from_secs(60), ..RefreshSettings::default() },
        algorithms: AlgorithmSet::ALL,
        max_keys: 10,
        max_bytes: 1000,
    })
}

#[test]
fn the_metadata_is_looked_for_where_the_standards_have_it() {
    for (issuer, configuration, authorization_server) in [
        (
            "https://id.example",
            "https://id.example/.well-known/openid-configuration",
            "https://id.example/.well-known/oauth-authorization-server",
        ),
        (
            "https://id.example/",
            "https://id.example/.well-known/openid-configuration",
            "https://id.example/.well-known/oauth-authorization-server",
        ),
        (
            "https://id.example:8443/a/b%20c/",
            "https://id.example:8443/a/b%20c/.well-known/openid-configuration",
            "https://id.example:8443/.well-known/oauth-authorization-server/a/b%20c",
        ),
    ] {
        let discovery = Discovery::of_issuer(issuer, false).unwrap();
        assert_eq!(discovery.home.as_str(), configuration);
        assert_eq!(discovery.second.unwrap().as_str(), authorization_server);
    }
    for issuer in
        ["accounts", "http://id.example", "https://id.example/?a", "https://u:p@h", "https://h/#f"]
    {
        assert!(Discovery::of_issuer(issuer, false).is_err(), "{issuer}");
    }
    assert!(Discovery::of_issuer("http://id.example", true).is_ok());
}

#[tokio::test]
async fn the_keys_are_read_from_where_the_metadata_says() {
    let mut rig = Rig::new().await;
    rig.names("/keys");
    rig.server.ok("/keys", "the keys");
    assert_eq!(rig.read().await.unwrap().unwrap(), "the keys");
    assert_eq!(rig.server.paths(), [CONFIGURATION, "/keys"]);
}

#[tokio::test]
async fn the_metadata_of_rfc_8414_is_asked_for_when_there_is_no_other() {
    let mut rig = Rig::new().await;
    rig.server.ok(RFC_8414, &rig.metadata(rig.server.url("/keys").as_str()));
    rig.server.ok("/keys", "the keys");
    assert!(rig.read().await.is_ok());
    assert_eq!(rig.server.paths(), [CONFIGURATION, RFC_8414, "/keys"]);

    let mut rig = Rig::new().await;
    let error = rig.error().await;
    assert!(error.ends_with(&format!("{RFC_8414}: answered 404, only 200 brings keys")), "{error}");
    // Another failure than 404 does not mean that there is none.
    rig.server.paths();
    rig.server.page(CONFIGURATION, "500 Internal Server Error", &[], "");
    assert!(rig.error().await.starts_with("answered 500"));
    assert_eq!(rig.server.paths(), [CONFIGURATION]);
}

#[tokio::test]
async fn the_metadata_of_another_issuer_is_refused_byte_for_byte() {
    let mut rig = Rig::new().await;
    rig.server.ok("/keys", "the keys");
    let (ours, keys) = (rig.server.url("/tenant").to_string(), rig.server.url("/keys"));
    for issuer in [
        json!(format!("{ours}/")),
        json!(ours.to_uppercase()),
        json!(format!("{ours}\n")),
        json!([ours]),
        json!(null),
    ] {
        let document = json!({"issuer": issuer, "jwks_uri": keys.as_str()}).to_string();
        rig.server.ok(CONFIGURATION, &document);
        let error = rig.error().await;
        assert!(error.starts_with("no usable discovery document: "), "{error}");
        assert!(error.contains("\"issuer\"") && !error.contains('\n'), "{error}");
    }
    assert!(!rig.server.paths().contains(&"/keys".to_owned()));
}

#[tokio::test]
async fn a_jwks_uri_is_held_to_the_rules_of_a_configured_url() {
    let mut rig = Rig::new().await;
    for uri in
        ["file:///etc/passwd", "/keys", "https://u:hidden@h/", "https://h/#x", "data:,{}", ""]
    {
        rig.server.ok(CONFIGURATION, &rig.metadata(uri));
        let error = rig.error().await;
        assert!(
            error.contains("its \"jwks_uri\" is ") && !error.contains("hidden"),
            "{uri}: {error}"
        );
    }
    // Plain http only where the document itself is.
    let discovery = Discovery::of_issuer("https://id.example", true).unwrap();
    let document = json!({"issuer": "https://id.example", "jwks_uri": "http://id.example/keys"});
    let outcome = discovery.jwks_uri(document.to_string().as_bytes());
    assert_eq!(outcome, Err(DiscoveryError::JwksUri(UrlError::NotHttps)));
}

#[tokio::test]
async fn a_document_that_is_no_metadata_is_refused_without_being_quoted() {
    let mut rig = Rig::new().await;
    let whole = rig.metadata(rig.server.url("/keys").as_str());
    let twice = whole.replace("\"jwks_uri\"", "\"issuer\":\"hidden\",\"jwks_uri\"");
    for document in
        ["<html>hidden", "", "[]", "{}", "{\"issuer\":\"hidden", &twice, &"x".repeat(2000)]
    {
        rig.server.ok(CONFIGURATION, document);
        assert!(!rig.error().await.contains("hidden"), "{document}");
    }
}

#[tokio::test]
async fn the_metadata_is_read_again_on_its_own_schedule() {
    let mut rig = Rig::new().await;
    rig.names("/keys");
    rig.server.page("/keys", "200 OK", &["Cache-Control: max-age=60"], "the keys");
    let age = |rig: &Rig, field: &str| {
        let body = rig.metadata(rig.server.url("/keys").as_str());
        rig.server.page(CONFIGURATION, "200 OK", &[field, "ETag: \"1\""], &body);
    };
    // refresh.max where it does not say, and where it asks for more; refresh.min where it asks for less.
    for (field, fresh_for) in [
        ("X: y", 3600),
        ("Cache-Control: max-age=90000", 3600),
        ("Cache-Control: max-age=600", 600),
        ("Cache-Control: no-store", 60),
    ] {
        age(&rig, field);
        rig.wait(100_000);
        rig.read().await.unwrap();
        rig.wait(fresh_for - 1);
        rig.server.paths();
        rig.read().await.unwrap();
        assert_eq!(rig.server.paths(), ["/keys"], "{field}");
        rig.wait(1);
        rig.read().await.unwrap();
        let requests = rig.server.requests();
        assert_eq!(requests.len(), 2, "{field}");
        assert!(requests[0].contains("if-none-match: \"1\"\r\n"), "{}", requests[0]);
    }
    rig.server.page(CONFIGURATION, "304 Not Modified", &[], "");
    rig.wait(100_000);
    assert!(rig.read().await.is_ok() && rig.reader.warning().is_none());
    // A clock that is set back makes nothing fresh.
    rig.now = UnixTime::from_millis(0);
    rig.server.paths();
    rig.read().await.unwrap();
    assert_eq!(rig.server.paths(), [CONFIGURATION, "/keys"]);
}

#[tokio::test]
async fn metadata_that_is_lost_leaves_the_jwks_uri_in_force_and_is_said() {
    let mut rig = Rig::new().await;
    rig.names("/keys");
    rig.server.ok("/keys", "the keys");
    rig.read().await.unwrap();
    let other =
        json!({"issuer": "https://evil.example", "jwks_uri": rig.server.url("/evil").as_str()});
    for (status, body) in
        [("500 E", String::new()), ("404 E", String::new()), ("200 OK", other.to_string())]
    {
        rig.server.page(CONFIGURATION, status, &[], &body);
        rig.wait(100_000);
        assert_eq!(rig.read().await.unwrap().unwrap(), "the keys", "{status}");
        assert!(rig.reader.warning().is_some(), "{status}");
        // Not asked for at each read.
        rig.server.paths();
        rig.wait(59);
        rig.read().await.unwrap();
        assert_eq!(rig.server.paths(), ["/keys"], "{status}");
    }
    rig.names("/keys");
    rig.wait(1);
    rig.read().await.unwrap();
    assert_eq!(rig.reader.warning(), None);
}

#[tokio::test]
async fn keys_that_cannot_be_read_send_the_reader_back_to_the_metadata_at_once() {
    let mut rig = Rig::new().await;
    rig.names("/old");
    rig.server.ok("/old", "the keys");
    rig.read().await.unwrap();
    rig.server.page("/old", "410 Gone", &[], "");
    let error = rig.error().await;
    let old = rig.server.url("/old");
    assert_eq!(error, format!("{old}: answered 410, only 200 brings keys"));
    rig.names("/new");
    rig.server.ok("/new", "the new keys");
    rig.server.paths();
    assert_eq!(rig.read().await.unwrap().unwrap(), "the new keys");
    assert_eq!(rig.server.paths(), ["/old", CONFIGURATION, "/new"]);
    assert_eq!(rig.read().await.unwrap().unwrap(), "the new keys");
    assert_eq!(rig.server.paths(), ["/new"]);
}

#[tokio::test]
async fn a_document_that_holds_no_keys_sends_the_reader_back_the_next_time() {
    let mut rig = Rig::new().await;
    rig.names("/old");
    rig.server.ok("/old", "<html>");
    let page = rig.read().await.unwrap().unwrap();
    assert!(rig.reader.parse(page.as_bytes()).is_err());
    rig.names("/new");
    let keys = set(&[ed25519_jwk("a")]);
    rig.server.ok("/new", &keys);
    let page = rig.read().await.unwrap().unwrap();
    assert!(rig.reader.parse(page.as_bytes()).is_ok());
}

#[tokio::test]
async fn what_one_jwks_uri_is_asked_with_is_not_sent_to_another() {
    let mut rig = Rig::new().await;
    rig.names("/old");
    rig.server.page("/old", "200 OK", &["ETag: \"old\""], "the keys");
    rig.read().await.unwrap();
    rig.server.requests();
    rig.server.page("/old", "304 Not Modified", &[], "");
    assert_eq!(rig.read().await.unwrap(), None);
    assert!(rig.server.requests()[0].contains("if-none-match: \"old\"\r\n"));
    rig.names("/new");
    rig.server.ok("/new", "the new keys");
    rig.wait(100_000);
    assert_eq!(rig.read().await.unwrap().unwrap(), "the new keys");
    let requests = rig.server.requests();
    assert!(
        requests[1].starts_with("get /new ") && !requests[1].contains("if-"),
        "{}",
        requests[1]
    );
}
