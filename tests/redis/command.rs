//! `claimgate revoke` as an operator runs it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use claimgate::issuer::SigningKey;
use claimgate::keys::key::Algorithm;
use serde_json::{Value, json};

use crate::kept;
use crate::server::RedisServer;
use crate::world::{ISSUER, World, configuration, key};

fn run(arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_claimgate")).args(arguments).output().unwrap();
    kept::printed(&output);
    output
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn every_kind_is_revoked_and_taken_back() {
    let redis = RedisServer::start();
    let url = redis.unix_url();
    let (code, out, _) = said(&run(&["revoke", "init", "--redis", &url]));
    assert_eq!((code, out.as_str()), (Some(0), "the list begins here\n"));
    let world = World::start(&json!({"url": url})).await;
    for (kind, id) in [
        ("token", ["--jti", "another"].as_slice()),
        ("subject", &["--sub", "alice"]),
        ("key", &["--kid", "k"]),
        ("issuer", &[]),
    ] {
        let mut arguments = vec!["revoke", kind, "--redis", &url, "--iss", ISSUER];
        arguments.extend(id);
        let mut write = arguments.clone();
        write.extend(["--for", "1h"]);
        let (code, out, errors) = said(&run(&write));
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{kind}");
        assert!(out.starts_with(&format!("revoked {kind} of {ISSUER}")), "{out}");
        world.until_refused("another").await;
        arguments.push("--undo");
        let (code, out, errors) = said(&run(&arguments));
        assert_eq!(code, Some(0), "{kind}: {errors}");
        assert_eq!(out, format!("removed 1 entry about this {kind}\n"));
        let passes = async || world.ask("another").await.is_allowed();
        crate::service::eventually("taken back", passes).await;
        let (code, _, errors) = said(&run(&arguments));
        assert_eq!(code, Some(1), "there is nothing left to take back: {errors}");
    }
    world.holds().await;
}

#[test]
fn what_was_written_is_told_to_programs_and_listed() {
    let redis = RedisServer::start();
    let directory = tempfile::tempdir().unwrap();
    let signing = SigningKey::generate(Algorithm::EdDsa).unwrap().with_kid("k");
    let file = directory.path().join("claimgate.json");
    let config = configuration(&signing, json!({"redis": {"url": redis.unix_url()}}));
    fs::write(&file, config.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let session = ["revoke", "session", "--config", file, "--iss", ISSUER, "--sid", "s\u{1b}"];
    let end = ["--expires", "2040-01-01T00:00:00Z", "--output", "json"];
    let (code, out, errors) = said(&run(&[session.as_slice(), &end].concat()));
    assert_eq!(code, Some(0), "{errors}");
    assert!(errors.contains("no epoch"), "{errors}");
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(told["has_epoch"], false);
    let written = redis.ask(&["GET", told["key"].as_str().unwrap()]);
    let written: String = redis::from_redis_value(written).unwrap();
    assert_eq!(told["entry"], written);
    let written: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(written["expires_at"], 2_208_988_800_u64);
    let ttl = redis.ask(&["TTL", told["key"].as_str().unwrap()]);
    assert!(redis::from_redis_value::<i64>(ttl).unwrap() > 0, "it goes by itself");

    let (code, _, errors) = said(&run(&["revocations", "list", "--config", file]));
    assert_eq!(code, Some(1), "a store without an epoch is no list");
    assert!(errors.contains("epoch"), "{errors}");
    assert_eq!(said(&run(&["revoke", "init", "--config", file])).0, Some(0));
    let (code, out, errors) = said(&run(&["revocations", "list", "--config", file]));
    assert_eq!(code, Some(0), "{errors}");
    assert!(out.contains("session of https://accounts.example.com, sid s\\u{1b}"), "{out}");
}

/// As `deploy/revocation.md` has it for the alarm.
#[tokio::test]
async fn an_emptied_store_is_believed_again_once_the_operator_says_so() {
    let redis = RedisServer::start();
    let url = redis.unix_url();
    let init = ["revoke", "init", "--redis", &url];
    let store = json!({"url": url});
    let mut knows = World::start(&store).await;
    redis.ask(&["FLUSHALL"]);
    knows.until_synced_with("no_epoch").await;
    let starts = World::start_as_it_is(json!({"redis": store}), &store).await;
    starts.until_synced_with("no_epoch").await;
    assert_eq!(starts.service.admin("/readyz").await.0, 503, "an empty store is no empty list");
    knows.write("again").await;

    let (code, out, errors) = said(&run(&init));
    assert_eq!((code, out.as_str()), (Some(0), "the list begins here\n"), "{errors}");
    crate::service::eventually("alarmed", async || knows.epoch_changes().await > 0.0).await;
    knows.until_refused("again").await;
    knows.holds().await;
    starts.until_ready().await;
    starts.until_refused("again").await;
    assert!(starts.ask("revoked before").await.is_allowed(), "nobody revoked it again");
    assert_eq!(starts.epoch_changes().await, 0.0, "it knew no other list");

    // Once is enough, and a second time changes nothing.
    let epoch = || redis.ask(&["GET", &key("epoch")]);
    let before = epoch();
    let stays = "it has a list already, which stays as it is\n";
    assert_eq!(said(&run(&init)), (Some(0), stays.to_owned(), String::new()));
    let (code, out, _) = said(&run(&[init.as_slice(), &["--output", "json"]].concat()));
    assert_eq!((code, out.as_str()), (Some(0), "{\"is_new\":false}\n"));
    assert_eq!(epoch(), before);
    knows.revoke("later").await;
    starts.until_refused("later").await;
}

#[tokio::test]
async fn a_check_online_says_what_the_store_has() {
    let redis = RedisServer::start();
    let signing = SigningKey::generate(Algorithm::EdDsa).unwrap().with_kid("k");
    let file = redis.directory.path().join("claimgate.json");
    let config = configuration(&signing, json!({"redis": {"url": redis.unix_url()}}));
    fs::write(&file, config.to_string()).unwrap();
    let check = ["check", "--online", file.to_str().unwrap()];
    let (code, out, _) = said(&run(&check));
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("failed: has no epoch"), "{out}");
    let _world = World::start(&json!({"url": redis.unix_url()})).await;
    let (code, out, errors) = said(&run(&check));
    assert_eq!(code, Some(0), "{out}{errors}");
    assert!(out.contains("): 1 entry"), "{out}");
    let (code, out, _) = said(&run(&[&check[..], &["--output", "json"]].concat()));
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &told["revocations"]["entries"]), (Some(0), &json!(1)));
}

#[test]
fn what_cannot_be_written_is_said_and_so_is_a_mistake() {
    let mut redis = RedisServer::start();
    let url = redis.unix_url();
    let token = |more: &[&str]| {
        let asked = ["revoke", "token", "--iss", ISSUER, "--jti", "x"];
        said(&run(&[asked.as_slice(), more].concat()))
    };
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let (code, out, errors) = token(&["--redis", &url, "--for", "1h"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(errors.contains("OOM"), "{errors}");
    redis.kill();
    assert_eq!(token(&["--redis", &url, "--for", "1h"]).0, Some(1));
    for mistake in [
        &["--redis", &url][..],
        &["--for", "1h"],
        &["--redis", "redis://:hunter2@localhost", "--for", "1h"],
        &["--redis", &url, "--for", "1h", "--expires", "2040-01-01T00:00:00Z"],
        &["--redis", &url, "--expires", "2020-01-01T00:00:00Z"],
        &["--redis", &url, "--for", "1h", "--username", "a"],
        &["--config", "/nowhere", "--for", "1h"],
    ] {
        let (code, out, errors) = token(mistake);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{mistake:?}: {errors}");
        assert!(!errors.contains("hunter2"), "{errors}");
    }
}

#[test]
fn a_line_for_a_file_is_printed_without_a_store() {
    let (code, out, _) = said(&run(&[
        "revoke",
        "key",
        "--iss",
        ISSUER,
        "--kid",
        "k",
        "--expires",
        "2040-01-01T00:00:00Z",
        "--print",
    ]));
    assert_eq!(code, Some(0));
    let expected = "{\"v\":1,\"kind\":\"key\",\"iss\":\"https://accounts.example.com\",\
                    \"kid\":\"k\",\"expires_at\":2208988800}\n";
    assert_eq!(out, expected);
}

#[test]
fn a_password_comes_from_a_file_that_nobody_else_reads() {
    const PASSWORD: &str = "the-password-of-the-revoker";
    let redis = RedisServer::start();
    redis.ask(&["ACL", "SETUSER", "revoker", "on", &format!(">{PASSWORD}"), "~*", "+@all"]);
    redis.ask(&["ACL", "SETUSER", "default", "off"]);
    let file = redis.directory.path().join("password");
    fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    kept::secret(PASSWORD);
    let url = redis.unix_url();
    let init = ["revoke", "init", "--redis", &url, "--username", "revoker", "--password-file"];
    let with = |mode: u32| {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        said(&run(&[init.as_slice(), &[file.to_str().unwrap()]].concat()))
    };
    let (code, _, errors) = with(0o644);
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("0644"), "{errors}");
    assert_eq!(with(0o600).0, Some(0));
    let (code, _, errors) = said(&run(&["revoke", "init", "--redis", &url]));
    assert_eq!(code, Some(1), "{errors}");
    let epoch = key("epoch");
    assert!(!errors.contains(PASSWORD), "{epoch}: {errors}");
}
