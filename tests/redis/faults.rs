//! What a Redis can do to a service, one fault a test: what was revoked stays refused, all else passes, and once it is well
//! again what is revoked then is refused too.

use serde_json::json;

use crate::server::RedisServer;
use crate::service::{Answer, eventually};
use crate::world::{World, key};

async fn world() -> (RedisServer, World) {
    let redis = RedisServer::start();
    let world = World::start(&json!({"url": redis.unix_url()})).await;
    (redis, world)
}

#[tokio::test]
async fn killed_and_back_with_what_it_had() {
    let (mut redis, mut world) = world().await;
    redis.kill();
    world.until_synced_with("unreachable").await;
    world.holds().await;
    redis.start_again();
    world.revoke("later").await;
    world.holds().await;
    assert_eq!(world.epoch_changes().await, 0.0, "nothing was lost");
}

#[tokio::test]
async fn killed_and_back_empty() {
    let (mut redis, mut world) = world().await;
    redis.kill();
    redis.forget();
    redis.start_again();
    world.until_synced_with("no_epoch").await;
    world.holds().await;
    world.writer.init("two").await.unwrap();
    eventually("alarmed", async || world.epoch_changes().await > 0.0).await;
    world.holds().await;
    world.revoke("later").await;
}

#[tokio::test]
async fn emptied_under_an_open_connection() {
    let (redis, mut world) = world().await;
    redis.ask(&["FLUSHALL"]);
    world.until_synced_with("no_epoch").await;
    world.holds().await;
    world.write("while it has no epoch").await;
    world.until_synced_with("no_epoch").await;
    assert!(world.ask("while it has no epoch").await.is_allowed(), "nobody knows what it lost");
    world.writer.init("two").await.unwrap();
    world.until_refused("while it has no epoch").await;
    world.holds().await;
}

#[tokio::test]
async fn stopped_and_continued() {
    let (redis, mut world) = world().await;
    redis.pause();
    world.until_synced_with("timeout").await;
    world.holds().await;
    redis.resume();
    world.revoke("later").await;
    world.holds().await;
}

#[tokio::test]
async fn its_clients_paused() {
    let (redis, mut world) = world().await;
    redis.ask(&["CLIENT", "PAUSE", "6000", "ALL"]);
    world.until_synced_with("timeout").await;
    world.holds().await;
    world.revoke("later").await;
}

#[tokio::test]
async fn slow_but_in_time() {
    let (redis, mut world) = world().await;
    redis.ask(&["DEBUG", "SLEEP", "1.5"]);
    world.revoke("later").await;
    world.holds().await;
    for result in ["timeout", "unreachable", "malformed"] {
        let label = format!("result=\"{result}\"");
        let count = world.service.metric(&["claimgate_revocation_syncs_total", &label]).await;
        assert_eq!(count, 0.0, "{result}");
    }
}

#[tokio::test]
async fn gone_for_longer_than_max_stale() {
    let mut redis = RedisServer::start();
    let store = json!({"url": redis.unix_url()});
    let mut world = World::start_with(json!({"redis": store, "max_stale": "1s"}), &store).await;
    redis.kill();
    let stale = Answer::denied(503, "revocation_stale");
    eventually("stale", async || world.ask("another").await == stale).await;
    assert_eq!(world.ask("revoked before").await, Answer::denied(401, "revoked"));
    redis.start_again();
    eventually("heard again", async || world.ask("another").await.is_allowed()).await;
    world.revoke("later").await;
}

#[tokio::test]
async fn not_there_at_the_start() {
    let mut redis = RedisServer::start();
    redis.kill();
    let store = json!({"url": redis.unix_url()});
    let mut world = World::start_as_it_is(json!({"redis": store}), &store).await;
    let (status, page) = world.service.admin("/readyz").await;
    assert_eq!(status, 503, "{page}");
    assert_eq!(world.ask("another").await, Answer::denied(503, "revocation_stale"));
    redis.start_again();
    world.until_synced_with("no_epoch").await;
    assert_eq!(world.service.admin("/readyz").await.0, 503, "an empty store is no empty list");
    world.writer.init("one").await.unwrap();
    world.until_ready().await;
    world.revoke("later").await;
}

#[tokio::test]
async fn its_keys_of_another_type() {
    let (redis, mut world) = world().await;
    redis.ask(&["RENAME", &key("changes"), "aside"]);
    redis.ask(&["LPUSH", &key("changes"), "x"]);
    world.until_synced_with("malformed").await;
    world.holds().await;
    let (_, page) = world.service.admin("/status").await;
    assert!(page.contains("WRONGTYPE"), "{page}");
    redis.ask(&["DEL", &key("changes")]);
    redis.ask(&["RENAME", "aside", &key("changes")]);
    world.revoke("later").await;
    redis.ask(&["DEL", &key("epoch")]);
    redis.ask(&["SADD", &key("epoch"), "one"]);
    world.until_synced_with("malformed").await;
    world.holds().await;
}

#[tokio::test]
async fn with_entries_that_cannot_be_read() {
    let redis = RedisServer::start();
    redis.ask(&["HSET", &key("entry:hash"), "a", "b"]);
    redis.ask(&["SET", &key("entry:garbage"), "\u{0}\u{1b}[31m{"]);
    let store = json!({"url": redis.unix_url()});
    let mut world = World::start(&store).await;
    assert_eq!(world.service.metric(&["claimgate_revocation_skipped_entries"]).await, 2.0);
    redis.ask(&["XADD", &key("changes"), "*", "entry", "{\"v\":1,\"kind\":\"everything\"}"]);
    world.revoke("later").await;
    assert_eq!(world.service.metric(&["claimgate_revocation_skipped_entries"]).await, 3.0);
    let (_, page) = world.service.admin("/status").await;
    assert!(!page.contains('\u{1b}'), "{page}");
}

#[tokio::test]
async fn full() {
    let (redis, mut world) = world().await;
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let entry = crate::world::entry("later");
    let now = claimgate::util::clock::Clock::now(&claimgate::util::clock::SystemClock);
    let error = world.writer.write(&entry, now).await.unwrap_err();
    assert_eq!(error.code(), Some("OOM"), "{error}");
    world.until_synced_with("unchanged").await;
    world.holds().await;
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    world.revoke("later").await;
}

#[tokio::test]
async fn throwing_entries_away_to_make_room() {
    let (redis, mut world) = world().await;
    redis.ask(&["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]);
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let _refused = redis.run(&["SET", "more", "x"]).is_err();
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    redis.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    eventually("alarmed", async || world.epoch_changes().await > 0.0).await;
    world.holds().await;
    world.revoke("later").await;
}

#[tokio::test]
async fn a_right_taken_away_from_the_reader() {
    let (redis, mut world) = world().await;
    redis.ask(&["ACL", "SETUSER", "default", "-xread"]);
    world.until_synced_with("denied").await;
    world.holds().await;
    let (_, page) = world.service.admin("/status").await;
    assert!(page.contains("NOPERM"), "{page}");
    redis.ask(&["ACL", "SETUSER", "default", "+xread"]);
    world.revoke("later").await;
}

#[tokio::test]
async fn a_writer_that_died_before_it_told_the_stream() {
    let (redis, world) = world().await;
    let text = crate::world::entry("half written").to_json();
    redis.ask(&["SET", &key("entry:half"), &text, "EX", "3600"]);
    // Any reason to read everything again will do; it comes by itself within ten minutes.
    redis.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    world.until_refused("half written").await;
}
