//! The header fields that carry token, proof and nonce (RFC 9449 §4.1, §7.1, §8.1).

use http::{HeaderMap, HeaderName};

use crate::error::CredentialsError;

/// `DPoP`: the proof.
pub const DPOP: HeaderName = HeaderName::from_static("dpop");
/// `DPoP-Nonce`: the nonce for the next proof.
pub const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// What a request to a resource presents. `Debug` says which scheme, never the token.
#[derive(Clone, Copy)]
pub enum Credentials<'a> {
    /// No `Authorization` field, or one of a scheme that is not ours. A proof alone is no credential.
    None,
    /// The `DPoP` scheme with its proof.
    Dpop {
        /// The access token.
        token: &'a str,
        /// The proof, not looked into.
        proof: &'a str,
    },
    /// The `Bearer` scheme.
    Bearer {
        /// The access token.
        token: &'a str,
        /// A proof that was sent all the same.
        proof: Option<&'a str>,
    },
}

impl std::fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Dpop { .. } => "Dpop",
            Self::Bearer { .. } => "Bearer",
        })
    }
}

/// Reads the proof of a request: `None` when there is no `DPoP` field.
///
/// # Errors
/// [`CredentialsError::ProofRepeated`] for a second field, whatever it holds; [`CredentialsError::ProofNotText`] for
/// anything but visible ASCII without commas, surrounding blanks aside.
pub fn read_proof(headers: &HeaderMap) -> Result<Option<&str>, CredentialsError> {
    let _ = headers;
    todo!("headers")
}

/// Reads token and proof of a request to a resource.
///
/// # Errors
/// See [`CredentialsError`].
pub fn read_credentials(headers: &HeaderMap) -> Result<Credentials<'_>, CredentialsError> {
    let _ = headers;
    todo!("headers")
}
