//! `claimgate issuer`: as a process, and with the service that trusts it. What its endpoints answer to whom is tested
//! beside them (`issuer::reference`).

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use claimgate::app::issuer::{IssuerApp, IssuerOptions};
use claimgate::config::IssuerConfig;
use claimgate::issuer::reference::secret_hash::SecretHash;
use futures_util::future::join_all;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use crate::authority::{Authority, Mounted};
use crate::issuer_process::{IssuerProcess, SECRET, Tokens, claimgate, config};
use crate::kept;
use crate::service::{Answer, TestService, eventually, metric, send};

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_serves_logs_who_got_what_and_ends_in_good_order() {
    let mut issuer = IssuerProcess::start(41, "ed25519", config()).await;
    let (one, two) = (issuer.tokens("worker").await, issuer.tokens("agent").await);
    let (_, refreshed) = issuer.refresh("agent", &two.refresh).await;
    let three = Tokens::of(&refreshed);
    let (status, _) = issuer.post("/revoke", "worker", &format!("token={}", one.access)).await;
    assert_eq!(status, 200);
    let (status, _) =
        issuer.post("/token", "worker", "grant_type=password&password=hush-hush").await;
    assert_eq!(status, 400);
    let page = send(issuer.admin, "GET", "/status", &[], "").await.1;
    let page: Value = serde_json::from_str(&page).unwrap();
    assert_eq!(
        (&page["ready"], &page["keys"]["keys"][0]["state"]),
        (&json!(true), &json!("active"))
    );
    let tokens = ["claimgate_issuer_tokens_total"];
    assert!((metric(issuer.admin, &tokens).await - 3.0).abs() < 0.1);
    let private = fs::read_dir(issuer.path("keys")).unwrap().map(|entry| entry.unwrap().path());
    let is_private = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.ends_with(".pem") && !name.ends_with(".pub.pem")
    };
    let private = fs::read_to_string(private.into_iter().find(is_private).unwrap()).unwrap();
    let secret_line = private.lines().nth(1).unwrap().to_owned();
    assert!(issuer.stop().await.success());
    let log = issuer.log();
    for token in [&one, &two, &three] {
        let id = token.claims()["jti"].as_str().unwrap().to_owned();
        let line = log.lines().find(|line| line.contains(&id)).expect("a line for each token");
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["message"], "token issued");
        assert_eq!(
            (&line["client"], &line["sub"]),
            (&token.claims()["client_id"], &token.claims()["sub"])
        );
    }
    let signature =
        |token: &str| token.rsplit('.').next().and_then(|text| text.get(..20)).unwrap().to_owned();
    let secrets = [
        SECRET.to_owned(),
        "hush-hush".to_owned(),
        signature(&one.access),
        signature(&three.access),
        two.refresh.clone(),
        three.refresh.clone(),
        secret_line,
        "$argon2id".to_owned(),
    ];
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} is in the log");
    }
    assert!(log.contains("\"ended\""), "{log}");
}

#[test]
fn it_does_not_start_without_keys_or_with_keys_that_others_can_read_and_makes_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config();
    config["issuer"] = "http://127.0.0.1:1".into();
    config["listen"] = json!({"http": "127.0.0.1:0", "admin": "127.0.0.1:0"});
    fs::write(folder.path().join("issuer.yaml"), config.to_string()).unwrap();
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_claimgate"));
        command.args(["issuer", "--config", "issuer.yaml"]).current_dir(folder.path());
        let output = command.stdin(Stdio::null()).output().unwrap();
        kept::printed(&output);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, told) = start();
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("key_dir: ") && told.contains("`claimgate keys generate`"), "{told}");
    assert!(!folder.path().join("keys").exists());
    let (made, told) =
        claimgate(folder.path(), &["keys", "generate", "--dir", "keys", "--type", "ed25519"]);
    assert!(made, "{told}");
    fs::set_permissions(folder.path().join("keys"), fs::Permissions::from_mode(0o750)).unwrap();
    let (code, told) = start();
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("chmod 700"), "{told}");
    let (good, told) = claimgate(folder.path(), &["issuer", "check", "issuer.yaml"]);
    assert!(!good && told.contains("chmod 700"), "{told}");
    assert!(claimgate(folder.path(), &["issuer", "check", "--without-keys", "issuer.yaml"]).0);
    fs::write(folder.path().join("issuer.yaml"), "issuer: nobody").unwrap();
    let (code, told) = start();
    assert_eq!((code, told.lines().count()), (Some(2), 5), "every mistake at once: {told}");
}

#[test]
fn a_secret_is_hashed_from_standard_input_or_made() {
    let hash = |args: &[&str], input: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_claimgate"));
        command.args(["issuer", "hash-secret"]).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // One that reads nothing may have gone.
        let _gone = child.stdin.take().unwrap().write_all(input.as_bytes()).is_err();
        let output = child.wait_with_output().unwrap();
        if args.is_empty() {
            // Others are refused, and some are words of a message.
            if output.status.success() {
                kept::secret(input.trim_end());
            }
            kept::printed(&output);
        } else {
            kept::printed_but("`issuer hash-secret --generate` says the secret it made", &output);
        }
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap(), output.stderr)
    };
    for input in ["a-secret-of-a-client", "a-secret-of-a-client\n", "a-secret-of-a-client\r\n"] {
        let (code, printed, _) = hash(&[], input);
        assert_eq!(code, 0);
        assert!(SecretHash::parse(printed.trim_end()).unwrap().matches(b"a-secret-of-a-client"));
    }
    let (code, printed, _) = hash(&["--generate"], "");
    let (secret, hashed) = printed.trim_end().split_once('\n').unwrap();
    assert_eq!((code, secret.len()), (0, 43));
    assert!(SecretHash::parse(hashed).unwrap().matches(secret.as_bytes()));
    for input in ["", "short", "with a\nline break in it", &"a".repeat(5000)] {
        let (code, printed, told) = hash(&[], input);
        assert_eq!((code, printed.as_str()), (2, ""), "{input}");
        assert!(!told.is_empty() && !String::from_utf8(told).unwrap().contains("line break in"));
    }
}

/// What trusts the issuer.
async fn service(issuer: &IssuerProcess) -> TestService {
    let service = TestService::start(json!({
        "profile": "development",
        "issuers": [{
            "name": "platform", "issuer": issuer.url(), "audiences": ["orders"],
            "algorithms": ["RS256", "EdDSA"], "keys": [{"discovery": true}],
        }],
        "revocation": {"file": issuer.path("revoked.jsonl")},
        "forward": {"headers": [{"claim": "sub", "header": "x-jwt-sub"}, {"claim": "roles", "header": "x-jwt-roles"}]},
        "rules": [{"name": "all", "require": {"issuer": "platform", "scopes": ["orders:read"]}}],
    }))
    .await;
    service.until_ready().await;
    service
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_under_load_and_no_request_and_no_token_fails() {
    let issuer = IssuerProcess::start(42, "ed25519", config()).await;
    let service = service(&issuer).await;
    let done = AtomicBool::new(false);
    let (kids, count) = (RefCell::new(HashSet::new()), Cell::new(0));
    let clients = join_all((0..4).map(|_| async {
        while !done.load(Ordering::Relaxed) {
            let token = issuer.tokens("worker").await;
            assert!(service.ask_with(&token.access).await.is_allowed());
            kids.borrow_mut().insert(token.access.split('.').next().unwrap().to_owned());
            count.set(count.get() + 1);
        }
    }));
    // By force, so that it takes no hours: the next key is published, then it signs. What the service does not have
    // then it fetches at the first token with it; the old key stays published.
    let rotations = async {
        eventually("a token of the first key", async || count.get() > 0).await;
        issuer.rotate().await;
        issuer.rotate().await;
        let before = count.get();
        let both = async || kids.borrow().len() == 2 && count.get() > before + 4;
        eventually("tokens of both keys", both).await;
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(clients, rotations);
    assert_eq!(kids.borrow().len(), 2, "no other key signed");
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_issuer_takes_back_the_service_refuses() {
    let issuer = IssuerProcess::start(43, "rsa-2048", config()).await;
    let service = service(&issuer).await;
    let revoked = Answer::denied(401, "revoked");
    let refused = async |token: &str| {
        eventually("refused", async || service.ask_with(token).await == revoked).await;
    };
    let (one, other) = (issuer.tokens("worker").await, issuer.tokens("worker").await);
    let Answer::Allowed { set, .. } = service.ask_with(&one.access).await else {
        panic!("refused")
    };
    assert!(set.contains(&("x-jwt-sub".to_owned(), "worker".to_owned())), "{set:?}");
    assert_eq!(issuer.post("/revoke", "worker", &format!("token={}", one.access)).await.0, 200);
    refused(&one.access).await;
    assert!(service.ask_with(&other.access).await.is_allowed());

    let session = issuer.tokens("agent").await;
    assert!(service.ask_with(&session.access).await.is_allowed());
    assert_eq!(issuer.post("/logout", "agent", &format!("token={}", session.refresh)).await.0, 200);
    refused(&session.access).await;

    let stolen = issuer.tokens("agent").await;
    let (_, next) = issuer.refresh("agent", &stolen.refresh).await;
    let next = Tokens::of(&next);
    assert!(service.ask_with(&next.access).await.is_allowed());
    assert_eq!(issuer.refresh("agent", &stolen.refresh).await.0, 400);
    refused(&stolen.access).await;
    refused(&next.access).await;

    assert_eq!(issuer.post("/logout", "worker", "").await.0, 200);
    refused(&other.access).await;
    let after = issuer.tokens("worker").await;
    assert!(
        service.ask_with(&after.access).await.is_allowed(),
        "what comes after a logout is good"
    );
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_has_the_keys_looked_at_and_a_damaged_directory_changes_nothing() {
    let issuer = IssuerProcess::start(44, "ed25519", config()).await;
    let before = issuer.published().await;
    let manifest = issuer.path("keys/manifest.json");
    let good = fs::read(&manifest).unwrap();
    fs::write(&manifest, "{}").unwrap();
    issuer.signal(Signal::HUP);
    let page = async || send(issuer.admin, "GET", "/readyz", &[], "").await;
    eventually("named", async || page().await.1.contains("the directory is not taken over")).await;
    assert_eq!(page().await.0, 200, "it serves on");
    assert_eq!(issuer.published().await, before);
    issuer.tokens("worker").await;
    fs::write(&manifest, good).unwrap();
    eventually("well again", async || page().await.1 == "ready\n").await;
}

#[tokio::test]
async fn it_speaks_tls_and_a_request_in_flight_is_finished_when_it_ends() {
    let authority = Authority::new();
    let pair = authority.issue(&["localhost"]);
    let certificates = Mounted::new(&pair);
    let folder = tempfile::tempdir().unwrap();
    assert!(
        claimgate(folder.path(), &["keys", "generate", "--dir", "keys", "--type", "ed25519"]).0
    );
    let mut config = config();
    config["profile"] = "production".into();
    config["issuer"] = "https://issuer.example.com".into();
    let data = certificates.root().join("..data");
    config["listen"] = json!({
        "http": "127.0.0.1:0", "admin": "127.0.0.1:0",
        "tls": {"cert_file": data.join("tls.crt"), "key_file": data.join("tls.key")},
    });
    let config = IssuerConfig::from_yaml(&config.to_string(), folder.path()).unwrap();
    let bound = IssuerApp::bind(config, IssuerOptions::default()).await.unwrap();
    let (http, shutdown) = (bound.http_addr(), CancellationToken::new());
    let client = authority.client(None).http1();
    let asking = async {
        let mut stream = client.connect(http).await.unwrap();
        let body = format!("grant_type=client_credentials&client_id=worker&client_secret={SECRET}");
        let head = format!(
            "POST /token HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\
             content-type: application/x-www-form-urlencoded\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // Said when somebody begins to read the body: the request is in flight.
        let mut asked_for = [0; 25];
        stream.read_exact(&mut asked_for).await.unwrap();
        assert_eq!(&asked_for, b"HTTP/1.1 100 Continue\r\n\r\n");
        shutdown.cancel();
        eventually("nobody listens", async || tokio::net::TcpStream::connect(http).await.is_err())
            .await;
        stream.write_all(body.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let (ended, answer) = tokio::join!(bound.run(shutdown.clone()), asking);
    ended.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("access_token"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_too_much_and_one_that_says_nothing_do_not_stop_the_others() {
    let mut config = config();
    config["limits"] = json!({"client_attempts": 5, "attempts": 20});
    let issuer = IssuerProcess::start(45, "ed25519", config).await;
    issuer.tokens("agent").await;
    // Open connections that say nothing, and half a request.
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(tokio::net::TcpStream::connect(issuer.http).await.unwrap());
    }
    let guesses = join_all((0..30).map(|i| guess(issuer.http, i))).await;
    assert!(guesses.iter().all(|status| [401, 429].contains(status)), "{guesses:?}");
    assert!(guesses.iter().filter(|status| **status == 401).count() <= 5, "{guesses:?}");
    issuer.tokens("agent").await;
    drop(silent);
}

async fn guess(address: SocketAddr, nth: usize) -> u16 {
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let body =
        format!("grant_type=client_credentials&client_id=worker&client_secret=guess-number-{nth}");
    send(address, "POST", "/token", &kind, &body).await.0
}

/// The document's commands, one after the other, in a directory of their own.
mod document {
    use super::*;
    use crate::runbook_output::matches;
    use claimgate::config::Config;
    use std::net::{Ipv4Addr, TcpListener};

    const DOCUMENT: &str = include_str!("../../deploy/issuer.md");

    #[tokio::test(flavor = "multi_thread")]
    async fn every_command_of_the_document_does_what_stands_there() {
        let folder = tempfile::tempdir().unwrap();
        let free = [0, 1].map(|_| TcpListener::bind((Ipv4Addr::new(127, 0, 0, 46), 0)).unwrap());
        let [http, admin] = free.map(|listener| listener.local_addr().unwrap().to_string());
        let here =
            |text: &str| text.replace("127.0.0.1:9194", &http).replace("127.0.0.1:9195", &admin);
        let mut lines = DOCUMENT.lines();
        let (mut file, mut issuer, mut commands) = (None, None, 0);
        while let Some(line) = lines.next() {
            if let Some(name) =
                line.strip_prefix("<!-- file: ").and_then(|rest| rest.strip_suffix(" -->"))
            {
                file = Some(name);
            }
            let Some(language) = line.strip_prefix("```") else { continue };
            let block: Vec<String> =
                lines.by_ref().take_while(|line| *line != "```").map(here).collect();
            if language == "yaml" {
                let text = block.join("\n");
                match file.take() {
                    Some(name) => {
                        let listen =
                            format!("listen: {{http: '{http}', admin: '{admin}'}}\n{text}\n");
                        fs::write(folder.path().join(name), listen).unwrap();
                    }
                    None => drop(Config::from_yaml(&text, Path::new("/etc/claimgate")).unwrap()),
                }
            }
            if language != "console" {
                continue;
            }
            let starts: Vec<usize> =
                (0..block.len()).filter(|at| block[*at].starts_with("$ ")).collect();
            for (nth, at) in starts.iter().enumerate() {
                let end = starts.get(nth + 1).copied().unwrap_or(block.len());
                let command = block[*at].strip_prefix("$ ").unwrap();
                commands += 1;
                if let Some(command) = command.strip_suffix(" &") {
                    issuer = Some(background(folder.path(), command));
                    let admin: SocketAddr = admin.parse().unwrap();
                    eventually("the issuer ready", async || {
                        tokio::net::TcpStream::connect(admin).await.is_ok()
                    })
                    .await;
                    continue;
                }
                let printed = run(folder.path(), command).await;
                let printed: Vec<&str> = printed.lines().collect();
                let shown = &block[at + 1..end];
                assert!(matches(shown, &printed), "{command}\n{}", printed.join("\n"));
            }
        }
        assert!(commands >= 20, "{commands}");
        drop(issuer);
        kept::folder(folder.path());
    }

    #[test]
    fn the_schema_is_printed_and_names_what_is_needed() {
        let (good, printed) = claimgate(Path::new("."), &["issuer", "schema"]);
        assert!(good);
        let schema: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(schema["required"], json!(["issuer", "key_dir", "clients"]));
    }

    /// Ended with this.
    struct Background(std::process::Child);

    impl Drop for Background {
        fn drop(&mut self) {
            let _gone = self.0.kill().is_err();
            let _gone = self.0.wait().is_err();
        }
    }

    fn shell(folder: &Path, command: &str) -> Command {
        let binary = Path::new(env!("CARGO_BIN_EXE_claimgate"));
        let mut shell = Command::new("bash");
        shell.args(["-c", &format!("PATH=\"$BINARIES:$PATH\"\n{command}")]).current_dir(folder);
        shell.env("BINARIES", binary.parent().unwrap()).env("LC_ALL", "C").stdin(Stdio::null());
        shell
    }

    fn background(folder: &Path, command: &str) -> Background {
        let mut shell = shell(folder, &format!("exec {command}"));
        // What it does not send to a file.
        shell.stdout(kept::stream("issuer")).stderr(kept::stream("issuer"));
        Background(shell.spawn().unwrap())
    }

    /// What a command prints on both streams; it exits with 0.
    async fn run(folder: &Path, command: &str) -> String {
        let mut shell = shell(folder, &format!("exec 2>&1\n{command}"));
        let output = tokio::task::spawn_blocking(move || shell.output().unwrap()).await.unwrap();
        if command.contains("/token") {
            kept::printed_but("the token endpoint answers with tokens", &output);
        } else {
            kept::printed(&output);
        }
        let printed = String::from_utf8(output.stdout).unwrap();
        kept::sent(&printed);
        assert!(output.status.success(), "{command}\n{printed}");
        printed
    }
}
