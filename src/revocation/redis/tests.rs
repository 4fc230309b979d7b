//! The Redis source against the contract of all sources, with a real Redis; and what only a Redis does.

use std::sync::Arc;
use std::time::Duration;

use self::server::RedisServer;
use super::settings::{Address, RedisSettings, Servers};
use super::{Prefix, RedisSource, Writer};
use crate::revocation::RevocationEntry;
use crate::revocation::source::{Source, SourceSettings};
use crate::revocation::testing::{
    StoreUnderTest, facts, keeps_the_contract, revoked, sync_of, token, until,
};
use crate::revocation::{RevocationLookup, RevocationSync};
use crate::util::clock::{Clock as _, SystemClock};

#[allow(dead_code, reason = "shared with the tests of the service, which use more of it")]
#[path = "../../../tests/support/redis.rs"]
pub(crate) mod server;

const PREFIX: &str = "{claimgate:revocation}:v1:";

pub(crate) fn settings(server: &RedisServer) -> RedisSettings {
    RedisSettings {
        servers: Servers::One(Address::Unix(server.socket())),
        tls: None,
        account: None,
        database: 0,
        prefix: Prefix::default(),
        accepts_readable_secrets: false,
    }
}

fn source(server: &RedisServer) -> SourceSettings {
    SourceSettings::Redis(Box::new(settings(server)))
}

/// A Redis that was set up, and a writer to it.
async fn begun() -> (RedisServer, Writer) {
    let server = RedisServer::start();
    let mut writer = Writer::new(settings(&server));
    assert!(writer.init("one").await.unwrap());
    (server, writer)
}

fn key(name: &str) -> String {
    format!("{PREFIX}{name}")
}

fn looked_up(sync: &RevocationSync, jti: &str) -> RevocationLookup {
    sync.store().load().look_up(&facts(jti), SystemClock.now())
}

async fn write(writer: &mut Writer, jti: &str) -> RevocationEntry {
    let entry = token(jti);
    writer.write(&entry, SystemClock.now()).await.unwrap();
    entry
}

async fn until_revoked(sync: &mut RevocationSync, jti: &str) {
    let store = sync.store();
    until(sync, || store.load().look_up(&facts(jti), SystemClock.now()) == revoked()).await;
}

struct RedisUnderTest {
    server: RedisServer,
    writer: Writer,
    broken: Option<usize>,
}

impl StoreUnderTest for RedisUnderTest {
    fn source(&self) -> SourceSettings {
        source(&self.server)
    }

    async fn put(&mut self, entry: &RevocationEntry) {
        self.writer.write(entry, SystemClock.now()).await.unwrap();
    }

    async fn take_away(&mut self, entry: &RevocationEntry) -> bool {
        let id = entry.revoked().id();
        assert_eq!(self.writer.remove(entry.kind(), entry.iss(), id).await.unwrap(), 1);
        true
    }

    async fn break_it(&mut self, nth: usize) -> bool {
        self.broken = Some(nth);
        match nth {
            0 => self.server.kill(),
            1 => self.server.pause(),
            2 => drop(self.server.ask(&["DEL", &key("epoch")])),
            3 => drop(self.server.ask(&["SET", &key("epoch"), ""])),
            4 => {
                self.server.ask(&["DEL", &key("epoch")]);
                self.server.ask(&["LPUSH", &key("epoch"), "one"]);
            }
            5 => {
                self.server.ask(&["RENAME", &key("changes"), "aside"]);
                self.server.ask(&["SET", &key("changes"), "no stream"]);
            }
            6 => drop(self.server.ask(&["ACL", "SETUSER", "default", "-xread"])),
            7 => drop(self.server.ask(&["ACL", "SETUSER", "default", "resetkeys"])),
            8 => {
                self.server.ask(&["RENAME", &key("changes"), "aside"]);
                self.server.ask(&["XADD", &key("changes"), "*", "entry", &"x".repeat(1 << 20)]);
            }
            _ => return false,
        }
        true
    }

    async fn repair(&mut self) {
        match self.broken {
            Some(0) => self.server.start_again(),
            Some(1) => self.server.resume(),
            Some(2..=4) => {
                self.server.ask(&["DEL", &key("epoch")]);
                self.server.ask(&["SET", &key("epoch"), "one"]);
            }
            Some(5 | 8) => {
                self.server.ask(&["DEL", &key("changes")]);
                self.server.ask(&["RENAME", "aside", &key("changes")]);
            }
            Some(_) => drop(self.server.ask(&["ACL", "SETUSER", "default", "allkeys", "+@all"])),
            None => {}
        }
    }
}

#[tokio::test]
async fn keeps_the_contract_of_all_sources() {
    let (server, writer) = begun().await;
    keeps_the_contract(RedisUnderTest { server, writer, broken: None }).await;
}

#[tokio::test]
async fn a_store_that_nobody_set_up_is_not_an_empty_list() {
    let server = RedisServer::start();
    let mut sync = sync_of(Some(source(&server)));
    sync.step().await;
    let error = sync.board().read().last_error.unwrap().1;
    assert!(error.contains("no epoch"), "{error}");
    assert_eq!(looked_up(&sync, "one"), RevocationLookup::Unknown);
    let mut writer = Writer::new(settings(&server));
    let written = writer.write(&token("one"), SystemClock.now()).await.unwrap();
    assert!(!written.has_epoch, "who writes is told");
    sync.step().await;
    assert_eq!(
        looked_up(&sync, "one"),
        RevocationLookup::Unknown,
        "one entry does not make it whole"
    );
    assert!(writer.init("now").await.unwrap());
    assert!(!writer.init("again").await.unwrap(), "one that is set up stays as it is");
    until_revoked(&mut sync, "one").await;
}

#[tokio::test]
async fn what_an_emptied_store_held_stays_in_force() {
    let (server, mut writer) = begun().await;
    write(&mut writer, "one").await;
    let mut sync = sync_of(Some(source(&server)));
    until_revoked(&mut sync, "one").await;
    server.ask(&["FLUSHALL"]);
    let board = Arc::clone(sync.board());
    until(&mut sync, || board.read().failures > 0).await;
    assert_eq!(looked_up(&sync, "one"), revoked());
    writer.init("two").await.unwrap();
    write(&mut writer, "two").await;
    until_revoked(&mut sync, "two").await;
    assert_eq!(looked_up(&sync, "one"), revoked());
    assert!(board.read().epoch_changed.is_some(), "and somebody is told");
}

#[tokio::test]
async fn a_store_that_comes_back_without_its_last_entries_is_found_out() {
    let (server, mut writer) = begun().await;
    write(&mut writer, "one").await;
    let mut sync = sync_of(Some(source(&server)));
    until_revoked(&mut sync, "one").await;
    // As a replica that had not heard of it takes over: the entry and its change are gone, the epoch is not.
    let entries: Vec<String> =
        redis::from_redis_value(server.ask(&["KEYS", &key("entry:*")])).unwrap();
    server.ask(&["DEL", &entries[0]]);
    let changes = server.ask(&["XREVRANGE", &key("changes"), "+", "-", "COUNT", "1"]);
    let last: Vec<(String, Vec<String>)> = redis::from_redis_value(changes).unwrap();
    server.ask(&["XDEL", &key("changes"), &last[0].0]);
    let board = Arc::clone(sync.board());
    until(&mut sync, || board.read().epoch_changed.is_some()).await;
    assert_eq!(looked_up(&sync, "one"), revoked(), "what it lost stays in force");
    write(&mut writer, "two").await;
    until_revoked(&mut sync, "two").await;
}

#[tokio::test]
async fn a_change_that_somebody_deletes_is_an_alarm_once() {
    let (server, mut writer) = begun().await;
    let mut sync = sync_of(Some(source(&server)));
    write(&mut writer, "one").await;
    until_revoked(&mut sync, "one").await;
    let changes = server.ask(&["XREVRANGE", &key("changes"), "+", "-", "COUNT", "1"]);
    let last: Vec<(String, Vec<String>)> = redis::from_redis_value(changes).unwrap();
    server.ask(&["XDEL", &key("changes"), &last[0].0]);
    let board = Arc::clone(sync.board());
    until(&mut sync, || board.read().epoch_changed.is_some()).await;
    let at = board.read().epoch_changed;
    for _ in 0..3 {
        sync.step().await;
    }
    server.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    write(&mut writer, "two").await;
    until_revoked(&mut sync, "two").await;
    assert_eq!(board.read().epoch_changed, at);
}

#[tokio::test]
async fn what_was_trimmed_before_it_was_read_is_read_from_the_keys() {
    let (server, mut writer) = begun().await;
    let mut sync = sync_of(Some(source(&server)));
    sync.step().await;
    for jti in ["one", "two", "three"] {
        write(&mut writer, jti).await;
    }
    server.ask(&["XTRIM", &key("changes"), "MAXLEN", "1"]);
    for jti in ["one", "two", "three"] {
        until_revoked(&mut sync, jti).await;
    }
    server.ask(&["XTRIM", &key("changes"), "MAXLEN", "0"]);
    write(&mut writer, "four").await;
    server.ask(&["XTRIM", &key("changes"), "MAXLEN", "0"]);
    until_revoked(&mut sync, "four").await;
    assert!(sync.board().read().epoch_changed.is_none(), "nothing was lost");
}

#[tokio::test]
async fn what_cannot_be_read_is_counted_and_takes_nothing_else_with_it() {
    let (server, mut writer) = begun().await;
    server.ask(&["LPUSH", &key("entry:list"), "x"]);
    server.ask(&["SET", &key("entry:empty"), ""]);
    server.ask(&["SET", &key("entry:text"), "{\"v\":2}"]);
    server.ask(&["SET", &key("entry:long"), &"x".repeat(1 << 20)]);
    write(&mut writer, "one").await;
    let mut sync = sync_of(Some(source(&server)));
    until_revoked(&mut sync, "one").await;
    assert_eq!(sync.board().read().skipped.count, 4);
    server.ask(&["XADD", &key("changes"), "*", "entry", "garbage"]);
    server.ask(&["XADD", &key("changes"), "*", "a", "b", "c", "d"]);
    write(&mut writer, "two").await;
    until_revoked(&mut sync, "two").await;
    assert_eq!(sync.board().read().skipped.count, 6);
}

#[tokio::test]
async fn a_change_that_is_too_long_to_be_read_is_called_that_and_can_be_taken_away() {
    let (server, mut writer) = begun().await;
    let mut sync = sync_of(Some(source(&server)));
    write(&mut writer, "one").await;
    until_revoked(&mut sync, "one").await;
    let id = server.ask(&["XADD", &key("changes"), "*", "entry", &"x".repeat(1 << 20)]);
    let board = Arc::clone(sync.board());
    let told = || board.read().last_error.is_some_and(|(_, text)| text.contains("is longer than"));
    until(&mut sync, told).await;
    assert_eq!(looked_up(&sync, "one"), revoked());
    let id: String = redis::from_redis_value(id).unwrap();
    server.ask(&["XDEL", &key("changes"), &id]);
    write(&mut writer, "two").await;
    until_revoked(&mut sync, "two").await;
    assert!(board.read().last_error.is_none());
}

#[tokio::test]
async fn a_password_file_that_changes_is_read_again() {
    let server = RedisServer::start();
    server.ask(&["ACL", "SETUSER", "reader", "on", ">first", "~*", "+@all"]);
    let mut writer = Writer::new(settings(&server));
    writer.init("one").await.unwrap();
    let file = server.directory.path().join("password");
    std::fs::write(&file, "first\n").unwrap();
    let account = super::settings::Account {
        username: Some("reader".to_owned()),
        password_file: file.clone(),
    };
    let mut settings = settings(&server);
    settings.account = Some(account);
    settings.accepts_readable_secrets = true;
    let mut sync = sync_of(Some(SourceSettings::Redis(Box::new(settings))));
    write(&mut writer, "one").await;
    until_revoked(&mut sync, "one").await;
    server.ask(&["ACL", "SETUSER", "reader", "resetpass", ">second"]);
    server.ask(&["CLIENT", "KILL", "USER", "reader"]);
    let board = Arc::clone(sync.board());
    let refused = || board.read().last_error.is_some_and(|(_, text)| text.contains("WRONGPASS"));
    until(&mut sync, refused).await;
    std::fs::write(&file, "second").unwrap();
    write(&mut writer, "two").await;
    until_revoked(&mut sync, "two").await;
}

#[tokio::test]
async fn a_full_redis_refuses_an_entry_and_says_so() {
    let (server, mut writer) = begun().await;
    write(&mut writer, "one").await;
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let error = writer.write(&token("two"), SystemClock.now()).await.unwrap_err();
    assert_eq!(error.code(), Some("OOM"), "{error}");
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    write(&mut writer, "two").await;
}

#[tokio::test]
async fn what_a_full_redis_throws_away_stays_in_force() {
    let (server, mut writer) = begun().await;
    write(&mut writer, "one").await;
    let mut sync = sync_of(Some(source(&server)));
    until_revoked(&mut sync, "one").await;
    // What has no expiry stays: the epoch and the stream.
    server.ask(&["CONFIG", "SET", "maxmemory-policy", "volatile-random"]);
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let _refused = server.run(&["SET", "more", "x"]).is_err();
    let keys: Vec<String> =
        redis::from_redis_value(server.ask(&["KEYS", &key("entry:*")])).unwrap();
    assert!(keys.is_empty(), "it threw the entry away: {keys:?}");
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    server.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    let board = Arc::clone(sync.board());
    until(&mut sync, || board.read().epoch_changed.is_some()).await;
    assert_eq!(looked_up(&sync, "one"), revoked());
}

#[tokio::test]
async fn everything_is_read_again_while_the_stream_is_followed() {
    let (server, mut writer) = begun().await;
    // More than one batch of them.
    let filler: Vec<RevocationEntry> = (0..900).map(|n| token(&format!("filler {n}"))).collect();
    put_keys(&server, &filler);
    write(&mut writer, "one").await;
    let mut sync = sync_of(Some(source(&server)));
    let source = RedisSource::new(&settings(&server)).reading_again_at_once();
    sync.replace_source(Source::Redis(Box::new(source)));
    until_revoked(&mut sync, "one").await;
    for round in 0..20 {
        let (told, untold) = (format!("told {round}"), format!("untold {round}"));
        // A writer that died before it told the stream.
        put_keys(&server, &[token(&untold)]);
        write(&mut writer, &told).await;
        until_revoked(&mut sync, &told).await;
        until_revoked(&mut sync, &untold).await;
        for jti in ["one", "filler 0", "filler 899", &told] {
            assert_eq!(looked_up(&sync, jti), revoked(), "{round}: {jti}");
        }
    }
    let entry = token("one");
    assert_eq!(writer.remove(entry.kind(), entry.iss(), entry.revoked().id()).await.unwrap(), 1);
    let store = sync.store();
    let passes = || store.load().look_up(&facts("one"), SystemClock.now()) != revoked();
    until(&mut sync, passes).await;
    let board = sync.board().read();
    assert!(board.epoch_changed.is_none() && board.skipped.count == 0, "{board:?}");
}

#[tokio::test]
async fn a_writer_leaves_a_master_that_its_sentinels_call_so_no_more_although_it_answers() {
    let (old, new) = (RedisServer::start_on_a_port(&[]), RedisServer::start_on_a_port(&[]));
    let sentinel = RedisServer::sentinel("revocations", &old);
    let tcp = |server: &RedisServer| Address::Tcp("127.0.0.1".to_owned(), server.port);
    let (master, sentinels) = ("revocations".to_owned(), vec![tcp(&sentinel)]);
    let servers = Servers::Sentinel { master, sentinels, account: None };
    let mut writer = Writer::new(RedisSettings { servers, ..settings(&old) });
    let now = SystemClock.now();
    let written = writer.write(&token("one"), now).await.unwrap();
    assert_eq!(written.server, tcp(&old).to_string());
    sentinel.ask(&["SENTINEL", "REMOVE", "revocations"]);
    let port = new.port.to_string();
    sentinel.ask(&["SENTINEL", "MONITOR", "revocations", "127.0.0.1", &port, "1"]);
    writer.grow_older(super::servers::WATCH);
    let written = writer.write(&token("two"), now).await.unwrap();
    assert_eq!(written.server, tcp(&new).to_string());
}

#[tokio::test]
async fn what_a_store_loses_without_a_word_stays_in_force_until_somebody_takes_it_back() {
    let (server, mut writer) = begun().await;
    write(&mut writer, "one").await;
    let mut sync = sync_of(Some(source(&server)));
    let source = RedisSource::new(&settings(&server)).reading_again_at_once();
    sync.replace_source(Source::Redis(Box::new(source)));
    until_revoked(&mut sync, "one").await;
    // As a clock of the server's that jumps ahead makes them expire.
    let keys: Vec<String> =
        redis::from_redis_value(server.ask(&["KEYS", &key("entry:*")])).unwrap();
    server.ask(&["DEL", &keys[0]]);
    let board = Arc::clone(sync.board());
    until(&mut sync, || board.read().kept == 1).await;
    assert_eq!(looked_up(&sync, "one"), revoked());
    // Nor does another connection make it forget.
    server.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    until(&mut sync, || board.read().failures > 0).await;
    until(&mut sync, || board.read().failures == 0).await;
    assert_eq!((looked_up(&sync, "one"), board.read().kept), (revoked(), 1));
    assert!(board.read().epoch_changed.is_none());
    let one = token("one");
    assert_eq!(writer.remove(one.kind(), one.iss(), one.revoked().id()).await.unwrap(), 0);
    let store = sync.store();
    let passes = || store.load().look_up(&facts("one"), SystemClock.now()) != revoked();
    until(&mut sync, passes).await;
    assert_eq!(board.read().kept, 0);
}

#[tokio::test]
async fn what_is_taken_back_while_nobody_is_connected_is_heard_of_afterwards() {
    let (server, mut writer) = begun().await;
    write(&mut writer, "one").await;
    write(&mut writer, "two").await;
    let mut sync = sync_of(Some(source(&server)));
    until_revoked(&mut sync, "two").await;
    sync.step().await;
    server.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    let board = Arc::clone(sync.board());
    until(&mut sync, || board.read().failures > 0).await;
    let one = token("one");
    assert_eq!(writer.remove(one.kind(), one.iss(), one.revoked().id()).await.unwrap(), 1);
    let store = sync.store();
    let passes = || store.load().look_up(&facts("one"), SystemClock.now()) != revoked();
    until(&mut sync, passes).await;
    assert_eq!(looked_up(&sync, "two"), revoked());
}

/// Their keys alone.
fn put_keys(server: &RedisServer, entries: &[RevocationEntry]) {
    let mut pipeline = redis::Pipeline::new();
    for entry in entries {
        let text = entry.to_json();
        pipeline.cmd("SET").arg(Prefix::default().entry(&text)).arg(text);
    }
    let mut client = redis::Client::open(server.unix_url()).unwrap().get_connection().unwrap();
    pipeline.exec(&mut client).unwrap();
}

#[tokio::test]
async fn ten_thousand_entries_arrive() {
    let (server, mut writer) = begun().await;
    let mut settings = crate::revocation::testing::settings(Some(source(&server)));
    settings.max_entries = 20_000;
    let entries: Vec<RevocationEntry> = (0..10_000).map(|n| token(&n.to_string())).collect();
    put_keys(&server, &entries);
    let clock: Arc<dyn crate::util::clock::Clock> = Arc::new(SystemClock);
    let metrics = crate::telemetry::metrics::RevocationMetrics::default();
    let mut sync = RevocationSync::build(&settings, metrics, &clock, None).sync.unwrap();
    let loading = tokio::time::timeout(Duration::from_secs(60), sync.step());
    loading.await.unwrap();
    assert_eq!(sync.store().load().len(), 10_000, "{:?}", sync.board().read());
    write(&mut writer, "one more").await;
    until_revoked(&mut sync, "one more").await;
}
