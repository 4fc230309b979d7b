//! How much memory this process holds, from Linux's /proc.

use std::fs;

/// Bytes resident.
#[derive(Clone, Copy)]
pub(crate) struct Memory(usize);

impl Memory {
    /// Now.
    pub(crate) fn now() -> Self {
        Self(status("VmRSS"))
    }

    /// The most since [`Self::reset_peak`].
    pub(crate) fn peak() -> Self {
        Self(status("VmHWM"))
    }

    /// Forgets the peak; returns what is held now.
    pub(crate) fn reset_peak() -> Self {
        // See proc_pid_clear_refs(5).
        fs::write("/proc/self/clear_refs", "5").expect("a kernel that keeps the peak");
        Self::now()
    }

    /// Bytes more than `before`.
    pub(crate) fn since(self, before: Self) -> usize {
        self.0.saturating_sub(before.0)
    }
}

/// A field of /proc/self/status, which is in kibibytes.
fn status(name: &str) -> usize {
    let text = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = text.lines().find(|line| line.starts_with(name)).expect("the field");
    let kibibytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes << 10
}
