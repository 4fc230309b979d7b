//! What the machine is, which processor a thread may use, and what a process took of it. Linux: it reads /proc.
//!
//! With two processors or more the servers under test have the last one to themselves, and whoever loads them has the
//! first: one worker each, and neither takes the other's time.

use std::fs;
use std::io;
use std::process::Command;
use std::time::{Duration, SystemTime};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Which processor to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The first: of the driver, and of what is not measured.
    Driver,
    /// The last: of what is measured.
    Subject,
    /// All that this process began with.
    Everywhere,
}

/// The processors that this process began with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    all: CpuSet,
    first: usize,
    last: usize,
    /// The load average of the last minute before anything was measured.
    load: f64,
}

impl Machine {
    pub(crate) fn new() -> io::Result<Self> {
        let all = sched_getaffinity(None)?;
        let mut set = (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu));
        let first = set.next().unwrap_or_default();
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(f64::NAN);
        Ok(Self { all, first, last: set.next_back().unwrap_or(first), load })
    }

    /// Moves this thread, and whatever it starts from now on.
    pub(crate) fn move_to(self, place: Place) -> io::Result<()> {
        let mut set = CpuSet::new();
        match place {
            Place::Driver => set.set(self.first),
            Place::Subject => set.set(self.last),
            Place::Everywhere => set = self.all,
        }
        Ok(sched_setaffinity(None, &set)?)
    }

    pub(crate) fn processors(self) -> usize {
        usize::try_from(self.all.count()).unwrap_or(1)
    }

    /// For the head of the results.
    pub(crate) fn told(self) -> String {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let model = model.map_or("unknown processor", |(_, name)| name);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let memory = number_after(&memory, "MemTotal:").unwrap_or_default() / (1024 * 1024);
        let (count, kernel, load) = (self.processors(), kernel.trim(), self.load);
        format!(
            "{model}, {count} processors, {memory} GiB, Linux {kernel}; load average before it began: {load}"
        )
    }
}

/// What was measured, and with what.
pub(crate) fn versions() -> String {
    let rustc = said(Command::new("rustc").arg("--version"));
    let commit = said(Command::new("git").args(["describe", "--always", "--dirty"]));
    format!("claimgate {} ({commit}), {rustc}", env!("CARGO_PKG_VERSION"))
}

pub(crate) fn today() -> String {
    #[expect(clippy::disallowed_methods, reason = "the results say when they were measured")]
    httpdate::fmt_http_date(SystemTime::now())
}

/// Resident memory of a process, in bytes; 0 when it is gone.
pub(crate) fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    number_after(&status, "VmRSS:").unwrap_or_default() * 1024
}

/// How long all threads of a process have been on a processor, to the nanosecond.
pub(crate) fn processor_time(process: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let of_task = |task: fs::DirEntry| -> Option<u64> {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    };
    Duration::from_nanos(tasks.filter_map(of_task).sum())
}

fn number_after(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn said(command: &mut Command) -> String {
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.ok().filter(|text| !text.is_empty()).unwrap_or_else(|| "unknown".to_owned())
}
