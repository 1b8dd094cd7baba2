//! `WWW-Authenticate` challenges (RFC 9110 §11.6.1, RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1): written by the
//! resource server, parsed by the client, one type.

mod parse;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt::{self, Write};

use crate::error::ErrorCode;

/// The scheme of a challenge.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scheme {
    /// `DPoP`.
    Dpop,
    /// `Bearer`.
    Bearer,
}

impl Scheme {
    /// The scheme's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dpop => "DPoP",
            Self::Bearer => "Bearer",
        }
    }
}

/// One challenge.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Challenge {
    /// DPoP or Bearer.
    pub scheme: Scheme,
    /// `error`; absent when no credentials were presented.
    pub error: Option<ErrorCode>,
    /// `error` where it is a code that [`ErrorCode`] does not know, shortened. Never written beside `error`.
    pub other_error: Option<String>,
    /// `error_description`: printable ASCII without quote and back-slash.
    pub error_description: Option<Cow<'static, str>>,
    /// `algs`: accepted algorithm names (DPoP only).
    pub algs: Vec<Cow<'static, str>>,
    /// `scope`: what is needed.
    pub scope: Option<String>,
    /// `resource_metadata` (RFC 9728 §5.1).
    pub resource_metadata: Option<String>,
}

impl Challenge {
    /// A challenge with nothing but its scheme.
    pub const fn new(scheme: Scheme) -> Self {
        Self {
            scheme,
            error: None,
            other_error: None,
            error_description: None,
            algs: Vec::new(),
            scope: None,
            resource_metadata: None,
        }
    }

    /// True when the challenge names an error, known here or not: credentials were presented and refused.
    pub const fn has_error(&self) -> bool {
        self.error.is_some() || self.other_error.is_some()
    }

    /// Parses one `WWW-Authenticate` field, which may hold several challenges; those of other schemes are left
    /// out. Scheme and parameter names in any letter case; bounded.
    ///
    /// # Errors
    /// [`ChallengeError`] when the field does not follow RFC 9110 §11.6.1.
    pub fn parse_field(field: &str) -> Result<Vec<Self>, ChallengeError> {
        parse::parse_field(field)
    }
}

impl fmt::Display for Challenge {
    /// Writes the field's value: `error`, `error_description`, `algs`, `scope`, `resource_metadata`, those that are
    /// there. Characters that may not stand in it are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algs = self.algs.join(" ");
        let parameters = [
            ("error", self.error.map(ErrorCode::as_str).or(self.other_error.as_deref())),
            ("error_description", self.error_description.as_deref()),
            ("algs", (!algs.is_empty()).then_some(algs.as_str())),
            ("scope", self.scope.as_deref()),
            ("resource_metadata", self.resource_metadata.as_deref()),
        ];
        f.write_str(self.scheme.as_str())?;
        let present = parameters.into_iter().filter_map(|(name, value)| value.map(|value| (name, value)));
        for (index, (name, value)) in present.enumerate() {
            f.write_str(if index == 0 { " " } else { ", " })?;
            write!(f, "{name}=\"")?;
            value.chars().filter(is_quotable).try_for_each(|c| f.write_char(c))?;
            f.write_char('"')?;
        }
        Ok(())
    }
}

/// The field is not a list of challenges.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a WWW-Authenticate field")]
pub struct ChallengeError;

/// What RFC 6750 §3 allows in the values of these parameters: printable ASCII without quote and back-slash.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that filter wants")]
const fn is_quotable(c: &char) -> bool {
    matches!(*c, ' '..='~') && *c != '"' && *c != '\\'
}
