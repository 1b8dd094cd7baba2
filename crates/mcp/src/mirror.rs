use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName};

use crate::message::naming_member;

/// The method of the message in the body.
pub const MCP_METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// The tool, prompt, resource or task that the message is about.
pub const MCP_NAME: HeaderName = HeaderName::from_static("mcp-name");
/// The protocol version that the client speaks.
pub const MCP_PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The first version whose servers refuse fields that say something else than the body.
pub const STATELESS_VERSION: &str = "2026-07-28";

/// What the header fields claim of the body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mirror<'h> {
    method: Option<Cow<'h, str>>,
    name: Option<Cow<'h, str>>,
    version: Option<Cow<'h, str>>,
}

/// A field is there twice, cannot be read, or says something else than the body.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the {field} field does not say what the body says")]
pub struct MirrorError {
    /// The field.
    pub field: &'static str,
}

impl MirrorError {
    pub(crate) const METHOD: Self = Self { field: "Mcp-Method" };
    pub(crate) const NAME: Self = Self { field: "Mcp-Name" };
    const VERSION: Self = Self { field: "MCP-Protocol-Version" };
}

impl<'h> Mirror<'h> {
    /// Reads the fields.
    ///
    /// # Errors
    /// [`MirrorError`] for one that is there twice, also by another spelling, or holds what it cannot hold.
    pub fn read(headers: &'h HeaderMap) -> Result<Self, MirrorError> {
        Ok(Self {
            method: read(headers, &MCP_METHOD, MirrorError::METHOD)?,
            name: read(headers, &MCP_NAME, MirrorError::NAME)?,
            version: read(headers, &MCP_PROTOCOL_VERSION, MirrorError::VERSION)?,
        })
    }

    /// The method, as `Mcp-Method` has it.
    pub fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    /// What the method is about, as `Mcp-Name` has it.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// True when the client says that it speaks a version whose servers compare these fields with the body.
    pub fn is_compared_by_servers(&self) -> bool {
        self.version.as_deref().is_some_and(|version| is_date(version) && version >= STATELESS_VERSION)
    }

    /// Method and name where nobody but the server reads the body: both have to be there as far as the method has a
    /// name.
    ///
    /// # Errors
    /// The field that is missing, or that is there and names nothing.
    pub fn in_full(&self) -> Result<(&str, Option<&str>), MirrorError> {
        let method = self.method().ok_or(MirrorError::METHOD)?;
        if naming_member(method).is_some() == self.name.is_some() {
            Ok((method, self.name()))
        } else {
            Err(MirrorError::NAME)
        }
    }
}

/// True when there is a field that some servers take for `name`: those that read `_` as `-`.
pub fn is_spelled_otherwise(headers: &HeaderMap, name: &HeaderName) -> bool {
    let same = |(found, wanted): (u8, u8)| found == wanted || (found == b'_' && wanted == b'-');
    let is_taken_for = |found: &HeaderName| {
        found != name
            && found.as_str().len() == name.as_str().len()
            && found.as_str().bytes().zip(name.as_str().bytes()).all(same)
    };
    headers.keys().any(is_taken_for)
}

/// The only field of that name: plain visible ASCII with blanks, or `=?base64?…?=` around what is not plain.
fn read<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
    fault: MirrorError,
) -> Result<Option<Cow<'h, str>>, MirrorError> {
    if is_spelled_otherwise(headers, name) {
        return Err(fault);
    }
    let mut fields = headers.get_all(name).iter();
    let Some(field) = fields.next() else { return Ok(None) };
    let text = std::str::from_utf8(field.as_bytes()).map_err(|_| fault)?;
    if fields.next().is_some() || !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(fault);
    }
    let Some(encoded) = text.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return Ok(Some(Cow::Borrowed(text)));
    };
    let bytes = STANDARD.decode(encoded).map_err(|_| fault)?;
    String::from_utf8(bytes).map(|text| Some(Cow::Owned(text))).map_err(|_| fault)
}

/// True for `YYYY-MM-DD`: such versions follow one another as their texts do.
fn is_date(version: &str) -> bool {
    let digit_or_dash =
        |(place, byte): (usize, u8)| if place == 4 || place == 7 { byte == b'-' } else { byte.is_ascii_digit() };
    version.len() == 10 && version.bytes().enumerate().all(digit_or_dash)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Messages;

    const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_ledger"}}"#;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), value.parse().expect("a value"));
        }
        headers
    }

    fn agreement(body: &str, fields: &[(&'static str, &str)]) -> Result<(), MirrorError> {
        Messages::parse(body.as_bytes()).expect("a message").agree_with(&Mirror::read(&headers(fields))?)
    }

    #[test]
    fn fields_have_to_agree_with_the_body_where_they_are_there() {
        for good in [
            &[][..],
            &[("mcp-method", "tools/call")],
            &[("mcp-method", "tools/call"), ("mcp-name", "read_ledger")],
            &[("mcp-name", "=?base64?cmVhZF9sZWRnZXI=?=")],
        ] {
            assert_eq!(agreement(CALL, good), Ok(()), "{good:?}");
        }
        for (bad, fault) in [
            (&[("mcp-method", "tools/list")][..], MirrorError::METHOD),
            (&[("mcp-method", "tools/Call")], MirrorError::METHOD),
            (&[("mcp-method", "tools/call"), ("mcp-method", "tools/call")], MirrorError::METHOD),
            (&[("mcp-name", "write_ledger")], MirrorError::NAME),
            (&[("mcp-name", "read_ledger"), ("mcp-name", "read_ledger")], MirrorError::NAME),
            (&[("mcp-name", "=?base64?****?=")], MirrorError::NAME),
            (&[("mcp-name", "=?base64?cmVhZF9sZWRnZXI?=")], MirrorError::NAME),
            (&[("mcp-name", "=?base64?/w==?=")], MirrorError::NAME),
            (&[("mcp-name", "read_ledger\t")], MirrorError::NAME),
            (&[("mcp-name", "")], MirrorError::NAME),
            (&[("mcp_name", "read_ledger")], MirrorError::NAME),
            (&[("mcp-method", "tools/call"), ("mcp_method", "tools/call")], MirrorError::METHOD),
            (&[("mcp-protocol-version", "2026-07-28"), ("mcp-protocol-version", "2025-06-18")], MirrorError::VERSION),
        ] {
            assert_eq!(agreement(CALL, bad), Err(fault), "{bad:?}");
        }
        let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
        assert_eq!(agreement(list, &[("mcp-name", "read_ledger")]), Err(MirrorError::NAME));
        assert_eq!(agreement(&format!("[{CALL}]"), &[("mcp-method", "tools/call")]), Err(MirrorError::METHOD));
        let answer = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
        assert_eq!(agreement(answer, &[]), Ok(()));
        assert_eq!(agreement(answer, &[("mcp-method", "tools/call")]), Err(MirrorError::METHOD));
    }

    #[test]
    fn knows_the_versions_whose_servers_compare() {
        for (version, compares) in [
            ("2026-07-28", true),
            ("2027-01-01", true),
            ("2025-11-25", false),
            ("2026-07-2", false),
            ("DRAFT-2027-v1", false),
            ("9999", false),
            ("2026-07-28x", false),
        ] {
            let headers = headers(&[("mcp-protocol-version", version)]);
            assert_eq!(Mirror::read(&headers).expect("fields").is_compared_by_servers(), compares, "{version}");
        }
        assert!(!Mirror::read(&HeaderMap::new()).expect("fields").is_compared_by_servers());
    }

    #[test]
    fn alone_they_have_to_be_complete() {
        let read = |fields: &[(&'static str, &str)]| {
            let headers = headers(fields);
            let mirror = Mirror::read(&headers)?;
            mirror.in_full().map(|(method, name)| (method.to_owned(), name.map(str::to_owned)))
        };
        let call = read(&[("mcp-method", "tools/call"), ("mcp-name", "x")]).expect("complete");
        assert_eq!(call, ("tools/call".to_owned(), Some("x".to_owned())));
        assert_eq!(read(&[("mcp-method", "tools/list")]).expect("complete").1, None);
        assert_eq!(read(&[("mcp-name", "x")]), Err(MirrorError::METHOD));
        assert_eq!(read(&[("mcp-method", "tools/call")]), Err(MirrorError::NAME));
        assert_eq!(read(&[("mcp-method", "tools/list"), ("mcp-name", "x")]), Err(MirrorError::NAME));
    }

    proptest! {
        /// Whatever a tool is called, its name gets through a field, and no other one does.
        #[test]
        fn a_name_agrees_with_itself_alone(name in ".{0,24}", other in ".{0,24}") {
            let params = serde_json::json!({ "name": name });
            let body = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
            let body = body.to_string();
            let wrapped = |name: &str| format!("=?base64?{}?=", STANDARD.encode(name));
            prop_assert_eq!(agreement(&body, &[("mcp-name", &wrapped(&name))]), Ok(()));
            prop_assert_eq!(agreement(&body, &[("mcp-name", &wrapped(&other))]).is_ok(), name == other);
            let is_plain = name.bytes().all(|byte| matches!(byte, b'!'..=b'~')) && !name.starts_with("=?");
            if is_plain && !name.is_empty() {
                prop_assert_eq!(agreement(&body, &[("mcp-name", &name)]), Ok(()));
            }
        }

        /// What is taken means the same to a lenient reader.
        #[test]
        fn what_is_taken_has_one_meaning(body in r#"[\[{]?("(jsonrpc|method|params|name|id|2\.0|tools/call)"[:,]?|[\[\]{}1:,]){0,16}"#) {
            if let Ok(messages) = Messages::parse(body.as_bytes()) {
                let value: serde_json::Value = serde_json::from_str(&body).expect("JSON");
                let first = if messages.is_batch() { &value[0] } else { &value };
                let message = messages.first().expect("one");
                prop_assert_eq!(message.method(), first["method"].as_str());
                prop_assert_eq!(message.tool(), first["params"]["name"].as_str().filter(|_| message.tool().is_some()));
            }
        }

        #[test]
        fn no_bytes_break_it(body in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Messages::parse(&body);
        }
    }
}
