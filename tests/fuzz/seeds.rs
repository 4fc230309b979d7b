//! Writes the corpora that the targets begin with: `tests/fuzz/run.sh --seeds`. Small and readable; what fuzzing finds
//! on the way stays out of the repository, crashes become tests.

// For the symbols that instrumented code asks for; its main function is not used.
use libfuzzer_sys as _;

use std::path::{Path, PathBuf};
use std::{fs, io};

use claimgate::issuer::SigningKey;
use claimgate::keys::key::Algorithm;
use claimgate::proto::envoy::config::core::v3::{HeaderMap, HeaderValue};
use claimgate::proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use claimgate::proto::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use claimgate_fuzz::{OPEN_PATH, claims, good_token, key};
use prost::Message as _;
use serde_json::{Value, json};

fn main() -> io::Result<()> {
    write("token", tokens())?;
    write("jwks", documents())?;
    write("check_request", requests())?;
    write("forward_auth", questions())?;
    write("configuration", configurations())?;
    write("path", paths())?;
    write("locations", locations())?;
    write("revocation", entries())?;
    write("redis", answers())
}

type Seed = (&'static str, Vec<u8>);

fn write(target: &str, seeds: Vec<Seed>) -> io::Result<()> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    seeds.into_iter().try_for_each(|(name, bytes)| fs::write(folder.join(name), bytes))
}

fn entries() -> Vec<Seed> {
    [
        ("token", r#"{"v":1,"kind":"token","iss":"https://id.example","jti":"9f1c","expires_at":1764000030}"#),
        ("subject", r#"{"v":1,"kind":"subject","iss":"https://id.example","sub":"alice","not_before":1763990000,"expires_at":1764076400}"#),
        ("session", r#"{"v":1,"kind":"session","iss":"https://id.example","sid":"s-17","expires_at":1764076400}"#),
        ("key", r#"{"v":1,"kind":"key","iss":"https://id.example","kid":"2026-10","expires_at":1766592000}"#),
        ("issuer", r#"{"v":1,"kind":"issuer","iss":"https://id.example","not_before":1763990000,"expires_at":1764076400}"#),
        ("escapes", r#"{"v":1,"kind":"token","iss":"i","jti":"\u0000\ud83d\ude00\"","expires_at":0}"#),
        ("end", r#"{"v":1,"kind":"end"}"#),
    ]
    .map(|(name, line)| (name, line.into()))
    .into()
}

/// As a Redis writes them.
fn answers() -> Vec<Seed> {
    fn bulk(text: &str) -> String {
        format!("${}\r\n{text}\r\n", text.len())
    }
    fn list(items: &[String]) -> String {
        format!("*{}\r\n{}", items.len(), items.concat())
    }
    let entry =
        r#"{"v":1,"kind":"token","iss":"https://id.example","jti":"9f1c","expires_at":1764000030}"#;
    let change =
        |id: &str, name: &str, value: &str| list(&[bulk(id), list(&[bulk(name), bulk(value)])]);
    let changes =
        [change("7-1", "entry", entry), change("7-2", "epoch", "e"), change("8-0", "removed", "k")];
    let info = [
        bulk("length"),
        ":3\r\n".to_owned(),
        bulk("last-generated-id"),
        bulk("8-0"),
        bulk("first-entry"),
        change("7-1", "entry", entry),
        bulk("last-entry"),
        change("8-0", "removed", "k"),
    ];
    [
        ("xread", list(&[list(&[bulk("changes"), list(&changes)])])),
        ("xread-nothing", "*-1\r\n".to_owned()),
        ("xrange", list(&changes)),
        ("deleted", list(&[list(&[bulk("7-1"), "*-1\r\n".to_owned()])])),
        ("scan", list(&[bulk("17"), list(&[bulk("a"), bulk("b")])])),
        ("mget", list(&[bulk(entry), "$-1\r\n".to_owned()])),
        ("get", bulk(entry)),
        ("xinfo", list(&info)),
        ("no-stream", "-ERR no such key\r\n".to_owned()),
        ("refused", "-NOPERM \u{1b}[31m this user has no permissions\r\n".to_owned()),
        ("resp3", format!("%1\r\n{}{}", bulk("changes"), list(&changes))),
    ]
    .map(|(name, text)| (name, text.into_bytes()))
    .into()
}

fn paths() -> Vec<Seed> {
    [
        ("plain", "/public/a"),
        ("dots", "/public/../admin"),
        ("escaped-dots", "/public/%2e%2e/admin"),
        ("twice", "/public/..%252fadmin"),
        ("backslash", "/public\\..\\admin"),
        ("parameter", "/public/..;x=1/admin"),
        ("harmless", "/public/a%20b/caf%C3%A9?x=/"),
        ("authority", "//host/admin"),
        ("template", "/orders/7"),
        ("fragment", "/one#/../admin"),
    ]
    .map(|(name, target)| (name, target.into()))
    .into()
}

/// `arbitrary` takes the parts from the two ends of the bytes; fuzzing finds its way from the words in them.
fn locations() -> Vec<Seed> {
    [
        ("cookie", "a=1; jwt=a.b.c; b=2"),
        ("joined", "a=1,jwt=\"a.b.c\",b=2"),
        ("query", "x=1&access_token=a.b.c&access%5Ftoken=d"),
        ("semicolon", "x=1;access_token=a"),
    ]
    .map(|(name, text)| (name, text.into()))
    .into()
}

/// The first byte says what is done with the parts: see targets/token.rs.
fn tokens() -> Vec<Seed> {
    let header = br#"{"alg":"EdDSA","typ":"JWT","kid":"one"}"#;
    let with = |over: Value| {
        let mut claims = claims();
        for (name, value) in over.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        claims.to_string().into_bytes()
    };
    let parts = |how: u8, parts: &[&[u8]]| {
        let mut bytes = vec![how];
        bytes.extend(parts.join(&0xff));
        bytes
    };
    vec![
        ("whole", [b"\0", good_token().as_bytes()].concat()),
        ("two-dots", b"\0..".to_vec()),
        ("other-signature", parts(1, &[header, &with(json!({})), &[0; 64]])),
        ("signed", parts(2, &[header, &with(json!({}))])),
        ("audiences", parts(2, &[header, &with(json!({"aud": ["x", "orders"]}))])),
        ("dates", parts(2, &[header, &with(json!({"exp": 1.8000003e9, "nbf": -1, "iat": 0}))])),
        ("nested", parts(2, &[header, &with(json!({"a": {"b": [[{"c": null}], true, 1e300]}}))])),
        (
            "escapes",
            parts(
                2,
                &[header, br#"{"\u0069ss":"https:\/\/accounts.example.com","a":"\ud83d\ude00"}"#],
            ),
        ),
        ("twice", parts(2, &[header, br#"{"exp":1,"\u0065xp":2}"#])),
        ("crit", parts(2, &[br#"{"alg":"EdDSA","kid":"one","crit":["b64"],"b64":false}"#, b"{}"])),
        ("none", parts(1, &[br#"{"alg":"none"}"#, &with(json!({})), b""])),
    ]
}

fn documents() -> Vec<Seed> {
    let of = |algorithm, kid: &str| {
        SigningKey::generate(algorithm).expect("a key").with_kid(kid).public_jwk()
    };
    let set = |keys: &[Value]| json!({"keys": keys}).to_string().into_bytes();
    let (rsa, p256) = (of(Algorithm::Rs256, "r"), of(Algorithm::Es256, "e"));
    let mut any_padding = rsa.clone();
    any_padding.as_object_mut().expect("an object").shift_remove("alg");
    let mut private = key().public_jwk();
    private["d"] = json!("AQ");
    let mut other = p256.clone();
    other["kid"] = json!("r");
    let pem = key().public_pem().expect("a key");
    let keyset = json!({"active_kid": "a", "keys": {"a": pem.clone(), "b": p256.clone()}});
    vec![
        ("ed25519.json", set(&[key().public_jwk()])),
        ("rsa.json", set(&[rsa.clone(), any_padding])),
        ("p256.json", set(&[p256])),
        ("p384-p521.json", set(&[of(Algorithm::Es384, "a"), of(Algorithm::Es512, "b")])),
        ("same-kid.json", set(&[rsa.clone(), other, rsa])),
        ("private.json", set(&[private, key().public_jwk()])),
        ("odd.json", set(&[json!({"kty": "oct", "k": "AQ"}), json!(null), json!({"kty": "AKP"})])),
        ("empty.json", set(&[])),
        ("keyset.json", keyset.to_string().into_bytes()),
        ("key.pem", pem.into_bytes()),
    ]
}

fn requests() -> Vec<Seed> {
    let bearer = format!("Bearer {}", good_token());
    let request = |method: &str, path: &str, headers: &[(&str, &str)]| {
        let header = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        HttpRequest {
            method: method.to_owned(),
            host: "orders.example.com".to_owned(),
            path: path.to_owned(),
            headers: headers.iter().map(header).collect(),
            ..HttpRequest::default()
        }
    };
    let message = |http: HttpRequest| {
        let request = Some(Request { http: Some(http), ..Request::default() });
        let attributes = Some(AttributeContext { request, ..AttributeContext::default() });
        CheckRequest { attributes }.encode_to_vec()
    };
    let spoofed = [
        ("authorization", bearer.as_str()),
        ("x-jwt-sub", "mallory"),
        ("x_jwt_sub", "mallory"),
        ("X-Jwt.Roles", "admin"),
    ];
    let raw = |name: &str, value: &[u8]| HeaderValue {
        key: name.to_owned(),
        raw_value: value.to_vec(),
        ..HeaderValue::default()
    };
    let raw_headers = HeaderMap {
        headers: vec![raw("authorization", bearer.as_bytes()), raw("x-jwt-sub", b"\xff")],
    };
    vec![
        ("empty", Vec::new()),
        ("no-token", message(request("GET", "/orders?a=b", &[]))),
        ("good", message(request("GET", "/orders", &[("authorization", &bearer)]))),
        ("two", message(request("GET", "/", &[("authorization", &format!("{bearer},{bearer}"))]))),
        ("spoofed", message(request("POST", "/orders", &spoofed))),
        ("spoofed-open", message(request("GET", OPEN_PATH, spoofed.get(1..).unwrap_or_default()))),
        (
            "raw",
            message(HttpRequest {
                header_map: Some(raw_headers),
                ..request("GET", "/orders", &[])
            }),
        ),
        ("open", message(request("GET", &format!("{OPEN_PATH}?x"), &[]))),
        ("odd-path", message(request("GET", "/healthz/..;/%2e%2e//admin%00\\", &[]))),
        ("connect", message(request("CONNECT", "", &[]))),
        ("grpc", message(request("POST", "/a.B/C", &[("content-type", "application/grpc")]))),
    ]
}

/// See targets/forward_auth.rs.
fn questions() -> Vec<Seed> {
    let bearer = format!("authorization: Bearer {}\n", good_token());
    let spoofed = "x-jwt-sub: mallory\nx_jwt_sub: mallory\n";
    let said = |door: &str, by: &str, method: &str, path: &str| {
        let [a, b, c] = match by {
            "nginx" => ["x-original-method", "x-original-uri", "x-original-host"],
            _ => ["x-forwarded-method", "x-forwarded-uri", "x-forwarded-host"],
        };
        format!("GET {door}\nhost: claimgate\n{a}: {method}\n{b}: {path}\n{c}: a.example\n")
    };
    let envoy = |method: &str, path: &str| format!("{method} /auth/envoy{path}\nhost: a.example\n");
    let nginx = said("/auth/nginx", "nginx", "GET", "/orders?a=b");
    let caddy = said("/auth/caddy?a=b", "caddy", "PUT", "/orders");
    let traefik = said("/auth/traefik", "traefik", "GET", OPEN_PATH);
    let seeds = [
        ("envoy", envoy("GET", "/orders?a=b") + &bearer + spoofed),
        ("envoy-open", envoy("GET", OPEN_PATH) + spoofed),
        ("envoy-odd", envoy("GET", "/healthz/..;/%2e%2e//admin%00") + &bearer),
        ("envoy-two", envoy("POST", "/") + &bearer + &bearer + "connection: x-jwt-sub\n"),
        ("whole-url", "GET http://a.example/auth/envoy/healthz\nhost: b.example\n".to_owned()),
        ("nginx", nginx.clone() + &bearer + spoofed + "cookie: a=1\ncookie: b=2\n"),
        ("nginx-stranger", format!("!{nginx}{bearer}")),
        ("nginx-twice", nginx + "x-original-uri: /healthz\n"),
        ("caddy", caddy + &bearer + spoofed),
        ("traefik", traefik + spoofed),
        ("nowhere", "GET /\n".to_owned()),
    ];
    seeds.into_iter().map(|(name, text)| (name, text.into_bytes())).collect()
}

fn configurations() -> Vec<Seed> {
    let small = json!({
        "profile": "development",
        "issuers": [{
            "name": "a", "issuer": "https://a.example", "audiences": ["b"], "clock_skew": "30s",
            "algorithms": ["EdDSA"], "keys": [{"jwks": {"keys": [key().public_jwk()]}}],
        }],
        "rules": [{"name": "all", "match": {"path_prefix": "/"}, "require": {"issuer": "a"}}],
    });
    vec![
        ("example.yaml", include_bytes!("../../deploy/claimgate.example.yaml").to_vec()),
        ("small.json", small.to_string().into_bytes()),
        ("aliases.yaml", b"a: &a [1, 2]\nb: *a\nlimits: {token_bytes: 16KiB, x: 1}\n".to_vec()),
        (
            "mistakes.yaml",
            b"listen: {grpc: 1}\nissuers: {}\nrules: [{allow: anyone}]\nx: ~\n".to_vec(),
        ),
        ("not.yaml", b"\t%\n- {".to_vec()),
    ]
}
