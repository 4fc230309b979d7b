//! How much memory this process holds, from Linux's /proc. Elsewhere it is not measured, and the table says so.

use std::{fmt, fs};

/// Bytes resident.
#[derive(Clone, Copy)]
pub(crate) struct Memory(Option<usize>);

impl Memory {
    /// Now.
    pub(crate) fn now() -> Self {
        Self(field("VmRSS"))
    }

    /// The most since [`Self::reset_peak`].
    pub(crate) fn peak() -> Self {
        Self(field("VmHWM"))
    }

    /// Forgets the peak; returns what is held now.
    pub(crate) fn reset_peak() -> Self {
        if cfg!(target_os = "linux") {
            // See proc_pid_clear_refs(5).
            fs::write("/proc/self/clear_refs", "5").expect("a kernel that keeps the peak");
        }
        Self::now()
    }

    /// How much more than `before`.
    pub(crate) fn since(self, before: Self) -> Growth {
        Growth(self.0.zip(before.0).map(|(now, before)| now.saturating_sub(before)))
    }
}

/// A field of /proc/self/status, which is in kibibytes.
fn field(name: &str) -> Option<usize> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let text = fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let line = text.lines().find(|line| line.starts_with(name)).expect("the field");
    let kibibytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    Some(kibibytes << 10)
}

/// Bytes more than before.
#[derive(Clone, Copy)]
pub(crate) struct Growth(Option<usize>);

impl Growth {
    /// Whether it is what an ordinary fetch may cost, and not the body that was sent.
    pub(crate) fn is_flat(self) -> bool {
        self.0.is_none_or(|bytes| bytes < 32 << 20)
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(bytes) => write!(f, "+{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
            None => f.write_str("not measured"),
        }
    }
}
