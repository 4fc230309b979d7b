//! The ways to reach a Redis: TLS and a client's certificate, an account, Sentinels, a Cluster.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::authority::{Authority, Pair};
use crate::kept;
use crate::server::RedisServer;
use crate::service::eventually;
use crate::world::{World, key};

fn put(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    if name == "password" {
        kept::secret(text);
    }
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

fn put_pair(directory: &Path, name: &str, pair: &Pair) -> [String; 2] {
    let certificate = put(directory, &format!("{name}.pem"), &pair.certificate);
    [certificate, put(directory, &format!("{name}.key"), &pair.key)]
}

/// What a server or a Sentinel is told that speaks TLS on `port` and wants a certificate.
fn tls_on(port: u16, authority: &Authority, directory: &Path) -> Vec<String> {
    let ca = put(directory, "ca.pem", &authority.pem);
    let [certificate, key] = put_pair(directory, "server", &authority.issue(&["redis.example"]));
    let port = port.to_string();
    ["--tls-port", &port, "--tls-cert-file", &certificate, "--tls-key-file", &key]
        .into_iter()
        .chain(["--tls-ca-cert-file", &ca, "--tls-auth-clients", "yes"])
        .map(str::to_owned)
        .collect()
}

/// A Redis that speaks TLS and wants a certificate; its URL.
fn with_tls(authority: &Authority, directory: &Path) -> (RedisServer, String) {
    let port = crate::server::free_port();
    let arguments = tls_on(port, authority, directory);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    (RedisServer::start_with(&arguments), format!("rediss://127.0.0.1:{port}"))
}

#[tokio::test]
async fn over_tls_with_a_certificate_for_each_side() {
    let (authority, files) = (Authority::new(), tempfile::tempdir().unwrap());
    let (redis, url) = with_tls(&authority, files.path());
    let [certificate, key] = put_pair(files.path(), "client", &authority.issue(&["claimgate"]));
    let right = json!({
        "url": url, "ca_file": files.path().join("ca.pem"), "server_name": "redis.example",
        "client_cert_file": certificate, "client_key_file": key,
    });
    let mut world = World::start(&right).await;
    world.revoke("later").await;

    let stranger = put(files.path(), "stranger.pem", &Authority::new().pem);
    let changed = |key: &str, value: Value| {
        let mut wrong = right.clone();
        wrong[key] = value;
        wrong
    };
    let without = |keys: [&str; 2]| {
        let mut wrong = right.clone();
        keys.iter().for_each(|key| drop(wrong.as_object_mut().unwrap().remove(*key)));
        wrong
    };
    for (wrong, word) in [
        (changed("ca_file", json!(stranger)), "UnknownIssuer"),
        (changed("server_name", json!("other.example")), "not valid for name"),
        (without(["client_cert_file", "client_key_file"]), ""),
        (without(["ca_file", ""]), "UnknownIssuer"),
    ] {
        let unix = json!({"url": redis.unix_url()});
        let world = World::start_as_it_is(json!({"redis": wrong}), &unix).await;
        world.until_synced_with("unreachable").await;
        assert_eq!(world.service.admin("/readyz").await.0, 503, "{wrong}");
        let (_, page) = world.service.admin("/status").await;
        assert!(page.contains(word), "{wrong}: {page}");
    }
}

#[tokio::test]
async fn as_a_user_that_may_only_read() {
    let redis = RedisServer::start();
    let document = include_str!("../../deploy/revocation.md");
    for user in ["claimgate", "revoker"] {
        let begin = format!("ACL SETUSER {user} ");
        let line = document.lines().find(|line| line.starts_with(&begin)).unwrap();
        let line = line.replace("PASSWORD", user);
        redis.ask(&line.split(' ').collect::<Vec<_>>());
    }
    let files = tempfile::tempdir().unwrap();
    let store = |user: &str| {
        let password_file = put(files.path(), user, &format!("{user}\n"));
        json!({"url": redis.unix_url(), "username": user, "password_file": password_file})
    };
    let (reading, writing) = (store("claimgate"), store("revoker"));
    let mut world = World::start_with(json!({"redis": reading}), &writing).await;
    world.revoke("later").await;
    let entry = crate::world::entry("read only");
    let now = claimgate::util::clock::Clock::now(&claimgate::util::clock::SystemClock);
    let error = crate::world::writer(&reading).write(&entry, now).await.unwrap_err();
    assert_eq!(error.code(), Some("NOPERM"), "{error}");
    let log = redis.ask(&["ACL", "LOG"]);
    let log = format!("{log:?}");
    assert!(!log.contains("xread") && !log.contains("scan"), "{log}");
}

#[tokio::test]
async fn with_the_wrong_password() {
    const WRONG: &str = "another-password-than-its-own";
    const RIGHT: &str = "the-password-of-claimgate";
    let redis = RedisServer::start();
    redis.ask(&["ACL", "SETUSER", "claimgate", "on", &format!(">{RIGHT}"), "~*", "+@all"]);
    let files = tempfile::tempdir().unwrap();
    let password_file = put(files.path(), "password", WRONG);
    let store =
        json!({"url": redis.unix_url(), "username": "claimgate", "password_file": password_file});
    let unix = json!({"url": redis.unix_url()});
    let mut world = World::start_as_it_is(json!({"redis": store}), &unix).await;
    world.until_synced_with("denied").await;
    let (_, page) = world.service.admin("/status").await;
    assert!(page.contains("WRONGPASS") && !page.contains(WRONG), "{page}");
    put(files.path(), "password", RIGHT);
    world.writer.init("one").await.unwrap();
    world.until_ready().await;
    world.revoke("later").await;
}

#[tokio::test]
async fn failed_over_by_a_sentinel() {
    let mut master = RedisServer::start_on_a_port(&[]);
    let port = master.port.to_string();
    let replica = RedisServer::start_on_a_port(&["--replicaof", "127.0.0.1", &port]);
    let sentinel = RedisServer::sentinel("revocations", &master);
    knows_a_replica(&sentinel).await;
    let urls = [format!("redis://127.0.0.1:{}", sentinel.port)];
    let store = json!({"sentinel": {"master": "revocations", "urls": urls}});
    let mut world = World::start(&store).await;
    world.revoke("later").await;
    holds_keys(&replica, 4).await;
    fails_over(&mut world, &mut master).await;
    // It comes back as a replica, and nobody reads from it.
    master.start_again();
    world.revoke("later still").await;
}

/// The master is gone; what was revoked stays so, and what is revoked from then on is.
async fn fails_over(world: &mut World, master: &mut RedisServer) {
    master.kill();
    world.until_synced_with("unreachable").await;
    world.holds().await;
    world.revoke("by the new master").await;
    world.holds().await;
    assert_eq!(world.epoch_changes().await, 0.0, "it has all that the old one had");
}

/// Nothing speaks anything but TLS: servers to one another, the Sentinel to them, and we to all of them.
#[tokio::test]
async fn failed_over_by_a_sentinel_over_tls() {
    let (authority, files) = (Authority::new(), tempfile::tempdir().unwrap());
    let start = |more: &[&str]| {
        let port = crate::server::free_port();
        let tls = tls_on(port, &authority, files.path());
        let tls = tls.iter().map(String::as_str).chain(["--tls-replication", "yes"]);
        (RedisServer::start_with(&tls.chain(more.iter().copied()).collect::<Vec<_>>()), port)
    };
    let (mut master, port) = start(&[]);
    let (replica, _) = start(&["--replicaof", "127.0.0.1", &port.to_string()]);
    let sentinel_port = crate::server::free_port();
    let tls = tls_on(sentinel_port, &authority, files.path());
    let tls: Vec<&str> =
        tls.iter().map(String::as_str).chain(["--tls-replication", "yes", "--port", "0"]).collect();
    let sentinel = RedisServer::sentinel_with("revocations", port, &tls);
    knows_a_replica(&sentinel).await;
    let [certificate, key] = put_pair(files.path(), "client", &authority.issue(&["claimgate"]));
    let right = json!({
        "sentinel": {
            "master": "revocations", "urls": [format!("rediss://127.0.0.1:{sentinel_port}")],
        },
        "ca_file": files.path().join("ca.pem"), "server_name": "redis.example",
        "client_cert_file": certificate, "client_key_file": key,
    });
    let mut world = World::start(&right).await;
    world.revoke("later").await;
    holds_keys(&replica, 4).await;
    fails_over(&mut world, &mut master).await;

    // A Sentinel is believed no sooner than a server: it says where the list is.
    let stranger = put(files.path(), "stranger.pem", &Authority::new().pem);
    let mut wrong = right.clone();
    wrong["ca_file"] = json!(stranger);
    let deceived = World::start_as_it_is(json!({"redis": wrong}), &right).await;
    deceived.until_synced_with("unreachable").await;
    assert_eq!(deceived.service.admin("/readyz").await.0, 503);
    let (_, page) = deceived.service.admin("/status").await;
    assert!(page.contains("UnknownIssuer"), "{page}");
}

#[tokio::test]
async fn left_although_it_answers_once_the_sentinels_name_another() {
    let old = RedisServer::start_on_a_port(&[]);
    let new = RedisServer::start_on_a_port(&[]);
    let sentinel = RedisServer::sentinel("revocations", &old);
    let urls = [format!("redis://127.0.0.1:{}", sentinel.port)];
    let store = json!({"sentinel": {"master": "revocations", "urls": urls}});
    let mut world = World::start(&store).await;
    let mut writer = crate::world::writer(&json!({"url": new.tcp_url()}));
    writer.init("another").await.unwrap();
    // As a master that is cut off from its Sentinels, and hears of nothing new: nothing tells its clients.
    sentinel.ask(&["SENTINEL", "REMOVE", "revocations"]);
    let port = new.port.to_string();
    sentinel.ask(&["SENTINEL", "MONITOR", "revocations", "127.0.0.1", &port, "1"]);
    world.writer = writer;
    world.revoke("by the new master").await;
    world.holds().await;
    assert!(world.epoch_changes().await > 0.0, "the new one has never heard of the first entry");
}

/// Nodes of a Cluster, the second of which has our slot.
async fn cluster() -> [RedisServer; 2] {
    let start = || RedisServer::start_on_a_port(&["--cluster-enabled", "yes"]);
    let nodes = [start(), start()];
    let slot = nodes[0].ask(&["CLUSTER", "KEYSLOT", &key("epoch")]);
    let slot: u16 = redis::from_redis_value(slot).unwrap();
    // Each has a range of which some is left when our slot moves: one without any would become a replica.
    nodes[0].ask(&["CLUSTER", "ADDSLOTSRANGE", "0", &(slot - 1).to_string()]);
    nodes[1].ask(&["CLUSTER", "ADDSLOTSRANGE", &slot.to_string(), "16383"]);
    nodes[0].ask(&["CLUSTER", "MEET", "127.0.0.1", &nodes[1].port.to_string()]);
    for node in &nodes {
        let is_well = || {
            let info: String = redis::from_redis_value(node.ask(&["CLUSTER", "INFO"])).unwrap();
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:2")
        };
        eventually("a Cluster", async || is_well()).await;
    }
    nodes
}

#[tokio::test]
async fn in_a_cluster() {
    let nodes = cluster().await;
    let store = json!({"cluster": [nodes[0].tcp_url()]});
    let mut world = World::start(&store).await;
    world.revoke("later").await;
    // Half of the keys of a slot that is given away are elsewhere: that is no list.
    let id = |node: &RedisServer| {
        redis::from_redis_value::<String>(node.ask(&["CLUSTER", "MYID"])).unwrap()
    };
    let slot: u16 =
        redis::from_redis_value(nodes[0].ask(&["CLUSTER", "KEYSLOT", &key("epoch")])).unwrap();
    let slot = slot.to_string();
    let (giver, taker) = (id(&nodes[1]), id(&nodes[0]));
    nodes[0].ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &giver]);
    nodes[1].ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &taker]);
    nodes[1].ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    world.until_synced_with("unreachable").await;
    world.holds().await;
    let keys = nodes[1].ask(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]);
    let keys: Vec<String> = redis::from_redis_value(keys).unwrap();
    let port = nodes[0].port.to_string();
    for key in &keys {
        nodes[1].ask(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]);
    }
    for node in &nodes {
        node.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &taker]);
    }
    world.revoke("by the node that has it now").await;
    world.holds().await;
    assert_eq!(world.epoch_changes().await, 0.0);
}

async fn knows_a_replica(sentinel: &RedisServer) {
    let known = || {
        let replicas = sentinel.ask(&["SENTINEL", "REPLICAS", "revocations"]);
        redis::from_redis_value::<Vec<redis::Value>>(replicas).unwrap().len()
    };
    eventually("known to the Sentinel", async || known() == 1).await;
}

async fn holds_keys(replica: &RedisServer, count: usize) {
    let written = || redis::from_redis_value::<usize>(replica.ask(&["DBSIZE"])).unwrap();
    eventually("replicated", async || written() == count).await;
}
