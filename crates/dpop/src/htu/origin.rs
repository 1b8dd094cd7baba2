use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use memchr::memchr;

use super::normal::{Authority, UriScheme, push_path, split};
use super::{Htu, HtuError};

/// The origin, and perhaps a path below it, under which clients know a server. From configuration, never from a
/// request's `Host` or `X-Forwarded-*`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublicOrigin {
    text: String,
    scheme: UriScheme,
    authority: Range<usize>,
}

/// Why a text is not a usable public origin.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PublicOriginError {
    /// Not a URI of the right form.
    #[error("not a usable URL: {0}")]
    Htu(#[from] HtuError),
    /// It has a query or a fragment.
    #[error("a query or fragment, which an origin cannot have")]
    QueryOrFragment,
    /// Plain http to a host that is not loopback.
    #[error("plain http, which is allowed for loopback hosts only; use https")]
    PlainHttp,
}

impl PublicOrigin {
    /// Takes `https://host[:port]` or, for loopback hosts only, `http://…`; a path below is allowed, query and
    /// fragment are not.
    ///
    /// # Errors
    /// See [`PublicOriginError`].
    pub fn parse(url: &str) -> Result<Self, PublicOriginError> {
        let origin = Self::parse_any(url)?;
        if origin.scheme == UriScheme::Http && !origin.is_loopback() {
            return Err(PublicOriginError::PlainHttp);
        }
        Ok(origin)
    }

    /// [`PublicOrigin::parse`] that takes plain http for every host: for a server that listens on loopback only and
    /// so cannot be reached by that origin's clients in the clear.
    ///
    /// # Errors
    /// See [`PublicOriginError`]; never `PlainHttp`.
    pub fn danger_parse_plain_http(url: &str) -> Result<Self, PublicOriginError> {
        Self::parse_any(url)
    }

    fn parse_any(url: &str) -> Result<Self, PublicOriginError> {
        let parts = split(url)?;
        if parts.more {
            return Err(PublicOriginError::QueryOrFragment);
        }
        let mut text = parts.scheme.prefix().to_owned();
        let start = text.len();
        Authority::parse(parts.authority, parts.scheme)?.push_to(&mut text);
        let authority = start..text.len();
        push_path(&mut text, parts.path)?;
        text.truncate(text.trim_end_matches('/').len());
        Ok(Self { text, scheme: parts.scheme, authority })
    }

    /// The expected `htu` of a request for `path_and_query`, which starts with a slash and stands as it was
    /// received. A path of the origin goes before it and cannot be left by dot segments. The query is not looked at.
    ///
    /// # Errors
    /// `NotAbsolute` without a slash at the start, `Character`, `PercentEncoding` or `Length` of [`HtuError`].
    pub fn htu(&self, path_and_query: &str) -> Result<Htu, HtuError> {
        self.htu_in(path_and_query, String::new())
    }

    /// [`PublicOrigin::htu`] in the room of a text that is no longer needed, such as [`Htu::into_string`] gives.
    ///
    /// # Errors
    /// As there.
    pub fn htu_in(&self, path_and_query: &str, room: String) -> Result<Htu, HtuError> {
        let query = memchr(b'?', path_and_query.as_bytes());
        let path = query.map_or(path_and_query, |at| &path_and_query[..at]);
        if !path.starts_with('/') {
            return Err(HtuError::NotAbsolute);
        }
        if self.text.len() + path.len() > Htu::MAX_LENGTH {
            return Err(HtuError::Length);
        }
        let mut text = room;
        text.clear();
        text.reserve(self.text.len() + path.len());
        text.push_str(&self.text);
        push_path(&mut text, path)?;
        Ok(Htu(text))
    }

    /// True when `authority` (host and optional port, as in `Host` or `:authority`) is this origin's.
    pub fn is_authority(&self, authority: &str) -> bool {
        if authority == self.authority() {
            return true;
        }
        let own = Authority::parse(self.authority(), self.scheme);
        let asked = Authority::parse(authority, self.scheme);
        own.is_ok_and(|own| asked.is_ok_and(|asked| own.is_same(&asked)))
    }

    /// Host and, unless it is the scheme's default, port.
    pub fn authority(&self) -> &str {
        &self.text[self.authority.clone()]
    }

    /// The path below the origin, without a slash at the end; empty when there is none.
    pub fn path(&self) -> &str {
        &self.text[self.authority.end..]
    }

    /// The whole, normalised, without a slash at the end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// True when the scheme is `https`.
    pub fn is_https(&self) -> bool {
        self.scheme == UriScheme::Https
    }

    /// True when the host is a loopback one: `localhost`, `127.0.0.0/8` or `[::1]`.
    pub fn is_loopback(&self) -> bool {
        let Ok(Authority { host, .. }) = Authority::parse(self.authority(), self.scheme) else {
            return false;
        };
        match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(literal) => literal.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback()),
            None => host == "localhost" || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback()),
        }
    }
}

impl fmt::Display for PublicOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
