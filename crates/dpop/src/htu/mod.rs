//! `htu`: the target URI of a request without query and fragment (RFC 9449 §4.2, §4.3 check 9), compared after the
//! syntax and scheme normalisation of RFC 3986 §6.2.2 and §6.2.3 and nothing more.

mod difference;
mod normal;
mod origin;
#[cfg(test)]
mod tests;

use std::fmt;

use memchr::memchr;

pub use self::difference::HtuDifference;
use self::normal::{Authority, check_text, cut_path, push_path, split};
pub use self::origin::{PublicOrigin, PublicOriginError};

/// A normalised target URI: lower-case scheme and host, no default port, no needless percent-encoding, no dot
/// segments, no query, no fragment.
///
/// What is equal and what is not:
/// * scheme and host in any letter case, a default or empty port, `%7E` for `~`, `%2f` for `%2F`, dot segments also
///   when written `%2e`, and an absent path for `/` make no difference;
/// * letter case of the path, a slash at its end, double slashes, `%2F` for `/`, a dot after the host, and another
///   spelling of one IPv6 address do;
/// * user information, port numbers with leading zeros, percent-encoding in the host, characters outside RFC 3986
///   and relative references are refused.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Htu(String);

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
        let parts = split(uri)?;
        let mut text = String::with_capacity(uri.len() + 1);
        text.push_str(parts.scheme.prefix());
        Authority::parse(parts.authority, parts.scheme)?.push_to(&mut text);
        push_path(&mut text, parts.path)?;
        Ok(Self(text))
    }

    /// [`Htu::parse`], in less time where `uri` begins as this target does up to the path, which is in normal form then.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn parse_beside(&self, uri: &str) -> Result<Self, HtuError> {
        let (origin, _) = self.0.split_at(self.path_start());
        let Some(rest) = uri.strip_prefix(origin).filter(|rest| rest.starts_with('/')) else {
            return Self::parse(uri);
        };
        check_text(uri)?;
        let (path, _more) = cut_path(rest);
        let mut text = String::with_capacity(uri.len());
        text.push_str(origin);
        push_path(&mut text, path)?;
        Ok(Self(text))
    }

    /// Where, in the normal form, scheme and authority end.
    fn path_start(&self) -> usize {
        let authority = memchr(b':', self.0.as_bytes()).map_or(0, |colon| colon + "://".len());
        memchr(b'/', &self.0.as_bytes()[authority..]).map_or(self.0.len(), |slash| authority + slash)
    }

    /// True when `uri` names this target. Clients mostly send the normal form, and then nothing is parsed or
    /// allocated.
    ///
    /// # Errors
    /// See [`HtuError`]; about `uri`.
    pub fn is_named_by(&self, uri: &str) -> Result<bool, HtuError> {
        Ok(self.0 == uri || *self == self.parse_beside(uri)?)
    }

    /// The normalised URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The normal form, given away.
    pub fn into_string(self) -> String {
        self.0
    }

    /// Says where the two differ first; `None` when they are equal.
    pub fn difference(&self, other: &Self) -> Option<HtuDifference> {
        HtuDifference::between(&self.0, &other.0)
    }
}

impl fmt::Display for Htu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
