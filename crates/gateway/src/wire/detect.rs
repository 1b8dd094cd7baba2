//! HTTP/1.1 or HTTP/2, by a connection's first bytes.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Protocol {
    Http1,
    /// With prior knowledge (RFC 9113 §3.3).
    Http2,
}

/// Reads just enough to know, and gives back what was read. `None` when the connection ended without a word.
pub(crate) async fn detect<S: AsyncRead + Unpin>(
    stream: &mut S,
    limit: Duration,
) -> io::Result<Option<(Protocol, Vec<u8>)>> {
    let mut read = Vec::with_capacity(HTTP2_PREFACE.len());
    while read.len() < HTTP2_PREFACE.len() && HTTP2_PREFACE.starts_with(&read) {
        let missing = HTTP2_PREFACE.len() - read.len();
        if timeout(limit, (&mut *stream).take(missing as u64).read_buf(&mut read)).await?? == 0 {
            return Ok((!read.is_empty()).then_some((Protocol::Http1, read)));
        }
    }
    let protocol = if read == HTTP2_PREFACE { Protocol::Http2 } else { Protocol::Http1 };
    Ok(Some((protocol, read)))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn found(bytes: &[u8]) -> Option<(Protocol, Vec<u8>)> {
        detect(&mut &bytes[..], Duration::from_secs(1)).await.unwrap()
    }

    #[tokio::test]
    async fn tells_the_protocols_apart_and_loses_no_byte() {
        assert_eq!(found(b"GET / HTTP/1.1\r\n\r\n").await.unwrap().0, Protocol::Http1);
        assert_eq!(found(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n").await.unwrap().0, Protocol::Http1);
        assert_eq!(found(b"PRI").await, Some((Protocol::Http1, b"PRI".to_vec())));
        let preface = [HTTP2_PREFACE.as_slice(), b"more"].concat();
        assert_eq!(found(&preface).await, Some((Protocol::Http2, HTTP2_PREFACE.to_vec())));
        assert_eq!(found(b"").await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_says_nothing_is_given_up() {
        let (_client, mut server) = tokio::io::duplex(64);
        let error = detect(&mut server, Duration::from_secs(10)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
