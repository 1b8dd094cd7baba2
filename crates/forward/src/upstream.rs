//! Where requests go.

use std::fmt;
use std::str::FromStr;

use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};

/// The server behind: scheme, authority, and a path that goes before every request's own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Upstream {
    scheme: Scheme,
    authority: Authority,
    base_path: String,
    /// What `Host` says; `None` cannot happen, as an authority is visible ASCII.
    host_field: Option<HeaderValue>,
}

/// Why a text is not the URL of an upstream.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UpstreamError {
    /// Not a URL with scheme and host.
    #[error("not a URL like http://127.0.0.1:9000")]
    NotAUrl,
    /// A scheme other than http and https.
    #[error("a scheme other than http and https")]
    Scheme,
    /// User name or password.
    #[error("user information in the URL, which an upstream cannot have")]
    UserInfo,
    /// A query or a fragment.
    #[error("a query or fragment, which an upstream cannot have")]
    QueryOrFragment,
}

impl Upstream {
    /// True for `https`.
    pub fn is_tls(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// Host and, if given, port.
    pub fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// The host without port, with brackets around an IPv6 address.
    pub fn host(&self) -> &str {
        self.authority.host()
    }

    /// The port, the scheme's default when none is given.
    pub fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.is_tls() { 443 } else { 80 })
    }

    /// The `Host` field for this upstream.
    pub(crate) fn host_field(&self) -> Option<HeaderValue> {
        self.host_field.clone()
    }

    /// The URL of the server itself, for connecting to it.
    pub(crate) fn root(&self) -> Uri {
        let parts = Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone()).path_and_query("/");
        // Scheme and authority were read from a URL.
        parts.build().unwrap_or_default()
    }

    /// The URL for a request's target. Path and query go on as they were received, not normalised. `None` for
    /// `*` and, below a base path, for dot segments, which could lead out of it.
    pub(crate) fn target(&self, target: &Uri) -> Option<Uri> {
        let received = target.path_and_query();
        let text = received.map_or("/", PathAndQuery::as_str);
        if !text.starts_with('/') || (!self.base_path.is_empty() && has_dot_dot(target.path())) {
            return None;
        }
        let mut parts = Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = match received {
            // As it was parsed: nothing has to be read again.
            Some(received) if self.base_path.is_empty() => Some(received.clone()),
            Some(_) | None => Some(format!("{}{text}", self.base_path).parse().ok()?),
        };
        Uri::from_parts(parts).ok()
    }
}

impl FromStr for Upstream {
    type Err = UpstreamError;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        if url.contains(['?', '#']) {
            return Err(UpstreamError::QueryOrFragment);
        }
        let parts = url.parse::<Uri>().map_err(|_| UpstreamError::NotAUrl)?.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(UpstreamError::NotAUrl);
        };
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(UpstreamError::Scheme);
        }
        if authority.as_str().contains('@') {
            return Err(UpstreamError::UserInfo);
        }
        if authority.host().is_empty() {
            return Err(UpstreamError::NotAUrl);
        }
        let base_path = parts.path_and_query.map_or(String::new(), |path| path.path().trim_end_matches('/').to_owned());
        let host_field = HeaderValue::from_str(authority.as_str()).ok();
        Ok(Self { scheme, authority, base_path, host_field })
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.base_path)
    }
}

/// True when any segment is `..`, dots and separators percent-encoded or not: what one server leaves alone the next
/// one may resolve.
fn has_dot_dot(path: &str) -> bool {
    if !path.contains("..") && !path.contains('%') {
        return false;
    }
    let mut decoded = path.to_ascii_lowercase();
    // Twice, because servers exist that decode twice.
    for _ in 0..2 {
        decoded = decoded.replace("%25", "%").replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
    }
    decoded.split(['/', '\\', ';']).any(|segment| segment == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(upstream: &str, target: &str) -> Option<String> {
        let upstream: Upstream = upstream.parse().unwrap();
        upstream.target(&target.parse().unwrap()).map(|uri| uri.to_string())
    }

    #[test]
    fn keeps_path_and_query_as_received() {
        let found = target("http://127.0.0.1:9000", "/a//b/%7e/../c?x=%20&y=/");
        assert_eq!(found.as_deref(), Some("http://127.0.0.1:9000/a//b/%7e/../c?x=%20&y=/"));
    }

    #[test]
    fn puts_the_base_path_before_the_request_s() {
        assert_eq!(target("https://api.example/v1/", "/a?b").as_deref(), Some("https://api.example/v1/a?b"));
        assert_eq!(target("https://api.example/v1", "/").as_deref(), Some("https://api.example/v1/"));
    }

    #[test]
    fn nothing_leads_out_of_the_base_path() {
        for climbing in ["/../a", "/%2e%2E/a", "/x/..%2fa", "/..%5ca", "/%252e%252e/a", "/..;x/a", "/.."] {
            assert_eq!(target("http://h/base", climbing), None, "{climbing}");
        }
        assert!(target("http://h/base", "/a..b/...?x=../..").is_some());
    }

    #[test]
    fn does_not_forward_the_asterisk() {
        assert_eq!(target("http://h", "*"), None);
    }

    #[test]
    fn takes_the_authority_from_the_upstream_only() {
        assert_eq!(target("http://h:1", "http://evil.example/x").as_deref(), Some("http://h:1/x"));
    }

    #[test]
    fn refuses_what_is_no_upstream() {
        for (url, error) in [
            ("", UpstreamError::NotAUrl),
            ("127.0.0.1:9000", UpstreamError::NotAUrl),
            ("/path", UpstreamError::NotAUrl),
            ("http://", UpstreamError::NotAUrl),
            ("ftp://h/", UpstreamError::Scheme),
            ("http://user:secret@h/", UpstreamError::UserInfo),
            ("http://h/?a", UpstreamError::QueryOrFragment),
            ("http://h/#a", UpstreamError::QueryOrFragment),
        ] {
            assert_eq!(url.parse::<Upstream>(), Err(error), "{url}");
        }
    }

    #[test]
    fn knows_the_default_ports() {
        assert_eq!("http://h".parse::<Upstream>().unwrap().port(), 80);
        assert_eq!("https://[::1]".parse::<Upstream>().unwrap().port(), 443);
        assert_eq!("https://h:8443/x".parse::<Upstream>().unwrap().to_string(), "https://h:8443/x");
    }
}
