//! The state folder: who may read it, and who holds it.
//!
//! Here: creating it with mode 0700, refusing one that others can read or write, the exclusive
//! lock, its default place. Not here: what lies in it (journal, Git repositories, caches).
//!
//! The lock is `flock(2)` on `<state>/lock`: it ends with the process, however that ends, and
//! children do not inherit it (`O_CLOEXEC`). The file holds the number of the process, for the
//! message to the second one.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use sealift_core::reason::Reason;

/// Bits that let the group or others in.
const MODE_OTHERS: u32 = 0o077;

/// A state folder that this process alone holds, until it is dropped.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    lock: File,
}

impl Drop for StateFolder {
    /// Gives the lock back by name. Closing the file is not enough: a child process that another
    /// thread is just starting holds a copy of it until it runs its own program.
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

/// Why a state folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// Another process holds it.
    #[error("the state folder `{}` is held by {}; nothing was started",
        .path.display(), holder(.pid))]
    Locked {
        /// The folder.
        path: PathBuf,
        /// The process, if it has written its number.
        pid: Option<u32>,
    },
    /// Group or others can get in.
    #[error(
        "the state folder `{}` has mode {mode:03o}, so other users can get in; nothing was started \
         (make it private with `chmod 700`, or name a folder of its own inside it)",
        .path.display()
    )]
    OpenToOthers {
        /// The folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The system refused something.
    #[error("cannot {action} `{}`", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl StateError {
    /// The stable reason.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Locked { .. } => Reason::StateLocked,
            Self::OpenToOthers { .. } | Self::Io { .. } => Reason::StateUnsafe,
        }
    }
}

impl StateFolder {
    /// Creates the folder where it is missing (mode 0700) and takes the exclusive lock, without
    /// waiting.
    ///
    /// An empty folder that is open to others is made private; one with content is refused, since
    /// it may be a shared folder named by mistake.
    ///
    /// # Errors
    /// [`StateError`]: held by another process, open to others, or not usable at all.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        // Git runs in other folders: what it is given must not depend on where this program runs.
        let path = &std::path::absolute(path).map_err(io_error("find", path))?;
        create_private(path)?;
        refuse_shared(path)?;
        let lock_path = path.join("lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(io_error("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StateError::Locked {
                    path: path.to_owned(),
                    pid: read_pid(&mut lock),
                });
            }
            Err(TryLockError::Error(source)) => {
                return Err(StateError::Io {
                    action: "lock",
                    path: lock_path,
                    source,
                });
            }
        }
        lock.set_len(0)
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(io_error("write", &lock_path))?;
        Ok(Self {
            path: path.to_owned(),
            lock,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A folder inside it, created with mode 0700 where it is missing.
    ///
    /// # Errors
    /// The system refuses it.
    pub fn subfolder(&self, name: &str) -> Result<PathBuf, StateError> {
        let path = self.path.join(name);
        create_private(&path)?;
        Ok(path)
    }
}

/// The default place: `$XDG_STATE_HOME/sealift`, else `$HOME/.local/state/sealift` (XDG Base
/// Directory Specification 0.8, where a relative path counts as unset).
#[must_use]
pub fn default_path(xdg_state_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |value: OsString| Some(PathBuf::from(value)).filter(|path| path.is_absolute());
    xdg_state_home
        .and_then(absolute)
        .or_else(|| Some(home.and_then(absolute)?.join(".local/state")))
        .map(|base| base.join("sealift"))
}

fn create_private(path: &Path) -> Result<(), StateError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(io_error("create the folder", path))
}

fn refuse_shared(path: &Path) -> Result<(), StateError> {
    let mode = fs::metadata(path)
        .map_err(io_error("read", path))?
        .permissions()
        .mode()
        & 0o7777;
    if mode & MODE_OTHERS == 0 {
        return Ok(());
    }
    let empty = fs::read_dir(path)
        .map_err(io_error("read", path))?
        .next()
        .is_none();
    if empty && fs::set_permissions(path, Permissions::from_mode(0o700)).is_ok() {
        return Ok(());
    }
    Err(StateError::OpenToOthers {
        path: path.to_owned(),
        mode,
    })
}

fn read_pid(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn holder(pid: &Option<u32>) -> String {
    pid.map_or_else(
        || "another process".to_owned(),
        |pid| format!("process {pid}"),
    )
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.to_owned();
    move |source| StateError::Io {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_new_state_folder_and_what_is_in_it_is_private() {
        let world = tempfile::tempdir().unwrap();
        let state = StateFolder::open(&world.path().join("a/state")).unwrap();
        assert_eq!(mode(state.path()), 0o700);
        assert_eq!(mode(&state.subfolder("journal").unwrap()), 0o700);
        assert_eq!(mode(&state.path().join("lock")), 0o600);
    }

    #[test]
    fn a_second_holder_is_refused_and_told_who_holds_it_until_the_first_one_ends() {
        let world = tempfile::tempdir().unwrap();
        let first = StateFolder::open(world.path()).unwrap();
        let error = StateFolder::open(world.path()).unwrap_err();
        assert_eq!(error.reason(), Reason::StateLocked);
        let pid = std::process::id();
        assert!(matches!(&error, StateError::Locked { pid: Some(held), .. } if *held == pid));
        assert!(
            error
                .to_string()
                .contains(&format!("held by process {pid}")),
            "{error}"
        );
        drop(first);
        StateFolder::open(world.path()).unwrap();
    }

    #[test]
    fn a_shared_folder_with_content_is_refused_and_left_as_it_was() {
        let world = tempfile::tempdir().unwrap();
        fs::set_permissions(world.path(), Permissions::from_mode(0o755)).unwrap();
        fs::write(world.path().join("someone's"), "work").unwrap();
        let error = StateFolder::open(world.path()).unwrap_err();
        assert!(
            matches!(error, StateError::OpenToOthers { mode: 0o755, .. }),
            "{error}"
        );
        assert_eq!(mode(world.path()), 0o755);
        assert!(!world.path().join("lock").exists());
    }

    #[test]
    fn an_empty_folder_is_made_private() {
        let world = tempfile::tempdir().unwrap();
        fs::set_permissions(world.path(), Permissions::from_mode(0o755)).unwrap();
        StateFolder::open(world.path()).unwrap();
        assert_eq!(mode(world.path()), 0o700);
    }

    #[test]
    fn the_default_place_follows_xdg_and_ignores_relative_paths() {
        let text = |text: &str| Some(OsString::from(text));
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(default_path(text("/x"), text("/u")), path("/x/sealift"));
        assert_eq!(
            default_path(text("x"), text("/u")),
            path("/u/.local/state/sealift")
        );
        assert_eq!(default_path(None, None), None);
    }
}
