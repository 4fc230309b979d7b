//! Envoy's ext_authz over plain HTTP, with the configuration that we ship for it.

use serde_json::json;

use crate::envoy::{self, Envoy, shipped};
use crate::proxies::{World, ask};
use crate::shipped::{claimgate, keeps_its_promises};
use crate::upstream::Upstream;

const FILE: &str = "http-ext-authz.yaml";

#[tokio::test]
async fn envoys_http_service_keeps_claimgates_promises() {
    let upstream = Upstream::start().await;
    let listen = json!({"grpc": "127.0.0.1:0", "http": "127.0.0.1:0"});
    let (service, token) = claimgate(&listen).await;
    let config = shipped(FILE, &[envoy::tcp(service.http)]);
    keeps_its_promises(FILE, config, service, &token, &upstream).await;
}

#[tokio::test]
async fn envoys_http_service_shows_claimgate_the_clients_request_and_takes_tokens_away() {
    let file = format!("deploy/envoy/{FILE}");
    let world = World::start_with(&file, |config| {
        config["tokens"] = json!([{"header": "authorization"}, {"cookie": "session"}]);
        config["rules"] = json!([
            {"name": "open", "match": {"hosts": ["orders.example.com"], "path": "/open", "methods": ["PUT"]}, "allow": "anyone"},
            {"name": "rest", "require": {"issuer": "accounts"}},
        ]);
    })
    .await;
    let mut config = shipped(FILE, &[envoy::tcp(world.service.http)]);
    envoy::pass_on_to(&mut config, world.upstream.address);
    let envoy = Envoy::start(&config);
    let ingress = envoy.ingress().await;
    let alice = vec!["x-jwt-sub: alice".to_owned()];
    for (sent, cookies) in [
        (format!("cookie: a=1; session={}; b=2\r\n", world.token), vec!["cookie: a=1; b=2"]),
        (format!("cookie: session={}\r\n", world.token), vec![]),
        (format!("cookie: a=1\r\nauthorization: Bearer {}\r\n", world.token), vec!["cookie: a=1"]),
    ] {
        let answer = ask(ingress, "GET", "/orders", &sent).await;
        assert_eq!((answer.status, answer.identity()), (200, alice.clone()), "{answer:?}");
        let arrived = answer.arrived();
        assert!(!arrived.iter().any(|line| line.contains("headers-to-remove")), "{arrived:?}");
        let found: Vec<_> = arrived.iter().filter(|line| line.starts_with("cookie")).collect();
        assert_eq!(found, cookies);
    }
    let roles = format!("authorization: Bearer {}\r\nx-jwt-roles: root\r\n", world.with_roles);
    let expected = ["x-jwt-roles: clerk,admin", "x-jwt-sub: alice"];
    assert_eq!(ask(ingress, "GET", "/orders", &roles).await.identity(), expected);
    // Method, path and host are the client's.
    assert_eq!(ask(ingress, "PUT", "/open?a", "content-length: 0\r\n").await.status, 200);
    for (method, target) in [("GET", "/open"), ("PUT", "/open/a"), ("PUT", "/auth/envoy/open")] {
        let answer = ask(ingress, method, target, "content-length: 0\r\n").await;
        assert_eq!(answer.status, 401, "{method} {target}");
        assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer realm="claimgate""#));
    }
    for forged in
        ["x-original-uri: /open\r\n", "x-forwarded-uri: /open\r\n", "x-forwarded-host: a\r\n"]
    {
        assert_eq!(ask(ingress, "GET", "/orders", forged).await.status, 401, "{forged}");
    }
    world.service.stop().await.unwrap();
}
