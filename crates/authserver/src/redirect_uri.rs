//! Where users are sent back to (RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §2.1): compared as text, but for the port of a
//! loopback address, which a native client may pick when it starts.

use std::fmt;

/// A registered redirect URI.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RedirectUri(String);

/// Why a text cannot be a redirect URI.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RedirectUriError {
    /// Not printable ASCII, or longer than a URL may be.
    #[error("not a URL of at most {} printable ASCII characters", RedirectUri::MAX_LENGTH)]
    Characters,
    /// It has a fragment.
    #[error("a fragment, which a redirect URI cannot have")]
    Fragment,
    /// Plain http to another host than the own.
    #[error("plain http, which is allowed for loopback addresses only; use https")]
    PlainHttp,
    /// Not https, not a loopback address, and not a scheme of a native client's own.
    #[error("neither https nor http://127.0.0.1 nor a native client's own scheme, which has a dot as com.example.app")]
    Scheme,
    /// No host, or user information in front of it.
    #[error("no host, or a user name before it")]
    Host,
}

impl RedirectUri {
    const MAX_LENGTH: usize = 2_048;

    /// Takes a redirect URI as a client registers it.
    pub(crate) fn parse(text: &str) -> Result<Self, RedirectUriError> {
        if text.is_empty() || text.len() > Self::MAX_LENGTH || !text.bytes().all(is_uri_byte) {
            return Err(RedirectUriError::Characters);
        }
        if text.contains('#') {
            return Err(RedirectUriError::Fragment);
        }
        let (scheme, rest) = text.split_once(':').ok_or(RedirectUriError::Scheme)?;
        match scheme {
            "https" | "http" => {
                let authority = rest.strip_prefix("//").map(until_path).unwrap_or_default();
                if authority.is_empty() || authority.contains('@') || authority.starts_with(':') {
                    return Err(RedirectUriError::Host);
                }
                if scheme == "http" && Loopback::split(text).is_none() {
                    return Err(RedirectUriError::PlainHttp);
                }
            }
            own if is_own_scheme(own) => {}
            _ => return Err(RedirectUriError::Scheme),
        }
        Ok(Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `asked` is this one, of a loopback address on any port.
    pub(crate) fn is(&self, asked: &str) -> bool {
        if self.0 == asked {
            return true;
        }
        match (Loopback::split(&self.0), Loopback::split(asked)) {
            (Some(own), Some(asked)) => own.host == asked.host && own.rest == asked.rest,
            _ => false,
        }
    }
}

/// What a content security policy has to name so that a form may end at `uri`: the origin, or the scheme.
pub(crate) fn form_target(uri: &str) -> &str {
    let Some(at) = uri.find("://") else { return uri.split_inclusive(':').next().unwrap_or_default() };
    if !uri.starts_with("https://") && !uri.starts_with("http://") {
        return &uri[..=at];
    }
    let authority = until_path(&uri[at + 3..]);
    &uri[..at + 3 + authority.len()]
}

/// `uri` with parameters added to its query.
pub(crate) fn with_parameters(uri: &str, parameters: &[(&str, &str)]) -> String {
    let mut text = uri.to_owned();
    let mut separator = match uri.find('?') {
        None => "?",
        Some(_) if uri.ends_with(['?', '&']) => "",
        Some(_) => "&",
    };
    for (name, value) in parameters {
        text.push_str(separator);
        text.push_str(name);
        text.push('=');
        push_encoded(&mut text, value);
        separator = "&";
    }
    text
}

/// Percent-encodes everything but unreserved characters (RFC 3986 §2.3).
pub(crate) fn push_encoded(text: &mut String, value: &str) {
    use std::fmt::Write as _;
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `http://` and a loopback host, taken apart without its port.
struct Loopback<'a> {
    host: &'a str,
    rest: &'a str,
}

impl<'a> Loopback<'a> {
    fn split(text: &'a str) -> Option<Self> {
        let after = text.strip_prefix("http://")?;
        let authority = until_path(after);
        let rest = &after[authority.len()..];
        let host = ["127.0.0.1", "[::1]", "localhost"].into_iter().find(|host| authority.starts_with(host))?;
        let port = &authority[host.len()..];
        let is_port = |port: &str| port.parse::<u16>().is_ok_and(|number| number > 0 && number.to_string() == port);
        let fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        fits.then(|| Self { host: &authority[..host.len()], rest })
    }
}

fn until_path(text: &str) -> &str {
    &text[..text.find(['/', '?', '#']).unwrap_or(text.len())]
}

/// A native client's own scheme: a domain name turned round (RFC 8252 §7.1), so no other scheme can be meant.
fn is_own_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.contains('.')
        && scheme.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte))
}

/// What may stand in a URI, without what would end a header field, a policy or an attribute.
fn is_uri_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&()*+,=%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_users_can_be_sent_to_safely() {
        for text in [
            "https://app.example/callback",
            "https://app.example/callback?dummy1=lorem&dummy2=ipsum",
            "https://app.example:8443",
            "http://127.0.0.1/callback",
            "http://127.0.0.1:8080/callback",
            "http://[::1]:1/x",
            "http://localhost:3000/",
            "com.example.app:/callback",
            "com.example.app://callback",
        ] {
            assert_eq!(RedirectUri::parse(text).map(|uri| uri.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn refuses_the_rest() {
        use RedirectUriError::{Characters, Fragment, Host, PlainHttp, Scheme};
        for (text, error) in [
            ("", Characters),
            ("https://app.example/a b", Characters),
            ("https://app.example/;x", Characters),
            ("https://app.example/'", Characters),
            ("https://app.example/\r\nSet-Cookie:x", Characters),
            ("https://äpp.example/", Characters),
            ("https://app.example/#x", Fragment),
            ("http://app.example/callback", PlainHttp),
            ("http://127.0.0.1.evil.example/", PlainHttp),
            ("http://127.0.0.1:0/", PlainHttp),
            ("http://localhost:x/", PlainHttp),
            ("javascript:alert(1)", Scheme),
            ("data:text/html,x", Scheme),
            ("file:///etc/passwd", Scheme),
            ("myapp:/callback", Scheme),
            ("HTTPS://app.example/", Scheme),
            ("/callback", Scheme),
            ("https:app.example", Host),
            ("https:///callback", Host),
            ("https://user@app.example/", Host),
            ("http://127.0.0.1@evil.example/", Host),
        ] {
            assert_eq!(RedirectUri::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn is_compared_as_text_but_for_the_port_of_a_loopback_address() {
        let is = |registered: &str, asked: &str| RedirectUri::parse(registered).unwrap().is(asked);
        assert!(is("https://app.example/cb?a=1", "https://app.example/cb?a=1"));
        for asked in [
            "https://app.example/cb",
            "https://app.example/cb?a=1&b",
            "https://app.example/cb?a=1#",
            "https://app.example:443/cb?a=1",
            "https://APP.example/cb?a=1",
            "https://app.example/x/../cb?a=1",
        ] {
            assert!(!is("https://app.example/cb?a=1", asked), "{asked}");
        }
        for asked in ["http://127.0.0.1/cb", "http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb"] {
            assert!(is("http://127.0.0.1/cb", asked) && is("http://127.0.0.1:8080/cb", asked), "{asked}");
        }
        for asked in [
            "http://127.0.0.1:65536/cb",
            "http://127.0.0.1:08/cb",
            "http://127.0.0.1:/cb",
            "http://127.0.0.1:1/other",
            "http://127.0.0.1:1@evil.example/cb",
            "http://localhost:1/cb",
            "https://127.0.0.1:1/cb",
        ] {
            assert!(!is("http://127.0.0.1/cb", asked), "{asked}");
        }
    }

    #[test]
    fn parameters_go_behind_the_query_that_is_there() {
        let with = |uri: &str| with_parameters(uri, &[("code", "a b"), ("state", "ü&=\r\n")]);
        assert_eq!(with("https://a.example/"), "https://a.example/?code=a%20b&state=%C3%BC%26%3D%0D%0A");
        assert_eq!(with("https://a.example/?x=1"), "https://a.example/?x=1&code=a%20b&state=%C3%BC%26%3D%0D%0A");
        assert!(with("com.example.app:/cb").starts_with("com.example.app:/cb?code="));
        assert!(with("https://a.example/?").starts_with("https://a.example/?code="));
    }

    #[test]
    fn the_policy_names_no_more_than_where_the_form_may_end() {
        for (uri, target) in [
            ("https://app.example/cb?x", "https://app.example"),
            ("https://app.example:8443", "https://app.example:8443"),
            ("http://127.0.0.1:8080/cb", "http://127.0.0.1:8080"),
            ("com.example.app:/cb", "com.example.app:"),
            ("com.example.app://cb", "com.example.app:"),
        ] {
            assert_eq!(form_target(uri), target);
        }
    }
}
