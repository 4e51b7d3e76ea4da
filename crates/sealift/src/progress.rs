//! A progress line on standard error, while a person waits. Nothing where nobody looks on.

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Scans shorter than this show nothing.
const QUIET: Duration = Duration::from_millis(400);

/// The line that stands on the terminal now.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

fn shown() -> MutexGuard<'static, Option<ProgressBar>> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Standard error for whole lines of others: the progress line makes way for them, and comes back.
#[derive(Debug, Clone, Copy)]
pub struct AboveTheLine;

impl Write for AboveTheLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = shown().clone();
        match line {
            Some(line) => line.suspend(|| io::stderr().write(bytes)),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The line of one cycle; gone when it is dropped.
pub struct Progress {
    line: ProgressBar,
}

impl Progress {
    /// A line on a terminal, nothing elsewhere.
    #[must_use]
    pub fn new() -> Self {
        let terminal = io::stderr().is_terminal();
        let line = match terminal {
            true => ProgressBar::new(0),
            false => ProgressBar::hidden(),
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {pos}/{len}") {
            line.set_style(style);
        }
        line.enable_steady_tick(QUIET);
        if terminal {
            *shown() = Some(line.clone());
        }
        Self { line }
    }

    /// Begins a phase of `total` steps.
    pub(crate) fn phase(&self, what: &'static str, total: usize) {
        self.line.set_position(0);
        self.line.set_length(total as u64);
        self.line.set_message(what);
    }

    /// Ends one step.
    pub(crate) fn step(&self) {
        self.line.inc(1);
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        *shown() = None;
        self.line.finish_and_clear();
    }
}
