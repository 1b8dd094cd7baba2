use countersign_dpop::jose::{JsonLimits, from_strict_json};
use serde_json::{Map, Value};

use crate::mirror::{Mirror, MirrorError};

/// Bounds for a body; its bytes are bounded by whoever reads it.
const LIMITS: JsonLimits = JsonLimits { depth: 64, members: 65_536 };
/// The most messages in one body.
pub const MAX_BATCH: usize = 32;

/// The members of a message. There are servers that take `Method` for `method`; what differs from one of these, or from
/// the member that names what a method is about, in letter case only is refused.
const ENVELOPE: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];

/// The messages of one body: one, or a batch of an older protocol version.
#[derive(Clone, Debug, PartialEq)]
pub struct Messages {
    messages: Vec<Message>,
    is_batch: bool,
}

/// One message: a request, a notification, or an answer to the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    id: Option<Id>,
    method: Option<String>,
    name: Option<String>,
    arguments: Option<Value>,
}

/// What a request is answered under.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Id {
    /// A number, as it was written.
    Number(serde_json::Number),
    /// A text.
    Text(String),
}

/// Why a body is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MessageError {
    /// Not JSON of a bounded size without repeated members.
    #[error("the body is no JSON that is read by all alike")]
    NotJson,
    /// JSON, but no JSON-RPC 2.0 message that is read by all alike.
    #[error("the body is no JSON-RPC message that is read by all alike")]
    NotAMessage,
    /// Too many in one body.
    #[error("more than {MAX_BATCH} messages in one body")]
    TooMany,
    /// A call without the name of what is called.
    #[error("the message does not say what it is about")]
    NoName,
}

impl Messages {
    /// Reads a body. The bytes have to be bounded before.
    ///
    /// # Errors
    /// See [`MessageError`].
    pub fn parse(body: &[u8]) -> Result<Self, MessageError> {
        let (elements, is_batch) = match from_strict_json(body, LIMITS).map_err(|_| MessageError::NotJson)? {
            Value::Array(elements) => (elements, true),
            element => (vec![element], false),
        };
        if elements.len() > MAX_BATCH {
            return Err(MessageError::TooMany);
        }
        if elements.is_empty() {
            return Err(MessageError::NotAMessage);
        }
        let messages = elements.into_iter().map(Message::of).collect::<Result<_, _>>()?;
        Ok(Self { messages, is_batch })
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter()
    }

    /// The first one; there always is one.
    pub fn first(&self) -> Option<&Message> {
        self.messages.first()
    }

    /// True for an array, also one of a single message.
    pub const fn is_batch(&self) -> bool {
        self.is_batch
    }

    /// Every tool that is called.
    pub fn tools(&self) -> impl Iterator<Item = &str> {
        self.messages.iter().filter_map(Message::tool)
    }

    /// Compares the fields beside the body with it. A field that is absent contradicts nothing.
    ///
    /// # Errors
    /// The field that says something else, or stands beside a batch.
    pub fn agree_with(&self, mirror: &Mirror<'_>) -> Result<(), MirrorError> {
        let only = (!self.is_batch).then(|| self.first()).flatten();
        let agree = |claimed: Option<&str>, said: Option<&str>| claimed.is_none() || claimed == said;
        if !agree(mirror.method(), only.and_then(Message::method)) {
            return Err(MirrorError::METHOD);
        }
        if !agree(mirror.name(), only.and_then(Message::name)) {
            return Err(MirrorError::NAME);
        }
        Ok(())
    }
}

impl Message {
    fn of(element: Value) -> Result<Self, MessageError> {
        let Value::Object(mut envelope) = element else { return Err(MessageError::NotAMessage) };
        refuse_variants(&envelope, &ENVELOPE)?;
        if envelope.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return Err(MessageError::NotAMessage);
        }
        let id = id(envelope.remove("id"))?;
        let is_answer = envelope.contains_key("result") || envelope.contains_key("error");
        let method = match envelope.remove("method") {
            Some(Value::String(method)) if !is_answer => method,
            // An answer to a question of the server has no method, and a request no result.
            None if is_answer => return Ok(Self { id, method: None, name: None, arguments: None }),
            Some(_) | None => return Err(MessageError::NotAMessage),
        };
        let mut params = match envelope.remove("params") {
            Some(Value::Object(params)) => params,
            Some(Value::Null) | None => Map::new(),
            Some(_) => return Err(MessageError::NotAMessage),
        };
        let name = naming_member(&method).map(|member| name(&mut params, member)).transpose()?;
        Ok(Self { id, method: Some(method), name, arguments: params.remove("arguments") })
    }

    /// What it is to be answered under; `None` for a notification.
    pub const fn id(&self) -> Option<&Id> {
        self.id.as_ref()
    }

    /// The method; `None` for an answer.
    pub fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    /// What the method is about, for those that are about one thing: the tool or prompt by its name, the resource by
    /// its URI, the task by its identifier.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The tool, if one is called.
    pub fn tool(&self) -> Option<&str> {
        self.name().filter(|_| self.method() == Some("tools/call"))
    }

    /// The arguments, if there are any.
    pub const fn arguments(&self) -> Option<&Value> {
        self.arguments.as_ref()
    }
}

impl Id {
    /// The identifier in JSON.
    pub fn to_json(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => Value::from(text.as_str()).to_string(),
        }
    }
}

/// The member of the parameters that says what a method is about, and that `Mcp-Name` mirrors.
pub(crate) fn naming_member(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => Some("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" | "tasks/result" => Some("taskId"),
        _ => None,
    }
}

fn name(params: &mut Map<String, Value>, member: &str) -> Result<String, MessageError> {
    refuse_variants(params, &[member])?;
    match params.remove(member) {
        Some(Value::String(name)) => Ok(name),
        Some(_) | None => Err(MessageError::NoName),
    }
}

fn id(member: Option<Value>) -> Result<Option<Id>, MessageError> {
    match member {
        Some(Value::Number(number)) => Ok(Some(Id::Number(number))),
        Some(Value::String(text)) => Ok(Some(Id::Text(text))),
        Some(Value::Null) | None => Ok(None),
        Some(_) => Err(MessageError::NotAMessage),
    }
}

/// Refuses members that some readers take for one of `known`.
fn refuse_variants(members: &Map<String, Value>, known: &[&str]) -> Result<(), MessageError> {
    let is_variant = |member: &str| !known.contains(&member) && known.iter().any(|known| folds_to(member, known));
    if members.keys().any(|member| is_variant(member)) { Err(MessageError::NotAMessage) } else { Ok(()) }
}

/// True when the two are the same but for letter case, by Unicode: U+212A is a `K` and U+017F an `s` to some.
fn folds_to(member: &str, known: &str) -> bool {
    let fold = |letter: char| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        letter => letter.to_ascii_lowercase(),
    };
    member.chars().map(fold).eq(known.chars().map(fold))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: &str =
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_ledger","arguments":{"b":1,"a":2}}}"#;

    fn one(body: &str) -> Message {
        let messages = Messages::parse(body.as_bytes()).expect("a message");
        assert!(!messages.is_batch());
        messages.first().expect("one").clone()
    }

    #[test]
    fn reads_method_name_and_arguments() {
        let call = one(CALL);
        assert_eq!(
            (call.method(), call.name(), call.tool()),
            (Some("tools/call"), Some("read_ledger"), Some("read_ledger"))
        );
        assert_eq!(call.id().map(Id::to_json).as_deref(), Some("1"));
        assert_eq!(call.arguments().map(ToString::to_string).as_deref(), Some(r#"{"a":2,"b":1}"#));
        let prompt = one(r#"{"jsonrpc":"2.0","id":"a\"b","method":"prompts/get","params":{"name":"greet"}}"#);
        assert_eq!((prompt.name(), prompt.tool()), (Some("greet"), None));
        assert_eq!(prompt.id().map(Id::to_json).as_deref(), Some(r#""a\"b""#));
        let resource =
            one(r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"file:///a","name":"b"}}"#);
        assert_eq!(resource.name(), Some("file:///a"));
        let list = one(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"name":"x"}}"#);
        assert_eq!((list.method(), list.name()), (Some("tools/list"), None), "a list is about no single tool");
        let answer = one(r#"{"jsonrpc":"2.0","id":7,"result":{"method":"tools/call"}}"#);
        assert_eq!((answer.method(), answer.name()), (None, None));
        assert_eq!(one(r#"{"jsonrpc":"2.0","method":"ping","params":null}"#).method(), Some("ping"));
    }

    #[test]
    fn refuses_what_is_no_json_or_has_a_member_twice() {
        let twice = CALL.replace(r#""name":"read_ledger""#, r#""name":"read_ledger","name":"write_ledger""#);
        let escaped = CALL.replace(r#""name":"read_ledger""#, r#""name":"read_ledger","na\u006de":"write_ledger""#);
        let deep = format!(r#"{{"jsonrpc":"2.0","method":"x","params":{{"a":{}{}}}}}"#, "[".repeat(70), "]".repeat(70));
        let followed = format!("{CALL}{CALL}");
        let many = format!(r#"{{"jsonrpc":"2.0","method":"x","params":{{"a":[{}1]}}}}"#, "1,".repeat(70_000));
        for bad in ["", " ", "{", "\u{feff}{}", "{\"a\":NaN}", "// x\n{}", &twice, &escaped, &deep, &followed, &many] {
            assert_eq!(Messages::parse(bad.as_bytes()), Err(MessageError::NotJson), "{bad:.60}");
        }
        assert_eq!(Messages::parse(b"{\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}"), Err(MessageError::NotJson));
    }

    #[test]
    fn refuses_what_two_readers_could_read_differently() {
        for bad in [
            "[]",
            "1",
            "[1]",
            "{}",
            r#"{"jsonrpc":"1.0","method":"x"}"#,
            r#"{"method":"x"}"#,
            r#"{"jsonrpc":"2.0"}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
            r#"{"jsonrpc":"2.0","method":7}"#,
            r#"{"jsonrpc":"2.0","id":[1],"method":"x"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["write_ledger"]}"#,
            // A request for one reader, an answer for another.
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","error":{}}"#,
            // One member for some, two for others.
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","Params":{"name":"write_ledger"},"params":{"name":"read"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","NAME":"write"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"a","ta\u017fk\u0049d":"b"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"a","tas\u212aId":"b"}}"#,
        ] {
            assert_eq!(Messages::parse(bad.as_bytes()), Err(MessageError::NotAMessage), "{bad}");
        }
    }

    #[test]
    fn a_call_says_what_it_calls() {
        for bad in [
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":7}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"name":"x"}}"#,
        ] {
            assert_eq!(Messages::parse(bad.as_bytes()), Err(MessageError::NoName), "{bad}");
        }
    }

    #[test]
    fn a_batch_is_read_whole() {
        let batch = Messages::parse(format!("[{CALL},{CALL}]").as_bytes()).expect("two");
        assert!(batch.is_batch());
        assert_eq!(batch.tools().collect::<Vec<_>>(), ["read_ledger", "read_ledger"]);
        let batch = format!("[{}]", vec![CALL; MAX_BATCH + 1].join(","));
        assert_eq!(Messages::parse(batch.as_bytes()), Err(MessageError::TooMany));
        assert!(Messages::parse(format!("[{CALL}]").as_bytes()).expect("one").is_batch());
    }
}
