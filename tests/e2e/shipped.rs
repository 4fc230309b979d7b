//! Every file in `deploy/envoy/`, run by a real Envoy that asks a claimgate. Ports, paths and host names are those of the
//! test, nothing else is changed; claimgate is configured as the file's own comment says.

use std::fs;
use std::path::Path;

use claimgate::app::Options;
use claimgate::config::Config;
use serde_json::{Value, json};

use crate::ROOT;
use crate::authority::{Authority, Mounted};
use crate::configuration::inline;
use crate::envoy::{self, CLAIMGATE, Envoy, shipped};
use crate::load::{key_and_token, report};
use crate::mtls::{self, CLAIMGATE_ID, ENVOY_ID};
use crate::service::{TestService, eventually};
use crate::upstream::Upstream;

const FOLDER: &str = "deploy/envoy";

/// The files, each with a test below.
const FILES: [&str; 7] = [
    "envoy.yaml",
    "filter.yaml",
    // In envoy_http.rs.
    "http-ext-authz.yaml",
    "mtls-authority.yaml",
    "mtls-client.yaml",
    "mtls.yaml",
    "sidecar.yaml",
];

#[test]
fn every_file_has_a_test() {
    let files = fs::read_dir(Path::new(ROOT).join(FOLDER)).unwrap();
    let mut files: Vec<_> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    assert_eq!(files, FILES);
}

#[tokio::test]
async fn the_gateway_keeps_its_promises() {
    let upstream = Upstream::start().await;
    let (service, token) = claimgate(&json!({"grpc": "127.0.0.1:0"})).await;
    let config = shipped("envoy.yaml", &[envoy::tcp(service.grpc)]);
    keeps_its_promises("envoy.yaml", config, service, &token, &upstream).await;
}

#[tokio::test]
async fn the_snippet_makes_the_same_of_an_envoy_that_somebody_has() {
    let upstream = Upstream::start().await;
    let (service, token) = claimgate(&json!({"grpc": "127.0.0.1:0"})).await;
    // What is written there to be set by hand is set from there.
    let (snippet, settings) = (read("filter.yaml"), documented("filter.yaml"));
    let mut config: Value = serde_json::from_str(PLAIN).unwrap();
    let manager = envoy::manager(&mut config);
    let settings = settings.as_object().unwrap();
    assert_eq!(settings.len(), 4);
    for (name, value) in settings {
        manager[name] = value.clone();
    }
    let filters = manager["http_filters"].as_array_mut().unwrap();
    let before_the_router = filters.len() - 1;
    let added = snippet["http_filters"].as_array().unwrap().iter().cloned();
    filters.splice(before_the_router..before_the_router, added);
    let clusters = config["static_resources"]["clusters"].as_array_mut().unwrap();
    clusters.extend(snippet["clusters"].as_array().unwrap().iter().cloned());
    envoy::ask_at(&mut config, &[envoy::tcp(service.grpc)]);
    keeps_its_promises("filter.yaml", config, service, &token, &upstream).await;
}

#[tokio::test]
async fn the_sidecar_keeps_its_promises_over_a_unix_socket() {
    let upstream = Upstream::start().await;
    let directory = tempfile::tempdir().unwrap();
    let moved = |text: &str| text.replace("/run/claimgate", directory.path().to_str().unwrap());
    let listen = parse(&moved(&documented("sidecar.yaml")["listen"].to_string()));
    let (service, token) = claimgate(&listen).await;
    let mut config = read("sidecar.yaml");
    let address = endpoint(&mut config).clone();
    assert_eq!(address["pipe"]["path"], "/run/claimgate/authz.sock");
    let config = shipped("sidecar.yaml", &[parse(&moved(&address.to_string()))]);
    let envoy = keeps_its_promises("sidecar.yaml", config, service, &token, &upstream).await;
    // Another process makes another socket in the place of the old one.
    let (service, token) = claimgate(&listen).await;
    let url = format!("http://{}/orders", envoy.ingress().await);
    eventually("asked again", async || {
        client().get(&url).bearer_auth(&token).send().await.unwrap().status() == 200
    })
    .await;
    service.stop().await.unwrap();
}

#[tokio::test]
async fn mutual_tls_keeps_its_promises_by_spiffe_ids_and_by_dns_names() {
    let dns = ("claimgate.example.com", "envoy.example.com");
    for (their_name, our_name) in [(CLAIMGATE_ID, ENVOY_ID), dns] {
        let upstream = Upstream::start().await;
        let authority = Authority::new();
        let side = |name: &str| Mounted::with(&authority.issue(&[name]), &authority.pem);
        let (theirs, ours) = (side(their_name), side(our_name));
        let mut listen = mtls::listen(&theirs);
        let directory = tempfile::tempdir().unwrap();
        if our_name != ENVOY_ID {
            listen["tls"]["allowed_client_sans"] = json!([our_name]);
        }
        let (service, token) = claimgate(&listen).await;
        let mut config = mtls::config(&directory, &ours, service.grpc);
        if their_name != CLAIMGATE_ID {
            let socket = &mut envoy::cluster(&mut config, CLAIMGATE)["transport_socket"];
            let context = &mut socket["typed_config"]["common_tls_context"];
            let names = &mut context["combined_validation_context"]["default_validation_context"]["match_typed_subject_alt_names"];
            *names = json!([{"san_type": "DNS", "matcher": {"exact": their_name}}]);
        }
        keeps_its_promises("mtls.yaml", config, service, &token, &upstream).await;
    }
}

#[tokio::test]
async fn mutual_tls_lets_pass_nothing_when_either_side_is_somebody_else() {
    let upstream = Upstream::start().await;
    let (authority, another) = (Authority::new(), Authority::new());
    let strangers = "spiffe://cluster.local/ns/default/sa/default";
    #[rustfmt::skip]
    let table = [
        ("Envoy's name", &authority, CLAIMGATE_ID, &authority, strangers),
        ("claimgate's name", &authority, strangers, &authority, ENVOY_ID),
        ("Envoy's authority", &authority, CLAIMGATE_ID, &another, ENVOY_ID),
        ("claimgate's authority", &another, CLAIMGATE_ID, &authority, ENVOY_ID),
    ];
    for (what, their_issuer, their_name, our_issuer, our_name) in table {
        let theirs = Mounted::with(&their_issuer.issue(&[their_name]), &authority.pem);
        let ours = Mounted::with(&our_issuer.issue(&[our_name]), &authority.pem);
        let (service, token) = claimgate(&mtls::listen(&theirs)).await;
        let directory = tempfile::tempdir().unwrap();
        let mut config = mtls::config(&directory, &ours, service.grpc);
        envoy::pass_on_to(&mut config, upstream.address);
        let envoy = Envoy::start(&config);
        let url = format!("http://{}/orders", envoy.ingress().await);
        for _ in 0..5 {
            let answer = client().get(&url).bearer_auth(&token).send().await.unwrap();
            assert_eq!(answer.status(), 503, "{what}");
        }
        let handshakes = async |result: &str| {
            service.metric(&["tls_handshakes_total", "\"grpc\"", &format!("\"{result}\"")]).await
        };
        assert!(handshakes("failed").await > 0.0 && handshakes("ok").await == 0.0, "{what}");
        service.stop().await.unwrap();
    }
    assert_eq!(upstream.requests(), 0);
}

#[test]
fn all_files_are_one_configuration_but_for_the_way_to_claimgate() {
    let mut gateway = read("envoy.yaml");
    for other in ["sidecar.yaml", "mtls.yaml"] {
        let mut other = read(other);
        assert_eq!(
            other["static_resources"]["listeners"],
            gateway["static_resources"]["listeners"]
        );
        assert_eq!(
            envoy::cluster(&mut other, "upstream"),
            envoy::cluster(&mut gateway, "upstream")
        );
        let ours = envoy::cluster(&mut gateway, CLAIMGATE);
        let theirs = envoy::cluster(&mut other, CLAIMGATE);
        for same in ["typed_extension_protocol_options", "circuit_breakers"] {
            assert_eq!(theirs[same], ours[same], "{same}");
        }
    }
}

/// So that an upgrade fails no request as everything is shipped, and not only after somebody has adjusted it.
#[test]
fn claimgate_goes_on_after_its_last_health_check_for_longer_than_envoy_takes_to_make_one() {
    let mut least = f64::MAX;
    for (file, named) in [
        ("src/cli/process.rs", r#"value_name = "SECONDS", default_value = ""#),
        ("deploy/claimgate.service", "--drain-delay="),
        ("deploy/kubernetes/deployment.yaml", "--drain-delay="),
        ("helm/claimgate/values.yaml", "delaySeconds: "),
    ] {
        let text = fs::read_to_string(Path::new(ROOT).join(file)).unwrap();
        let (_, value) = text.split_once(named).expect(file);
        let digits: String = value.chars().take_while(char::is_ascii_digit).collect();
        least = least.min(digits.parse().expect(file));
    }
    for file in ["envoy.yaml", "filter.yaml", "mtls.yaml"] {
        let config = read(file);
        let clusters =
            config.get("clusters").unwrap_or_else(|| &config["static_resources"]["clusters"]);
        let cluster = &clusters[0];
        assert_eq!(cluster["common_lb_config"]["update_merge_window"], "0s", "{file}");
        let health = &cluster["health_checks"][0];
        let seconds = |name: &str| {
            let text = health[name].as_str().unwrap().strip_suffix('s').unwrap();
            text.parse::<f64>().unwrap()
        };
        for interval in ["interval", "no_traffic_interval"] {
            // The last check before the drain may be the one that gets no answer.
            assert!(seconds(interval) + seconds("timeout") < least, "{file}: {interval}, {least}");
        }
    }
}

/// What holds of Envoy and claimgate, whichever way the one asks the other. Returns the Envoy, with nobody to ask.
pub(crate) async fn keeps_its_promises(
    file: &str,
    mut config: Value,
    service: TestService,
    token: &str,
    upstream: &Upstream,
) -> Envoy {
    envoy::pass_on_to(&mut config, upstream.address);
    let envoy = Envoy::start(&config);
    let ingress = envoy.ingress().await;
    let ask = async |path: &str, token: Option<&str>| {
        let mut answer = None;
        // On a busy machine a quarter of a second, in which claimgate has to answer, passes without anybody's fault.
        eventually("answered by claimgate", async || {
            let mut request = client().get(format!("http://{ingress}{path}"));
            for name in ["x-jwt-sub", "X-JWT-Roles", "x-jwt-else", "x_jwt_sub", "x.jwt.sub"] {
                request = request.header(name, "mallory");
            }
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            let got = request.send().await.unwrap();
            let (status, reason) = (got.status().as_u16(), got.headers().get("x-ext-auth-reason"));
            let reason = reason.map(|reason| reason.to_str().unwrap().to_owned());
            let body = got.text().await.unwrap();
            answer = Some((status, reason.unwrap_or_default(), body));
            status != 503
        })
        .await;
        answer.unwrap()
    };
    let identity = |body: &str| {
        let headers: Vec<[String; 2]> = serde_json::from_str(body).unwrap();
        let folded = |name: &str| name.to_ascii_lowercase().replace(['_', '.'], "-");
        let ours = |name: &str| folded(name).starts_with("x-jwt") || name == "authorization";
        let mut found: Vec<_> = headers.into_iter().filter(|[name, _]| ours(name)).collect();
        found.sort();
        found
    };

    let (status, _, body) = ask("/orders", Some(token)).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(identity(&body), [["x-jwt-sub".to_owned(), "alice".to_owned()]]);
    let (status, _, body) = ask("/healthz", None).await;
    assert_eq!(status, 200, "{body}");
    assert!(identity(&body).is_empty(), "where anyone is let in: {body}");
    let passed = upstream.requests();
    let (status, reason, _) = ask("/orders", None).await;
    assert_eq!((status, reason.as_str()), (401, "missing_token"));
    let (status, reason, _) = ask("/orders", Some("no token")).await;
    assert_eq!((status, reason.as_str()), (401, "malformed"));
    assert_eq!(ask("/healthz%2fx", None).await.0, 400);
    assert_eq!(ask("/x/../orders", None).await.0, 401);

    service.stop().await.unwrap();
    for _ in 0..5 {
        let request = client().get(format!("http://{ingress}/orders")).bearer_auth(token);
        assert_eq!(request.send().await.unwrap().status(), 503, "with nobody to ask");
    }
    assert_eq!(upstream.requests(), passed, "of what was denied nothing arrived");
    // A deprecated field is accepted with a warning now and refused by a later Envoy.
    assert!(!envoy.log().contains("deprecated"), "{}", envoy.log());
    let told =
        "a good token passes, nothing else does, and no header in claimgate's name but its own";
    // tests/compatibility.sh looks whether it is the version that was asked for.
    let version = envoy.version().await;
    report(&format!("{FOLDER}/{file}, run by Envoy {version}: {told}"));
    envoy
}

/// A claimgate that listens so, and a token that is good there.
pub(crate) async fn claimgate(listen: &Value) -> (TestService, String) {
    let (key, token) = key_and_token();
    let mut config = inline(&key);
    config["listen"] = listen.clone();
    config["listen"]["admin"] = "127.0.0.1:0".into();
    let config = Config::from_yaml(&config.to_string(), Path::new(".")).unwrap();
    (TestService::run(config, Options::default()).await, token)
}

fn endpoint(config: &mut Value) -> &mut Value {
    let assignment = &mut envoy::cluster(config, CLAIMGATE)["load_assignment"];
    &mut assignment["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn read(file: &str) -> Value {
    envoy::read_yaml(&format!("{FOLDER}/{file}"))
}

fn documented(file: &str) -> Value {
    envoy::documented(&format!("{FOLDER}/{file}"))
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// An Envoy that somebody has: one listener, one upstream, nothing of ours.
const PLAIN: &str = r#"{
    "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
    "static_resources": {
        "listeners": [{
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                    "stat_prefix": "plain",
                    "route_config": {"virtual_hosts": [{
                        "name": "all", "domains": ["*"],
                        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}]
                    }]},
                    "http_filters": [{
                        "name": "router",
                        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}
                    }]
                }
            }]}]
        }],
        "clusters": [{
            "name": "upstream", "type": "STATIC",
            "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": [{
                "endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 8080}}}
            }]}]}
        }]
    }
}"#;
