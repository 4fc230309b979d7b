//! Programs that behave and programs that do not. What they leave behind is looked for by process number.

use std::path::Path;

use rustix::process::test_kill_process;

use super::*;

/// Nothing that is waited for takes this long unless it never comes.
const PATIENCE: Duration = Duration::from_secs(20);

fn command(argv: &[&str], inherits: &[&str]) -> Command {
    let mut argv = argv.iter().map(|&text| text.to_owned());
    let inherits = inherits.iter().map(|&text| text.to_owned()).collect();
    Command::new(argv.next().unwrap(), argv.collect(), inherits)
}

fn shell(script: &str) -> Command {
    command(&["/bin/sh", "-c", script], &[])
}

async fn run(command: &Command) -> Result<String, SourceError> {
    let printed = command.run(1000, PATIENCE).await;
    printed.map(|printed| String::from_utf8(printed).unwrap())
}

/// The process whose number is in `file`, once it is there.
async fn process_in(file: &Path) -> Pid {
    for _ in 0..2000 {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if let Some(pid) = text.strip_suffix('\n').and_then(|text| text.parse().ok()) {
            return Pid::from_raw(pid).unwrap();
        }
        time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never started");
}

async fn until_gone(process: Pid) {
    for _ in 0..2000 {
        // A zombie that nobody waits for yet still has its number.
        let state = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()));
        if test_kill_process(process).is_err() || state.is_ok_and(|state| state.contains(") Z ")) {
            return;
        }
        time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it is still there");
}

#[tokio::test]
async fn what_a_program_prints_is_read_and_its_arguments_reach_no_shell() {
    let printed = run(&command(&["printf", "%s|", "a b", "$HOME", "`x`"], &[])).await;
    assert_eq!(printed.unwrap(), "a b|$HOME|`x`|");
    assert_eq!(run(&shell("cat; echo on stderr >&2")).await.unwrap(), "", "no input");
}

#[tokio::test]
async fn the_environment_is_a_search_path_and_what_is_listed() {
    assert_eq!(run(&command(&["env"], &[])).await.unwrap(), format!("PATH={SEARCH_PATH}\n"));
    let printed = run(&command(&["env"], &["CARGO_MANIFEST_DIR", "NOT_THERE"])).await.unwrap();
    let listed = format!("CARGO_MANIFEST_DIR={}\n", env!("CARGO_MANIFEST_DIR"));
    assert!(printed.contains(&listed) && printed.lines().count() == 2, "{printed}");
    let printed = run(&command(&["/usr/bin/env"], &["PATH"])).await.unwrap();
    let inherited = std::env::var_os("PATH").unwrap();
    assert_eq!(printed, format!("PATH={}\n", inherited.to_str().unwrap()));
}

#[tokio::test]
async fn a_program_that_fails_is_told_with_its_status_and_the_end_of_its_complaint() {
    let error = run(&shell("echo hidden; printf 'no\\n\\033[31mkey' >&2; exit 3")).await;
    let error = error.unwrap_err().to_string();
    assert_eq!(error, "the command failed, exit status: 3: no\\n\\u{1b}[31mkey");
    let long = shell("head -c 100000 /dev/zero | tr '\\0' x >&2; echo THE END >&2; exit 1");
    let error = run(&long).await.unwrap_err().to_string();
    assert!(error.ends_with("xxxTHE END") && error.len() < 300, "{error}");
    let error = run(&shell("kill -9 $$")).await.unwrap_err().to_string();
    assert!(error.contains("signal: 9"), "{error}");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told_without_its_arguments() {
    for program in ["/no/such/program", "no-such-program"] {
        let error = run(&command(&[program, "hidden"], &[])).await.unwrap_err().to_string();
        assert!(error.starts_with("cannot be read: it cannot be started: No such file"), "{error}");
        assert!(!error.contains("hidden"), "{error}");
    }
}

#[tokio::test]
async fn too_much_output_ends_the_program() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let script = format!("sh -c 'echo $$ > {}; exec yes' & wait", file.display());
    assert_eq!(run(&shell(&script)).await, Err(SourceError::TooLarge(1000)));
    until_gone(process_in(&file).await).await;
}

#[tokio::test]
async fn a_program_that_is_not_done_in_time_ends_with_all_that_it_started() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let script = format!("sleep 1000 & echo $! > {}; sleep 1000", file.display());
    let timeout = Duration::from_millis(500);
    let outcome = shell(&script).run(1000, timeout).await;
    assert_eq!(outcome, Err(SourceError::Timeout(timeout)));
    until_gone(process_in(&file).await).await;
}

#[tokio::test]
async fn a_read_that_is_given_up_ends_the_program_and_all_that_it_started() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let script = format!("sleep 1000 & echo $! > {}; sleep 1000", file.display());
    let program = shell(&script);
    let process = tokio::select! {
        _ = program.run(1000, Duration::from_secs(1000)) => panic!("it ended by itself"),
        process = process_in(&file) => process,
    };
    until_gone(process).await;
}

#[tokio::test]
async fn nobody_who_holds_on_to_the_pipes_holds_up_the_read() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let script = format!("sleep 1000 & echo $! > {}; echo done", file.display());
    assert_eq!(run(&shell(&script)).await.unwrap(), "done\n");
    until_gone(process_in(&file).await).await;
    // One that has left the group cannot be killed with it; it ends by itself.
    assert_eq!(run(&shell("setsid sleep 40 & echo done")).await.unwrap(), "done\n");
}

#[test]
fn debug_shows_no_argument() {
    let command = Command::new("kms-client".to_owned(), vec!["--token=hunter2".to_owned()], vec![]);
    let shown = format!("{command:?}");
    assert!(shown.contains("kms-client") && !shown.contains("hunter2"), "{shown}");
}
