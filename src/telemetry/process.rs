//! What the kernel says of this process.

use std::time::Duration;

/// What this process uses; what is `None` cannot be told on this machine.
#[derive(Debug, Default)]
pub struct Usage {
    pub memory_bytes: Option<u64>,
    /// Time on processors since its start, all threads together.
    pub cpu: Option<Duration>,
    pub open_files: Option<usize>,
}

impl Usage {
    pub fn now() -> Self {
        Self { memory_bytes: memory_bytes(), cpu: cpu(), open_files: open_files() }
    }
}

/// Resident memory in bytes; `None` where there is no `/proc`.
pub fn memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

fn cpu() -> Option<Duration> {
    Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime)).ok()
}

/// The look itself opens one.
fn open_files() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_what_this_process_uses() {
        let usage = Usage::now();
        assert!(usage.memory_bytes > Some(1 << 20) && usage.cpu > Some(Duration::ZERO), "{usage:?}");
        assert!(usage.open_files >= Some(3), "{usage:?}");
    }
}
