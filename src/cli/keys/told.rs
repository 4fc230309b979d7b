//! What a step is told like, to people and to programs: the same for `generate`, `rotate` and `retire`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::{code_of_step, warn};
use crate::cli::output::{Output, complain, print};
use crate::keys::key::Algorithm;
use crate::keys::lifecycle::manifest::{KeyState, Kid, ManagedKey, Manifest};
use crate::keys::lifecycle::rules::allowed_at;
use crate::keys::lifecycle::steps::{StepError, Taken};
use crate::util::rfc3339::rfc3339;

/// Prints the outcome of a step and returns the exit code.
pub(super) fn tell(
    command: &str,
    directory: &Path,
    outcome: &Result<Taken, StepError>,
    dry_run: bool,
    output: Output,
) -> ExitCode {
    match outcome {
        Ok(taken) => {
            for finding in &taken.findings {
                warn(finding);
            }
            print(
                "keys",
                &match output {
                    Output::Text => text(taken, directory, dry_run),
                    Output::Json => line(&json(taken, dry_run)),
                },
            )
        }
        Err(error) => {
            let code = ExitCode::from(code_of_step(error));
            match output {
                Output::Text => complain(command, error),
                Output::Json => {
                    let allowed_at = match error {
                        StepError::Refused(refusal) => refusal.allowed_at().map(rfc3339),
                        StepError::Directory(_) | StepError::UnknownKid(_) => None,
                    };
                    // The exit code says no already, also when nobody reads this.
                    let _printed = print(
                        "keys",
                        &line(&json!({
                            "changes": [], "error": error.to_string(), "allowed_at": allowed_at,
                        })),
                    );
                }
            }
            code
        }
    }
}

/// What comes next for a key, and when; `None` when nothing does.
pub(super) fn due(manifest: &Manifest, kid: &str) -> Option<String> {
    let key = manifest.find(kid)?;
    let at = rfc3339(allowed_at(key, manifest)?);
    Some(match key.state() {
        KeyState::Next => format!("activate from {at}"),
        KeyState::Active => format!("publish a successor by {at}"),
        KeyState::Retiring => format!("retire from {at}"),
        KeyState::Retired => return None,
    })
}

pub(super) fn line(value: &Value) -> String {
    format!("{value:#}\n")
}

fn text(taken: &Taken, directory: &Path, dry_run: bool) -> String {
    let mut text = String::new();
    let would = if dry_run { "would be" } else { "is now" };
    for (kid, state) in &taken.changes {
        let kid = kid.as_ref().map_or("a new key", Kid::as_str);
        // Writing to a String cannot fail, here and below.
        let _infallible = writeln!(text, "{kid} {would} {state}");
    }
    if taken.changes.is_empty() {
        text.push_str("it is retired already\n");
    }
    for broken in &taken.breaks {
        let _infallible = writeln!(text, "this breaks: {broken}");
    }
    if dry_run || taken.changes.is_empty() {
        return text;
    }
    // Otherwise there is nothing to publish: verifiers refuse an empty set.
    if taken.manifest.keys().iter().any(|key| key.state().is_published()) {
        let directory = directory.display();
        let _infallible = writeln!(text, "publish: claimgate keys jwks --dir {directory}");
    }
    let waiting = [KeyState::Next, KeyState::Retiring].into_iter();
    for key in waiting.flat_map(|state| taken.manifest.in_state(state)) {
        if let Some(due) = due(&taken.manifest, key.kid().as_str()) {
            let _infallible = writeln!(text, "then: {} {}", key.kid(), due);
        }
        if let Some(new) = new_algorithm(&taken.manifest, key) {
            let _infallible = writeln!(
                text,
                "before that: let every verifier accept {new} (claimgate: the issuer's `algorithms`), or it refuses \
                 the tokens of {}",
                key.kid()
            );
        }
    }
    if taken.manifest.active().is_none() {
        text.push_str("nothing signs: `claimgate keys rotate --force` makes or activates a key\n");
    }
    text
}

/// The algorithm of a next key, where the tokens so far are signed with another one: publishing a key does not make
/// a verifier accept it.
fn new_algorithm(manifest: &Manifest, key: &ManagedKey) -> Option<Algorithm> {
    let (old, new) = (manifest.active()?.key_type().algorithm(), key.key_type().algorithm());
    (key.state() == KeyState::Next && old != new).then_some(new)
}

fn json(taken: &Taken, dry_run: bool) -> Value {
    let changes = taken.changes.iter();
    let changes: Vec<Value> = changes
        .map(|(kid, state)| json!({"kid": kid.as_ref().map(Kid::as_str), "state": state.as_str()}))
        .collect();
    let warnings: Vec<String> = taken.findings.iter().map(ToString::to_string).collect();
    json!({
        "changes": changes,
        "dry_run": dry_run,
        "breaks": taken.breaks,
        "active_kid": taken.manifest.active().map(|key| key.kid().as_str()),
        "warnings": warnings,
    })
}
