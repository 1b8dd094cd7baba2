//! Header lines.

use countersign_dpop::Scheme;

use super::exchange::{Exchange, Message};
use super::{Capture, Form, Note};

/// Reads text that is header lines only and has at least one that matters.
pub(super) fn read(text: &str) -> Option<Capture> {
    let mut exchange = Exchange::default();
    let mut lines = text.lines().map(without_mark).filter(|line| !line.trim().is_empty()).peekable();
    while let Some(line) = lines.next() {
        let (name, value) = split(line)?;
        let mut value = value.to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with([' ', '\t'])) {
            value.push(' ');
            value.push_str(more.trim());
        }
        if name.starts_with(':') {
            exchange.take_pseudo_field(&name, &value);
        } else if is_of_answer(&name) {
            exchange.response.add(&name, &value);
        } else {
            add(&mut exchange.request, &name, &value);
        }
    }
    let matters =
        |name: &str| exchange.request.fields.contains_key(name) || exchange.response.fields.contains_key(name);
    let is_of_use = ["dpop", "authorization", "www-authenticate", "dpop-nonce"].into_iter().any(matters);
    let notes = notes(&exchange);
    (is_of_use || exchange.request.has_placeholder).then(|| Capture::new(Form::Fields, exchange, notes))
}

/// Adds a field of a request, unless its proof or token stands for another.
pub(super) fn add(message: &mut Message, name: &str, value: &str) {
    if name.eq_ignore_ascii_case("dpop") && is_placeholder(value) {
        message.has_placeholder = true;
        return;
    }
    let is_authorization = name.eq_ignore_ascii_case("authorization");
    let (word, token) = value.trim().split_once(' ').unwrap_or((value, ""));
    if is_authorization && (is_placeholder(token) || is_placeholder(word)) {
        message.has_placeholder = true;
        message.scheme = scheme(word);
        return;
    }
    message.add(name, value);
}

/// A field line as name in lower case and value without blanks around it; a pseudo-header field too.
pub(super) fn split(line: &str) -> Option<(String, &str)> {
    let colon = line.bytes().skip(1).position(|byte| byte == b':')? + 1;
    let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
    let plain = name.strip_prefix(':').unwrap_or(name);
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let fits = !plain.is_empty() && plain.len() <= 128 && plain.bytes().all(is_fit);
    fits.then(|| (name.to_ascii_lowercase(), value.trim_matches([' ', '\t'])))
}

pub(super) fn notes(exchange: &Exchange) -> Vec<Note> {
    let mut notes = Vec::new();
    if exchange.request.has_placeholder {
        notes.push(Note::Placeholder);
    }
    let skipped = exchange.request.skipped + exchange.response.skipped;
    if skipped > 0 {
        notes.push(Note::LinesSkipped(skipped));
    }
    notes
}

/// The line without the mark by which `curl -v` says its direction.
fn without_mark(line: &str) -> &str {
    line.strip_prefix("> ").or_else(|| line.strip_prefix("< ")).unwrap_or(line)
}

fn is_of_answer(name: &str) -> bool {
    ["www-authenticate", "dpop-nonce", "date", "server", "set-cookie", "location"].contains(&name)
        || name.starts_with("access-control-allow-")
        || name.starts_with("access-control-expose-")
}

fn scheme(word: &str) -> Option<Scheme> {
    [Scheme::Dpop, Scheme::Bearer].into_iter().find(|scheme| word.eq_ignore_ascii_case(scheme.as_str()))
}

/// Text that no proof and no token is, and that people and programs put in their place.
fn is_placeholder(value: &str) -> bool {
    let value = value.trim();
    value.starts_with(['$', '<', '[', '%', '`'])
        || value.starts_with("{{")
        || value.contains("...")
        || value.contains('…')
        || (value.len() > 2 && value.bytes().all(|byte| byte == b'*'))
        || value.to_ascii_lowercase().contains("redacted")
}
