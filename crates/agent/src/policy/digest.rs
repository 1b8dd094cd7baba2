//! What the journal keeps of a call's arguments: a digest, never the arguments.

use aws_lc_rs::digest::{SHA256, digest};
use countersign_dpop::jose::encode_base64url;
use countersign_mcp::Message;

/// SHA-256 in base64url.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    encode_base64url(digest(&SHA256, bytes))
}

/// The digest of the arguments in a form that blanks and the order of members do not change.
pub(crate) fn arguments_digest(message: &Message) -> Option<String> {
    // Members come out in the order of their names.
    message.arguments().map(|arguments| digest_of(arguments.to_string().as_bytes()))
}

#[cfg(test)]
mod tests {
    use countersign_mcp::Messages;

    use super::*;

    fn of(arguments: &str) -> Option<String> {
        let params = format!(r#"{{"name":"read_ledger","arguments":{arguments}}}"#);
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        arguments_digest(Messages::parse(body.as_bytes()).expect("a message").first().expect("one"))
    }

    #[test]
    fn blanks_and_order_change_nothing_and_values_do() {
        assert!(of(r#"{"b":1,"a":2}"#).is_some());
        assert_eq!(of(r#"{"b":1,"a":2}"#), of(r#"{ "a": 2, "b": 1 }"#));
        assert_ne!(of(r#"{"b":1,"a":2}"#), of(r#"{"b":1,"a":3}"#));
    }
}
