//! `claimgate revocations list`: every entry, where it is from and how long it is remembered.

use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

use super::From;
use crate::cli::output::Output;
use crate::cli::shown::{ascii, counted, shown};
use crate::revocation::{EntryKind, RevocationEntry};
use crate::util::clock::{Clock as _, SystemClock, UnixTime};
use crate::util::rfc3339::rfc3339;

/// List what is revoked.
///
/// Exit code: 0 when everything was read, 1 when a source cannot be, 2 for a mistake in what was asked.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    from: From,
    /// Only entries of this kind: token, subject, session, key, issuer.
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<EntryKind>,
    /// How to print the outcome; json is one entry per line, as stores hold it.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

fn kind(text: &str) -> Result<EntryKind, String> {
    let words = || EntryKind::ALL.map(EntryKind::as_str).join(", ");
    EntryKind::from_word(text).ok_or_else(|| format!("{} are accepted", words()))
}

pub(super) fn run(args: &Args) -> ExitCode {
    let entries = match args.from.read() {
        Ok(entries) => entries,
        Err(failure) => return failure.tell("revocations list"),
    };
    let now = SystemClock.now();
    let wanted =
        entries.iter().filter(|(entry, _)| args.kind.is_none_or(|kind| kind == entry.kind()));
    let mut out = BufWriter::new(io::stdout().lock());
    let print = || -> io::Result<()> {
        let mut count = 0_usize;
        for (entry, place) in wanted {
            count += 1;
            match args.output {
                Output::Text => writeln!(out, "{}", line(entry, place, now))?,
                Output::Json => writeln!(out, "{}", ascii(&entry.to_json()))?,
            }
        }
        if args.output == Output::Text {
            writeln!(out, "{}", counted(count, "entry"))?;
        }
        out.flush()
    };
    // A reader that went away, or a full disk: the exit code still answers.
    let _gone = print().is_err();
    ExitCode::SUCCESS
}

/// What others wrote is escaped and cut.
fn line(entry: &RevocationEntry, place: &str, now: UnixTime) -> String {
    let revoked = entry.revoked();
    let id = match (entry.kind().member(), revoked.id()) {
        (Some(member), Some(id)) => format!(", {member} {}", shown(id)),
        (None, _) | (_, None) => String::new(),
    };
    let before = revoked
        .not_before()
        .map(|at| format!(", issued before {}", rfc3339(at)))
        .unwrap_or_default();
    let until = if entry.expires_at() < now { "expired" } else { "until" };
    let (kind, iss, at) = (entry.kind().as_str(), shown(entry.iss()), rfc3339(entry.expires_at()));
    format!("{kind} of {iss}{id}{before}, {until} {at} ({})", shown(place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revocation::Revoked;

    #[test]
    fn an_entry_is_one_line_whatever_it_is_about() {
        let at = |seconds| UnixTime::from_secs(seconds).unwrap();
        let entry = |revoked| RevocationEntry::new("https://id.example", revoked, at(100)).unwrap();
        let token = entry(Revoked::Token { jti: "a\nb\u{1b}".into() });
        assert_eq!(
            line(&token, "file", at(0)),
            "token of https://id.example, jti a\\nb\\u{1b}, until 1970-01-01T00:01:40Z (file)"
        );
        let issuer = entry(Revoked::Issuer { not_before: at(50) });
        assert_eq!(
            line(&issuer, "configuration", at(101)),
            "issuer of https://id.example, issued before 1970-01-01T00:00:50Z, \
             expired 1970-01-01T00:01:40Z (configuration)"
        );
    }
}
