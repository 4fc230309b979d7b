//! `claimgate demo` as a stranger runs it: both of its stories, what it says to paste, and what it says where something is
//! missing.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::{envoy, kept, redis};

/// What it expects of itself: each line of its tables is one.
const STEPS: [&str; 2] = ["29 passed, 0 failed", "41 passed, 0 failed"];

fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claimgate"));
    command.arg("demo").args(arguments).stdin(Stdio::null());
    command
}

#[track_caller]
fn said(output: &Output) -> (Option<i32>, String, String) {
    kept::printed(output);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn both_stories_of_the_demo_come_true() {
    let mut command = demo(&["--check"]);
    command.arg("--envoy").arg(envoy::executable()).arg("--redis").arg(redis::executable());
    let (code, tables, errors) = said(&command.output().unwrap());
    assert_eq!(code, Some(0), "{tables}\n{errors}");
    assert!(!tables.contains("FAIL"), "{tables}");
    let counts: Vec<&str> = tables.lines().filter(|line| line.contains(" passed, ")).collect();
    assert_eq!(counts, STEPS, "{tables}");
}

#[test]
fn without_the_circle_it_needs_no_redis_and_says_what_is_left_out() {
    let mut command = demo(&["--check", "--without-circle"]);
    // No redis-server is on this PATH.
    command.arg("--envoy").arg(envoy::executable()).env("PATH", "/nowhere");
    let (code, tables, errors) = said(&command.output().unwrap());
    assert_eq!(code, Some(0), "{tables}\n{errors}");
    assert!(tables.contains(STEPS[0]) && !tables.contains(STEPS[1]), "{tables}");
    assert!(tables.contains("left out, as asked for: the whole circle"), "{tables}");
}

#[test]
fn a_missing_envoy_or_redis_is_reported_with_the_way_to_get_it() {
    let redis = redis::executable().display().to_string();
    for (arguments, ways) in [
        (["--envoy", "/nowhere/program", "--redis", &redis], ["deploy/demo.sh", "--envoy"]),
        (["--redis", "/nowhere/program", "--envoy", "x"], ["deploy/demo.sh", "--without-circle"]),
    ] {
        let (code, tables, errors) = said(&demo(&arguments).arg("--check").output().unwrap());
        assert_eq!((code, tables.as_str()), (Some(2), ""), "{errors}");
        assert!(errors.contains("/nowhere/program"), "{errors}");
        assert!(ways.iter().all(|way| errors.contains(way)), "{errors}");
    }
}

/// Ended by its own signal, and killed where that does not help.
struct Shown(Child);

impl Drop for Shown {
    fn drop(&mut self) {
        let _gone = self.0.kill().is_err();
        let _gone = self.0.wait().is_err();
    }
}

#[test]
fn what_it_says_to_paste_takes_a_token_back() {
    let mut command = demo(&["--envoy"]);
    command.arg(envoy::executable()).arg("--redis").arg(redis::executable());
    let mut shown =
        Shown(command.stdout(Stdio::piped()).stderr(kept::stream("demo")).spawn().unwrap());
    let lines = BufReader::new(shown.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    // The one line that is there to show a token; the requests that are pasted below it show none.
    let lines =
        lines.inspect(
            |line| if line.starts_with("TOKEN=") { kept::sent(line) } else { kept::line(line) },
        );
    let welcome: Vec<String> = lines.take_while(|line| !line.starts_with("Ctrl-C")).collect();
    let begin = welcome.iter().position(|line| line.starts_with("LOGIN=")).unwrap();
    let output = Command::new("bash").args(["-c", &welcome[begin..].join("\n")]).output();
    let (code, answers, errors) = said(&output.unwrap());
    assert_eq!(code, Some(0), "{errors}");
    let answers: Vec<&str> =
        answers.lines().filter(|line| line.contains("HTTP/1.1 ")).map(str::trim).collect();
    let of = |status: &str| answers.iter().filter(|line| line.ends_with(status)).count();
    // Both services before the logout, the logout itself, and both services after it.
    assert_eq!((answers.len(), of("200 OK"), of("401 Unauthorized")), (5, 3, 2), "{answers:?}");
    kill_process(Pid::from_child(&shown.0), Signal::INT).unwrap();
    assert_eq!(shown.0.wait().unwrap().code(), Some(0));
}
