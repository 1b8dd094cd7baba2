use super::McpError;

/// The request is authentic but not allowed, or not for this place.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// The token lacks a scope (RFC 6750 §3.1); 403.
    #[error("the token lacks a scope that is needed")]
    InsufficientScope {
        /// All scopes needed, separated by blanks.
        required: String,
    },
    /// The request names another authority than the public origin; 421.
    #[error("the request is for another authority")]
    ForeignAuthority {
        /// The authority served here.
        expected: String,
        /// The authority asked for, shortened.
        found: String,
    },
    /// The request's target cannot be a part of `htu`; 400.
    #[error("the request's target is not a usable path")]
    BadTarget,
    /// What an MCP server is asked for.
    #[error(transparent)]
    Mcp(#[from] McpError),
}
