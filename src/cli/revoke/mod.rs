//! `claimgate revoke`: takes something back, by writing to the Redis that services follow. What an entry is, and how it is
//! written, is [`crate::revocation`]'s; here it is asked for, checked and told.

mod store;
mod what;

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use self::store::{Failure, Store};
use self::what::{Issuer, Key, Session, Subject, Target, Token};
use super::USAGE;
use super::output::{Output, complain, print};
use super::shown::{ascii, counted, error_text, shown};
use crate::revocation::redis::{Writer, Written};
use crate::revocation::{EntryKind, RevocationEntry};
use crate::util::clock::{Clock as _, SystemClock, UnixTime};
use crate::util::rfc3339::rfc3339;

/// Take back a token, a subject's tokens, a session, a key or everything of an issuer.
///
/// Writes one entry to the Redis that services follow, and reads it back. Services refuse what it is about within a second,
/// until they need not remember it any more.
///
/// Exit code: 0 when it is written and read back, 1 when it is not known to be there, 2 for a mistake in what was asked.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take back one token, by its jti.
    Token(Asked<Token>),
    /// Take back the tokens of a subject that were issued before a time.
    Subject(Asked<Subject>),
    /// Take back every token of a session, by its sid.
    Session(Asked<Session>),
    /// Take back every token that was signed with a key, by its kid.
    Key(Asked<Key>),
    /// Take back everything that an issuer issued before a time.
    Issuer(Asked<Issuer>),
    /// Say that a new store's list begins here. Until then, no service that starts believes that it is whole.
    ///
    /// Once for a store, and again when it has lost what it held; one that has a list stays as it is.
    Init(Init),
}

#[derive(Clone, Debug, clap::Args)]
struct Asked<What: clap::Args> {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    store: Store,
    /// Take the revocation back: every entry about the same, whatever its times.
    #[arg(long, conflicts_with_all = ["expires", "lasts", "print"])]
    undo: bool,
    /// Print the entry and write nothing: a line for a file of revocations.
    #[arg(long, conflicts_with_all = ["config", "redis"])]
    print: bool,
    /// How to print the outcome; json is one object on one line.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Clone, Debug, clap::Args)]
struct Init {
    #[command(flatten)]
    store: Store,
    /// How to print the outcome; json is one object on one line.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// 0 done, 1 not known to be done, 2 a mistake in what was asked.
pub fn run(args: &Args) -> ExitCode {
    let now = SystemClock.now();
    let outcome = match &args.command {
        Command::Token(asked) => asked.run(asked.what.target(), now),
        Command::Subject(asked) => asked.run(asked.what.target(now), now),
        Command::Session(asked) => asked.run(asked.what.target(), now),
        Command::Key(asked) => asked.run(asked.what.target(), now),
        Command::Issuer(asked) => asked.run(asked.what.target(now), now),
        Command::Init(init) => init.run(),
    };
    match outcome {
        Ok(text) => print("revoke", &text),
        Err(failure) => {
            complain("revoke", &error_text(&failure.to_string()));
            ExitCode::from(match failure {
                Failure::Usage(_) => USAGE,
                Failure::Io(_) | Failure::Store(_) | Failure::Nothing => 1,
            })
        }
    }
}

impl<What: clap::Args> Asked<What> {
    fn run(&self, target: Target, now: UnixTime) -> Result<String, Failure> {
        if self.undo {
            let Target { iss, revoked, .. } = target;
            let (kind, id) = (revoked.kind(), revoked.id());
            let mut writer = self.store.writer()?;
            let removed = store::wait(async { writer.remove(kind, &iss, id).await })?;
            return if removed == 0 {
                Err(Failure::Nothing)
            } else {
                Ok(self.undone(kind, removed))
            };
        }
        let entry = target.entry(now).map_err(Failure::Usage)?;
        if self.print {
            return Ok(format!("{}\n", ascii(&entry.to_json())));
        }
        let mut writer: Writer = self.store.writer()?;
        let written = store::wait(async { writer.write(&entry, now).await })?;
        if !written.has_epoch {
            complain(
                "revoke",
                &"warning: the store has no epoch: it was never set up, or has lost what it held. Services that run refuse \
                this; those that start now do not believe the list. See claimgate revoke init",
            );
        }
        Ok(self.written(&entry, &written))
    }

    fn written(&self, entry: &RevocationEntry, written: &Written) -> String {
        let Written { server, key, position, has_epoch } = written;
        match self.output {
            Output::Text => {
                let until = rfc3339(entry.expires_at());
                let what = told(entry);
                format!("revoked {what}; remembered until {until}\n{server} has it as {key}\n")
            }
            Output::Json => line(&json!({
                "entry": entry.to_json(),
                "server": server,
                "key": key,
                "position": position,
                "has_epoch": has_epoch,
            })),
        }
    }

    fn undone(&self, kind: EntryKind, removed: usize) -> String {
        match self.output {
            Output::Text => {
                let entries = counted(removed, "entry");
                format!("removed {entries} about this {}\n", kind.as_str())
            }
            Output::Json => line(&json!({"removed": removed})),
        }
    }
}

impl Init {
    fn run(&self) -> Result<String, Failure> {
        let mut writer = self.store.writer()?;
        // Nobody has to guess it: it only has to be another one each time.
        let epoch = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let is_new = store::wait(async { writer.init(&epoch).await })?;
        Ok(match (self.output, is_new) {
            (Output::Text, true) => "the list begins here\n".to_owned(),
            (Output::Text, false) => "it has a list already, which stays as it is\n".to_owned(),
            (Output::Json, _) => line(&json!({"is_new": is_new})),
        })
    }
}

/// What is revoked, in a line.
fn told(entry: &RevocationEntry) -> String {
    let revoked = entry.revoked();
    let id = match (entry.kind().member(), revoked.id()) {
        (Some(member), Some(id)) => format!(", {member} {}", shown(id)),
        (None, _) | (_, None) => String::new(),
    };
    let before = revoked.not_before();
    let before = before.map(|at| format!(", issued before {}", rfc3339(at))).unwrap_or_default();
    format!("{} of {}{id}{before}", entry.kind().as_str(), shown(entry.iss()))
}

fn line(json: &Value) -> String {
    format!("{}\n", ascii(&json.to_string()))
}
