//! A real `sshd` on a loopback port, with host and user keys of its own, for this user.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the process may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A running `sshd`; killed when dropped.
#[derive(Debug)]
pub struct Sshd {
    port: u16,
    user: String,
    process: Child,
    folder: tempfile::TempDir,
}

impl Sshd {
    /// Starts the server.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["host", "user"] {
            keygen(&folder.path().join(name), "ed25519", "");
        }
        let public = fs::read(folder.path().join("user.pub")).expect("user.pub");
        fs::write(folder.path().join("authorized"), public).expect("authorized");
        // Privilege separation wants this folder, and the package makes it only when its service
        // starts.
        let _ = fs::create_dir_all("/run/sshd");
        let user = Command::new("id").arg("-un").output().expect("`id` runs");
        let user = String::from_utf8_lossy(&user.stdout).trim().to_owned();
        let port = free_port();
        let mut server = Self {
            port,
            user,
            process: launch(folder.path(), port),
            folder,
        };
        // The port is free when it is chosen and may be taken before the process binds it: then try
        // another.
        for _ in 0..10 {
            if server.listens() {
                return server;
            }
            server.port = free_port();
            server.process = launch(server.folder.path(), server.port);
        }
        panic!("sshd did not start: {}", server.log())
    }

    fn listens(&mut self) -> bool {
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            if self.process.try_wait().expect("process state").is_some() {
                return false;
            }
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// The URL of a repository by its absolute path.
    #[must_use]
    pub fn url(&self, path: &Path) -> String {
        format!(
            "ssh://{}@127.0.0.1:{}{}",
            self.user,
            self.port,
            path.display()
        )
    }

    /// The private key that may log in.
    #[must_use]
    pub fn user_key(&self) -> String {
        fs::read_to_string(self.folder.path().join("user")).expect("user key")
    }

    /// The line of `known_hosts` for this server.
    #[must_use]
    pub fn known_hosts(&self) -> String {
        let public = fs::read_to_string(self.folder.path().join("host.pub")).expect("host.pub");
        format!("[127.0.0.1]:{} {public}", self.port)
    }

    /// What the server logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

fn launch(folder: &Path, port: u16) -> Child {
    let path = folder.display();
    let configuration = format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {path}/host\nAuthorizedKeysFile {path}/authorized\n\
         PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         PermitRootLogin prohibit-password\nAcceptEnv GIT_PROTOCOL\nLogLevel VERBOSE\nMaxStartups 100\n"
    );
    fs::write(folder.join("config"), configuration).expect("config");
    Command::new("/usr/sbin/sshd")
        .arg("-D")
        .arg("-e")
        .arg("-f")
        .arg(folder.join("config"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.join("log")).expect("log"))
        .spawn()
        .expect("`/usr/sbin/sshd` starts (Debian package `openssh-server`)")
}

/// Makes a key pair with `ssh-keygen`: `path` and `path.pub`.
pub fn keygen(path: &Path, kind: &str, passphrase: &str) {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", passphrase, "-C", "test", "-f"])
        .arg(path)
        .stdin(Stdio::null())
        .status()
        .expect("`ssh-keygen` starts (Debian package `openssh-client`)");
    assert!(status.success(), "ssh-keygen failed");
}
