//! A repository's files over HTTP on loopback, and faults on request. It runs on a thread of its
//! own, so that plain tests can start it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::Files;
use crate::registry::wire::{self, Manner, Reply};

#[derive(Default)]
struct State {
    files: Files,
    down: bool,
    /// Status for everything, whatever is asked.
    status: Option<u16>,
    endless: Option<(String, usize)>,
    requests: Vec<String>,
}

/// A running server; it ends when dropped.
pub struct TufServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl TufServer {
    /// Serves `files`.
    #[must_use]
    pub fn start(files: Files) -> Self {
        let state = Arc::new(Mutex::new(State {
            files,
            ..State::default()
        }));
        let (stop, stopped) = oneshot::channel();
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        listener.set_nonblocking(true).expect("non-blocking");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    () = accept(listener, shared) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            state,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// `http://127.0.0.1:PORT/tuf`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/tuf", self.address)
    }

    /// Serves these files from now on.
    pub fn set(&self, files: Files) {
        self.state().files = files;
    }

    /// Serves other bytes at `path`.
    pub fn replace(&self, path: &str, bytes: &[u8]) {
        self.state().files.insert(path.to_owned(), bytes.to_vec());
    }

    /// The path of the newest file whose path ends so.
    #[must_use]
    pub fn path_of(&self, end: &str) -> String {
        let state = self.state();
        let found = state.files.keys().rfind(|path| path.ends_with(end));
        found.expect("such a file").clone()
    }

    /// Closes every connection without an answer, or behaves again.
    pub fn set_down(&self, down: bool) {
        self.state().down = down;
    }

    /// Answers everything with this status, or behaves again.
    pub fn set_status(&self, status: Option<u16>) {
        self.state().status = status;
    }

    /// Sends this many bytes without a `Content-Length` for paths that end so.
    pub fn set_endless(&self, end: &str, bytes: usize) {
        self.state().endless = Some((end.to_owned(), bytes));
    }

    /// Paths asked for so far, below the base; those before are forgotten.
    #[must_use]
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state().requests)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no handler panicked")
    }
}

impl Drop for TufServer {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ended_already = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _its_panic_was_printed = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move { converse(stream, &state).await });
    }
}

async fn converse(mut stream: TcpStream, state: &Mutex<State>) {
    while let Ok(Some(request)) = wire::read(&mut stream).await {
        let reply = state
            .lock()
            .expect("no handler panicked")
            .answer(&request.path);
        if !matches!(wire::write(&mut stream, &reply, false).await, Ok(true)) {
            return;
        }
    }
}

impl State {
    fn answer(&mut self, path: &str) -> Reply {
        let path = path.strip_prefix("/tuf/").unwrap_or(path);
        self.requests.push(path.to_owned());
        if self.down {
            let mut reply = Reply::new(200);
            reply.manner = Manner::Close;
            return reply;
        }
        if let Some(status) = self.status {
            return Reply::new(status);
        }
        let endless = self.endless.as_ref();
        if let Some((_, bytes)) = endless.filter(|(end, _)| path.ends_with(end.as_str())) {
            let mut reply = Reply::new(200);
            reply.manner = Manner::Endless(*bytes);
            return reply;
        }
        match self.files.get(path) {
            Some(bytes) => {
                let mut reply = Reply::new(200);
                reply.body = bytes.clone();
                reply
            }
            None => Reply::new(404),
        }
    }
}
