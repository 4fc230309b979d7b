//! What the operating system says of this process, under the names that every Prometheus client has for it, so that
//! dashboards and alerts which are there already show it. Read when somebody scrapes, by hand: the names need a float
//! counter, which the recorder has not. Where there is no `/proc`, as on other systems than Linux, nothing is said.

use std::fmt::Write as _;
use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::util::clock::{Clock as _, SystemClock, UnixTime};

/// Name, type and sentence of each.
pub(super) const PROCESS: [(&str, &str, &str); 6] = [
    ("process_cpu_seconds_total", "counter", "Processor time, of the user and of the system."),
    ("process_start_time_seconds", "gauge", "When the process started, since 1970."),
    ("process_resident_memory_bytes", "gauge", "Memory that is resident."),
    ("process_virtual_memory_bytes", "gauge", "Addresses that are mapped."),
    ("process_open_fds", "gauge", "Files, sockets and the like that are open."),
    ("process_max_fds", "gauge", "How many of them may be."),
];

/// Appends all that is known, in Prometheus' text format.
pub(super) fn write_to(text: &mut String) {
    let stat = fs::read_to_string("/proc/self/stat").ok();
    let stat = stat.as_deref().and_then(Stat::parse);
    let of_stat = |value: fn(&Stat) -> f64| stat.as_ref().map(value);
    let values = [
        of_stat(Stat::cpu_seconds),
        stat.as_ref().map(|stat| started(stat, since_boot(), SystemClock.now())),
        of_stat(Stat::resident_bytes),
        of_stat(|stat| stat.virtual_bytes as f64),
        open_files().map(super::as_f64),
        max_files(),
    ];
    for ((name, kind, help), value) in PROCESS.into_iter().zip(values) {
        if let Some(value) = value {
            let _infallible =
                writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
        }
    }
}

/// What `/proc/self/stat` has of it (proc_pid_stat(5)), in its units.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    user_ticks: u64,
    system_ticks: u64,
    /// Since the system's start.
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(line: &str) -> Option<Self> {
        // The name of the program stands in parentheses and may hold anything, parentheses among it. What follows the
        // last one is field 3.
        let (_, fields) = line.rsplit_once(')')?;
        let mut fields = fields.split_ascii_whitespace();
        // `nth` counts on from the field after the one it gave last.
        let mut skip = |fields_between: usize| fields.nth(fields_between)?.parse().ok();
        Some(Self {
            user_ticks: skip(14 - 3)?,
            system_ticks: skip(0)?,
            start_ticks: skip(22 - 16)?,
            virtual_bytes: skip(0)?,
            resident_pages: skip(0)?,
        })
    }

    fn cpu_seconds(&self) -> f64 {
        in_seconds(self.user_ticks.saturating_add(self.system_ticks))
    }

    fn resident_bytes(&self) -> f64 {
        self.resident_pages as f64 * page_size() as f64
    }
}

/// From two clocks that are not read at the same moment, and of which one is set now and then: in whole seconds, so that
/// it stays what it is. Not by `btime` of `/proc/stat`, which `ProcSubset=pid` hides.
fn started(stat: &Stat, since_boot: f64, now: UnixTime) -> f64 {
    (now.as_secs_f64() - (since_boot - in_seconds(stat.start_ticks))).round()
}

fn in_seconds(ticks: u64) -> f64 {
    ticks as f64 / clock_ticks_per_second() as f64
}

fn since_boot() -> f64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Linux says it at once since 6.2; before, they are counted, without the one that they are read through. There may be tens
/// of thousands, and who scrapes is answered by a thread that answers requests.
fn open_files() -> Option<usize> {
    let said = fs::metadata(OPEN_FILES).ok()?.len();
    if said > 0 { usize::try_from(said).ok() } else { counted_files() }
}

fn counted_files() -> Option<usize> {
    Some(fs::read_dir(OPEN_FILES).ok()?.count().saturating_sub(1))
}

const OPEN_FILES: &str = "/proc/self/fd";

/// `None`: no limit.
fn max_files() -> Option<f64> {
    getrlimit(Resource::Nofile).current.map(|most| most as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_a_process_are_found_behind_any_name_of_a_program() {
        let fields =
            "R 1 2 3 4 -1 5 6 7 8 9 250 50 10 11 20 0 4 0 1200 65536 3 18446744073709551615 1";
        let stat = Stat {
            user_ticks: 250,
            system_ticks: 50,
            start_ticks: 1200,
            virtual_bytes: 65536,
            resident_pages: 3,
        };
        for name in ["claimgate", "a b", "x) R 9 9 (", ")"] {
            let line = format!("77 ({name}) {fields}\n");
            assert_eq!(Stat::parse(&line).as_ref(), Some(&stat), "{line}");
        }
        for line in ["", "77 (claimgate", "77 (claimgate) R 1 2", &fields.replace("1200", "x")] {
            assert_eq!(Stat::parse(&format!("77 (a) {line}")), None, "{line}");
        }
    }

    #[test]
    fn the_start_is_the_same_second_whenever_it_is_asked_for() {
        let stat = Stat {
            user_ticks: 0,
            system_ticks: 0,
            start_ticks: 1000 * clock_ticks_per_second(),
            virtual_bytes: 0,
            resident_pages: 0,
        };
        let at = |millis: i64| UnixTime::from_millis(1_700_000_000_000 + millis);
        for (since_boot, now) in [(1000.0, at(0)), (1001.5, at(1_501)), (4600.0, at(3_599_999))] {
            assert_eq!(started(&stat, since_boot, now), 1_700_000_000.0);
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_open_files_that_are_said_at_once_are_those_that_can_be_counted() {
        // Other tests open and close theirs meanwhile.
        assert!((0..10_000).any(|_| open_files() == counted_files()));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_described_whole_and_plausibly() {
        let mut text = String::new();
        write_to(&mut text);
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
            line.unwrap_or_else(|| panic!("{name} is not in\n{text}")).parse().unwrap()
        };
        for (name, kind, _) in PROCESS {
            assert!(
                text.contains(&format!("# TYPE {name} {kind}\n")) && value(name) >= 0.0,
                "{text}"
            );
        }
        assert!(value("process_resident_memory_bytes") > 1e6, "{text}");
        assert!(value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"));
        assert!(
            value("process_open_fds") >= 3.0
                && value("process_open_fds") <= value("process_max_fds")
        );
        let age = SystemClock.now().as_secs_f64() - value("process_start_time_seconds");
        assert!((-1.0..86_400.0).contains(&age), "it started {age} s ago");
    }
}
