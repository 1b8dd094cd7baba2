//! `WWW-Authenticate` challenges (RFC 9110 §11.6.1, RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1): written by the
//! resource server, parsed by the client, one type.

use std::fmt;

use crate::error::ErrorCode;

/// The scheme of a challenge.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scheme {
    /// `DPoP`.
    Dpop,
    /// `Bearer`.
    Bearer,
}

/// One challenge.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Challenge {
    /// DPoP or Bearer.
    pub scheme: Scheme,
    /// `error`; absent when no credentials were presented. `Err` keeps a code that is not known here.
    pub error: Option<ErrorCode>,
    /// `error_description`: printable ASCII without quote and back-slash.
    pub error_description: Option<String>,
    /// `algs`: accepted algorithm names (DPoP only).
    pub algs: Vec<String>,
    /// `scope`: what is needed.
    pub scope: Option<String>,
    /// `resource_metadata` (RFC 9728 §5.1).
    pub resource_metadata: Option<String>,
}

impl Challenge {
    /// A challenge with nothing but its scheme.
    pub const fn new(scheme: Scheme) -> Self {
        Self { scheme, error: None, error_description: None, algs: Vec::new(), scope: None, resource_metadata: None }
    }

    /// Parses one `WWW-Authenticate` field, which may hold several challenges; those of other schemes are left
    /// out. Scheme and parameter names in any letter case; bounded.
    ///
    /// # Errors
    /// [`ChallengeError`] when the field does not follow RFC 9110 §11.6.1.
    pub fn parse_field(field: &str) -> Result<Vec<Self>, ChallengeError> {
        let _ = field;
        todo!("challenge")
    }
}

impl fmt::Display for Challenge {
    /// Writes the field's value. Characters that may not stand in it are left out.
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!("challenge")
    }
}

/// The field is not a list of challenges.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a WWW-Authenticate field")]
pub struct ChallengeError;
