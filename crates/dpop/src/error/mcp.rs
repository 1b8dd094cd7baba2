/// An authentic request to an MCP server that the policy in front of it does not let through.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum McpError {
    /// The policy has not this method, tool, prompt or resource; 403.
    #[error("the policy does not allow this MCP operation")]
    NotAllowed,
    /// A header field says something else than the body; 400.
    #[error("the {field} field does not say what the body says")]
    FieldMismatch {
        /// The field.
        field: &'static str,
    },
    /// The body cannot be read, or not by all alike; 400.
    #[error("the body is no MCP message that is read by all alike: {reason}")]
    Unreadable {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Not `application/json` in UTF-8; 415.
    #[error("the body is not said to be application/json in UTF-8")]
    ContentType,
    /// The body is longer than what is read; 413.
    #[error("the body is longer than {limit} bytes")]
    TooLarge {
        /// The most bytes.
        limit: u64,
    },
    /// The body broke off; 400.
    #[error("the body broke off")]
    BodyBroken,
    /// The body did not come in time; 408.
    #[error("the body did not come within {limit} s")]
    BodySlow {
        /// How long it may take, in seconds.
        limit: u64,
    },
    /// The client speaks a version whose servers do not compare header and body; 400.
    #[error("the protocol version is older than the policy asks for")]
    VersionTooOld,
    /// A method of HTTP that this protocol does not use, or that the policy does not allow; 405.
    #[error("the HTTP method is not allowed here")]
    HttpMethod,
    /// The session is not the caller's, or there is none of that name; 404.
    #[error("the session is not one of this caller")]
    SessionUnknown,
    /// As many bytes of this client's bodies are being read as one client may have; 429.
    #[error("too many bodies of this client are being read at once")]
    ShareExhausted,
    /// As many bytes of bodies are being read as may be; 503.
    #[error("too many bodies are being read at once")]
    Busy,
}
