//! What `deploy/revocation.md` shows others to write is written by them as it stands there, and read by us.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use claimgate::util::clock::{Clock as _, SystemClock};
use serde_json::json;

use crate::server::RedisServer;
use crate::world::{ISSUER, World, key};

/// No ID that anybody makes, and one that each encoder of JSON writes in its own way.
const ODD: &str = "von weither: ä\u{2028}\"\\<&>";

#[tokio::test]
async fn what_the_python_example_writes_is_refused() {
    let library = installed("redis-py");
    let script = format!(
        "import sys\n{}\nstore = redis.Redis(unix_socket_path=sys.argv[1])\n\
         for jti in sys.argv[4:]:\n    revoke_token(store, sys.argv[2], jti, int(sys.argv[3]))\n",
        example("python")
    );
    let python = || {
        let mut command = Command::new("python3");
        command.args(["-c", &script]).env("PYTHONPATH", &library);
        command
    };
    Box::pin(writes_what_is_refused(python)).await;
}

#[tokio::test]
async fn what_the_go_example_writes_is_refused() {
    let go = installed("go");
    let directory = tempfile::tempdir().unwrap();
    let (source, program) = (directory.path().join("main.go"), directory.path().join("revoke"));
    let text = format!(
        "package main\n\nimport (\n\"os\"\n\"strconv\"\n)\n\n{}\n\
         func main() {{\n\
         store, err := redis.Dial(\"unix\", os.Args[1])\n\
         if err != nil {{ panic(err) }}\n\
         exp, err := strconv.ParseInt(os.Args[3], 10, 64)\n\
         if err != nil {{ panic(err) }}\n\
         for _, jti := range os.Args[4:] {{\n\
         if err := revokeToken(store, os.Args[2], jti, time.Unix(exp, 0)); err != nil {{ panic(err) }}\n\
         }}\n}}\n",
        example("go")
    );
    std::fs::write(&source, text).unwrap();
    // Without modules, and with nothing of whoever runs this: the one library is in the GOPATH.
    let built = Command::new(go.join("go"))
        .args(["build", "-o"])
        .args([&program, &source])
        .env("GOPATH", go.join("path"))
        .env("GOCACHE", go.join("cache"))
        .envs([("GO111MODULE", "off"), ("GOFLAGS", ""), ("GOTOOLCHAIN", "local")])
        .envs([("CGO_ENABLED", "0"), ("GOENV", "off")])
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", told(&built));
    Box::pin(writes_what_is_refused(|| Command::new(&program))).await;
}

/// `command` takes a socket, an `iss`, an `exp` and any number of `jti`.
async fn writes_what_is_refused(command: impl Fn() -> Command) {
    let redis = RedisServer::start();
    let world = World::start(&json!({"url": redis.unix_url()})).await;
    let exp = (SystemClock.now().as_millis() / 1000 + 600).to_string();
    let run = |jtis: &[&str]| {
        let mut command = command();
        command.arg(redis.socket()).args([ISSUER, &exp]).args(jtis).output().unwrap()
    };
    let output = run(&[ODD, "another"]);
    assert!(output.status.success(), "{}", told(&output));
    world.until_refused("another").await;
    world.until_refused(ODD).await;
    let keys: Vec<String> = redis::from_redis_value(redis.ask(&["KEYS", "*:entry:*"])).unwrap();
    assert_eq!(keys.len(), 3, "one was there before");
    for key in keys {
        let ttl: i64 = redis::from_redis_value(redis.ask(&["TTL", &key])).unwrap();
        assert!(ttl > 0, "{key} goes by itself");
    }
    // What fails inside of the transaction fails the writer.
    redis.ask(&["DEL", &key("changes")]);
    redis.ask(&["LPUSH", &key("changes"), "no stream"]);
    let output = run(&["half written"]);
    assert!(!output.status.success() && told(&output).contains("WRONGTYPE"), "{}", told(&output));
}

fn example(language: &str) -> &'static str {
    let document = include_str!("../../deploy/revocation.md");
    let (_, rest) = document.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```\n").unwrap().0
}

fn installed(tool: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools").join(tool);
    assert!(path.exists(), "no {tool} in .tools: run tests/redis/install.sh");
    path
}

fn told(output: &Output) -> String {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}
