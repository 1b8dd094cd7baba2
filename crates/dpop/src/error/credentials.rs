/// What is wrong with the header fields that carry token and proof (RFC 9449 §4.3 check 1, §7.1; RFC 6750 §2).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CredentialsError {
    /// More than one `Authorization` field.
    #[error("more than one Authorization field")]
    AuthorizationRepeated,
    /// No token was presented. Answered with a challenge that has no `error`.
    #[error("no access token")]
    Missing,
    /// A `DPoP` token without a proof.
    #[error("an access token under the DPoP scheme without a DPoP proof")]
    ProofMissing,
    /// The `DPoP` field holds something other than visible characters of one proof.
    #[error("the DPoP field is not one proof")]
    ProofNotText,
    /// More than one `DPoP` field (check 1).
    #[error("more than one DPoP field")]
    ProofRepeated,
    /// The token is empty or holds a character outside `token68`.
    #[error("the access token is empty or has a character that no token has")]
    TokenMalformed,
    /// The token was sent in the query or the body, alone or as well (RFC 6750 §2).
    #[error("the access token was sent outside the Authorization field")]
    TokenOutsideHeader,
}
