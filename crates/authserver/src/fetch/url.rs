//! URLs that this server may be made to fetch.

use std::fmt;
use std::net::IpAddr;

use super::is_public;

/// An absolute URL in the normal form that the HTTP client reads, so that what was checked is what is called: `https`,
/// or `http` for loopback hosts; no user information, no fragment.
#[derive(Clone, Eq, PartialEq)]
pub struct FetchUrl(reqwest::Url);

/// Why a text is no URL to fetch.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FetchUrlError {
    /// Not an absolute URL, not in normal form, too long, or with user information or a fragment.
    #[error("not an absolute https URL in normal form, without user information and fragment")]
    Malformed,
    /// Plain http to somewhere else.
    #[error("plain http, which is allowed for loopback hosts only; use https")]
    PlainHttp,
}

impl FetchUrl {
    /// The longest URL, in bytes.
    pub const MAX_LENGTH: usize = 2_048;

    /// Takes a URL.
    ///
    /// # Errors
    /// See [`FetchUrlError`].
    pub fn parse(text: &str) -> Result<Self, FetchUrlError> {
        let url = reqwest::Url::parse(text).map_err(|_| FetchUrlError::Malformed)?;
        let is_normal = url.as_str() == text || url.as_str().strip_suffix('/') == Some(text);
        let is_bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        if text.len() > Self::MAX_LENGTH || !is_normal || !is_bare || url.host_str().is_none_or(str::is_empty) {
            return Err(FetchUrlError::Malformed);
        }
        let url = Self(url);
        match url.0.scheme() {
            "https" => Ok(url),
            "http" if url.is_loopback() => Ok(url),
            "http" => Err(FetchUrlError::PlainHttp),
            _ => Err(FetchUrlError::Malformed),
        }
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(super) fn to_url(&self) -> reqwest::Url {
        self.0.clone()
    }

    /// The address, when the host is one rather than a name.
    fn address(&self) -> Option<IpAddr> {
        let host = self.0.host_str()?;
        host.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    fn is_loopback(&self) -> bool {
        self.address().is_some_and(|address| address.is_loopback()) || self.0.host_str() == Some("localhost")
    }

    /// Whether a stranger's URL may be called as far as its text tells: https, and no address that is not public.
    pub(crate) fn may_be_public(&self) -> bool {
        let is_inside = self.address().is_some_and(|address| !is_public(address))
            || self.0.host_str().is_some_and(|host| host == "localhost" || host.ends_with(".localhost"));
        self.0.scheme() == "https" && !is_inside
    }
}

impl fmt::Debug for FetchUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for FetchUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_https_and_loopback_http_in_normal_form() {
        for text in ["https://a.example", "https://a.example/jwks?x=1", "http://127.0.0.1:9/jwks", "http://[::1]:9/"] {
            assert_eq!(FetchUrl::parse(text).map(|url| url.as_str().starts_with(text)), Ok(true), "{text}");
        }
        assert_eq!(FetchUrl::parse("http://a.example/jwks"), Err(FetchUrlError::PlainHttp));
    }

    #[test]
    fn refuses_every_other_spelling() {
        for text in [
            "",
            "/jwks",
            "a.example",
            "https:/a.example/",
            "https:a.example/",
            "https://a.example\\@b.example/",
            "https://a@b.example/",
            "https://a:b@b.example/",
            "https://a.example/#x",
            "https://A.example/",
            "https://a.example:443/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://127.1/",
            "https://a.example/a/../b",
            "https://a.example/\tb",
            " https://a.example/",
            "ftp://a.example/",
            "file:///etc/passwd",
            "data:application/json,{}",
        ] {
            assert_eq!(FetchUrl::parse(text), Err(FetchUrlError::Malformed), "{text}");
        }
        let long = format!("https://a.example/{}", "x".repeat(FetchUrl::MAX_LENGTH));
        assert_eq!(FetchUrl::parse(&long), Err(FetchUrlError::Malformed));
    }

    #[test]
    fn knows_what_a_stranger_may_not_name() {
        for (text, expected) in [
            ("https://a.example/", true),
            ("https://8.8.8.8/", true),
            ("https://127.0.0.1/", false),
            ("https://10.0.0.1/", false),
            ("https://[::1]/", false),
            ("https://[::ffff:10.0.0.1]/", false),
            ("https://localhost/", false),
            ("https://x.localhost/", false),
            ("http://127.0.0.1/", false),
        ] {
            let Ok(url) = FetchUrl::parse(text) else { continue };
            assert_eq!(url.may_be_public(), expected, "{text}");
        }
    }
}
