//! The benchmarks' part about revocations: what a million of them take of time to load, of memory and for a lookup. A
//! program of its own, so that the memory is theirs. benches/run.sh runs it.
//!
//! It is the way of the service from the file to the lookup: a source, its sync, the snapshot.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a figure that cannot be taken ends the program, and it prints what it found"
)]
#![allow(dead_code, reason = "the other program uses the rest of what they share")]

mod figures;
mod machine;
mod report;

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use claimgate::revocation::file::FileSettings;
use claimgate::revocation::source::SourceSettings;
use claimgate::revocation::{
    RevocationEntry, RevocationLookup, RevocationPolicy, RevocationSettings, RevocationStore,
    RevocationSync, Revoked, TokenFacts,
};
use claimgate::telemetry::metrics::RevocationMetrics;
use claimgate::util::clock::{Clock, Stopwatch, SystemClock, UnixTime};

use self::figures::{grouped, mebibytes, time};
use self::machine::Machine;
use self::report::{Section, Table};

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

const ISS: &str = "https://accounts.example.com";
const LOOKUPS: usize = 1_000_000;
const ROUNDS: usize = 5;

/// What a list is made of: of so many entries, these many are subjects and sessions, the rest tokens.
const MIXES: [(&str, usize, usize); 2] = [("tokens", 0, 0), ("all kinds", 20, 10)];

fn main() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let entries = if quick { 1_000 } else { 1_000_000 };
    if let Some(place) = arguments.iter().position(|argument| argument == LIST) {
        let list = arguments.get(place + 1).ok_or("which list?")?;
        println!("{}", serde_json::to_string(&measured(entries, list)?)?);
        return Ok(());
    }
    let mut section = Section::new("revocation", "Revocations");
    section
        .add("From a watched file, one line of JSON each; a lookup is for three facts of a token.");
    let head = ["", "revocations", "file", "loaded in", "memory", "at most", "hit", "miss"];
    let mut table = Table::new(head);
    for (name, _, _) in MIXES {
        // A process for each list, so that its memory is none that another one had before it.
        let mut child = Command::new(std::env::current_exe()?);
        child.args([LIST, name]).args(quick.then_some("--quick"));
        let output = child.stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err(format!("the list {name}: {}", output.status).into());
        }
        let [file, load, memory, peak, hit, miss] = serde_json::from_slice(&output.stdout)?;
        table.row([
            name.to_owned(),
            grouped(entries as f64),
            mebibytes(file),
            format!("{load:.2} s"),
            mebibytes(memory),
            mebibytes(peak),
            time(hit),
            time(miss),
        ]);
    }
    section.add(table);
    section.finish(Machine::new()?, quick)
}

/// For the process that measures one list.
const LIST: &str = "--list";

/// In the order of the table: bytes, seconds, bytes, bytes, and nanoseconds of a lookup.
fn measured(entries: usize, list: &str) -> Result<[f64; 6], BoxError> {
    let mix = MIXES.into_iter().find(|(name, ..)| *name == list);
    let (_, subjects, sessions) = mix.ok_or("no such list")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("revoked.jsonl");
    write(&path, entries, subjects, sessions);
    let file = fs::metadata(&path)?.len();
    let before = status("VmRSS:");
    let took = Stopwatch::start();
    let mut sync = sync(&path);
    runtime.block_on(sync.step());
    let load = took.elapsed();
    let store = sync.store();
    assert_eq!(store.load().len(), entries);
    let [memory, peak] = ["VmRSS:", "VmHWM:"].map(|line| status(line).saturating_sub(before) << 10);
    let hit = lookups(&store, entries, 0, true);
    let miss = lookups(&store, entries, entries, false);
    Ok([file as f64, load.as_secs_f64(), memory as f64, peak as f64, hit, miss])
}

fn sync(path: &Path) -> RevocationSync {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let settings = RevocationSettings {
        fixed: Vec::new(),
        source: Some(SourceSettings::File(FileSettings { path: path.to_owned() })),
        max_entries: usize::MAX,
        policy: RevocationPolicy::default(),
    };
    let built = RevocationSync::build(&settings, RevocationMetrics::default(), &clock, None);
    built.sync.unwrap()
}

fn write(path: &Path, entries: usize, subjects: usize, sessions: usize) {
    let expires_at = SystemClock.now().saturating_add(Duration::from_secs(86_400));
    let mut out = BufWriter::new(File::create(path).unwrap());
    for n in 0..entries {
        let id: Box<str> = id(n).into();
        let revoked = match n % 100 {
            of if of < subjects => {
                Revoked::Subject { sub: id, not_before: UnixTime::from_millis(i64::from(u32::MAX)) }
            }
            of if of < subjects + sessions => Revoked::Session { sid: id },
            _ => Revoked::Token { jti: id },
        };
        let entry = RevocationEntry::new(ISS, revoked, expires_at).unwrap();
        writeln!(out, "{}", entry.to_json()).unwrap();
    }
    writeln!(out, r#"{{"v":1,"kind":"end"}}"#).unwrap();
    out.flush().unwrap();
}

/// Like a UUID, another one for each `n`.
fn id(n: usize) -> String {
    let mixed = (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (a, b) = (mixed, mixed.rotate_left(17) ^ 0x5bd1_e995_97f4_a7c1);
    format!("{:08x}-{:04x}-{:04x}-{:016x}", a >> 32, (a >> 16) as u16, a as u16, b)
}

/// Nanoseconds of one lookup, the best of some rounds. Each is of another token, so that no line of the table is in a
/// cache of the processor that was not there by chance; with what making its texts takes subtracted: they are made before.
fn lookups(store: &RevocationStore, entries: usize, from: usize, is_revoked: bool) -> f64 {
    let ids: Vec<String> = (0..LOOKUPS).map(|n| id(from + n * 7919 % entries.max(1))).collect();
    let now = SystemClock.now();
    let rounds = (0..ROUNDS).map(|_| {
        let took = Stopwatch::start();
        for id in &ids {
            // One of the three is what the entry is about.
            let facts = TokenFacts {
                iss: ISS,
                jti: Some(id),
                sub: Some(id),
                sid: Some(id),
                kid: Some("one"),
                iat: Some(UnixTime::from_millis(0)),
            };
            let found = black_box(store.load().look_up(black_box(&facts), now));
            assert_eq!(matches!(found, RevocationLookup::Revoked(_)), is_revoked);
        }
        took.elapsed().as_nanos() as f64 / LOOKUPS as f64
    });
    rounds.fold(f64::MAX, f64::min)
}

/// A line of `/proc/self/status`, in KiB.
fn status(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
