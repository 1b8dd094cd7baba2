//! `htu`: the target URI of a request without query and fragment (RFC 9449 §4.2, §4.3 check 9), compared after the
//! syntax and scheme normalisation of RFC 3986 §6.2.2 and §6.2.3 and nothing more.

use std::fmt;

/// A normalised target URI: lower-case scheme and host, no default port, no needless percent-encoding, no dot
/// segments, no query, no fragment.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Htu(String);

/// The first component in which two URIs differ.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HtuDifference {
    /// http against https.
    Scheme,
    /// Another host.
    Host,
    /// Another port.
    Port,
    /// The paths differ by a slash at the end only.
    TrailingSlash,
    /// One path ends with the other: a prefix was added or cut off.
    PathPrefix,
    /// The paths differ in letter case only.
    PathCase,
    /// Another path.
    Path,
}

/// Why a text is not a usable target URI.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HtuError {
    /// Empty, or longer than [`Htu::MAX_LENGTH`] bytes.
    #[error("empty or longer than {} bytes", Htu::MAX_LENGTH)]
    Length,
    /// No scheme, no `//`, or no host: a relative reference.
    #[error("not an absolute URI")]
    NotAbsolute,
    /// A scheme other than http and https.
    #[error("a scheme other than http and https")]
    Scheme,
    /// User information before the host.
    #[error("user information in the authority")]
    UserInfo,
    /// The host is empty or malformed.
    #[error("a malformed host")]
    Host,
    /// The port is not a number from 0 to 65535 without leading zeros.
    #[error("a malformed port")]
    Port,
    /// A character that RFC 3986 does not allow where it stands: blank, control, back-slash, beyond ASCII.
    #[error("a character that no URI has")]
    Character,
    /// A percent sign without two hexadecimal digits.
    #[error("a broken percent-encoding")]
    PercentEncoding,
}

impl Htu {
    /// The longest URI that is read, in bytes.
    pub const MAX_LENGTH: usize = 4_096;

    /// Parses and normalises `uri`, dropping query and fragment.
    ///
    /// # Errors
    /// See [`HtuError`].
    pub fn parse(uri: &str) -> Result<Self, HtuError> {
        let _ = uri;
        todo!("htu")
    }

    /// The normalised URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Says where the two differ first; `None` when they are equal.
    pub fn difference(&self, other: &Self) -> Option<HtuDifference> {
        let _ = other;
        todo!("htu")
    }
}

impl fmt::Display for Htu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The origin, and perhaps a path below it, under which clients know a server. From configuration, never from a
/// request's `Host` or `X-Forwarded-*`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublicOrigin(String);

impl PublicOrigin {
    /// Takes `https://host[:port]` or, for loopback hosts only, `http://…`; a path below is allowed, query and
    /// fragment are not.
    ///
    /// # Errors
    /// See [`PublicOriginError`].
    pub fn parse(url: &str) -> Result<Self, PublicOriginError> {
        let _ = url;
        todo!("htu")
    }

    /// The expected `htu` of a request for `path_and_query`, which starts with a slash and stands as it was
    /// received. A path of the origin goes before it.
    ///
    /// # Errors
    /// See [`HtuError`].
    pub fn htu(&self, path_and_query: &str) -> Result<Htu, HtuError> {
        let _ = path_and_query;
        todo!("htu")
    }

    /// True when `authority` (host and optional port, as in `Host` or `:authority`) is this origin's.
    pub fn is_authority(&self, authority: &str) -> bool {
        let _ = authority;
        todo!("htu")
    }

    /// Host and, unless it is the scheme's default, port.
    pub fn authority(&self) -> &str {
        todo!("htu")
    }

    /// The whole, normalised, without a slash at the end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True when the host is a loopback one: `localhost`, `127.0.0.0/8` or `[::1]`.
    pub fn is_loopback(&self) -> bool {
        todo!("htu")
    }
}

impl fmt::Display for PublicOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
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
