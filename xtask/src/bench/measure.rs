//! Runs one program and writes what it cost: time, processor, memory, children included.
//!
//! A process of its own, because the kernel counts all children of a process together and the
//! benchmark has servers for children.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

/// How often the peak memory of the main process is looked at; the kernel keeps the peak itself.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// `cargo xtask bench measure`
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where to write the measurements, as JSON.
    #[arg(long)]
    report: PathBuf,
    /// Where the program's standard output goes.
    #[arg(long)]
    output: PathBuf,
    /// Where its standard error goes.
    #[arg(long)]
    log: PathBuf,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    program: Vec<String>,
}

/// What one run cost.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// From start to end.
    pub(crate) wall_seconds: f64,
    /// User and system time of the program and all its children.
    pub(crate) cpu_seconds: f64,
    /// Peak resident memory of the program itself.
    pub(crate) peak_main_bytes: u64,
    /// Peak resident memory of the largest process, the program or one of its children.
    pub(crate) peak_largest_bytes: u64,
    /// Nothing where a signal ended it.
    pub(crate) exit_code: Option<i32>,
}

/// Runs the program and writes the report.
pub(crate) fn command(arguments: &Arguments) -> Result<bool> {
    let (program, rest) = arguments.program.split_first().context("no program")?;
    let start = Instant::now();
    let mut child = Command::new(program)
        .args(rest)
        .stdin(Stdio::null())
        .stdout(File::create(&arguments.output)?)
        .stderr(File::create(&arguments.log)?)
        .spawn()
        .with_context(|| format!("cannot start `{program}`"))?;
    let status = format!("/proc/{}/status", child.id());
    let ended = AtomicBool::new(false);
    let (exit, peak_main_bytes) = thread::scope(|scope| {
        let watcher = scope.spawn(|| peak_until(&status, &ended));
        let exit = child.wait();
        ended.store(true, Ordering::Relaxed);
        (exit, watcher.join().unwrap_or_default())
    });
    let wall_seconds = start.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: nix::sys::time::TimeVal| {
        Duration::new(
            time.tv_sec().try_into().unwrap_or_default(),
            u32::try_from(time.tv_usec()).unwrap_or_default() * 1_000,
        )
        .as_secs_f64()
    };
    let measured = Measured {
        wall_seconds,
        cpu_seconds: seconds(usage.user_time()) + seconds(usage.system_time()),
        peak_main_bytes,
        peak_largest_bytes: u64::try_from(usage.max_rss()).unwrap_or_default() * 1024,
        exit_code: exit?.code(),
    };
    fs::write(&arguments.report, serde_json::to_vec(&measured)?)?;
    Ok(true)
}

/// The last peak that the kernel reports before the process is gone.
fn peak_until(status: &str, ended: &AtomicBool) -> u64 {
    let mut peak = 0;
    while !ended.load(Ordering::Relaxed) {
        let text = fs::read_to_string(status).unwrap_or_default();
        let kib = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = kib.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or_default() * 1024);
        thread::sleep(POLL_INTERVAL);
    }
    peak
}
