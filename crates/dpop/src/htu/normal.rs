//! The normaliser: RFC 3986 §3 for the syntax, §6.2.2 and §6.2.3 for the normal form.

use std::net::Ipv6Addr;

use memchr::memchr2;

use super::{Htu, HtuError};
use crate::scan;

/// `http` or `https`; there is no other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum UriScheme {
    Http,
    Https,
}

impl UriScheme {
    pub(super) const fn prefix(self) -> &'static str {
        match self {
            Self::Http => "http://",
            Self::Https => "https://",
        }
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A URI cut into its components, none of them looked into but the scheme.
pub(super) struct Parts<'a> {
    pub(super) scheme: UriScheme,
    pub(super) authority: &'a str,
    pub(super) path: &'a str,
    /// Query or fragment, even an empty one, followed.
    pub(super) more: bool,
}

pub(super) fn split(uri: &str) -> Result<Parts<'_>, HtuError> {
    check_text(uri)?;
    let (scheme, rest) = split_scheme(uri)?;
    let rest = rest.strip_prefix("//").ok_or(HtuError::NotAbsolute)?;
    let (hierarchy, more) = cut_path(rest);
    let (authority, path) = hierarchy.split_at(hierarchy.find('/').unwrap_or(hierarchy.len()));
    Ok(Parts { scheme, authority, path, more })
}

/// Length and characters of a whole URI, so that nothing odd hides in a query or fragment either.
pub(super) fn check_text(uri: &str) -> Result<(), HtuError> {
    if uri.is_empty() || uri.len() > Htu::MAX_LENGTH {
        return Err(HtuError::Length);
    }
    let is_good = scan::all(uri.as_bytes(), |byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_good { Ok(()) } else { Err(HtuError::Character) }
}

/// What comes before query and fragment, and whether one of these follows, even an empty one.
pub(super) fn cut_path(text: &str) -> (&str, bool) {
    match memchr2(b'?', b'#', text.as_bytes()) {
        Some(end) => (&text[..end], true),
        None => (text, false),
    }
}

fn split_scheme(uri: &str) -> Result<(UriScheme, &str), HtuError> {
    let (scheme, rest) = uri.split_once(':').ok_or(HtuError::NotAbsolute)?;
    if scheme.eq_ignore_ascii_case("https") {
        return Ok((UriScheme::Https, rest));
    }
    if scheme.eq_ignore_ascii_case("http") {
        return Ok((UriScheme::Http, rest));
    }
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    Err(if is_scheme { HtuError::Scheme } else { HtuError::NotAbsolute })
}

/// Host and port; the port is `None` when absent, empty, or the scheme's default.
pub(super) struct Authority<'a> {
    pub(super) host: &'a str,
    pub(super) port: Option<u16>,
}

impl<'a> Authority<'a> {
    pub(super) fn parse(authority: &'a str, scheme: UriScheme) -> Result<Self, HtuError> {
        if authority.contains('@') {
            return Err(HtuError::UserInfo);
        }
        let host_end = match authority.strip_prefix('[') {
            Some(literal) => literal.find(']').ok_or(HtuError::Host)? + 2,
            None => authority.find(':').unwrap_or(authority.len()),
        };
        let (host, rest) = authority.split_at(host_end);
        if host.is_empty() && rest.is_empty() {
            return Err(HtuError::NotAbsolute);
        }
        check_host(host)?;
        let port = match rest.strip_prefix(':') {
            Some(digits) => parse_port(digits)?,
            None if rest.is_empty() => None,
            None => return Err(HtuError::Host),
        };
        Ok(Self { host, port: port.filter(|port| *port != scheme.default_port()) })
    }

    pub(super) fn push_to(&self, text: &mut String) {
        let start = text.len();
        text.push_str(self.host);
        text[start..].make_ascii_lowercase();
        if let Some(port) = self.port {
            text.push(':');
            text.push_str(&port.to_string());
        }
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.host.eq_ignore_ascii_case(other.host) && self.port == other.port
    }
}

/// A registered name or an IPv6 address. Percent-encoding, which RFC 3986 would allow in a name, occurs in no name
/// that HTTP can resolve, and is where parsers disagree: it is refused.
fn check_host(host: &str) -> Result<(), HtuError> {
    let good = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|byte| is_unreserved(byte) || is_sub_delim(byte)),
    };
    if good { Ok(()) } else { Err(HtuError::Host) }
}

fn parse_port(digits: &str) -> Result<Option<u16>, HtuError> {
    if digits.is_empty() {
        return Ok(None);
    }
    // `u16` would take a plus sign and leading zeros.
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if !plain {
        return Err(HtuError::Port);
    }
    digits.parse().map(Some).map_err(|_| HtuError::Port)
}

/// Appends the normal form of `path`, which is empty or starts with a slash, to `text`.
///
/// Percent-encoded dots are decoded before dot segments are removed: `%2e%2e` is a dot segment on both sides of a
/// comparison or on none (RFC 3986 §6.2.2.2, §6.2.2.3).
pub(super) fn push_path(text: &mut String, path: &str) -> Result<(), HtuError> {
    let start = text.len();
    if path.is_empty() {
        text.push('/');
        return Ok(());
    }
    if is_normal(path.as_bytes()) {
        text.push_str(path);
        return Ok(());
    }
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let before = text.len();
        text.push('/');
        push_segment(text, segment)?;
        match &text[before + 1..] {
            "." => text.truncate(before),
            ".." => text.truncate(text[start..before].rfind('/').map_or(start, |slash| start + slash)),
            _ => continue,
        }
        // A dot segment at the end leaves the slash before it.
        if segments.peek().is_none() {
            text.push('/');
        }
    }
    Ok(())
}

/// True when it is plain to see that the path, which begins with a slash, is in its normal form: no percent-encoding,
/// and no segment that begins with a dot.
fn is_normal(path: &[u8]) -> bool {
    let mut before = 0;
    for &byte in path {
        if (byte != b'/' && !is_pchar(byte)) || (byte == b'.' && before == b'/') {
            return false;
        }
        before = byte;
    }
    path.first() == Some(&b'/')
}

fn push_segment(text: &mut String, segment: &str) -> Result<(), HtuError> {
    let mut rest = segment.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            if !is_pchar(*first) {
                return Err(HtuError::Character);
            }
            text.push(char::from(*first));
            continue;
        }
        let [high, low, after @ ..] = rest else {
            return Err(HtuError::PercentEncoding);
        };
        push_octet(text, *high, *low)?;
        rest = after;
    }
    Ok(())
}

fn push_octet(text: &mut String, high: u8, low: u8) -> Result<(), HtuError> {
    let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(HtuError::PercentEncoding);
    let octet = u8::try_from(digit(high)? * 16 + digit(low)?).map_err(|_| HtuError::PercentEncoding)?;
    if is_unreserved(octet) {
        text.push(char::from(octet));
    } else {
        text.push('%');
        text.push(char::from(high.to_ascii_uppercase()));
        text.push(char::from(low.to_ascii_uppercase()));
    }
    Ok(())
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

const fn is_sub_delim(byte: u8) -> bool {
    matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
}

const fn is_pchar(byte: u8) -> bool {
    is_unreserved(byte) || is_sub_delim(byte) || matches!(byte, b':' | b'@')
}
