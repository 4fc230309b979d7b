//! The nginx that Debian has, with the configuration that we ship and claimgate behind its `auth_request`.

use std::net::SocketAddr;
use std::path::Path;

use crate::proxies::{
    Proxy, World, ask, keeps_its_promises, lets_nothing_pass, shipped,
    takes_a_token_out_of_a_cookie, trusting_nobody_here, with_a_cookie,
};

const FILE: &str = "deploy/nginx/nginx.conf";

/// One process, so that it ends whole.
const ARGUMENTS: [&str; 8] =
    ["-e", "stderr", "-p", ".", "-c", "config", "-g", "daemon off; master_process off;"];

fn config(world: &World, listen: SocketAddr, directory: &Path) -> String {
    let place = |name: &str| directory.join(name).display().to_string();
    let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("    {name}_temp_path {};\n", place(name)))
        .concat();
    shipped(
        FILE,
        &[
            ("listen 10080;", &format!("listen {listen};")),
            ("server 127.0.0.1:9192;", &format!("server {};", world.service.http)),
            ("server 127.0.0.1:8080;", &format!("server {};", world.upstream.address)),
            ("pid /run/nginx.pid;", &format!("pid {};", place("pid"))),
            ("error_log /var/log/nginx/error.log warn;", "error_log stderr warn;"),
            (
                "access_log /var/log/nginx/access.log",
                &format!("access_log {}", place("access.log")),
            ),
            ("worker_processes auto;", ""),
            // Where Debian's nginx has these, only the package makes.
            ("http {\n", &format!("http {{\n{paths}")),
        ],
    )
}

async fn start(world: &World) -> Proxy {
    Proxy::start("nginx", |listen, directory| config(world, listen, directory), &ARGUMENTS).await
}

#[tokio::test]
async fn nginx_keeps_claimgates_promises() {
    let world = World::start(FILE).await;
    let nginx = start(&world).await;
    keeps_its_promises(FILE, &nginx, world, 503).await;
}

#[tokio::test]
async fn nginx_takes_a_token_out_of_a_cookie_and_leaves_the_rest() {
    let world = World::start_with(FILE, with_a_cookie).await;
    let nginx = start(&world).await;
    takes_a_token_out_of_a_cookie(&nginx, world).await;
}

#[tokio::test]
async fn an_nginx_that_is_not_trusted_or_forgets_a_header_lets_nothing_pass() {
    let world = World::start_with(FILE, trusting_nobody_here).await;
    let nginx = start(&world).await;
    lets_nothing_pass(&nginx, world).await;
    drop(nginx);

    for name in ["X-Original-Method", "X-Original-URI", "X-Original-Host"] {
        let world = World::start(FILE).await;
        let forgetful = |listen, directory: &Path| {
            let text = config(&world, listen, directory);
            let is_it = |line: &&str| !line.contains(&format!("proxy_set_header {name} "));
            text.lines().filter(is_it).collect::<Vec<_>>().join("\n")
        };
        let nginx = Proxy::start("nginx", forgetful, &ARGUMENTS).await;
        let bearer = format!("authorization: Bearer {}\r\n", world.token);
        assert_eq!(ask(nginx.address, "GET", "/healthz", &bearer).await.status, 401, "{name}");
        world.service.stop().await.unwrap();
    }
}
