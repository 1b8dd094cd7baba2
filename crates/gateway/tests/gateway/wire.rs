//! One end of a connection, played byte by byte.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

/// A whole message.
#[derive(Debug)]
pub(crate) struct Message {
    /// The first line.
    pub(crate) line: String,
    /// The field lines as they came.
    pub(crate) fields: Vec<String>,
    pub(crate) body: String,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, read: Vec::new() }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads to the end of `mark` and gives everything up to there.
    pub(crate) async fn read_to(&mut self, mark: &str) -> String {
        loop {
            if let Some(at) = self.read.windows(mark.len()).position(|window| window == mark.as_bytes()) {
                let rest = self.read.split_off(at + mark.len());
                return String::from_utf8(std::mem::replace(&mut self.read, rest)).unwrap();
            }
            let read = self.stream.read_buf(&mut self.read).await.unwrap();
            assert_ne!(read, 0, "closed before {mark:?}, after {:?}", String::from_utf8_lossy(&self.read));
        }
    }

    /// Reads a message with its body, if it has a `content-length`; for any other body reads the head only.
    pub(crate) async fn read_message(&mut self) -> Message {
        let head = self.read_to("\r\n\r\n").await;
        let mut lines = head.trim_end().split("\r\n").map(ToOwned::to_owned);
        let mut message = Message { line: lines.next().unwrap(), fields: lines.collect(), body: String::new() };
        if let Some(length) = message.field("content-length") {
            let length: usize = length.parse().unwrap();
            while self.read.len() < length {
                assert_ne!(self.stream.read_buf(&mut self.read).await.unwrap(), 0, "closed within a body");
            }
            let rest = self.read.split_off(length);
            message.body = String::from_utf8(std::mem::replace(&mut self.read, rest)).unwrap();
        }
        message
    }

    /// Reads exactly a message's head, so that what follows can be read from the stream itself.
    pub(crate) async fn read_head_only(&mut self) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.unwrap());
        }
    }

    /// Reads `count` bytes of a body made of nothing but `x`.
    pub(crate) async fn drain_body(&mut self, count: usize) {
        let mut read = self.read.len();
        loop {
            assert!(self.read.iter().all(|byte| *byte == b'x'));
            self.read.clear();
            if read == count {
                return;
            }
            let got = self.stream.read_buf(&mut self.read).await.unwrap();
            assert_ne!(got, 0, "ended after {read} of {count}");
            read += got;
        }
    }

    /// Reads a message's head only, for instance of an answer to HEAD.
    pub(crate) async fn read_head(&mut self) -> Message {
        let head = self.read_to("\r\n\r\n").await;
        let mut lines = head.trim_end().split("\r\n").map(ToOwned::to_owned);
        Message { line: lines.next().unwrap(), fields: lines.collect(), body: String::new() }
    }

    /// Waits until the other side has closed, and gives what it sent before.
    pub(crate) async fn closed(mut self) -> String {
        while self.stream.read_buf(&mut self.read).await.is_ok_and(|read| read > 0) {}
        String::from_utf8_lossy(&self.read).into_owned()
    }
}

impl Message {
    pub(crate) fn status(&self) -> u16 {
        self.line.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// The value of the only field of this name.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.values(name);
        let first = values.next();
        assert!(values.next().is_none(), "more than one {name} in {self:?}");
        first
    }

    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields.iter().filter_map(move |line| {
            let (found, value) = line.split_once(':').unwrap();
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// `error` of the challenge; empty when there is a challenge without one, `-` when there is no challenge.
    pub(crate) fn code(&self) -> &str {
        match self.values("www-authenticate").next() {
            None => "-",
            Some(challenge) => {
                challenge.split_once("error=\"").and_then(|(_, rest)| rest.split_once('"')).map_or("", |(code, _)| code)
            }
        }
    }
}
