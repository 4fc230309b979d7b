//! The Caddy that Debian has, with the configuration that we ship and claimgate behind its `forward_auth`.

use crate::proxies::{
    Proxy, World, ask, keeps_its_promises, lets_nothing_pass, shipped,
    takes_a_token_out_of_a_cookie, trusting_nobody_here, with_a_cookie,
};

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
    let world = World::start_with(FILE, with_a_cookie).await;
    let caddy = start(&world).await;
    takes_a_token_out_of_a_cookie(&caddy, world).await;
}

#[tokio::test]
async fn a_caddy_that_is_not_trusted_lets_nothing_pass() {
    let world = World::start_with(FILE, trusting_nobody_here).await;
    let caddy = start(&world).await;
    lets_nothing_pass(&caddy, world).await;
}
