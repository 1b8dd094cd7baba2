//! MCP messages, as far as a policy has to know them: method, tool, and a digest of the arguments.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use countersign_dpop::jose::{JsonLimits, encode_base64url, from_strict_json};
use http::{HeaderMap, HeaderName};
use serde::Deserialize;
use serde_json::Value;

const MCP_METHOD: HeaderName = HeaderName::from_static("mcp-method");
const MCP_NAME: HeaderName = HeaderName::from_static("mcp-name");
/// Bounds for a message; the bytes are bounded before.
const LIMITS: JsonLimits = JsonLimits { depth: 64, members: 65_536 };
/// The most messages in one body.
const MAX_BATCH: usize = 32;

/// The messages of one body: one, or a batch of an older protocol version.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Messages(Vec<Message>);

/// What is known of one message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// The method; `None` for an answer.
    pub method: Option<String>,
    /// The tool of `tools/call`.
    pub tool: Option<String>,
    /// What `Mcp-Name` has to say: the tool, prompt or resource.
    name: Option<String>,
    /// SHA-256 of the arguments in a form that blanks and the order of members do not change, in base64url.
    pub arguments: Option<String>,
}

/// Why a body is not read as messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MessageError {
    /// Not JSON-RPC of a bounded size without repeated members.
    #[error("the body is no MCP message that can be read")]
    Unreadable,
    /// Too many in one body.
    #[error("more than {MAX_BATCH} messages in one body")]
    TooMany,
    /// A call without the name of a tool.
    #[error("a tools/call without the name of a tool")]
    NoTool,
    /// `Mcp-Method` or `Mcp-Name` say something else than the body, or stand beside several messages.
    #[error("the {0} field does not say what the body says")]
    Mismatch(&'static str),
}

#[derive(Deserialize)]
struct Wire {
    jsonrpc: String,
    method: Option<String>,
    #[serde(default)]
    params: Value,
}

impl Messages {
    /// Reads a body.
    ///
    /// # Errors
    /// See [`MessageError`].
    pub fn parse(body: &[u8]) -> Result<Self, MessageError> {
        let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
        let wire: Vec<Wire> = if first == Some(&b'[') {
            from_strict_json(body, LIMITS).map_err(|_| MessageError::Unreadable)?
        } else {
            vec![from_strict_json(body, LIMITS).map_err(|_| MessageError::Unreadable)?]
        };
        if wire.len() > MAX_BATCH {
            return Err(MessageError::TooMany);
        }
        if wire.is_empty() {
            return Err(MessageError::Unreadable);
        }
        wire.into_iter().map(Message::of).collect::<Result<_, _>>().map(Self)
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &Message> {
        self.0.iter()
    }

    /// The first message, for whoever shows one line.
    pub(crate) fn first(&self) -> Option<&Message> {
        self.0.first()
    }

    /// Every tool that is called.
    pub(crate) fn tools(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|message| message.tool.as_deref())
    }

    /// The fields that mirror the body (MCP 2026-07-28) have to agree with it where they are there.
    pub(crate) fn agree_with(&self, headers: &HeaderMap) -> Result<(), MessageError> {
        self.agree(headers, &MCP_METHOD, "Mcp-Method", |message| message.method.as_deref())?;
        self.agree(headers, &MCP_NAME, "Mcp-Name", |message| message.name.as_deref())
    }

    fn agree(
        &self,
        headers: &HeaderMap,
        field: &HeaderName,
        shown: &'static str,
        said: impl Fn(&Message) -> Option<&str>,
    ) -> Result<(), MessageError> {
        let mut fields = headers.get_all(field).iter();
        let Some(value) = fields.next() else { return Ok(()) };
        let [message] = self.0.as_slice() else { return Err(MessageError::Mismatch(shown)) };
        let value = decoded(value.as_bytes()).ok_or(MessageError::Mismatch(shown))?;
        let agrees = fields.next().is_none() && said(message).is_some_and(|said| said.as_bytes() == value);
        if agrees { Ok(()) } else { Err(MessageError::Mismatch(shown)) }
    }
}

impl Message {
    fn of(wire: Wire) -> Result<Self, MessageError> {
        if wire.jsonrpc != "2.0" {
            return Err(MessageError::Unreadable);
        }
        let text = |member: &str| wire.params.get(member).and_then(Value::as_str).map(str::to_owned);
        let name = text("name").or_else(|| text("uri"));
        let tool = match wire.method.as_deref() {
            Some("tools/call") => Some(text("name").ok_or(MessageError::NoTool)?),
            _ => None,
        };
        // Members come out in the order of their names.
        let arguments = wire.params.get("arguments").map(|arguments| digest_of(arguments.to_string().as_bytes()));
        Ok(Self { method: wire.method, tool, name, arguments })
    }
}

/// SHA-256 in base64url.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    encode_base64url(digest(&SHA256, bytes))
}

/// The value of a mirroring field: plain, or `=?base64?…?=` where it is not plain ASCII.
fn decoded(value: &[u8]) -> Option<Vec<u8>> {
    match value.strip_prefix(b"=?base64?").and_then(|rest| rest.strip_suffix(b"?=")) {
        Some(encoded) => STANDARD.decode(encoded).ok(),
        None => Some(value.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: &str =
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_ledger","arguments":{"b":1,"a":2}}}"#;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn reads_method_tool_and_a_digest_that_order_does_not_change() {
        let messages = Messages::parse(CALL.as_bytes()).expect("a message");
        let message = messages.first().expect("one");
        assert_eq!((message.method.as_deref(), message.tool.as_deref()), (Some("tools/call"), Some("read_ledger")));
        let other = CALL.replace(r#"{"b":1,"a":2}"#, r#"{ "a": 2, "b": 1 }"#);
        assert_eq!(Messages::parse(other.as_bytes()).expect("a message"), messages);
        let changed = CALL.replace(r#""a":2"#, r#""a":3"#);
        assert_ne!(Messages::parse(changed.as_bytes()).expect("a message"), messages);
    }

    #[test]
    fn refuses_what_two_readers_could_read_differently() {
        let twice = CALL.replace(r#""name":"read_ledger""#, r#""name":"read_ledger","name":"write_ledger""#);
        for bad in [twice.as_str(), "", "[]", "1", "{", r#"{"jsonrpc":"1.0","method":"x"}"#, r#"{"method":"x"}"#] {
            assert_eq!(Messages::parse(bad.as_bytes()), Err(MessageError::Unreadable), "{bad}");
        }
        let deep = format!(r#"{{"jsonrpc":"2.0","method":"x","params":{}{}}}"#, "[".repeat(70), "]".repeat(70));
        assert_eq!(Messages::parse(deep.as_bytes()), Err(MessageError::Unreadable));
        let nameless = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":7}}"#;
        assert_eq!(Messages::parse(nameless.as_bytes()), Err(MessageError::NoTool));
        let batch = format!("[{}]", vec![CALL; MAX_BATCH + 1].join(","));
        assert_eq!(Messages::parse(batch.as_bytes()), Err(MessageError::TooMany));
    }

    #[test]
    fn the_fields_beside_the_body_have_to_agree() {
        let one = Messages::parse(CALL.as_bytes()).expect("a message");
        for good in [
            headers(&[]),
            headers(&[("mcp-method", "tools/call"), ("mcp-name", "read_ledger")]),
            headers(&[("mcp-name", "=?base64?cmVhZF9sZWRnZXI=?=")]),
        ] {
            assert_eq!(one.agree_with(&good), Ok(()));
        }
        for (bad, field) in [
            (headers(&[("mcp-method", "tools/list")]), "Mcp-Method"),
            (headers(&[("mcp-name", "write_ledger")]), "Mcp-Name"),
            (headers(&[("mcp-name", "=?base64?****?=")]), "Mcp-Name"),
        ] {
            assert_eq!(one.agree_with(&bad), Err(MessageError::Mismatch(field)));
        }
        let batch = Messages::parse(format!("[{CALL},{CALL}]").as_bytes()).expect("two");
        let fields = headers(&[("mcp-name", "read_ledger")]);
        assert_eq!(batch.agree_with(&fields), Err(MessageError::Mismatch("Mcp-Name")));
    }
}
