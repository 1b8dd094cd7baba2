//! The plainest of HTTP clients, and APIs to guard.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::process::LIMIT;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The values of a field.
    pub(crate) fn fields(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

/// GET of `url` with further fields. `Host` is that of the URL unless given.
pub(crate) fn get(url: &str, fields: &[(&str, &str)]) -> Answer {
    send("GET", url, fields, "")
}

/// As [`get`], by another method, with a body whose length is among the fields.
pub(crate) fn send(method: &str, url: &str, fields: &[(&str, &str)], body: &str) -> Answer {
    let rest = url.strip_prefix("http://").unwrap();
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(authority).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut request = vec![format!("{method} /{path} HTTP/1.1"), "Connection: close".to_owned()];
    if !fields.iter().any(|(name, _)| *name == "Host") {
        request.push(format!("Host: {authority}"));
    }
    request.extend(fields.iter().map(|(name, value)| format!("{name}: {value}")));
    stream.write_all(format!("{}\r\n\r\n{body}", request.join("\r\n")).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// A port of loopback that nobody listens on. Whoever binds it next has it.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// An API that answers every request with 200 and a text, each once it is let go.
pub(crate) struct Api {
    pub(crate) url: String,
    arrivals: Receiver<String>,
    go: Sender<()>,
}

impl Api {
    /// What every answer says.
    pub(crate) const SAYS: &str = "the answer of the API";

    pub(crate) fn start(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (arrived, arrivals) = channel();
        let (go, may_go) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // One that says nothing only looks whether somebody is here.
                let Some((stream, head)) = stream.ok().and_then(read_request) else { continue };
                if arrived.send(head).is_err() || may_go.recv().is_err() {
                    return;
                }
                answer(stream);
            }
        });
        Self { url, arrivals, go }
    }

    /// Lets the next `count` requests be answered.
    pub(crate) fn let_go(&self, count: usize) {
        for _ in 0..count {
            self.go.send(()).unwrap();
        }
    }

    /// Waits for a request and gives it back.
    pub(crate) fn arrival(&self) -> String {
        self.arrivals.recv_timeout(LIMIT).unwrap()
    }
}

/// Reads a request, its body too when its length is said.
fn read_request(stream: TcpStream) -> Option<(TcpStream, String)> {
    let mut lines = BufReader::new(&stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if lines.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.to_lowercase().split_once("content-length: ").map(|(_, rest)| rest.to_owned());
    let length = length.and_then(|rest| rest.lines().next()?.parse().ok()).unwrap_or(0);
    lines.take(length).read_to_string(&mut head).ok()?;
    Some((stream, head))
}

fn answer(mut stream: TcpStream) {
    let (length, says) = (Api::SAYS.len(), Api::SAYS);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{says}");
    // A client that has gone away is the test's affair.
    let _ = stream.write_all(answer.as_bytes());
}
