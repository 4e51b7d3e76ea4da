//! HTTP/1.1 by hand, so that it can be wrong on purpose. RFC 9112.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// One request as it came in.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// `GET`, `HEAD`, …
    pub method: String,
    /// Path without query.
    pub path: String,
    /// Query without `?`; empty if there was none.
    pub query: String,
    /// Names in lower case, in the order sent.
    pub headers: Vec<(String, String)>,
    /// What came after the headers.
    pub body: Vec<u8>,
}

impl Recorded {
    /// The first header of this name (lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// One answer, and how to send it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) manner: Manner,
}

/// How an answer goes out.
#[derive(Debug, Clone, Default)]
pub(crate) enum Manner {
    #[default]
    Honest,
    /// Promises the whole body, sends this many bytes, closes.
    Cut(usize),
    /// Promises this many bytes, sends the body, closes.
    Promise(usize),
    /// One byte, a wait, one byte, …
    Drip(Duration),
    /// Chunks of spaces, this many bytes together.
    Endless(usize),
    /// Never answers.
    Hang,
    /// Closes without an answer.
    Close,
}

impl Reply {
    pub(crate) fn new(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn json(mut self, value: &serde_json::Value) -> Self {
        self.body = value.to_string().into_bytes();
        self.header("Content-Type", "application/json")
    }
}

/// Reads one request; `None` at the end of the connection.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Recorded>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0; 1];
        if stream.read(&mut byte).await? == 0 {
            return Ok(None);
        }
        head.extend_from_slice(&byte);
        if head.len() > 64 * 1024 {
            return Err(io::Error::other("head too large"));
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let mut lines = text.lines();
    let mut first = lines.next().unwrap_or_default().split(' ');
    let method = first.next().unwrap_or_default().to_owned();
    let target = first.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut request = Recorded {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body: Vec::new(),
    };
    let length = request.header("content-length").map(str::parse::<usize>);
    if let Some(Ok(length)) = length {
        request.body.resize(length, 0);
        stream.read_exact(&mut request.body).await?;
    }
    Ok(Some(request))
}

/// Sends `reply`; says whether the connection may be used again.
pub(crate) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    reply: &Reply,
    head_only: bool,
) -> io::Result<bool> {
    match reply.manner {
        Manner::Hang => std::future::pending::<()>().await,
        Manner::Close => return Ok(false),
        _ => {}
    }
    let mut head = format!("HTTP/1.1 {} Scripted\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    match reply.manner {
        Manner::Endless(_) => head.push_str("Transfer-Encoding: chunked\r\n\r\n"),
        Manner::Promise(length) => head.push_str(&format!("Content-Length: {length}\r\n\r\n")),
        _ if reply.status == 304 => head.push_str("\r\n"),
        _ => head.push_str(&format!("Content-Length: {}\r\n\r\n", reply.body.len())),
    }
    let mut bytes = head.into_bytes();
    if head_only || reply.status == 304 {
        stream.write_all(&bytes).await?;
        stream.flush().await?;
        return Ok(true);
    }
    match reply.manner {
        Manner::Cut(at) => bytes.extend_from_slice(&reply.body[..at.min(reply.body.len())]),
        Manner::Drip(_) | Manner::Endless(_) => {}
        _ => bytes.extend_from_slice(&reply.body),
    }
    stream.write_all(&bytes).await?;
    match reply.manner {
        Manner::Drip(wait) => drip(stream, &reply.body, wait).await?,
        Manner::Endless(bytes) => endless(stream, bytes).await?,
        _ => {}
    }
    stream.flush().await?;
    Ok(!matches!(reply.manner, Manner::Cut(_) | Manner::Promise(_)))
}

async fn drip(
    stream: &mut (impl AsyncWrite + Unpin),
    body: &[u8],
    wait: Duration,
) -> io::Result<()> {
    for byte in body {
        stream.write_all(&[*byte]).await?;
        stream.flush().await?;
        tokio::time::sleep(wait).await;
    }
    Ok(())
}

async fn endless(stream: &mut (impl AsyncWrite + Unpin), bytes: usize) -> io::Result<()> {
    let chunk = vec![b' '; 64 * 1024];
    let mut left = bytes;
    while left > 0 {
        let part = left.min(chunk.len());
        stream.write_all(format!("{part:x}\r\n").as_bytes()).await?;
        stream.write_all(&chunk[..part]).await?;
        stream.write_all(b"\r\n").await?;
        left -= part;
    }
    stream.write_all(b"0\r\n\r\n").await
}
