//! An MCP request as a policy reads it: the first two lines are `Mcp-Method` and `Mcp-Name`, the rest is the body. What
//! is taken means the same to a lenient reader, and fields agree with it only if they say what it says.
#![no_main]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use countersign_mcp::{MCP_METHOD, MCP_NAME, Messages, Mirror};
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(3, |byte| *byte == b'\n');
    let (method, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let Ok(messages) = Messages::parse(parts.next().unwrap_or_default()) else { return };
    let body: Value = serde_json::from_slice(&data[method.len() + name.len() + 2..]).expect("strict JSON is JSON");
    let elements = if messages.is_batch() { body.as_array().expect("a batch").clone() } else { vec![body] };
    for (message, element) in messages.iter().zip(&elements) {
        assert_eq!(message.method(), element["method"].as_str());
        if let Some(name) = message.name() {
            let member = ["name", "uri", "taskId"].into_iter().find(|member| element["params"][member] == name);
            assert!(member.is_some(), "{element}");
        }
        if message.tool().is_some() {
            assert_eq!(message.tool(), element["params"]["name"].as_str());
        }
        if let Some(id) = message.id() {
            serde_json::from_str::<Value>(&id.to_json()).expect("an identifier is JSON");
        }
        let folded = |members: &Value| {
            let names = members.as_object().map(|members| members.keys().map(|name| name.to_lowercase()).collect());
            let mut names: Vec<String> = names.unwrap_or_default();
            names.sort();
            names
        };
        assert_eq!(folded(element).iter().filter(|name| *name == "method").count(), usize::from(message.method().is_some()));
    }
    let mut headers = HeaderMap::new();
    for (field, value) in [(MCP_METHOD, method), (MCP_NAME, name)] {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(field, value);
        }
    }
    let first = messages.first().expect("there always is one");
    if let Ok(mirror) = Mirror::read(&headers)
        && messages.agree_with(&mirror).is_ok()
    {
        let only = (!messages.is_batch()).then_some(first);
        assert!(mirror.method().is_none_or(|method| only.and_then(|only| only.method()) == Some(method)));
        assert!(mirror.name().is_none_or(|name| only.and_then(|only| only.name()) == Some(name)));
    }
    if let (false, Some(name)) = (messages.is_batch(), first.name()) {
        let wrapped = format!("=?base64?{}?=", STANDARD.encode(name));
        let mut headers = HeaderMap::new();
        headers.insert(MCP_NAME, wrapped.parse().expect("base64 is plain"));
        let mirror = Mirror::read(&headers).expect("a wrapped name is read");
        assert_eq!(messages.agree_with(&mirror), Ok(()));
    }
});
