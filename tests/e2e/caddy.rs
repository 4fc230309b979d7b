//! The Caddy that Debian has, with the configuration that we ship and claimgate behind its `forward_auth`.

use serde_json::json;

use crate::proxies::{Proxy, World, ask, keeps_its_promises, shipped};

const FILE: &str = "deploy/caddy/Caddyfile";

async fn start(world: &World) -> Proxy {
    let config = |listen: std::net::SocketAddr, _: &std::path::Path| {
        let site = format!("http://:{} {{\n\tbind 127.0.0.1\n", listen.port());
        shipped(
            FILE,
            &[
                ("http://:10080 {\n", &site),
                ("forward_auth 127.0.0.1:9192", &format!("forward_auth {}", world.service.http)),
                (
                    "reverse_proxy 127.0.0.1:8080",
                    &format!("reverse_proxy {}", world.upstream.address),
                ),
            ],
        )
    };
    let arguments = ["run", "--config", "config", "--adapter", "caddyfile"];
    Proxy::start("caddy", config, &arguments).await
}

#[tokio::test]
async fn caddy_keeps_claimgates_promises() {
    let world = World::start(FILE).await;
    let caddy = start(&world).await;
    let spoofed = format!("authorization: Bearer {}\r\nx-jwt-else: mallory\r\n", world.token);
    let answer = ask(caddy.address, "GET", "/orders", &spoofed).await;
    assert_eq!(answer.identity(), ["x-jwt-sub: alice"], "whatever its name is");
    keeps_its_promises(FILE, &caddy, world, 502).await;
}

#[tokio::test]
async fn caddy_takes_a_token_out_of_a_cookie_and_leaves_the_rest() {
    let world = World::start_with(FILE, |config| {
        config["tokens"] = json!([{"cookie": "session"}]);
    })
    .await;
    let caddy = start(&world).await;
    for (sent, expected) in [
        (format!("a=1; session={}; b=2", world.token), vec!["cookie: a=1; b=2"]),
        (format!("session={}", world.token), vec![]),
    ] {
        let answer = ask(caddy.address, "GET", "/orders", &format!("cookie: {sent}\r\n")).await;
        assert_eq!((answer.status, answer.identity()), (200, vec!["x-jwt-sub: alice".to_owned()]));
        let arrived = answer.arrived();
        let cookies: Vec<_> = arrived.iter().filter(|line| line.starts_with("cookie")).collect();
        assert_eq!(cookies, expected);
    }
    world.service.stop().await.unwrap();
}

#[tokio::test]
async fn a_caddy_that_is_not_trusted_lets_nothing_pass() {
    let world = World::start_with(FILE, |config| {
        config["listen"]["trusted_forwarders"] = json!(["127.0.0.2"]);
    })
    .await;
    let caddy = start(&world).await;
    let bearer = format!("authorization: Bearer {}\r\n", world.token);
    for target in ["/orders", "/healthz"] {
        assert_eq!(ask(caddy.address, "GET", target, &bearer).await.status, 401);
    }
    assert_eq!(world.upstream.requests(), 0);
    world.service.stop().await.unwrap();
}
