//! What this process has used up, as the kernel tells it.

use std::{
    fs,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::time::{ClockId, clock_gettime};

use crate::Failure;

/// The CPU time of all threads, those that have ended too.
pub(crate) fn cpu() -> Duration {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(spent.tv_sec.try_into().unwrap_or_default(), spent.tv_nsec.try_into().unwrap_or_default())
}

/// Microseconds since 1970: processes of one machine compare by it.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_micros().try_into().unwrap_or(u64::MAX)
}

/// Resident memory in KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resident {
    pub(crate) now: u64,
    pub(crate) peak: u64,
}

impl Resident {
    /// That of this process.
    pub(crate) fn read() -> Result<Self, Failure> {
        Self::of(std::process::id())
    }

    pub(crate) fn of(process: u32) -> Result<Self, Failure> {
        let path = format!("/proc/{process}/status");
        let status = fs::read_to_string(&path)?;
        Self::parse(&status).ok_or_else(|| format!("{path} has no VmRSS or VmHWM").into())
    }

    fn parse(status: &str) -> Option<Self> {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim_end().strip_suffix("kB")?.trim().parse().ok()
        };
        Some(Self { now: field("VmRSS:")?, peak: field("VmHWM:")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_the_status() {
        let status =
            "Name:\txtask\nVmPeak:\t  900 kB\nVmHWM:\t   16384 kB\nVmRSS:\t    9216 kB\nThreads:\t3\n";
        assert_eq!(Resident::parse(status), Some(Resident { now: 9216, peak: 16384 }));
        assert_eq!(Resident::parse("Name:\txtask\n"), None);
    }

    #[test]
    fn this_process_has_memory_and_has_used_the_cpu() {
        let resident = Resident::read().unwrap();
        assert!(resident.now > 0 && resident.peak >= resident.now);
        assert!(cpu() > Duration::ZERO);
    }
}
