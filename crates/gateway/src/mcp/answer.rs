//! What an MCP client is told of a refusal: a JSON-RPC error, under the identifier of its request where that is known.

use bytes::Bytes;
use countersign_dpop::Rejection;
use countersign_dpop::error::{McpError, PolicyError};
use http::header::ALLOW;
use http::{HeaderValue, Response};

/// Codes of JSON-RPC 2.0 §5.1, and of MCP 2026-07-28.
const PARSE_ERROR: i32 = -32_700;
const INVALID_REQUEST: i32 = -32_600;
const HEADER_MISMATCH: i32 = -32_020;
const UNSUPPORTED_VERSION: i32 = -32_022;
/// Of those that JSON-RPC leaves to servers: what MCP servers say of a session that is none, and of the rest.
const SESSION_NOT_FOUND: i32 = -32_001;
const REFUSED: i32 = -32_000;

/// Puts the reason into `response`, which refuses a request. `methods` are those of HTTP that the endpoint has.
pub(crate) fn explain(response: &mut Response<Bytes>, rejection: &Rejection, id: Option<&str>, methods: &'static str) {
    let Rejection::Policy(PolicyError::Mcp(fault)) = rejection else { return };
    if *fault == McpError::HttpMethod {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    }
    let (code, message, id) = (code(*fault), rejection.public_description(), id.unwrap_or("null"));
    // The description is one of ours and holds nothing that JSON would escape; the identifier is JSON already.
    let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"{message}"}}}}"#);
    *response.body_mut() = Bytes::from(body);
}

const fn code(fault: McpError) -> i32 {
    match fault {
        McpError::FieldMismatch { .. } => HEADER_MISMATCH,
        McpError::VersionTooOld => UNSUPPORTED_VERSION,
        McpError::SessionUnknown => SESSION_NOT_FOUND,
        McpError::Unreadable { .. } | McpError::BodyBroken => PARSE_ERROR,
        McpError::ContentType | McpError::HttpMethod => INVALID_REQUEST,
        McpError::NotAllowed
        | McpError::TooLarge { .. }
        | McpError::BodySlow { .. }
        | McpError::ShareExhausted
        | McpError::Busy => REFUSED,
    }
}
