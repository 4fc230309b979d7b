//! What goes wrong around a process: full disks, logs that nobody takes, no more files, a configuration and certificates
//! that cannot be read. It says so, and the service goes on.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tokio::net::UnixStream;

use crate::answers::key;
use crate::authority::{Authority, Mounted, Pair};
use crate::kept;
use crate::listeners::{listening, serve};
use crate::provider::{Provider, inline};
use crate::running::{Running, ask};
use crate::service::{Answer, TestService, eventually};
use claimgate::app::Options;

#[tokio::test]
async fn a_log_that_nobody_takes_neither_ends_nor_stops_the_service() {
    let (reader, stalled) = std::io::pipe().unwrap();
    let (gone, closed) = std::io::pipe().unwrap();
    drop(gone);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let outputs = [
        ("a full disk", Stdio::from(full)),
        ("a closed pipe", Stdio::from(closed)),
        ("a pipe that nobody reads", Stdio::from(stalled)),
    ];
    for (what, stderr) in outputs {
        let running = Running::start(&inline(&key()), "", stderr).await;
        let channel = running.channel();
        // Each is a line, and a pipe takes 64 KiB.
        for _ in 0..1000 {
            assert!(Answer::of(ask(&channel).await).is_allowed(), "{what}");
        }
        drop(channel);
        assert!(running.stop().await.success(), "{what}");
    }
    drop(reader);
}

#[tokio::test]
async fn keys_that_cannot_be_kept_on_a_full_disk_are_used_and_told_of() {
    let provider = Provider::start().await;
    let state = tempfile::tempdir().unwrap();
    let mut config = provider.config();
    config["state_dir"] = json!(state.path());
    let (mut log, stderr) = std::io::pipe().unwrap();
    // No file may grow: what is written to one fails as on a full disk.
    let running = Running::start(&config, "trap '' XFSZ; ulimit -f 0", stderr).await;
    eventually("told", async || {
        running.status().await["issuers"][0]["sources"][0]["persisted"] == json!(false)
    })
    .await;
    assert_eq!(running.metric("claimgate_jwks_persisted").await, 0.0);
    assert!(Answer::of(ask(&running.channel()).await).is_allowed());
    assert!(running.stop().await.success());
    let mut said = String::new();
    log.read_to_string(&mut said).unwrap();
    kept::logged(said.as_bytes());
    assert!(said.contains("File too large"), "{said}");
}

#[tokio::test]
async fn a_process_that_may_open_no_more_files_serves_on_and_recovers() {
    for limit in [28, 64, 256] {
        let (mut log, stderr) = std::io::pipe().unwrap();
        let running = Running::start(&inline(&key()), &format!("ulimit -n {limit}"), stderr).await;
        let before = running.channel();
        assert!(Answer::of(ask(&before).await).is_allowed());
        let mut idle = Vec::new();
        for _ in 0..400 {
            // Refused where the system's queue is full.
            idle.extend(UnixStream::connect(running.path("grpc")).await.ok());
        }
        for _ in 0..50 {
            assert!(Answer::of(ask(&before).await).is_allowed(), "at {limit}");
        }
        drop(idle);
        let after = running.channel();
        assert!(Answer::of(ask(&after).await).is_allowed(), "at {limit}");
        eventually("gone", async || {
            running.metric("claimgate_connections{listener=\"grpc\"}").await <= 2.0
        })
        .await;
        drop((before, after));
        assert!(running.stop().await.success());
        let mut said = String::new();
        log.read_to_string(&mut said).unwrap();
        kept::logged(said.as_bytes());
        let complaints = said.matches("no connection can be accepted").count();
        assert!(complaints <= 1, "{complaints} at {limit}: {said}");
    }
}

#[tokio::test]
async fn a_configuration_that_cannot_be_read_is_told_of_and_the_one_before_stays() {
    let config = inline(&key());
    let running = Running::start(&config, "", kept::stream("service")).await;
    let (file, channel) = (running.path("claimgate.yaml"), running.channel());
    let right = fs::read_to_string(&file).unwrap();
    let beside = running.path("beside");
    let level = |name: u8, below: u8| {
        let alias = format!("*{}", char::from(below));
        format!("{0}: &{0} [{1}]\n", char::from(name), vec![alias; 10].join(","))
    };
    let levels: String = (b'b'..=b'k').map(|name| level(name, name - 1)).collect();
    let bomb = format!("a: &a [{}]\n{levels}", ["x"; 10].join(","));
    let put = |what: &str| match what {
        "a directory" => fs::create_dir(&beside).unwrap(),
        "a link to nowhere" => symlink("nowhere", &beside).unwrap(),
        "no text" => fs::write(&beside, b"a: \xff").unwrap(),
        "100 MB" => File::create(&beside).unwrap().set_len(100_000_000).unwrap(),
        "aliases of aliases" => fs::write(&beside, &bomb).unwrap(),
        "a pipe" => assert!(Command::new("mkfifo").arg(&beside).status().unwrap().success()),
        _ => fs::write(&beside, &right).unwrap(),
    };
    for (what, expected) in [
        ("a link to nowhere", "No such file or directory"),
        ("no text", "it is not UTF-8"),
        ("100 MB", "longer than 1048576 bytes"),
        ("aliases of aliases", "more than a configuration needs"),
        ("a pipe", "it is no regular file"),
        ("a directory", "it is no regular file"),
    ] {
        put(what);
        fs::remove_file(&file).unwrap();
        fs::rename(&beside, &file).unwrap();
        eventually(what, async || {
            let error = running.status().await["configuration"]["last_error"].clone();
            error.as_str().is_some_and(|error| error.contains(expected))
        })
        .await;
        assert!(Answer::of(ask(&channel).await).is_allowed(), "{what}");
        assert_eq!(running.status().await["configuration"]["generation"], 1, "{what}");
    }
    assert!(running.memory("VmHWM") < 256 << 20);
    fs::remove_dir(&file).unwrap();
    put("the right one");
    fs::rename(&beside, &file).unwrap();
    eventually("in force", async || {
        running.status().await["configuration"]["last_error"] == Value::Null
    })
    .await;
    drop(channel);
    assert!(running.stop().await.success());
}

#[test]
fn a_socket_that_cannot_be_made_ends_the_start_with_what_is_to_be_done() {
    let directory = tempfile::tempdir().unwrap();
    let (file, missing) = (directory.path().join("file"), directory.path().join("missing"));
    fs::write(&file, "").unwrap();
    for (path, expected) in [
        (missing.join("s"), format!("the directory {} must be there", missing.display())),
        (file, "something that is no socket, which is left alone".to_owned()),
    ] {
        let mut config = inline(&key());
        config["listen"] = json!({"grpc": format!("unix://{}", path.display())});
        let (code, said) = serve(&directory, &config);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("listen.grpc: cannot listen on unix://"), "{said}");
        assert!(said.contains(&expected), "{said}");
    }
}

#[test]
fn certificates_that_cannot_be_used_at_the_start_are_named_with_their_file() {
    let authority = Authority::new();
    let good = authority.issue(&["localhost"]);
    let files = Mounted::new(&good);
    let directory = tempfile::tempdir().unwrap();
    let expired = authority.issue_until(&["localhost"], 2020);
    let (expired, key_of_it) =
        (files.write("old.crt", &expired.certificate), files.write("old.key", &expired.key));
    let (empty, rubbish) = (files.write("empty", ""), files.write("rubbish", "rubbish"));
    let not_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let not_der = files.write("not-der", not_der);
    let missing = directory.path().join("missing");
    let (certificate, private) = (files.certificate(), files.key());
    for (key_of_yaml, file, expected) in [
        ("cert_file", &missing, "No such file"),
        ("key_file", &missing, "No such file"),
        ("client_ca_file", &missing, "No such file"),
        ("cert_file", &empty, "no certificates in PEM in it"),
        ("key_file", &empty, "no private key in PEM in it"),
        ("client_ca_file", &empty, "no certificates in PEM in it"),
        ("client_ca_file", &rubbish, "no certificates in PEM in it"),
        ("client_ca_file", &not_der, "an authority cannot be used"),
        ("cert_file", &not_der, "its first certificate cannot be read"),
        ("cert_file", &expired, "its certificate expired at 2020-01-01T00:00:00Z"),
        ("key_file", &key_of_it, "it is not the key of the certificate in"),
    ] {
        let mut config = inline(&key());
        config["listen"] = json!({
            "grpc": "127.0.0.1:0", "admin": "127.0.0.1:0",
            "tls": {"cert_file": certificate, "key_file": private},
        });
        config["listen"]["tls"][key_of_yaml] = json!(file);
        let (code, said) = serve(&directory, &config);
        assert_eq!(code, Some(2), "{said}");
        let place = format!("listen.tls.{key_of_yaml} {}: ", file.display());
        assert!(said.contains(&place) && said.contains(expected), "{expected}: {said}");
    }
}

#[tokio::test]
async fn the_status_page_shows_the_certificate_in_use_and_why_another_is_not() {
    let authority = Authority::new();
    let (first, second) =
        (authority.issue(&["one.example.com"]), authority.issue(&["two.example.com"]));
    let files = Mounted::new(&first);
    let listen = json!({
        "grpc": "127.0.0.1:0", "admin": "127.0.0.1:0",
        "tls": {"cert_file": files.certificate(), "key_file": files.key()},
    });
    let service = TestService::run(listening(inline(&key()), &listen), Options::default()).await;
    let shown = async || {
        let page: Value = serde_json::from_str(&service.admin("/status").await.1).unwrap();
        assert_eq!(page["tls"].as_array().unwrap().len(), 1);
        page["tls"][0].clone()
    };
    let before = shown().await;
    assert_eq!(before["listener"], "listen.tls");
    assert_eq!(before["names"], "one.example.com");
    assert_eq!(before["not_after"], "2100-01-01T00:00:00Z");
    assert_eq!((&before["expired"], &before["last_error"]), (&json!(false), &Value::Null));
    files.put(&Pair { certificate: second.certificate.clone(), key: first.key.clone() });
    eventually("refused", async || shown().await["last_error"].is_string()).await;
    let refused = shown().await;
    let error = refused["last_error"].as_str().unwrap();
    for part in [files.key(), files.certificate()] {
        assert!(error.contains(&part.display().to_string()), "{error}");
    }
    assert_eq!(refused["serial"], before["serial"]);
    files.put(&second);
    eventually("in use", async || shown().await["names"] == "two.example.com").await;
    let after = shown().await;
    assert_eq!((&after["last_error"], &after["last_error_at"]), (&Value::Null, &Value::Null));
    assert_ne!(after["serial"], before["serial"]);
    service.stop().await.unwrap();
}
