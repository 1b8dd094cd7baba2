//! Why a request is refused: one enum per stage, as data, with total mappings to the RFC's code, to the blame and
//! to a diagnosis. What goes on the wire is short and safe; evidence is for logs and `examine`; secrets are in
//! neither.

mod code;
mod confirmation;
mod credentials;
mod diagnosing;
mod key;
mod malformed;
mod mapping;
mod mcp;
mod naming;
mod nonce;
mod policy;
mod proof;
mod replay;
mod shorten;
#[cfg(test)]
mod tests;
mod token;

pub use self::code::ErrorCode;
pub use self::confirmation::ConfirmationError;
pub use self::credentials::CredentialsError;
pub use self::key::KeyError;
pub use self::malformed::{Claim, MalformedProof};
pub use self::mcp::McpError;
pub use self::nonce::NonceError;
pub use self::policy::PolicyError;
pub use self::proof::ProofError;
pub use self::replay::ReplayError;
pub(crate) use self::shorten::{shorten, shortened};
pub use self::token::TokenError;

/// Who has to act for the next request to succeed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Blame {
    /// The request is at fault.
    Client,
    /// The server, or something it depends on, is at fault; the request may be good.
    Server,
}

/// Why a request is refused, by the stage that refused it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Rejection {
    /// Reading the header fields.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// Parsing the proof.
    #[error(transparent)]
    Malformed(#[from] MalformedProof),
    /// The key in the proof.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Checking the proof against request, time and policy.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The server-provided nonce.
    #[error(transparent)]
    Nonce(#[from] NonceError),
    /// The access token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The binding between token and proof.
    #[error(transparent)]
    Confirmation(#[from] ConfirmationError),
    /// What the request asks for, by whom.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The replay record.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}
