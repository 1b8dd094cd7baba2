//! URLs that may be called.

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

use reqwest::Url;

/// An absolute https URL, or an http one of a loopback host. User information and fragment are taken off: a request
/// carries neither.
#[derive(Clone, Eq, PartialEq)]
pub struct Endpoint {
    /// As the library writes it.
    text: String,
    /// Where the path is in it: the origin goes before, the query behind.
    path: Range<usize>,
}

impl Endpoint {
    /// The longest URL that is read, in bytes.
    pub const MAX_LENGTH: usize = 8_192;

    /// Parses `url`.
    ///
    /// # Errors
    /// See [`EndpointError`].
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        if url.len() > Self::MAX_LENGTH {
            return Err(EndpointError::TooLong);
        }
        let mut url = Url::parse(url).map_err(|_| EndpointError::NotAUrl)?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err(EndpointError::NotHttp);
        }
        // Neither can fail for a URL that has a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        let endpoint = Self::of(url);
        if endpoint.is_https() || endpoint.is_loopback() { Ok(endpoint) } else { Err(EndpointError::PlainHttp) }
    }

    /// There is no user information and no default port in the text, and the path begins with a slash.
    fn of(url: Url) -> Self {
        let text = String::from(url);
        let (scheme, _) = text.split_once("://").unwrap_or_default();
        let host = scheme.len().saturating_add("://".len());
        let path = text.get(host..).and_then(|rest| rest.find('/'));
        let start = path.map_or(text.len(), |length| host.saturating_add(length));
        let query = text.get(start..).and_then(|rest| rest.find('?'));
        let end = query.map_or(text.len(), |length| start.saturating_add(length));
        Self { text, path: start..end }
    }

    /// The library's form of it. Never an error: it was parsed once.
    fn url(&self) -> Result<Url, EndpointError> {
        Url::parse(&self.text).map_err(|_| EndpointError::NotAUrl)
    }

    /// Scheme, host and, unless it is the scheme's default, port.
    pub fn origin(&self) -> &str {
        self.text.get(..self.path.start).unwrap_or_default()
    }

    /// The path and, if there is one, the query, as they are sent and signed.
    pub fn path_and_query(&self) -> &str {
        self.text.get(self.path.start..).unwrap_or("/")
    }

    /// True when the host is `localhost`, in `127.0.0.0/8`, or `[::1]`.
    pub fn is_loopback(&self) -> bool {
        let Ok(url) = self.url() else { return false };
        let host = url.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }

    /// The URL as it is called, without its query.
    pub fn without_query(&self) -> &str {
        self.text.get(..self.path.end).unwrap_or_default()
    }

    /// True when `url` is this one or below it: the same origin, and a path that goes on from this one's at a slash.
    /// A path that some server might read as leading elsewhere (`..` behind an encoded slash) is outside.
    pub fn contains(&self, url: &Self) -> bool {
        let base = self.path().trim_end_matches('/');
        let below = url.path().strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.origin() == url.origin() && below && !climbs(url.path())
    }

    /// The same with `query` after the query that it has.
    pub(crate) fn with_more_query(&self, query: &str) -> Result<Self, EndpointError> {
        let mut url = self.url()?;
        let whole = match url.query() {
            Some(old) if !old.is_empty() => format!("{old}&{query}"),
            _ => query.to_owned(),
        };
        url.set_query(Some(&whole));
        if url.as_str().len() > Self::MAX_LENGTH { Err(EndpointError::TooLong) } else { Ok(Self::of(url)) }
    }

    /// Another URL of the same origin: the same as parsing the whole, without looking at the host once more. `path`
    /// begins with a slash; neither has a fragment.
    ///
    /// # Errors
    /// [`EndpointError::TooLong`].
    pub fn with_target(&self, path: &str, query: Option<&str>) -> Result<Self, EndpointError> {
        let length = path.len().saturating_add(query.map_or(0, |query| query.len().saturating_add(1)));
        if self.path.start.saturating_add(length) > Self::MAX_LENGTH {
            return Err(EndpointError::TooLong);
        }
        if let Some(plain) = self.with_plain_target("", path, query) {
            return Ok(plain);
        }
        let mut url = self.url()?;
        url.set_path(path);
        url.set_query(query);
        Ok(Self::of(url))
    }

    /// The same, with `base`, which is a part of this URL's path, before `path`, where the two of the target are such
    /// that nothing in them has to be changed; `None` otherwise. Nothing is encoded in such a path, and no segment of
    /// it begins with a dot.
    pub fn with_plain_target(&self, base: &str, path: &str, query: Option<&str>) -> Option<Self> {
        if !is_plain_path(path) || !query.is_none_or(is_plain_query) {
            return None;
        }
        let length = path.len().saturating_add(query.map_or(0, |query| query.len().saturating_add(1)));
        let mut text = String::with_capacity(self.path.start.saturating_add(base.len()).saturating_add(length));
        text.push_str(self.origin());
        text.push_str(base);
        text.push_str(path);
        let path = self.path.start..text.len();
        if let Some(query) = query {
            text.push('?');
            text.push_str(query);
        }
        (text.len() <= Self::MAX_LENGTH).then_some(Self { text, path })
    }

    /// Where `location`, perhaps relative, leads from here.
    pub(crate) fn join(&self, location: &str) -> Result<Self, EndpointError> {
        if location.len() > Self::MAX_LENGTH {
            return Err(EndpointError::TooLong);
        }
        let url = self.url()?.join(location).map_err(|_| EndpointError::NotAUrl)?;
        Self::parse(url.as_str())
    }

    pub(crate) fn is_https(&self) -> bool {
        self.text.starts_with("https:")
    }

    /// The path.
    pub fn path(&self) -> &str {
        self.text.get(self.path.clone()).unwrap_or("/")
    }

    /// The whole, as it is sent and signed. The query may hold secrets.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// True for a path in which the library would change nothing: it begins with a slash, nothing in it is encoded or has
/// to be, and no segment begins with a dot.
fn is_plain_path(path: &str) -> bool {
    let mut after_slash = false;
    let is_plain = |byte: u8| {
        let is_first_dot = after_slash && byte == b'.';
        after_slash = byte == b'/';
        is_unchanged(byte) && !is_first_dot
    };
    path.starts_with('/') && path.bytes().all(is_plain)
}

/// The same for a query.
fn is_plain_query(query: &str) -> bool {
    query.bytes().all(|byte| is_unchanged(byte) || matches!(byte, b'?' | b'%'))
}

const fn is_unchanged(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'/' | b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'(' | b')' | b'*' | b'+')
        || matches!(byte, b',' | b';' | b'=' | b':' | b'@')
}

/// True when decoding slashes, back-slashes and dots gives a segment `..`.
fn climbs(path: &str) -> bool {
    let mut pairs = path.as_bytes().windows(2);
    if !path.contains('%') && !pairs.any(|pair| pair == b"..") {
        return false;
    }
    let lower = path.to_ascii_lowercase().replace("%25", "%");
    let decoded = lower.replace("%2f", "/").replace("%5c", "/").replace("%2e", ".");
    decoded.split(['/', '\\']).any(|segment| segment.split(';').next() == Some(".."))
}

impl fmt::Display for Endpoint {
    /// Without the query, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.without_query())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

/// Why a text is not a URL that may be called.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EndpointError {
    /// Not an absolute URL.
    #[error("not an absolute URL")]
    NotAUrl,
    /// Neither http nor https, or without a host.
    #[error("not an http or https URL")]
    NotHttp,
    /// Plain http to a host that is not loopback.
    #[error("plain http, which is allowed for loopback hosts only; use https")]
    PlainHttp,
    /// Longer than [`Endpoint::MAX_LENGTH`] bytes.
    #[error("a URL longer than {} bytes", Endpoint::MAX_LENGTH)]
    TooLong,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whatever URL it is, its parts are those that the library's own parser finds.
    fn require_same_parts(endpoint: &Endpoint) -> Result<(), TestCaseError> {
        let url = endpoint.url().expect("a URL");
        prop_assert_eq!(endpoint.origin(), url.origin().ascii_serialization());
        prop_assert_eq!(endpoint.path(), url.path());
        prop_assert_eq!(endpoint.without_query(), url.as_str().split('?').next().unwrap_or_default());
        prop_assert_eq!(format!("{}{}", endpoint.origin(), endpoint.path_and_query()), endpoint.as_str());
        prop_assert!(endpoint.path_and_query().starts_with('/'));
        Ok(())
    }

    proptest! {
        #[test]
        fn another_target_is_what_parsing_the_whole_gives(
            origin in "https?://(user:word@)?(localhost|127\\.0\\.0\\.1|\\[::1\\]|LOCALHOST)(:(80|443|8443))?",
            path in "/[!-~é]{0,24}",
            query in proptest::option::of("[!-~é]{0,16}"),
        ) {
            prop_assume!(!path.contains(['?', '#']) && !query.as_ref().is_some_and(|query| query.contains('#')));
            let base = Endpoint::parse(&origin).expect("a URL");
            let query_part = query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
            let whole = Endpoint::parse(&format!("{origin}{path}{query_part}")).expect("a URL");
            require_same_parts(&whole)?;
            let made = base.with_target(&path, query.as_deref()).expect("a URL");
            require_same_parts(&made)?;
            prop_assert_eq!(made.as_str(), whole.as_str());
        }
    }

    #[test]
    fn another_target_may_be_too_long() {
        let base = Endpoint::parse("https://a.example").expect("a URL");
        let fits = format!("/{}", "x".repeat(Endpoint::MAX_LENGTH - base.origin().len() - 1));
        assert!(base.with_target(&fits, None).is_ok());
        assert_eq!(base.with_target(&fits, Some("")), Err(EndpointError::TooLong));
    }

    fn contains(resource: &str, url: &str) -> bool {
        Endpoint::parse(resource).expect("a URL").contains(&Endpoint::parse(url).expect("a URL"))
    }

    #[test]
    fn contains_what_is_at_or_below_it() {
        for (resource, url) in [
            ("https://a.example", "https://a.example/"),
            ("https://a.example", "https://A.example:443/x?y"),
            ("https://a.example/", "https://a.example/x"),
            ("https://a.example/v1", "https://a.example/v1"),
            ("https://a.example/v1", "https://a.example/v1/x"),
            ("https://a.example/v1/", "https://a.example/v1/x"),
            ("https://a.example/v1", "https://a.example/v1/..x/a..b"),
        ] {
            assert!(contains(resource, url), "{resource} {url}");
        }
    }

    #[test]
    fn contains_nothing_else() {
        for (resource, url) in [
            ("https://a.example", "https://b.example/"),
            ("https://a.example", "https://a.example.evil.example/"),
            ("https://a.example", "https://a.example:8443/"),
            ("https://localhost", "http://localhost/"),
            ("https://a.example", "https://a.example@evil.example/"),
            ("https://a.example/v1", "https://a.example/"),
            ("https://a.example/v1", "https://a.example/v10"),
            ("https://a.example/v1", "https://a.example/V1/x"),
            ("https://a.example/v1", "https://a.example/v1/../x"),
            ("https://a.example/v1", "https://a.example/v1/%2e%2E/x"),
            ("https://a.example/v1", "https://a.example/v1/..%2fx"),
            ("https://a.example/v1", "https://a.example/v1/%2E.%5Cx"),
            ("https://a.example/v1", "https://a.example/v1/%252e%252e%252fx"),
            ("https://a.example/v1", "https://a.example/v1/..;/x"),
            ("https://a.example/v1", "https://a.example/v1\\..\\x"),
        ] {
            assert!(!contains(resource, url), "{resource} {url}");
        }
    }
}
