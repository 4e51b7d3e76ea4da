//! Cached repositories: one bare, partial repository a remote and credential, in a folder that one
//! process holds at a time.
//!
//! The cache is only a cache. It is thrown away when its object format is another one, when it
//! holds too many packs, or when it is damaged; a crash at any moment leaves at most lock files and
//! half packs, which the next opening removes.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::Read as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sealift_core::limits::{GIT_DEADLINE_SECS, GIT_PACKS_MAX, GIT_PLAIN_MARK_SECS};
use sealift_core::oid::ObjectFormat;
use sealift_net::Net;
use tempfile::TempDir;
use tokio::sync::OwnedMutexGuard;

use crate::access::{ACCESS_FOLDER_PREFIX, AccessRules, Remote, prepare_access};
use crate::command::{Access, Program};
use crate::error::GitError;
use crate::github::GithubApps;
use crate::objects::Reader;
use crate::smart::Smart;

/// How repositories are reached and where they are kept.
#[derive(Clone)]
pub struct GitSettings {
    /// The folder of all cached repositories. Made with mode 0700.
    pub root: PathBuf,
    /// The `git` program: a name that is looked up in `PATH`, or a path.
    pub program: PathBuf,
    /// What the operator allows.
    pub rules: AccessRules,
    /// How long one command may take.
    pub deadline: Duration,
    /// The program's way out by HTTP. Without it the `git` program talks to HTTP remotes, too.
    pub net: Option<Net>,
}

impl GitSettings {
    /// The usual settings, strict.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self {
            root,
            program: PathBuf::from("git"),
            rules: AccessRules::default(),
            deadline: Duration::from_secs(GIT_DEADLINE_SECS),
            net: None,
        }
    }
}

/// All cached repositories of a state folder.
pub struct Repositories {
    settings: GitSettings,
    program: Program,
    /// Random, secret to this folder: keeps folder names from telling anything about credentials.
    salt: [u8; 32],
    open: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
    github_apps: Option<GithubApps>,
}

impl Repositories {
    /// Lays out the folder.
    ///
    /// # Errors
    /// [`GitError::Io`].
    pub fn new(settings: GitSettings) -> Result<Self, GitError> {
        let home = settings.root.join("home");
        make_folder(&home)?;
        let salt = read_salt(&settings.root.join("salt"))?;
        let program = Program {
            path: settings.program.clone(),
            home,
            deadline: settings.deadline,
            started: Arc::new(AtomicU64::new(0)),
        };
        let github_apps = settings.net.clone().map(GithubApps::new);
        Ok(Self {
            settings,
            program,
            salt,
            open: Mutex::default(),
            github_apps,
        })
    }

    /// Tokens of GitHub Apps; `None` without a way out by HTTP.
    #[must_use]
    pub const fn github_apps(&self) -> Option<&GithubApps> {
        self.github_apps.as_ref()
    }

    /// Processes started since the beginning.
    #[must_use]
    pub fn processes_started(&self) -> u64 {
        self.program.started.load(Ordering::Relaxed)
    }

    /// Opens the cached repository of `remote`, or makes an empty one. Nothing is asked of the
    /// remote yet.
    ///
    /// Waits while the same remote is open in this process with the same credential, so one task
    /// must not open it twice.
    ///
    /// # Errors
    /// [`GitError::LocalForbidden`], [`GitError::PlaintextForbidden`],
    /// [`GitError::CredentialMismatch`], [`GitError::HostKeyUnknown`] (no known hosts),
    /// [`GitError::Locked`], [`GitError::Io`].
    pub async fn open(&self, remote: &Remote) -> Result<Repository, GitError> {
        let name = remote.credential.fingerprint(&remote.url, &self.salt);
        let turn = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(open.entry(name.clone()).or_default())
        };
        let turn = turn.lock_owned().await;
        let folder = self.settings.root.join(name);
        make_folder(&folder)?;
        let lock = lock(&folder)?;
        remove_leftovers(&folder)?;
        let (access, access_files) = prepare_access(remote, &self.settings.rules, &folder)?;
        let plain = folder.join(PLAIN_PROTOCOL);
        let smart = match &self.settings.net {
            Some(net) if !is_fresh(&plain) => Smart::new(remote, net)?,
            _ => None,
        };
        let mut repository = Repository {
            smart,
            plain,
            url: remote.url.for_git(),
            objects: folder.join("repository.git"),
            program: self.program.clone(),
            access,
            format: ObjectFormat::Sha1,
            reader: None,
            _access_files: access_files,
            _lock: lock,
            _turn: turn,
        };
        repository.look()?;
        Ok(repository)
    }
}

/// One open repository. Dropping it ends its processes, removes its key files, and lets the next
/// one in.
pub struct Repository {
    /// Masked.
    pub(crate) url: String,
    pub(crate) objects: PathBuf,
    pub(crate) program: Program,
    pub(crate) access: Access,
    /// The object format of the cache; SHA-1 until the remote has shown its own.
    pub(crate) format: ObjectFormat,
    pub(crate) reader: Option<Reader>,
    /// The way without a process, where there is one.
    pub(crate) smart: Option<Smart>,
    /// Exists when the server is known not to understand that way.
    pub(crate) plain: PathBuf,
    _access_files: Option<TempDir>,
    _lock: Lock,
    _turn: OwnedMutexGuard<()>,
}

impl Repository {
    /// The repository's URL without secrets, for messages and events.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Takes over what an earlier run left, if it is whole and not too big.
    fn look(&mut self) -> Result<(), GitError> {
        let configuration = fs::read_to_string(self.objects.join("config"));
        // A pack is three files: objects, index, and the mark that others may be missing.
        let files = fs::read_dir(self.objects.join("objects/pack")).map_or(0, Iterator::count);
        let Some(configuration) = configuration.ok().filter(|_| files <= GIT_PACKS_MAX * 3) else {
            return self.start_anew(ObjectFormat::Sha1);
        };
        let sha256 = configuration.contains("objectformat = sha256");
        let format = if sha256 {
            ObjectFormat::Sha256
        } else {
            ObjectFormat::Sha1
        };
        // Written again, because the URL's spelling may have changed.
        self.lay_out(format)
    }

    /// Remembers for a while that only the program can talk to the server.
    pub(crate) fn mark_plain(&self) {
        // Only a wish: without the mark the next opening tries again.
        let _ = fs::write(&self.plain, "");
    }

    /// Makes sure that the cache has this object format.
    pub(crate) fn require_format(&mut self, format: ObjectFormat) -> Result<(), GitError> {
        if self.format == format {
            Ok(())
        } else {
            self.start_anew(format)
        }
    }

    /// Throws the cache away and begins an empty one.
    pub(crate) fn start_anew(&mut self, format: ObjectFormat) -> Result<(), GitError> {
        self.reader = None;
        match fs::remove_dir_all(&self.objects) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(failed("remove", &self.objects, source))
            }
            _ => self.lay_out(format),
        }
    }

    /// Writes what `git init --bare` would, without a process and without its templates.
    fn lay_out(&mut self, format: ObjectFormat) -> Result<(), GitError> {
        for folder in ["objects/pack", "refs"] {
            make_folder(&self.objects.join(folder))?;
        }
        let (version, extension) = match format {
            ObjectFormat::Sha1 => (0, ""),
            ObjectFormat::Sha256 => (1, "[extensions]\n\tobjectformat = sha256\n"),
        };
        let url = self.url.replace('\\', "\\\\").replace('"', "\\\"");
        let configuration = format!(
            "[core]\n\trepositoryformatversion = {version}\n\tbare = true\n{extension}\
             [remote \"origin\"]\n\turl = \"{url}\"\n"
        );
        for (name, text) in [
            ("config", configuration.as_str()),
            ("HEAD", "ref: refs/heads/none\n"),
        ] {
            let path = self.objects.join(name);
            fs::write(&path, text).map_err(|source| failed("write", &path, source))?;
        }
        self.format = format;
        Ok(())
    }
}

/// Marks a remote whose server does not speak version 2 of the protocol.
const PLAIN_PROTOCOL: &str = "plain-protocol";

/// Whether the mark is there and not too old: servers are upgraded, and one bad answer is not for
/// ever.
fn is_fresh(mark: &Path) -> bool {
    let modified = fs::metadata(mark).and_then(|metadata| metadata.modified());
    let age = modified.ok().and_then(|modified| modified.elapsed().ok());
    age.is_some_and(|age| age.as_secs() < GIT_PLAIN_MARK_SECS)
}

pub(crate) fn failed(what: &'static str, path: &Path, source: std::io::Error) -> GitError {
    GitError::Io {
        what,
        path: path.to_owned(),
        source,
    }
}

fn make_folder(path: &Path) -> Result<(), GitError> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    made.map_err(|source| failed("make the folder", path, source))
}

/// A held lock file. Unlocked by name of the act, not by closing: a child that was just forked has
/// it open, too.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

fn lock(folder: &Path) -> Result<Lock, GitError> {
    let path = folder.join("lock");
    let opened = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path);
    let file = opened.map_err(|source| failed("open", &path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(GitError::Locked {
            path: folder.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(failed("lock", &path, source)),
    }
}

/// Removes what a killed process left: key files, lock files of Git, half packs. The lock is held,
/// so nobody uses them.
fn remove_leftovers(folder: &Path) -> Result<(), GitError> {
    for entry in fs::read_dir(folder)
        .map_err(|source| failed("read", folder, source))?
        .flatten()
    {
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with(ACCESS_FOLDER_PREFIX)
        {
            let path = entry.path();
            fs::remove_dir_all(&path).map_err(|source| failed("remove", &path, source))?;
        }
    }
    let repository = folder.join("repository.git");
    for folder in ["", "refs/cache", "objects/pack"] {
        let Ok(entries) = fs::read_dir(repository.join(folder)) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.ends_with(".lock") || name.starts_with("tmp_") {
                let path = entry.path();
                fs::remove_file(&path).map_err(|source| failed("remove", &path, source))?;
            }
        }
    }
    Ok(())
}

fn read_salt(path: &Path) -> Result<[u8; 32], GitError> {
    let mut salt = [0; 32];
    if let Ok(mut file) = File::open(path)
        && file.read_exact(&mut salt).is_ok()
    {
        return Ok(salt);
    }
    rand::fill(&mut salt);
    let mut options = fs::OpenOptions::new();
    let opened = options
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path);
    let written = opened.and_then(|mut file| std::io::Write::write_all(&mut file, &salt));
    written.map_err(|source| failed("write", path, source))?;
    Ok(salt)
}
