//! The whole circle, with nothing in it that is not the real thing: an issuer, claimgate, Envoy and two services behind
//! it. A client gets a token, both services see who it is, keys are rotated in the safe order, sessions are ended, refresh
//! tokens stolen, and what everything stands on is taken away and brought back. All the while other clients ask, some
//! hundreds of times a second, and not one of them gets a wrong answer.

use std::cell::{Cell, RefCell};
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use claimgate::util::clock::Stopwatch;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::envoy::{self, Envoy};
use crate::issuer_process::{IssuerProcess, Tokens, claimgate, config};
use crate::load::report;
use crate::redis::RedisServer;
use crate::service::{TestService, eventually};
use crate::upstream::Upstream;

/// What a verifier may keep the keys for. The issuer says so, less the two seconds in which it notices a change.
const KEY: [&str; 6] = ["--type", "rsa-2048", "--kid", "first", "--jwks-max-age", "4s"];

const ASKERS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_known_to_both_services_until_it_is_not_whatever_is_taken_away_meanwhile() {
    let redis = RedisServer::start();
    // That its list begins here, as `claimgate revoke init` says it.
    redis.ask(&["SET", "{claimgate:revocation}:v1:epoch", "of this test"]);
    around(51, Store::Redis(redis)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_is_true_with_a_watched_file_for_a_store() {
    around(53, Store::File).await;
}

/// What has the revocations.
enum Store {
    Redis(RedisServer),
    File,
}

async fn around(host: u8, store: Store) {
    let mut circle = Circle::start(host, store).await;
    let load = Load::default();
    let watch = Stopwatch::start();
    let (ingress, issuer_at) = (circle.ingress, circle.issuer.http);
    let tokens = RefCell::new(Vec::new());
    for _ in 0..ASKERS {
        let token = circle.issuer.tokens("worker").await.access;
        tokens.borrow_mut().push(token);
    }
    let askers = join_all((0..ASKERS).map(|nth| load.ask(ingress, &tokens, nth)));
    let story = async {
        circle.tell(&load, &tokens).await;
        load.done.set(true);
    };
    tokio::join!(askers, story);
    let (asked, seconds) = (load.asked.get(), watch.elapsed().as_secs_f64());
    let rate = f64::from(asked) / seconds;
    report(&format!(
        "the circle: {asked} requests in {seconds:.1} s ({rate:.0} a second), wrong answers: {}; issuer at {issuer_at}",
        load.wrong.borrow().len()
    ));
    assert!(load.wrong.borrow().is_empty(), "{:?}", load.wrong.borrow());
    assert!(rate >= 200.0, "{rate} requests a second");
    circle.service.stop().await.unwrap();
}

struct Circle {
    store: Store,
    issuer: IssuerProcess,
    service: TestService,
    _envoy: Envoy,
    ingress: SocketAddr,
    orders: Upstream,
    stock: Upstream,
    client: reqwest::Client,
}

impl Circle {
    async fn start(host: u8, store: Store) -> Self {
        let mut config = config();
        config["lifetime"] = "10m".into();
        if let Store::Redis(redis) = &store {
            config["revocation"] = json!({"redis": {"url": redis.unix_url()}});
        }
        let issuer = IssuerProcess::start_with(host, &KEY, config).await;
        let service = TestService::start(trusting(&issuer, &store)).await;
        service.until_ready().await;
        let (orders, stock) = (Upstream::start().await, Upstream::start().await);
        let mut config = envoy::shipped("envoy.yaml", &[envoy::tcp(service.grpc)]);
        envoy::pass_on_to(&mut config, orders.address);
        // The second service: a cluster like the first, and a route to it.
        let mut cluster = envoy::cluster(&mut config, "upstream").clone();
        cluster["name"] = "stock".into();
        cluster["load_assignment"]["cluster_name"] = "stock".into();
        let endpoint =
            &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
        endpoint["address"] = envoy::tcp(stock.address);
        config["static_resources"]["clusters"].as_array_mut().unwrap().push(cluster);
        let manager = envoy::manager(&mut config);
        let routes = &mut manager["route_config"]["virtual_hosts"][0]["routes"];
        let route =
            json!({"match": {"path_separated_prefix": "/stock"}, "route": {"cluster": "stock"}});
        routes.as_array_mut().unwrap().insert(0, route);
        // On a busy machine a quarter of a second passes without anybody's fault.
        manager["http_filters"][1]["typed_config"]["grpc_service"]["timeout"] = "10s".into();
        let envoy = Envoy::start(&config);
        let ingress = envoy.ingress().await;
        envoy.until_healthy(1).await;
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { store, issuer, service, _envoy: envoy, ingress, orders, stock, client }
    }

    async fn tell(&mut self, load: &Load, tokens: &RefCell<Vec<String>>) {
        let worker = self.issuer.tokens("worker").await;
        self.both_services_see(&worker, "worker", "reader").await;
        let agent = self.issuer.tokens("agent").await;
        self.both_services_see(&agent, "agent", "reader,writer").await;
        let (status, answer) = self.issuer.refresh("agent", &agent.refresh).await;
        assert_eq!(status, 200, "{answer}");
        let agent = Tokens::of(&answer);
        self.both_services_see(&agent, "agent", "reader,writer").await;

        self.rotate(load, tokens, &worker).await;

        // Logged out: the session's tokens, and no others.
        let (ended, goes_on) =
            (self.issuer.tokens("agent").await, self.issuer.tokens("agent").await);
        self.passes(&ended).await;
        let body = format!("token={}", ended.access);
        assert_eq!(self.issuer.post("/logout", "agent", &body).await.0, 200);
        let after_logout = self.until_revoked(&ended).await;
        self.passes(&goes_on).await;
        assert_eq!(self.issuer.refresh("agent", &ended.refresh).await.0, 400);

        // Stolen: the thief was faster, and the client's own use shows it.
        let stolen = self.issuer.tokens("agent").await;
        let (status, answer) = self.issuer.refresh("agent", &stolen.refresh).await;
        assert_eq!(status, 200, "{answer}");
        let thief = Tokens::of(&answer);
        self.passes(&thief).await;
        assert_eq!(self.issuer.refresh("agent", &stolen.refresh).await.0, 400);
        let after_theft = self.until_revoked(&thief).await;
        self.is_revoked(&stolen).await;
        assert_eq!(self.issuer.refresh("agent", &thief.refresh).await.0, 400);
        self.passes(&goes_on).await;
        report(&format!(
            "the circle: refused {:.0} ms after the logout, {:.0} ms after a token was used twice",
            after_logout.as_secs_f64() * 1e3,
            after_theft.as_secs_f64() * 1e3
        ));

        // The store is gone: what it said stays in force.
        self.take_store_away();
        let failed = ["claimgate_revocation_syncs_total", "result=\"unreachable\""];
        eventually("the list missed", async || self.service.metric(&failed).await > 0.0).await;
        load.goes_on(200).await;
        self.is_revoked(&ended).await;
        self.is_revoked(&thief).await;
        self.passes(&goes_on).await;

        // And the issuer is gone.
        self.issuer.kill().await;
        let failed = ["claimgate_jwks_refresh_total", "result=\"unreachable\""];
        eventually("keys missed", async || self.service.metric(&failed).await > 0.0).await;
        load.goes_on(400).await;
        self.is_revoked(&ended).await;
        self.passes(&goes_on).await;
        self.passes(&worker_of(tokens)).await;

        // Everything is back.
        self.bring_store_back();
        self.issuer.start_again().await;
        let loaded = ["claimgate_revocation_stale"];
        eventually("the list is back", async || self.service.metric(&loaded).await < 0.5).await;
        let new = self.issuer.tokens("worker").await;
        self.both_services_see(&new, "worker", "reader").await;
        self.is_revoked(&ended).await;
        assert_eq!(
            self.issuer.post("/revoke", "worker", &format!("token={}", new.access)).await.0,
            200
        );
        self.until_revoked(&new).await;
        self.is_revoked(&thief).await;
        if let Store::Redis(_) = self.store {
            // Sessions have outlived the issuer.
            let (status, answer) = self.issuer.refresh("agent", &goes_on.refresh).await;
            assert_eq!(status, 200, "{answer}");
            self.passes(&Tokens::of(&answer)).await;
        }
        load.goes_on(200).await;
        assert!(self.orders.requests() > 400 && self.stock.requests() > 400);
    }

    fn take_store_away(&mut self) {
        match &mut self.store {
            Store::Redis(redis) => redis.kill(),
            Store::File => {
                fs::rename(self.issuer.path("revoked.jsonl"), self.issuer.path("aside")).unwrap();
            }
        }
    }

    fn bring_store_back(&mut self) {
        match &mut self.store {
            Store::Redis(redis) => redis.start_again(),
            Store::File => {
                fs::rename(self.issuer.path("aside"), self.issuer.path("revoked.jsonl")).unwrap();
            }
        }
    }

    /// In the safe order: no step before it is allowed, and none by force.
    async fn rotate(&self, load: &Load, tokens: &RefCell<Vec<String>>, old: &Tokens) {
        let folder = self.issuer.folder.path();
        let step = |more: &[&str]| {
            claimgate(folder, &[&["keys", "rotate", "--dir", "keys"], more].concat())
        };
        let (published, told) = step(&["--kid", "second"]);
        assert!(published, "{told}");
        let (early, told) = step(&[]);
        assert!(!early && told.contains("Allowed from"), "{told}");
        load.goes_on(400).await;
        eventually("allowed to sign", async || step(&[]).0).await;
        let new = self.until_signed_with("second").await;
        self.passes(&new).await;
        self.passes(old).await;
        for nth in 0..ASKERS {
            let token = self.issuer.tokens("worker").await.access;
            tokens.borrow_mut()[nth] = token;
        }
        load.goes_on(400).await;
    }

    async fn until_signed_with(&self, kid: &str) -> Tokens {
        let mut found = None;
        eventually("signed with the next key", async || {
            let token = self.issuer.tokens("worker").await;
            let header = token.access.split('.').next().unwrap().to_owned();
            let header =
                base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, header);
            let header: Value = serde_json::from_slice(&header.unwrap()).unwrap();
            // Every one of them is good, by whichever key.
            self.passes(&token).await;
            found = (header["kid"] == kid).then_some(token);
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    /// The verified claims, at each of the two.
    async fn both_services_see(&self, tokens: &Tokens, sub: &str, roles: &str) {
        for path in ["/orders", "/stock"] {
            let (status, body) = get(&self.client, self.ingress, path, &tokens.access).await;
            assert_eq!(status, 200, "{path}: {body}");
            let seen: Vec<[String; 2]> = serde_json::from_str(&body).unwrap();
            let value = |wanted: &str| {
                let mut named = seen.iter().filter(|[name, _]| name == wanted);
                named.next().map(|[_, value]| value.clone()).unwrap_or_default()
            };
            assert_eq!(
                (value("x-jwt-sub").as_str(), value("x-jwt-roles").as_str()),
                (sub, roles),
                "{path}"
            );
            assert_eq!(value("authorization"), "", "the token itself goes no further");
        }
    }

    async fn passes(&self, tokens: &Tokens) {
        for path in ["/orders", "/stock"] {
            let (status, body) = get(&self.client, self.ingress, path, &tokens.access).await;
            assert_eq!(status, 200, "{path}: {body}");
        }
    }

    async fn is_revoked(&self, tokens: &Tokens) {
        for path in ["/orders", "/stock"] {
            let (status, body) = get(&self.client, self.ingress, path, &tokens.access).await;
            assert!(status == 401 && body.contains("\"revoked\""), "{path}: {status} {body}");
        }
    }

    /// How long it took from now, when it was written.
    async fn until_revoked(&self, tokens: &Tokens) -> Duration {
        let watch = Stopwatch::start();
        eventually("revoked", async || {
            get(&self.client, self.ingress, "/orders", &tokens.access).await.0 == 401
        })
        .await;
        let took = watch.elapsed();
        self.is_revoked(tokens).await;
        took
    }
}

fn worker_of(tokens: &RefCell<Vec<String>>) -> Tokens {
    Tokens { access: tokens.borrow()[0].clone(), refresh: String::new() }
}

/// A claimgate that trusts the issuer, for two services that accept different audiences.
fn trusting(issuer: &IssuerProcess, store: &Store) -> Value {
    let revocation = match store {
        Store::Redis(redis) => json!({"redis": {"url": redis.unix_url()}}),
        Store::File => json!({"file": issuer.path("revoked.jsonl")}),
    };
    let of = |service: &str| {
        json!({
            "name": service, "match": {"path_prefix": format!("/{service}")},
            "require": {"issuer": "platform", "audiences": [service]},
        })
    };
    json!({
        "profile": "development",
        "issuers": [{
            "name": "platform", "issuer": issuer.url(), "audiences": ["orders", "stock"],
            "keys": [{"discovery": true}], "refresh": {"min": "1s", "interval": "1s"},
        }],
        "revocation": revocation,
        "forward": {
            "headers": [
                {"claim": "sub", "header": "x-jwt-sub"},
                {"claim": "roles", "header": "x-jwt-roles"},
            ],
            "strip": ["x-jwt-*"],
        },
        "rules": [of("orders"), of("stock")],
    })
}

async fn get(
    client: &reqwest::Client,
    ingress: SocketAddr,
    path: &str,
    token: &str,
) -> (u16, String) {
    let request = client.get(format!("http://{ingress}{path}")).bearer_auth(token);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Clients with good tokens, at both services.
#[derive(Default)]
struct Load {
    asked: Cell<u32>,
    wrong: RefCell<Vec<String>>,
    done: Cell<bool>,
}

impl Load {
    async fn ask(&self, ingress: SocketAddr, tokens: &RefCell<Vec<String>>, nth: usize) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut paths = ["/orders", "/stock"].into_iter().cycle();
        while !self.done.get() {
            let (path, token) = (paths.next().unwrap(), tokens.borrow()[nth].clone());
            let request = client.get(format!("http://{ingress}{path}")).bearer_auth(token);
            match request.send().await {
                Ok(answer) if answer.status().as_u16() == 200 => {}
                Ok(answer) => self.wrong.borrow_mut().push(format!("{path}: {}", answer.status())),
                Err(error) => self.wrong.borrow_mut().push(format!("{path}: {error}")),
            }
            self.asked.set(self.asked.get() + 1);
        }
    }

    /// Waits until so many more were answered.
    async fn goes_on(&self, requests: u32) {
        let until = self.asked.get() + requests;
        eventually("asked", async || self.asked.get() >= until).await;
    }
}
