//! What a running process uses, as the kernel counts it. proc(5): `/proc/PID/status`, `stat` and
//! `clear_refs`.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;

/// `USER_HZ`, in which `/proc` counts on every architecture that Sealift is built for: time(7).
const TICKS_A_SECOND: u64 = 100;

/// One look at a process.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Usage {
    /// Resident memory.
    pub(super) resident_bytes: u64,
    /// The part of it that belongs to nobody else: heap, stacks, data.
    pub(super) anonymous_bytes: u64,
    /// The part of it that is pages of files: the program and its libraries.
    pub(super) file_bytes: u64,
    /// The highest resident memory since the peak was last reset.
    pub(super) peak_bytes: u64,
    /// User and system time since its start, of children that have ended, too.
    #[serde(skip)]
    pub(super) cpu_seconds: f64,
}

impl Usage {
    /// Looks at a process.
    pub(super) fn of(pid: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let bytes = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
            let kib = kib.with_context(|| format!("`{key}` in /proc/{pid}/status"))?;
            anyhow::Ok(kib * 1024)
        };
        Ok(Self {
            resident_bytes: bytes("VmRSS:")?,
            anonymous_bytes: bytes("RssAnon:")?,
            file_bytes: bytes("RssFile:")?,
            peak_bytes: bytes("VmHWM:")?,
            cpu_seconds: cpu_time(pid)?.as_secs_f64(),
        })
    }
}

/// From now on the peak is counted anew.
pub(super) fn reset_peak(pid: u32) -> Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").context("the peak cannot be reset")
}

/// Fields 14 to 17, in clock ticks; the name before them may hold anything but a last `)`.
fn cpu_time(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(") ").context("/proc/PID/stat")?;
    let ticks: u64 = fields
        .split(' ')
        .skip(11)
        .take(4)
        .map(str::parse::<u64>)
        .sum::<Result<_, _>>()?;
    Ok(Duration::from_millis(ticks * 1_000 / TICKS_A_SECOND))
}
