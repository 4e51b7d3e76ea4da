//! A progress line on standard error, while a person waits. Nothing where nobody looks on.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Scans shorter than this show nothing.
const QUIET: Duration = Duration::from_millis(400);

/// The line of one cycle; gone when it is dropped.
pub struct Progress {
    line: ProgressBar,
}

impl Progress {
    /// A line on a terminal, nothing elsewhere.
    #[must_use]
    pub fn new() -> Self {
        let line = match std::io::stderr().is_terminal() {
            true => ProgressBar::new(0),
            false => ProgressBar::hidden(),
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {pos}/{len}") {
            line.set_style(style);
        }
        line.enable_steady_tick(QUIET);
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
        self.line.finish_and_clear();
    }
}
