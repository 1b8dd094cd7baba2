//! One request and its answer, as far as they were captured.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The most fields of one message that are kept.
const MOST_FIELDS: usize = 512;

/// A request and its answer.
#[derive(Default)]
pub(crate) struct Exchange {
    pub(crate) method: Option<String>,
    /// As in the request line: a path, or a whole URL.
    pub(crate) target: Option<String>,
    /// By a pseudo-header field or what curl tells of the connection.
    pub(crate) scheme: Option<&'static str>,
    /// By a pseudo-header field.
    pub(crate) authority: Option<String>,
    pub(crate) request: Message,
    pub(crate) status: Option<u16>,
    pub(crate) response: Message,
}

impl Exchange {
    /// Takes a pseudo-header field of HTTP/2, as browsers copy it.
    pub(super) fn take_pseudo_field(&mut self, name: &str, value: &str) {
        match name {
            ":method" => self.method = method(value),
            ":path" => self.target = Some(value.to_owned()),
            ":authority" => self.authority = Some(value.to_owned()),
            ":scheme" if value == "https" => self.scheme = Some("https"),
            ":scheme" if value == "http" => self.scheme = Some("http"),
            ":status" => self.status = value.parse().ok(),
            _ => {}
        }
    }

    /// True when nothing is known of the request.
    pub(super) fn has_no_request(&self) -> bool {
        self.method.is_none() && self.target.is_none() && self.request.fields.is_empty()
    }
}

/// Header fields and body of a request or an answer.
#[derive(Default)]
pub(crate) struct Message {
    pub(crate) fields: HeaderMap,
    pub(crate) body: String,
    /// A proof or token was a placeholder and is not among the fields.
    pub(super) has_placeholder: bool,
    /// Lines that are no fields.
    pub(super) skipped: usize,
    /// The scheme of an `Authorization` field whose token is a placeholder.
    pub(crate) scheme: Option<countersign_dpop::Scheme>,
}

impl Message {
    /// Adds a field; what HTTP does not allow in a field is counted and left out.
    pub(super) fn add(&mut self, name: &str, value: &str) {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_bytes(value.as_bytes());
        match (name, value) {
            (Ok(name), Ok(value)) if self.fields.len() < MOST_FIELDS => {
                if self.fields.try_append(name, value).is_err() {
                    self.skipped += 1;
                }
            }
            _ => self.skipped += 1,
        }
    }

    /// The value of the field, if there is exactly one and it is text.
    pub(crate) fn only(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        let mut values = self.fields.get_all(name).iter();
        let first = values.next()?;
        if values.next().is_some() { None } else { first.to_str().ok() }
    }
}

/// A method if it could be one: a short `tchar` word of RFC 9110 §9.1.
pub(super) fn method(text: &str) -> Option<String> {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    ((1..=32).contains(&text.len()) && text.bytes().all(is_fit)).then(|| text.to_owned())
}
