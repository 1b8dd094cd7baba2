//! An upstream that the test plays byte by byte.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct RawUpstream {
    listener: TcpListener,
}

pub(crate) struct RawConnection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl RawUpstream {
    pub(crate) async fn bind() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    pub(crate) async fn accept(&self) -> RawConnection {
        RawConnection { stream: self.listener.accept().await.unwrap().0, read: Vec::new() }
    }
}

impl RawConnection {
    /// Reads to the end of `mark` and gives everything up to there.
    pub(crate) async fn read_to(&mut self, mark: &str) -> String {
        loop {
            if let Some(at) = self.read.windows(mark.len()).position(|window| window == mark.as_bytes()) {
                let rest = self.read.split_off(at + mark.len());
                return String::from_utf8(std::mem::replace(&mut self.read, rest)).unwrap();
            }
            assert_ne!(self.stream.read_buf(&mut self.read).await.unwrap(), 0, "closed before {mark:?}");
        }
    }

    pub(crate) async fn read_head(&mut self) -> String {
        self.read_to("\r\n\r\n").await
    }

    pub(crate) async fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Waits until the other side has closed, and gives what it sent before.
    pub(crate) async fn closed(mut self) -> String {
        while self.stream.read_buf(&mut self.read).await.is_ok_and(|read| read > 0) {}
        String::from_utf8(self.read).unwrap()
    }
}
