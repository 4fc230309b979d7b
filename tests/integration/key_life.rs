//! `claimgate keys` as it is run: exit codes, what is printed, and that a killed rotation is understood afterwards.
//! The rules themselves are tested beside `keys::lifecycle`.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use claimgate::keys::jwks::Jwks;
use claimgate::keys::key::AlgorithmSet;
use claimgate::util::clock::Stopwatch;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::kept;

struct Keys {
    folder: TempDir,
}

struct Outcome {
    code: i32,
    out: String,
    err: String,
}

impl Keys {
    /// With the first key, `k1`.
    fn new() -> Self {
        let keys = Self { folder: tempfile::tempdir().unwrap() };
        let made = keys.run(&["generate", "--type", "ed25519", "--kid", "k1"]);
        assert_eq!(made.code, 0, "{}", made.err);
        keys
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_claimgate"));
        command.arg("keys").args(args).arg("--dir").arg(self.path());
        command
    }

    fn run(&self, args: &[&str]) -> Outcome {
        let outcome = outcome(&mut self.command(args));
        kept::keys(&self.path());
        outcome
    }

    fn json(&self, args: &[&str]) -> (i32, Value) {
        let outcome = self.run(&[args, &["--output", "json"]].concat());
        (outcome.code, serde_json::from_str(&outcome.out).unwrap())
    }

    /// All times of the manifest, so many days earlier.
    fn age(&self, days: &str) {
        let path = self.path().join("manifest.json");
        let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for key in manifest["keys"].as_array_mut().unwrap() {
            for transition in key["transitions"].as_array_mut().unwrap() {
                let at = transition["at"].as_str().unwrap();
                let earlier = ["-u", "-d", &format!("{at} -{days} days"), "+%Y-%m-%dT%H:%M:%SZ"];
                let earlier = Command::new("date").args(earlier).output().unwrap();
                transition["at"] = json!(String::from_utf8(earlier.stdout).unwrap().trim());
            }
        }
        fs::write(path, manifest.to_string()).unwrap();
    }
}

fn outcome(command: &mut Command) -> Outcome {
    let output = command.stdin(Stdio::null()).output().unwrap();
    kept::printed(&output);
    Outcome {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn evidence(args: &[&str], input: &str) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claimgate"));
    command.args(["keys", "evidence"]).args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    kept::printed(&output);
    Outcome {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn a_name_for_a_key_that_is_not_made_is_warned_of() {
    let keys = Keys::new();
    let published = keys.run(&["rotate", "--kid", "k2", "--jwks-max-age", "0s"]);
    assert_eq!((published.code, published.err.as_str()), (0, ""));
    let activated = keys.run(&["rotate", "--kid", "k3", "--type", "p-256", "--force"]);
    assert!(activated.out.starts_with("k2 is now active\n"), "{}", activated.out);
    assert!(activated.err.contains("--kid k3 has no effect"), "{}", activated.err);
    assert!(activated.err.contains("--type p-256 has no effect"), "{}", activated.err);
}

#[test]
fn a_next_key_for_another_algorithm_comes_with_what_verifiers_need_first() {
    let keys = Keys::new();
    let same = keys.run(&["rotate", "--kid", "k2"]);
    assert!(!same.out.contains("before that"), "{}", same.out);
    assert_eq!(keys.run(&["retire", "k2"]).code, 0);
    let other = keys.run(&["rotate", "--kid", "k3", "--type", "p-256"]);
    assert!(other.out.contains("before that: let every verifier accept ES256"), "{}", other.out);
}

#[test]
fn a_directory_that_is_not_there_is_named_with_the_command_that_makes_it() {
    let keys = Keys { folder: tempfile::tempdir().unwrap() };
    for command in [&["list"][..], &["rotate"], &["jwks"], &["retire", "k1"]] {
        let missing = keys.run(command);
        assert_eq!(missing.code, 2, "{command:?}");
        let path = keys.path();
        assert!(missing.err.contains(path.to_str().unwrap()), "{}", missing.err);
        assert!(missing.err.contains("`claimgate keys generate` makes it"), "{}", missing.err);
    }
    let below = keys.path().join("keys");
    let mut generate = Command::new(env!("CARGO_BIN_EXE_claimgate"));
    let made = outcome(generate.args(["keys", "generate", "--dir"]).arg(below));
    assert_eq!(made.code, 2, "{}", made.err);
    assert!(made.err.contains("cannot be made a key directory"), "{}", made.err);
}

#[test]
fn the_exit_code_is_0_for_yes_1_for_no_and_2_for_a_wrong_question() {
    let keys = Keys::new();
    assert_eq!(keys.run(&["rotate", "--dry-run"]).code, 0);
    assert_eq!(keys.run(&["rotate"]).code, 0);
    let refused = keys.run(&["rotate"]);
    assert_eq!((refused.code, refused.out.as_str()), (1, ""));
    assert!(refused.err.contains("Allowed from 20"), "{}", refused.err);
    assert_eq!(keys.run(&["retire", "k1"]).code, 1);
    assert_eq!(keys.run(&["retire", "-nobody"]).code, 2);
    assert_eq!(keys.run(&["generate", "--kid", "../k"]).code, 2);
    assert_eq!(keys.run(&["generate", "--type", "rsa-1024"]).code, 2);
    fs::set_permissions(keys.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let exposed = keys.run(&["list"]);
    assert_eq!(exposed.code, 2);
    assert!(exposed.err.contains("chmod 700"), "{}", exposed.err);
}

#[test]
fn a_program_is_told_the_refusal_and_its_end() {
    let keys = Keys::new();
    let (code, told) = keys.json(&["rotate", "--kid", "k2"]);
    assert_eq!((code, &told["changes"]), (0, &json!([{"kid": "k2", "state": "next"}])));
    let (code, told) = keys.json(&["rotate"]);
    assert_eq!((code, &told["changes"]), (1, &json!([])));
    assert_eq!(told["allowed_at"].as_str().unwrap().len(), "2026-11-21T12:00:00Z".len());
}

#[test]
fn a_whole_rotation_takes_three_calls_and_two_days() {
    let keys = Keys::new();
    assert_eq!(keys.run(&["rotate", "--kid", "k2"]).code, 0);
    keys.age("1");
    assert_eq!(keys.run(&["rotate"]).code, 0);
    assert_eq!(keys.run(&["rotate"]).code, 1);
    keys.age("2");
    assert_eq!(keys.run(&["rotate"]).code, 0);
    let (_, list) = keys.json(&["list"]);
    assert_eq!((&list["keys"][0]["state"], &list["active_kid"]), (&json!("retired"), &json!("k2")));
    let published = keys.run(&["jwks"]).out;
    assert_eq!(keys.run(&["jwks"]).out, published);
    let read = Jwks::parse(published.as_bytes(), AlgorithmSet::ALL, 9).unwrap();
    assert_eq!(read.keys[0].kid(), Some("k2"));
}

#[test]
fn an_active_key_of_more_than_twelve_months_is_warned_about() {
    let keys = Keys::new();
    keys.age("364");
    assert_eq!(keys.run(&["list"]).err, "");
    keys.age("10");
    let (code, list) = keys.json(&["list"]);
    assert_eq!(code, 0);
    assert!(list["warnings"][0].as_str().unwrap().contains("k1 is 37"), "{list}");
}

#[test]
fn a_compromised_key_is_replaced_by_two_commands() {
    let keys = Keys::new();
    let retired = keys.run(&["retire", "k1", "--force"]);
    assert_eq!(retired.code, 0);
    assert!(retired.out.contains("nothing signs until"), "{}", retired.out);
    assert_eq!(keys.run(&["jwks"]).code, 1);
    assert_eq!(keys.run(&["rotate", "--force"]).code, 0);
    let published = keys.run(&["jwks"]);
    assert_eq!(published.code, 0);
    assert!(!published.out.contains("\"k1\""));
}

#[test]
fn evidence_compares_two_events_and_sha256sum_verifies_it() {
    let keys = Keys::new();
    let out = keys.folder.path().join("evidence").display().to_string();
    assert_eq!(keys.run(&["evidence", "--event-id", "before", "--out", &out]).code, 0);
    keys.run(&["rotate", "--kid", "k2"]);
    keys.run(&["rotate", "--force"]);
    let previous = format!("{out}/before/summary.json");
    let after = ["evidence", "--event-id", "after", "--out", &out, "--previous", &previous];
    assert_eq!(keys.run(&after).code, 0);
    let summary = fs::read(format!("{out}/after/summary.json")).unwrap();
    let summary: Value = serde_json::from_slice(&summary).unwrap();
    assert_eq!(
        (&summary["previous"]["active_kid"], &summary["active_kid"]),
        (&json!("k1"), &json!("k2"))
    );
    let mut verify = Command::new("sha256sum");
    verify.args(["-c", "fingerprint.sha256"]).current_dir(format!("{out}/after"));
    assert!(outcome(&mut verify).code == 0);
    let again = keys.run(&after);
    assert_eq!(again.code, 1, "evidence is never replaced");
    for name in ["keyset.json", "summary.json"] {
        let text = fs::read_to_string(Path::new(&out).join("after").join(name)).unwrap();
        assert!(!text.contains("PRIVATE") && !text.contains("\"d\""));
    }
}

#[test]
fn evidence_of_keys_that_live_elsewhere_comes_from_standard_input_without_their_private_parts() {
    let keys = Keys::new();
    let private = fs::read_to_string(keys.path().join("k1.pem")).unwrap();
    let keyset = json!({"active_kid": "kms", "keys": {"kms": private}}).to_string();
    let out = keys.folder.path().join("evidence").display().to_string();
    let args = ["--from", "-", "--event-id", "e", "--out", &out];
    let written = evidence(&args, &keyset);
    assert_eq!(written.code, 0, "{}", written.err);
    assert!(written.err.contains("kms came with its private part"), "{}", written.err);
    let secret = private.lines().nth(1).unwrap();
    for entry in fs::read_dir(format!("{out}/e")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!text.contains(secret) && !text.contains("PRIVATE"));
    }
    let refused = evidence(&["--from", "-", "--event-id", "f", "--out", &out], "{\"keys\": 1}");
    assert_eq!((refused.code, refused.out.as_str()), (2, ""));
    assert!(refused.err.contains("standard input: "), "{}", refused.err);
    let again = evidence(&args, &keyset);
    assert_eq!((again.code, again.out.as_str()), (1, ""));
    assert!(again.err.contains(&format!("{out}/e: there is evidence of this event already")));
    assert_eq!(evidence(&["--event-id", "g"], "").code, 2, "neither --dir nor --from");
}

#[test]
fn rotations_that_are_killed_leave_a_directory_that_the_next_call_understands() {
    let keys = Keys::new();
    let watch = Stopwatch::start();
    assert_eq!(keys.run(&["rotate"]).code, 0);
    let a_call = watch.elapsed();
    for round in 0_u32..60 {
        let mut command = keys.command(&["rotate", "--force"]);
        command.stdout(kept::stream("keys")).stderr(kept::stream("keys"));
        let mut child = command.spawn().unwrap();
        // Spread over what a call takes, mostly its end, where it writes; where exactly it hits is up to the machine.
        thread::sleep(a_call * (10 + round % 23) / 30);
        // SIGKILL; an error means that it had ended.
        let _ended = child.kill().is_err();
        let code = child.wait().unwrap().code();
        assert!(matches!(code, None | Some(0)), "round {round}: {code:?}");
        let (code, list) = keys.json(&["list"]);
        assert_eq!(code, 0, "round {round}: {list}");
        let active = list["active_kid"].as_str().expect("one key signs at any time");
        assert!(keys.path().join(format!("{active}.pem")).exists(), "round {round}");
        let mut warnings = list["warnings"].as_array().unwrap().iter();
        assert!(!warnings.any(|text| text.as_str().unwrap().contains("missing")), "{list}");
        assert!(keys.run(&["jwks"]).out.contains(&format!("\"{active}\"")), "round {round}");
        // So that every step of a rotation is killed, also where every kill hits early.
        assert_eq!(keys.run(&["rotate", "--force"]).code, 0, "round {round}");
    }
}
