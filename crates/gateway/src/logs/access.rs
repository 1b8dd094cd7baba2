//! The access log: what came, what was answered, how long it took. Allow-listed: no query, no field, no body.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

/// The longest path that is written down, in characters.
const MAX_PATH: usize = 256;

/// One request and its answer.
#[derive(Clone, Debug)]
pub struct AccessRecord<'a> {
    /// Seconds since 1970 when it came.
    pub time: i64,
    /// The gateway's name for it.
    pub request: &'a str,
    /// The other end of the connection.
    pub peer: std::net::IpAddr,
    /// The method.
    pub method: &'a str,
    /// The path; the query is left out, where secrets stand too often.
    pub path: &'a str,
    /// The route; `None` when there was no verdict.
    pub route: Option<&'a str>,
    /// The client, from a verified token.
    pub client: Option<&'a str>,
    /// The code of the verdict, or of what was wrong before one.
    pub code: &'a str,
    /// The status of the answer.
    pub status: u16,
    /// From the request's head to the answer's.
    pub took: Duration,
}

#[derive(Serialize)]
struct Line<'a> {
    access: u8,
    time: i64,
    request: &'a str,
    peer: String,
    method: &'a str,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a str>,
    code: &'a str,
    status: u16,
    microseconds: u64,
}

impl AccessRecord<'_> {
    /// One line of JSON.
    pub fn to_json(&self) -> String {
        let line = Line {
            access: 1,
            time: self.time,
            request: self.request,
            peer: self.peer.to_canonical().to_string(),
            method: self.method,
            path: shown(self.path),
            route: self.route,
            client: self.client,
            code: self.code,
            status: self.status,
            microseconds: u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX),
        };
        // Numbers and texts always have a JSON form.
        serde_json::to_string(&line).unwrap_or_default()
    }

    /// One line for people.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{} {} {} {} {} {} {}us {}",
            self.time,
            self.peer.to_canonical(),
            self.method,
            shown(self.path),
            self.status,
            self.code,
            self.took.as_micros(),
            self.request,
        );
        for (name, value) in [("route", self.route), ("client", self.client)] {
            if let Some(value) = value {
                // Writing to a string cannot fail.
                let _ = write!(text, " {name}={}", shown(value));
            }
        }
        text
    }
}

/// Visible ASCII as it is, the rest as escapes, the end cut off.
fn shown(text: &str) -> String {
    text.chars().take(MAX_PATH).flat_map(char::escape_default).collect()
}

/// Eight hexadecimal digits, a hyphen, and sixteen more at most.
const MAX_NAME: usize = 25;
const HEX: [u8; 16] = *b"0123456789abcdef";

/// Names for requests, none given twice: of this process, and counted.
#[derive(Debug)]
pub(crate) struct RequestIds {
    process: String,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new(process: u32) -> Self {
        Self { process: format!("{process:08x}"), next: AtomicU64::new(1) }
    }

    pub(crate) fn next(&self) -> Arc<str> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        // Written by hand, and where it is no allocation: this is done for every request.
        let (mut room, process) = ([b'-'; MAX_NAME], self.process.as_bytes());
        let mut end = process.len();
        room[..end].copy_from_slice(process);
        for place in (0..digits(number)).rev() {
            end += 1;
            room[end] = HEX[usize::from((number >> (4 * place)).to_le_bytes()[0] & 0xf)];
        }
        std::str::from_utf8(&room[..=end]).unwrap_or_default().into()
    }
}

/// How many hexadecimal digits a number above 0 has.
fn digits(number: u64) -> u32 {
    (u64::BITS - number.leading_zeros()).div_ceil(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(path: &str) -> AccessRecord<'_> {
        AccessRecord {
            time: 1_800_000_000,
            request: "0000002a-1",
            peer: "::ffff:192.0.2.1".parse().unwrap(),
            method: "GET",
            path,
            route: Some("orders"),
            client: None,
            code: "ok",
            status: 200,
            took: Duration::from_micros(1_500),
        }
    }

    #[test]
    fn a_line_is_one_line_whatever_was_asked_for() {
        let long = format!("/{}", "x".repeat(5_000));
        for path in ["/a", "/a\n{\"access\":1}", "/\u{1b}[31m", long.as_str()] {
            let record = record(path);
            let json: serde_json::Value = serde_json::from_str(&record.to_json()).unwrap();
            assert_eq!((&json["status"], &json["peer"]), (&200.into(), &"192.0.2.1".into()));
            for line in [record.to_json(), record.to_text()] {
                assert!(line.len() < 700 && !line.contains(|c: char| c.is_control()), "{line}");
            }
        }
        let text = "1800000000 192.0.2.1 GET /a 200 ok 1500us 0000002a-1 route=orders";
        assert_eq!(record("/a").to_text(), text);
    }

    #[test]
    fn no_two_requests_have_one_name() {
        let ids = RequestIds::new(7);
        assert_eq!((&*ids.next(), &*ids.next()), ("00000007-1", "00000007-2"));
        let last = RequestIds { next: AtomicU64::new(u64::MAX), ..RequestIds::new(u32::MAX) };
        assert_eq!(&*last.next(), "ffffffff-ffffffffffffffff");
    }
}
