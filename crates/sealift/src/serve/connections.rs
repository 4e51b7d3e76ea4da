//! Connections to what we serve, each of them bounded: how many at once, how long a handshake, a
//! request's head and the whole may take. One answer a connection: who reads metrics comes back
//! after half a minute, and a connection kept open until then would be one less for others.
//!
//! Where there are too many, the oldest gives way and not the newest: what is answered at all is
//! answered at once, and the kubelet must not take us for dead because strangers sit in its place.
//! Before any that is being answered goes the oldest that has not said what it wants.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use sealift_core::limits::{
    SERVER_ACCEPT_PAUSE_MS, SERVER_CONNECTION_MS_MAX, SERVER_CONNECTIONS_MAX, SERVER_GRACE_MS,
    SERVER_HANDSHAKE_MS_MAX, SERVER_HEAD_BYTES_MAX, SERVER_HEAD_MS_MAX,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower::Service as _;

/// How long the parts of one connection may take.
#[derive(Debug, Clone, Copy)]
struct Deadlines {
    handshake: Duration,
    head: Duration,
    whole: Duration,
}

const DEADLINES: Deadlines = Deadlines {
    handshake: Duration::from_millis(SERVER_HANDSHAKE_MS_MAX),
    head: Duration::from_millis(SERVER_HEAD_MS_MAX),
    whole: Duration::from_millis(SERVER_CONNECTION_MS_MAX),
};

/// A connection that may still be open.
struct Open {
    task: AbortHandle,
    /// Whether a whole head of a request has come.
    heard: Arc<AtomicBool>,
}

/// Cuts one off: the oldest that has not been heard, or else the oldest.
fn give_way(open: &mut VecDeque<Open>) {
    let silent = |one: &Open| !one.heard.load(Ordering::Relaxed);
    let place = open.iter().position(silent).unwrap_or_default();
    if let Some(one) = open.remove(place) {
        one.task.abort();
    }
}

/// Serves until `stop` turns true, and gives what is being answered then a moment more.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    stop: watch::Receiver<bool>,
) {
    serve_within(DEADLINES, listener, tls, router, stop).await;
}

async fn serve_within(
    deadlines: Deadlines,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    // In the order in which they came.
    let mut open: VecDeque<Open> = VecDeque::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        while connections.try_join_next().is_some() {}
        open.retain(|connection| !connection.task.is_finished());
        match accepted {
            Ok((stream, _)) => {
                if open.len() >= SERVER_CONNECTIONS_MAX {
                    give_way(&mut open);
                }
                let heard = Arc::new(AtomicBool::new(false));
                let said = Arc::clone(&heard);
                let answer = answer(deadlines, stream, tls.clone(), router.clone(), said);
                let task = connections.spawn(async move {
                    // Who is too slow is cut off, and told nothing.
                    let _late = timeout(deadlines.whole, answer).await;
                });
                open.push_back(Open { task, heard });
            }
            Err(error) => {
                tracing::debug!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(SERVER_ACCEPT_PAUSE_MS)).await;
            }
        }
    }
    drop(listener);
    let grace = Duration::from_millis(SERVER_GRACE_MS);
    let all = async { while connections.join_next().await.is_some() {} };
    let _late = timeout(grace, all).await;
}

/// Whatever goes wrong is the other side's loss: there is nothing to do about it here.
async fn answer(
    deadlines: Deadlines,
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    router: Router,
    heard: Arc<AtomicBool>,
) {
    let Some(tls) = tls else {
        return speak(deadlines, stream, router, &heard).await;
    };
    match timeout(deadlines.handshake, tls.accept(stream)).await {
        Ok(Ok(stream)) => speak(deadlines, stream, router, &heard).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

async fn speak(
    deadlines: Deadlines,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin,
    router: Router,
    heard: &AtomicBool,
) {
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        heard.store(true, Ordering::Relaxed);
        router.clone().call(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .half_close(false)
        .max_buf_size(SERVER_HEAD_BYTES_MAX)
        .header_read_timeout(deadlines.head)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::Semaphore;

    use super::*;

    const NEVER: Duration = Duration::from_secs(3_600);
    const AT_ONCE: Duration = Duration::from_millis(50);
    /// Longer than anything here takes, and much shorter than `NEVER`.
    const PATIENCE: Duration = Duration::from_secs(60);

    async fn served(deadlines: Deadlines) -> (SocketAddr, watch::Sender<bool>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, asked) = watch::channel(false);
        let endless = || async { Body::from_stream(futures_util::stream::repeat(chunk())) };
        let router = Router::new()
            .route("/", get(|| async { "here" }))
            .route("/endless", get(endless))
            .route("/held", get(held));
        tokio::spawn(serve_within(deadlines, listener, None, router, asked));
        (address, stop)
    }

    /// One for each that is being answered at `/held`.
    static CAME: Semaphore = Semaphore::const_new(0);
    /// One for each of them that may go.
    static HELD: Semaphore = Semaphore::const_new(0);

    async fn held() -> &'static str {
        CAME.add_permits(1);
        HELD.acquire().await.unwrap().forget();
        "at last"
    }

    fn chunk() -> Result<&'static str, std::convert::Infallible> {
        Ok("more than anybody reads\n")
    }

    async fn sent(address: SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    /// Everything that comes until the other side ends or cuts the connection, which it does.
    async fn rest(mut stream: TcpStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
        assert!(read.is_ok(), "after {} bytes", bytes.len());
        bytes
    }

    async fn ask(address: SocketAddr) -> String {
        let stream = sent(address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        String::from_utf8(rest(stream).await).unwrap()
    }

    const PATIENT: Deadlines = Deadlines {
        handshake: NEVER,
        head: NEVER,
        whole: NEVER,
    };

    #[tokio::test]
    async fn a_connection_ends_with_its_one_answer() {
        let (address, _stop) = served(PATIENT).await;
        let text = ask(address).await;
        assert!(text.contains("connection: close"), "{text}");
        assert!(text.ends_with("here"), "{text}");
    }

    #[tokio::test]
    async fn the_oldest_gives_way_where_strangers_take_every_place() {
        let (address, _stop) = served(PATIENT).await;
        let mut silent = VecDeque::new();
        for _ in 0..SERVER_CONNECTIONS_MAX {
            silent.push_back(sent(address, "GET / HT").await);
        }
        // None of them would ever end by itself.
        assert!(ask(address).await.ends_with("here"));
        assert_eq!(rest(silent.pop_front().unwrap()).await, b"");
        // The newest of them is still heard.
        let mut newest = silent.pop_back().unwrap();
        newest.write_all(b"TP/1.1\r\n\r\n").await.unwrap();
        assert!(rest(newest).await.ends_with(b"here"));
    }

    #[tokio::test]
    async fn who_is_being_answered_does_not_give_way_to_strangers_that_say_nothing() {
        let (address, _stop) = served(PATIENT).await;
        let answered = sent(address, "GET /held HTTP/1.1\r\n\r\n").await;
        timeout(PATIENCE, CAME.acquire())
            .await
            .unwrap()
            .unwrap()
            .forget();
        let mut silent = VecDeque::new();
        for _ in 0..2 * SERVER_CONNECTIONS_MAX {
            silent.push_back(sent(address, "GET / HT").await);
        }
        // All of them were accepted by then.
        assert!(ask(address).await.ends_with("here"));
        assert_eq!(rest(silent.pop_front().unwrap()).await, b"");
        HELD.add_permits(1);
        assert!(rest(answered).await.ends_with(b"at last"));
    }

    #[tokio::test]
    async fn who_sends_no_head_is_cut_off() {
        let deadlines = Deadlines {
            head: AT_ONCE,
            ..PATIENT
        };
        let (address, _stop) = served(deadlines).await;
        for beginning in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: x\r\n"] {
            let answer = rest(sent(address, beginning).await).await;
            assert!(!answer.starts_with(b"HTTP/1.1 200"), "{beginning}");
        }
        assert!(ask(address).await.ends_with("here"));
    }

    #[tokio::test]
    async fn who_reads_without_end_is_cut_off() {
        let deadlines = Deadlines {
            whole: AT_ONCE,
            ..PATIENT
        };
        let (address, _stop) = served(deadlines).await;
        let stream = sent(address, "GET /endless HTTP/1.1\r\n\r\n").await;
        let answer = rest(stream).await;
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn a_head_without_end_is_refused() {
        let (address, _stop) = served(PATIENT).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let long = "x".repeat(4 * SERVER_HEAD_BYTES_MAX);
        let head = format!("GET / HTTP/1.1\r\nX: {long}");
        let _cut = stream.write_all(head.as_bytes()).await;
        assert!(!rest(stream).await.starts_with(b"HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn what_is_being_answered_is_answered_after_the_signal_and_nobody_else_is() {
        let (address, stop) = served(PATIENT).await;
        let mut half = sent(address, "GET / HT").await;
        assert!(ask(address).await.ends_with("here"));
        stop.send(true).unwrap();
        half.write_all(b"TP/1.1\r\n\r\n").await.unwrap();
        assert!(rest(half).await.ends_with(b"here"));
        assert!(TcpStream::connect(address).await.is_err());
    }
}
