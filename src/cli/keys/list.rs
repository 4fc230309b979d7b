//! `claimgate keys list`: which keys there are, how old they are, and what is due.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Directory, Printing, code_of, told, warn};
use crate::cli::output::{Output, complain, print};
use crate::keys::lifecycle::directory::KeyDirectory;
use crate::keys::lifecycle::manifest::ManagedKey;
use crate::keys::lifecycle::rules::MAX_KEY_AGE;
use crate::util::clock::{Clock as _, SystemClock, UnixTime};
use crate::util::rfc3339::rfc3339;

/// List the keys: state, algorithm, age, and what is due when.
///
/// Warns when the active key is older than 12 months, when none is active, and of files that ought not to be there.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    directory: Directory,
    #[command(flatten)]
    printing: Printing,
}

/// 0 also when there are warnings.
pub fn run(args: &Args) -> ExitCode {
    let directory = match KeyDirectory::read(&args.directory.dir) {
        Ok(directory) => directory,
        Err(error) => {
            complain("keys list", &error);
            return ExitCode::from(code_of(&error));
        }
    };
    let now = SystemClock.now();
    let warnings = warnings(&directory, now);
    match args.printing.output {
        Output::Text => {
            for warning in &warnings {
                warn(warning);
            }
            print("keys", &table(&directory, now))
        }
        Output::Json => print("keys", &told::line(&json(&directory, &warnings, now))),
    }
}

fn warnings(directory: &KeyDirectory, now: UnixTime) -> Vec<String> {
    let mut warnings: Vec<String> = directory.findings().iter().map(ToString::to_string).collect();
    match directory.manifest().active() {
        None => warnings.push("no key is active: nothing signs".to_owned()),
        Some(key) if now.since(key.published_at()) > MAX_KEY_AGE => warnings.push(format!(
            "{} is {} old: rotate keys every 12 months at least",
            key.kid(),
            age(now.since(key.published_at()))
        )),
        Some(_) => {}
    }
    warnings
}

fn table(directory: &KeyDirectory, now: UnixTime) -> String {
    let manifest = directory.manifest();
    let heading = ["KID", "STATE", "ALGORITHM", "AGE", "DUE"].map(str::to_owned);
    let rows = manifest.keys().iter().map(|key| {
        [
            key.kid().to_string(),
            key.state().to_string(),
            key.key_type().algorithm().to_string(),
            age(now.since(key.published_at())),
            told::due(manifest, key.kid().as_str()).unwrap_or_else(|| "-".to_owned()),
        ]
    });
    let rows: Vec<[String; 5]> = std::iter::once(heading).chain(rows).collect();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..5).map(width).collect();
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    });
    lines.collect()
}

fn json(directory: &KeyDirectory, warnings: &[String], now: UnixTime) -> Value {
    let manifest = directory.manifest();
    let one = |key: &ManagedKey| {
        json!({
            "kid": key.kid().as_str(),
            "state": key.state().as_str(),
            "type": key.key_type().name(),
            "alg": key.key_type().algorithm().name(),
            "published_at": rfc3339(key.published_at()),
            "since": rfc3339(key.since()),
            "age_seconds": now.since(key.published_at()).as_secs(),
            "due": told::due(manifest, key.kid().as_str()),
        })
    };
    let keys: Vec<Value> = manifest.keys().iter().map(one).collect();
    json!({
        "active_kid": manifest.active().map(|key| key.kid().as_str()),
        "jwks_max_age_seconds": manifest.policy.jwks_max_age.as_secs(),
        "token_lifetime_seconds": manifest.policy.token_lifetime.as_secs(),
        "keys": keys,
        "warnings": warnings,
    })
}

/// In the largest unit that there is at least one of.
fn age(age: Duration) -> String {
    match age.as_secs() {
        seconds @ ..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m", seconds / 60),
        seconds @ 3600..86_400 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}
