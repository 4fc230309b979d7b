//! What `deploy/revocation.md` shows others to write is written by them as it stands there, and read by us.

use std::path::Path;
use std::process::Command;

use claimgate::util::clock::{Clock as _, SystemClock};
use serde_json::json;

use crate::server::RedisServer;
use crate::world::{ISSUER, World};

#[tokio::test]
async fn what_the_python_example_writes_is_refused() {
    let redis = RedisServer::start();
    let world = World::start(&json!({"url": redis.unix_url()})).await;
    let document = include_str!("../../deploy/revocation.md");
    let (_, rest) = document.split_once("```python\n").unwrap();
    let (example, _) = rest.split_once("```\n").unwrap();
    let exp = SystemClock.now().as_millis() / 1000 + 600;
    let socket = redis.socket().display().to_string();
    let script = format!(
        "{example}\nstore = redis.Redis(unix_socket_path={socket:?})\n\
         revoke_token(store, {ISSUER:?}, 'von Python: ä\\u2028\"', {exp})\n\
         revoke_token(store, {ISSUER:?}, 'another', {exp})\n"
    );
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/redis-py");
    assert!(library.exists(), "no redis-py in .tools: run tests/redis/install.sh");
    let output =
        Command::new("python3").args(["-c", &script]).env("PYTHONPATH", &library).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    world.until_refused("another").await;
    world.until_refused("von Python: ä\u{2028}\"").await;
    let ttls: Vec<String> = redis::from_redis_value(redis.ask(&["KEYS", "*:entry:*"])).unwrap();
    for key in ttls {
        let ttl: i64 = redis::from_redis_value(redis.ask(&["TTL", &key])).unwrap();
        assert!(ttl > 0, "{key} goes by itself");
    }
}
