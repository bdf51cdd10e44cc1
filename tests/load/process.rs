//! What the server's process costs, as the kernel counts it.

use std::fs;

/// A process of this machine.
#[derive(Debug, Clone)]
pub(crate) struct Process(pub(crate) u64);

impl Process {
    /// Milliseconds of CPU that its threads have used so far.
    pub(crate) fn cpu_ms(&self) -> f64 {
        // Nanoseconds, of each thread that is still there: a server's threads stay.
        let folder = format!("/proc/{}/task", self.0);
        let threads = fs::read_dir(folder).expect("the server is gone").flatten();
        let used = threads.filter_map(|thread| {
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<f64>().ok()
        });
        used.sum::<f64>() / 1e6
    }

    /// Bytes of memory that it has now, and had at the most.
    pub(crate) fn memory(&self) -> (u64, u64) {
        let text =
            fs::read_to_string(format!("/proc/{}/status", self.0)).expect("the server is gone");
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a field");
            let kib = line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok());
            kib.expect("a number") << 10
        };
        (field("VmRSS"), field("VmHWM"))
    }

    /// Forgets the most that it had.
    pub(crate) fn forget_peak(&self) {
        // Refused to those who do not own the process; then the peak is that of its life.
        let _ = fs::write(format!("/proc/{}/clear_refs", self.0), "5");
    }
}
