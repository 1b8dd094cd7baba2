//! Raw requests and answers, plain or with the marks of `curl -v`.

use super::exchange::{Exchange, Message, method};
use super::{Capture, Form, Note, fields};

/// The most requests of one capture that are told apart.
const MOST_EXCHANGES: usize = 256;

/// Reads a capture that begins with a request line or a status line, or has them behind the marks of `curl -v`.
pub(super) fn read(text: &str) -> Option<Capture> {
    let is_marked = text.lines().any(|line| {
        line.strip_prefix("> ").is_some_and(|line| request_line(line).is_some())
            || line.strip_prefix("< ").is_some_and(|line| status_line(line).is_some())
    });
    let first = text.lines().find(|line| !line.trim().is_empty())?;
    if !is_marked && request_line(first).is_none() && status_line(first).is_none() {
        return None;
    }
    let mut reader = Reader { is_marked, ..Reader::default() };
    for line in text.lines() {
        reader.take(line);
    }
    reader.finish()
}

/// Where the reader stands.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum At {
    #[default]
    Start,
    RequestFields,
    RequestBody,
    ResponseFields,
    ResponseBody,
}

#[derive(Default)]
struct Reader {
    is_marked: bool,
    at: At,
    exchange: Exchange,
    earlier: usize,
    scheme: Option<&'static str>,
}

impl Reader {
    fn take(&mut self, line: &str) {
        let line = line.trim_end_matches('\r');
        if !self.is_marked {
            return self.take_plain(line);
        }
        match (line.as_bytes().first(), line.as_bytes().get(1)) {
            (Some(b'>'), Some(b' ') | None) => self.take_of_request(line.get(2..).unwrap_or("")),
            (Some(b'<'), Some(b' ') | None) => self.take_of_response(line.get(2..).unwrap_or("")),
            (Some(b'*'), Some(b' ') | None) => self.take_remark(line),
            _ if is_data_mark(line) => {}
            _ => self.take_body(line),
        }
    }

    fn take_plain(&mut self, line: &str) {
        match self.at {
            At::RequestFields => self.take_of_request(line),
            At::ResponseFields => self.take_of_response(line),
            At::Start | At::RequestBody | At::ResponseBody if status_line(line).is_some() => {
                self.take_of_response(line);
            }
            At::Start | At::RequestBody | At::ResponseBody if request_line(line).is_some() => {
                self.take_of_request(line);
            }
            At::Start | At::RequestBody | At::ResponseBody => self.take_body(line),
        }
    }

    fn take_of_request(&mut self, line: &str) {
        if self.at != At::RequestFields {
            if let Some((method, target)) = request_line(line) {
                self.begin();
                (self.exchange.method, self.exchange.target) = (Some(method), Some(target.to_owned()));
                self.at = At::RequestFields;
            }
            return;
        }
        if line.trim().is_empty() {
            self.at = At::RequestBody;
        } else if status_line(line).is_some() {
            self.take_of_response(line);
        } else {
            self.take_field(line, true);
        }
    }

    fn take_of_response(&mut self, line: &str) {
        if let Some(status) = status_line(line) {
            // What came before an answer that is final, like 100, is none.
            let is_final = self.exchange.status.is_some_and(|status| status >= 200);
            if is_final {
                self.begin();
            }
            self.exchange.status = Some(status);
            self.exchange.response = Message::default();
            self.at = At::ResponseFields;
        } else if line.trim().is_empty() {
            self.at = if self.at == At::Start { At::Start } else { At::ResponseBody };
        } else if self.at == At::ResponseFields {
            self.take_field(line, false);
        }
    }

    fn take_field(&mut self, line: &str, is_of_request: bool) {
        let message = if is_of_request { &mut self.exchange.request } else { &mut self.exchange.response };
        match fields::split(line) {
            Some((name, value)) if name.starts_with(':') => self.exchange.take_pseudo_field(&name, value),
            Some((name, value)) if is_of_request => fields::add(message, &name, value),
            Some((name, value)) => message.add(&name, value),
            None => message.skipped += 1,
        }
    }

    /// What curl tells of the connection: the scheme, and the authority under HTTP/2.
    fn take_remark(&mut self, line: &str) {
        let remark = line.get(1..).unwrap_or("").trim();
        if let Some(start) = remark.find("[:") {
            let pseudo = remark.get(start + 1..).unwrap_or("").trim_end_matches(']');
            match fields::split(pseudo) {
                Some((name, value)) if name == ":scheme" => {
                    self.scheme = ["https", "http"].into_iter().find(|scheme| *scheme == value.trim());
                }
                Some(_) | None => {}
            }
        } else if remark.starts_with("SSL connection using") {
            self.scheme = Some("https");
        } else if remark.starts_with("Connected to ") || remark.starts_with("Established connection to ") {
            // Depending on its version, curl tells of TLS before or after this.
            self.scheme = if remark.contains(" port 443") { Some("https") } else { self.scheme.or(Some("http")) };
        }
    }

    fn take_body(&mut self, line: &str) {
        let message = match self.at {
            At::RequestBody => &mut self.exchange.request,
            At::ResponseBody => &mut self.exchange.response,
            At::Start | At::RequestFields | At::ResponseFields => return,
        };
        message.body.push_str(line);
        message.body.push('\n');
    }

    /// Puts the exchange aside; only the last one is kept.
    fn begin(&mut self) {
        if self.exchange.has_no_request() && self.exchange.status.is_none() {
            return;
        }
        self.earlier = self.earlier.saturating_add(1).min(MOST_EXCHANGES);
        self.exchange = Exchange::default();
    }

    fn finish(mut self) -> Option<Capture> {
        self.exchange.scheme = self.exchange.scheme.or(self.scheme);
        let mut notes = fields::notes(&self.exchange);
        if self.earlier > 0 {
            notes.push(Note::EarlierRequests(self.earlier));
        }
        let is_of_use = !self.exchange.has_no_request() || self.exchange.status.is_some();
        is_of_use.then(|| Capture::new(Form::Http, self.exchange, notes))
    }
}

/// Method and target of a request line; without the version only if it cannot be anything else.
pub(super) fn request_line(line: &str) -> Option<(String, &str)> {
    let mut words = line.trim_end().split(' ');
    let (first, target) = (words.next()?, words.next()?);
    let is_versioned = match (words.next(), words.next()) {
        (Some(version), None) => version.starts_with("HTTP/").then_some(true)?,
        (None, _) => false,
        (Some(_), Some(_)) => return None,
    };
    let is_absolute = ["http://", "https://"]
        .iter()
        .any(|scheme| target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    let is_target = is_absolute || target.starts_with('/') || (is_versioned && !target.is_empty());
    let is_method = is_versioned || first.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    (is_target && is_method).then_some(())?;
    Some((method(first)?, target))
}

/// The status of a status line.
pub(super) fn status_line(line: &str) -> Option<u16> {
    let mut words = line.trim_end().splitn(3, ' ');
    words.next()?.strip_prefix("HTTP/")?;
    let status = words.next()?;
    let is_fit = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
    status.parse().ok().filter(|status| is_fit && (100..1_000).contains(status))
}

/// `{ [5 bytes data]`, by which `curl -v` stands for a body.
fn is_data_mark(line: &str) -> bool {
    (line.starts_with("{ [") || line.starts_with("} [")) && line.trim_end().ends_with("bytes data]")
}
