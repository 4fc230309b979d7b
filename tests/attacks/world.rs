//! The service under attack: two issuers with keys of every kind, and in the document of one of them every key that
//! must never be used.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claimgate::issuer::SigningKey;
use claimgate::keys::key::Algorithm;
use claimgate::proto::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use claimgate::proto::envoy::service::auth::v3::check_response::HttpResponse;
use claimgate::proto::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use prost::Message as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::arithmetic::RsaPrivate;
use crate::kept::{mint, mint_with_header};
use crate::key;
use crate::revocation;
use crate::service::{Answer, TestService, request};
use crate::table::Vector;

pub(crate) const ISSUER: &str = "https://accounts.example.com";
pub(crate) const PARTNER: &str = "https://partner.example.com";

pub(crate) struct World {
    service: TestService,
    /// Published with `alg: RS256`.
    pub(crate) rsa: SigningKey,
    /// Published without `alg`: usable with both paddings.
    pub(crate) any: SigningKey,
    /// The same key, as numbers.
    pub(crate) raw: RsaPrivate,
    pub(crate) p256: SigningKey,
    pub(crate) p384: SigningKey,
    pub(crate) p521: SigningKey,
    pub(crate) ed: SigningKey,
    /// Of the partner, who signs with RS256 only, under the same ID as `rsa`.
    pub(crate) partner: SigningKey,
    /// Of nobody that is trusted; its ID is that of `rsa`.
    pub(crate) stranger: SigningKey,
    pub(crate) now: i64,
    /// Why which key of the document is not used.
    skipped: BTreeMap<String, &'static str>,
    /// Nobody may ever connect to it.
    canary: TcpListener,
    _folder: TempDir,
}

impl World {
    pub(crate) async fn start() -> Self {
        let new = |algorithm, kid| SigningKey::generate(algorithm).unwrap().with_kid(kid);
        let rsa = new(Algorithm::Rs256, "rsa");
        let any = new(Algorithm::Rs256, "any");
        let (p256, p384) = (new(Algorithm::Es256, "p256"), new(Algorithm::Es384, "p384"));
        let (p521, ed) = (new(Algorithm::Es512, "p521"), new(Algorithm::EdDsa, "ed"));
        let (partner, stranger) = (new(Algorithm::Rs256, "rsa"), new(Algorithm::Rs256, "rsa"));
        let mut without_alg = any.public_jwk();
        without_alg.as_object_mut().unwrap().shift_remove("alg");
        let mut keys: Vec<Value> =
            [&rsa, &p256, &p384, &p521, &ed].map(SigningKey::public_jwk).into();
        keys.push(without_alg);
        let mut skipped = BTreeMap::new();
        for bad in key::never_used(&ed) {
            skipped.insert(bad.jwk["kid"].as_str().unwrap().to_owned(), bad.reason);
            keys.push(bad.jwk);
        }
        // A secret under the name of a good key: that one must go on to work.
        keys.push(json!({"kty": "oct", "kid": "rsa", "k": "c2VjcmV0", "alg": "HS256"}));
        skipped.insert("rsa".to_owned(), "symmetric_key");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("jwks.json"), json!({"keys": keys}).to_string()).unwrap();
        let service = TestService::start(configuration(&folder, &partner)).await;
        service.until_ready().await;
        #[expect(clippy::disallowed_methods, reason = "the service under attack runs on real time")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let canary = TcpListener::bind("127.0.0.1:0").unwrap();
        canary.set_nonblocking(true).unwrap();
        let raw = RsaPrivate::of(&any);
        let now = i64::try_from(now).unwrap();
        Self {
            service,
            rsa,
            any,
            raw,
            p256,
            p384,
            p521,
            ed,
            partner,
            stranger,
            now,
            skipped,
            canary,
            _folder: folder,
        }
    }

    /// Asks, and holds what is true of every answer.
    pub(crate) async fn ask(&self, vector: &Vector) -> Answer {
        let (sent, token) = match vector {
            Vector::Token(token) => (bearer(token), token.as_str()),
            Vector::Request(request) => (CheckRequest::clone(request), ""),
        };
        let response = self.service.check(sent.clone()).await;
        hold_unambiguous(&response);
        hold_no_spoofed_claim(&sent, &response);
        hold_silent(&response, token);
        Answer::of(response)
    }

    /// The claims of a good token.
    pub(crate) fn claims(&self) -> Value {
        let now = self.now;
        json!({"iss": ISSUER, "aud": "orders", "sub": "alice", "iat": now - 60, "exp": now + 3600})
    }

    /// The same with `over` laid over them.
    pub(crate) fn claims_with(&self, over: &Value) -> Value {
        let mut claims = self.claims();
        for (name, value) in over.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    pub(crate) fn claims_without(&self, name: &str) -> Value {
        let mut claims = self.claims();
        claims.as_object_mut().unwrap().shift_remove(name);
        claims
    }

    /// A good token.
    pub(crate) fn good(&self, key: &SigningKey) -> String {
        mint(key, &self.claims()).unwrap()
    }

    /// A token that is good but for these claims.
    pub(crate) fn with_claims(&self, over: &Value) -> String {
        mint(&self.ed, &self.claims_with(over)).unwrap()
    }

    /// A token that is good but for these header parameters.
    pub(crate) fn with_header(&self, key: &SigningKey, header: &Value) -> String {
        mint_with_header(key, header, &self.claims()).unwrap()
    }

    /// A token over exactly this payload, whatever it is.
    pub(crate) fn with_payload(&self, payload: impl AsRef<[u8]>) -> String {
        let header = json!({"alg": "EdDSA", "kid": "ed"}).to_string();
        sign(&self.ed, &encode(header), &encode(payload))
    }

    /// The address that nobody may connect to.
    pub(crate) fn canary(&self) -> String {
        format!("http://{}/jwks.json", self.canary.local_addr().unwrap())
    }

    pub(crate) async fn hold_canary(&self) {
        assert!(self.canary.accept().is_err(), "somebody followed a URL that stood in a token");
    }

    /// Every key that must not be used is counted as that, with the reason.
    pub(crate) async fn hold_skipped_keys(&self) {
        let status = self.service.source_status().await;
        let listed = status["skipped"].as_array().expect("a list");
        for (kid, reason) in &self.skipped {
            let entry = listed.iter().find(|entry| entry["kid"] == kid.as_str());
            let entry = entry.unwrap_or_else(|| panic!("{kid} is not listed: {status}"));
            assert_eq!(entry["reason"], *reason, "{kid}");
        }
        for reason in self.skipped.values() {
            let counted = ["claimgate_jwks_skipped_keys", &format!("reason=\"{reason}\"")];
            assert!(self.service.metric(&counted).await > 0.0, "{reason} is not counted");
        }
    }

    pub(crate) async fn stop(&self) {
        self.service.shutdown.cancel();
    }
}

fn configuration(folder: &TempDir, partner: &SigningKey) -> Value {
    let algorithms: Vec<&str> = Algorithm::ALL.into_iter().map(Algorithm::name).collect();
    json!({
        "profile": "development",
        "issuers": [
            {
                "name": "accounts", "issuer": ISSUER, "audiences": ["orders"],
                "algorithms": algorithms,
                "keys": [{"jwks_file": folder.path().join("jwks.json")}],
                "refresh": {"unknown_kid_wait": "1ms"},
            },
            {
                "name": "partner", "issuer": PARTNER, "audiences": ["orders"],
                "algorithms": ["RS256"], "keys": [{"jwks": {"keys": [partner.public_jwk()]}}],
            },
        ],
        "revocation": {"entries": revocation::entries(), "without_jti": "accept"},
        "forward": {
            "headers": [
                {"claim": "sub", "header": "x-jwt-sub"}, {"claim": "roles", "header": "x-jwt-roles"},
            ],
            "strip": ["x-jwt-*"],
        },
        "rules": [
            {"name": "health", "match": {"path": "/healthz", "methods": ["GET"]}, "allow": "anyone"},
            {
                "name": "rest", "match": {"path_prefix": "/"},
                "require": {"any_of": [{"issuer": "accounts"}, {"issuer": "partner"}]},
            },
        ],
    })
}

/// A request as Envoy passes it on, with this token.
pub(crate) fn bearer(token: &str) -> CheckRequest {
    request("GET", "/orders", &[("authorization", &format!("Bearer {token}"))])
}

/// Signs over exactly these two segments, encoded or not.
pub(crate) fn sign(key: &SigningKey, header: &str, payload: &str) -> String {
    let input = format!("{header}.{payload}");
    format!("{input}.{}", encode(key.sign(input.as_bytes()).unwrap()))
}

pub(crate) fn encode(octets: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

/// A token in its three segments.
pub(crate) fn parts(token: &str) -> [&str; 3] {
    let parts: Vec<&str> = token.split('.').collect();
    parts.try_into().unwrap()
}

/// The token with another signature.
pub(crate) fn resigned(token: &str, signature: impl AsRef<[u8]>) -> String {
    let (input, _) = token.rsplit_once('.').unwrap();
    format!("{input}.{}", encode(signature))
}

pub(crate) fn signature_of(token: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(parts(token)[2]).unwrap()
}

/// Versions of Envoy read `append` or `append_action`, and apply removals after headers are set.
fn hold_unambiguous(response: &CheckResponse) {
    let code = response.status.as_ref().expect("an answer without a status is an allow").code;
    let headers = match response.http_response.as_ref().expect("an answer without a verdict") {
        HttpResponse::OkResponse(ok) => {
            assert_eq!(code, 0);
            for option in &ok.headers {
                let name = &option.header.as_ref().unwrap().key;
                assert!(!ok.headers_to_remove.contains(name), "{name} is set and removed");
            }
            &ok.headers
        }
        HttpResponse::DeniedResponse(denied) => {
            assert_ne!(code, 0);
            &denied.headers
        }
        _ => panic!("neither an allow nor a denial"),
    };
    for option in headers {
        assert_eq!(option.append, Some(false));
        assert_eq!(option.append_action, HeaderAppendAction::OverwriteIfExistsOrAdd as i32);
        let value = &option.header.as_ref().unwrap().value;
        assert!(value.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{value:?}");
    }
}

/// Of the headers that came along, each whose name an upstream might take for a claim's is overwritten or removed, and
/// only verified claims are set.
fn hold_no_spoofed_claim(sent: &CheckRequest, response: &CheckResponse) {
    let Some(HttpResponse::OkResponse(ok)) = &response.http_response else { return };
    let attributes = sent.attributes.as_ref();
    let http = attributes.and_then(|attributes| attributes.request.as_ref()?.http.as_ref());
    let http = http.expect("allowed without a request");
    let raw = http.header_map.iter().flat_map(|map| &map.headers).map(|header| &header.key);
    let set: Vec<_> = ok.headers.iter().map(|option| option.header.as_ref().unwrap()).collect();
    for name in http.headers.keys().chain(raw) {
        let folded = name.to_ascii_lowercase().replace(['_', '.'], "-");
        let is_set = set.iter().any(|header| header.key.eq_ignore_ascii_case(name));
        let mut removed = ok.headers_to_remove.iter();
        let is_removed = removed.any(|removed| removed.eq_ignore_ascii_case(name));
        let is_reserved = folded.starts_with("x-jwt-");
        assert!(!is_reserved || is_set != is_removed, "{name} gets through");
    }
    assert!(set.iter().all(|header| header.key.starts_with("x-jwt-") && header.value != "mallory"));
}

/// No sixteen characters of the token, nor anything that only a bad token can have brought along.
fn hold_silent(response: &CheckResponse, token: &str) {
    if matches!(response.http_response, Some(HttpResponse::OkResponse(_))) {
        return;
    }
    let text = String::from_utf8_lossy(&response.encode_to_vec()).into_owned();
    let characters: Vec<char> = token.chars().collect();
    for slice in characters.chunks(16).filter(|slice| slice.len() == 16) {
        let slice: String = slice.iter().collect();
        assert!(!text.contains(&slice), "the answer repeats {slice:?}");
    }
    assert!(!text.contains("mallory"), "the answer repeats what was claimed");
}
