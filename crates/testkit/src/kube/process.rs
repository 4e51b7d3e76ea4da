//! A child process that ends with its owner, even when the owner is killed or keeps it in a static.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// Runs the program, and kills it when standard input ends: when the pipe's other end is closed, by
/// whatever. It prints the program's id first, and removes a folder last.
const KEEPER: &str = "\
folder=$1; shift
\"$@\" </dev/null >/dev/null & child=$!
echo $child
while read -r _; do :; done
kill -9 $child 2>/dev/null
wait $child 2>/dev/null
test -z \"$folder\" || rm -rf -- \"$folder\"
";

/// A running program.
#[derive(Debug)]
pub(super) struct Process {
    keeper: Child,
    pipe: Option<ChildStdin>,
    pid: u32,
}

impl Process {
    /// Starts `program`; standard error goes to `log`. `folder` goes when the program has ended.
    pub(super) fn start(
        program: &Path,
        arguments: &[String],
        log: &Path,
        folder: Option<&Path>,
    ) -> Self {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .expect("a log");
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(folder.unwrap_or(Path::new("")))
            .arg(program)
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("`sh` starts");
        let pipe = keeper.stdin.take();
        let mut line = String::new();
        let output = keeper.stdout.take().expect("its output");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line)
            .expect("the id of the program");
        let pid = line.trim().parse().expect("a process id");
        Self { keeper, pipe, pid }
    }

    /// The id of the program.
    pub(super) const fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the program is known to have ended. Nobody waits for it, so it stays as a zombie.
    pub(super) fn has_ended(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid));
        let state = |stat: &str| stat.rsplit(") ").next().map(|rest| rest.starts_with('Z'));
        stat.is_ok_and(|stat| state(&stat) == Some(true))
    }

    /// Waits until something listens at `address`. `false`: the program ended, or it takes too
    /// long.
    pub(super) fn listens(&self, address: SocketAddr, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        while Instant::now() < deadline {
            if TcpStream::connect(address).is_ok() {
                return true;
            }
            if self.has_ended() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let _reaped = self.keeper.wait();
    }
}

/// A loopback port that is free now.
pub(super) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a loopback port");
    listener.local_addr().expect("its address")
}
