//! Exit codes: a contract with scripts. The table of `docs/reference/exit-codes.md` says the same.

/// How the program ends. Numbers that are not listed are reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or nothing to do.
    Done = 0,
    /// Something failed; what, is on standard error and in the events.
    Failed = 1,
    /// Bad arguments.
    Usage = 2,
    /// No Application was selected.
    NothingSelected = 3,
    /// `plan --check`: there are updates.
    UpdatesAvailable = 10,
    /// Refused by policy.
    Refused = 20,
    /// Refused because the evidence was incomplete.
    Incomplete = 21,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
