//! A URL as HTTP clients send it.

use std::borrow::Cow;

use crate::htu::{Htu, HtuError};

/// A URL without user information, query and fragment, as an HTTP client sends it. It has no quote, no back-slash and
/// nothing beyond visible ASCII, so that a string of JSON holds it as it is.
#[derive(Debug)]
pub(super) struct SentHtu<'a>(Cow<'a, str>);

impl<'a> SentHtu<'a> {
    /// What is sent of `url`.
    ///
    /// # Errors
    /// See [`HtuError`].
    pub(super) fn of(url: &'a str) -> Result<Self, HtuError> {
        Ok(Self(match as_it_is(url) {
            Some(htu) => Cow::Borrowed(htu),
            None => Cow::Owned(rewritten(url)?),
        }))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The `htu` of a URL that is written as it is sent, so far as one look at every byte can tell; `None` where more has
/// to be looked at.
fn as_it_is(url: &str) -> Option<&str> {
    let (rest, default_port) = match url.strip_prefix("https://") {
        Some(rest) => (rest, 443),
        None => (url.strip_prefix("http://")?, 80),
    };
    let authority = rest.bytes().position(|byte| !matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b':'))?;
    let (authority, path) = rest.split_at(authority);
    if !path.starts_with('/') || !is_plain(authority, default_port) {
        return None;
    }
    let length = path.bytes().position(|byte| !is_plain_in_path(byte)).unwrap_or(path.len());
    if !matches!(path.as_bytes().get(length), None | Some(b'?' | b'#')) {
        return None;
    }
    let end = url.len() - path.len() + length;
    url.get(..end).filter(|htu| htu.len() <= Htu::MAX_LENGTH)
}

/// True for a host that has one spelling only, with no port or with one that has to be said.
fn is_plain(authority: &str, default_port: u16) -> bool {
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let is_said = |port: &str| {
        !port.starts_with('0')
            && port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port != default_port)
    };
    !host.is_empty() && port.is_none_or(is_said)
}

/// What a path may have that is no beginning of an encoding (RFC 3986 §3.3).
const fn is_plain_in_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'/' | b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')')
        || matches!(byte, b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@')
}

fn rewritten(url: &str) -> Result<String, HtuError> {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let (scheme, rest) = url[..end].split_once("://").ok_or(HtuError::NotAbsolute)?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    // Some URL parsers end the host at a back-slash: which server is meant would be a matter of opinion.
    if authority.contains('\\') {
        return Err(HtuError::Character);
    }
    let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, host_and_port)| host_and_port);
    let default_port = if scheme.eq_ignore_ascii_case("http") { ":80" } else { ":443" };
    let without_port = host_and_port.strip_suffix(default_port).or_else(|| host_and_port.strip_suffix(':'));
    let mut htu = String::with_capacity(url.len() + 1);
    for part in [scheme, "://", without_port.unwrap_or(host_and_port)] {
        htu.push_str(part);
    }
    htu.make_ascii_lowercase();
    htu.push_str(if path.is_empty() { "/" } else { path });
    Htu::parse(&htu)?;
    Ok(htu)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{as_it_is, rewritten};

    proptest! {
        #[test]
        fn what_is_written_as_it_is_sent_needs_no_rewriting(
            url in "(https?|HTTP)://[a-zA-Z0-9.%\\[-]{0,4}(:[0-9]{0,5}|:80|:443)?(/[!-~é]{0,6}){0,3}[?#]?[!-~]{0,4}",
        ) {
            if let Some(htu) = as_it_is(&url) {
                prop_assert_eq!(rewritten(&url), Ok(htu.to_owned()));
            }
        }
    }

    #[test]
    fn what_most_clients_call_is_written_as_it_is_sent() {
        for (url, htu) in [
            ("https://rs.example/a/b", "https://rs.example/a/b"),
            ("https://rs.example/a/b?c=/%20d#e", "https://rs.example/a/b"),
            ("http://127.0.0.1:8443/v1/orders/17#", "http://127.0.0.1:8443/v1/orders/17"),
        ] {
            assert_eq!(as_it_is(url), Some(htu), "{url}");
        }
    }
}
