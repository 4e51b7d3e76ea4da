//! A server that never outlives the process that started it.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to listen; they take a quarter of a second on an idle machine.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Runs its arguments until they end, or until its input does, which is when our process dies,
/// however it dies: no destructor runs after SIGKILL.
const WHILE_OPEN: &str = "\
exec 3<&0
\"$@\" </dev/null 3<&- &
server=$!
( read -r never <&3; kill -9 $server 2>/dev/null ) >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait $server
ended=$?
kill $watch 2>/dev/null
exit $ended
";

/// A running server; killed when dropped.
#[derive(Debug)]
pub(super) struct Server {
    shell: Child,
}

impl Server {
    /// Starts `command` in `folder`, with what it says in `NAME.log`, and waits until it listens.
    pub(super) fn start(name: &str, command: Command, folder: &Path, address: SocketAddr) -> Self {
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log).expect("a log file");
        let mut shell = Command::new("sh");
        shell
            .args(["-c", WHILE_OPEN, name])
            .arg(command.get_program());
        shell
            .args(command.get_args())
            .current_dir(folder)
            .env_clear();
        shell.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        shell.env("HOME", folder);
        for (key, value) in command.get_envs() {
            shell.env(key, value.unwrap_or_default());
        }
        let shell = shell
            .stdin(Stdio::piped())
            .stdout(output.try_clone().expect("a log file"))
            .stderr(output)
            .spawn()
            .expect("`sh` starts");
        let mut server = Self { shell };
        server.wait_until_it_listens(name, address, &log);
        server
    }

    fn wait_until_it_listens(&mut self, name: &str, address: SocketAddr, log: &PathBuf) {
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(address).is_err() {
            let ended = self.shell.try_wait().expect("process state");
            if ended.is_some() || Instant::now() > deadline {
                let said = fs::read_to_string(log).unwrap_or_default();
                panic!("`{name}` does not listen on {address} ({ended:?}):\n{said}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _reaped = self.shell.wait();
    }
}

/// A port that was free a moment ago.
pub(super) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a loopback port");
    listener.local_addr().expect("its address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_ends_when_its_owner_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ > pid; exec sleep 1000"]);
        let address = listener.local_addr().unwrap();
        let server = Server::start("sleeper", command, folder.path(), address);
        let pid = loop {
            let text = fs::read_to_string(folder.path().join("pid")).unwrap_or_default();
            match text.trim() {
                "" => std::thread::sleep(Duration::from_millis(5)),
                pid => break pid.to_owned(),
            }
        };
        let alive = || {
            Command::new("kill")
                .args(["-0", &pid])
                .output()
                .unwrap()
                .status
                .success()
        };
        assert!(alive());
        drop(server);
        assert!(!alive());
    }
}
