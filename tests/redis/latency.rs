//! How long it takes from writing an entry to the first answer that refuses.

use std::io::{self, Write as _};
use std::time::Duration;

use claimgate::util::clock::{Clock as _, Stopwatch, SystemClock};
use serde_json::json;

use crate::server::RedisServer;
use crate::service::Answer;
use crate::world::{World, entry};

const TIMES: usize = 200;

/// The promise. The median of a machine that does nothing else is a few milliseconds.
const PROMISED: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_token_is_refused_within_a_second() {
    let redis = RedisServer::start();
    let mut world = World::start(&json!({"url": redis.unix_url()})).await;
    let refused = Answer::denied(401, "revoked");
    let mut times = Vec::with_capacity(TIMES);
    for number in 0..TIMES {
        let jti = format!("token {number}");
        assert!(world.ask(&jti).await.is_allowed());
        let entry = entry(&jti);
        let begun = Stopwatch::start();
        world.writer.write(&entry, SystemClock.now()).await.unwrap();
        while world.ask(&jti).await != refused {
            assert!(begun.elapsed() < crate::service::PATIENCE, "{jti} is never refused");
        }
        times.push(begun.elapsed());
    }
    times.sort();
    let (median, worst) = (times[TIMES / 2], times[TIMES - 1]);
    // Not captured, unlike what is printed by a macro: it is a figure that somebody wants to see.
    let told = format!("from revoke to refusal, {TIMES} times: median {median:?}, worst {worst:?}");
    writeln!(io::stdout(), "{told}").unwrap();
    assert!(median < PROMISED, "{median:?}");
}
