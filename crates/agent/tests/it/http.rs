//! HTTP as a program speaks it, byte by byte.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// What came back.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Said {
    /// The value of a field; `None` when it is not there.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The code of a refusal by the agent.
    pub(crate) fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["code"].as_str().unwrap_or("none").to_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

/// Sends `text` to a socket and reads until the other side closes.
pub(crate) async fn unix(socket: &Path, text: &str) -> Said {
    let stream = UnixStream::connect(socket).await.expect("the socket");
    talk(stream, text).await
}

/// The same over TCP.
pub(crate) async fn tcp(address: &str, text: &str) -> Said {
    let stream = TcpStream::connect(address).await.expect("the port");
    talk(stream, text).await
}

async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, text: &str) -> Said {
    // A refusal may come before the whole is sent, and end the connection: what was said is there all the same.
    let _ = stream.write_all(text.as_bytes()).await;
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_mins(2), stream.read_to_end(&mut bytes)).await;
    let _ = read.expect("in time");
    parse(&bytes)
}

pub(crate) fn parse(bytes: &[u8]) -> Said {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Said { status, head: head.to_owned(), body: body.to_owned() }
}

/// A GET.
pub(crate) fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n")
}

/// A POST of JSON.
pub(crate) fn post(path: &str, fields: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n{fields}\r\n{body}",
        body.len()
    )
}
