//! URLs that may be called.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

/// An absolute https URL, or an http one of a loopback host. User information and fragment are taken off: a request
/// carries neither.
#[derive(Clone, Eq, PartialEq)]
pub struct Endpoint(Url);

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
        let endpoint = Self(url);
        if endpoint.is_https() || endpoint.is_loopback() { Ok(endpoint) } else { Err(EndpointError::PlainHttp) }
    }

    /// Scheme, host and, unless it is the scheme's default, port.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// True when the host is `localhost`, in `127.0.0.0/8`, or `[::1]`.
    pub fn is_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }

    /// The URL as it is called, without its query.
    pub fn without_query(&self) -> String {
        let mut url = self.0.clone();
        url.set_query(None);
        url.into()
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    pub(crate) fn path(&self) -> &str {
        self.0.path()
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(crate) fn to_url(&self) -> Url {
        self.0.clone()
    }
}

impl fmt::Display for Endpoint {
    /// Without the query, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.without_query())
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
