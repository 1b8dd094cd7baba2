//! What a binding may send. Asked before anything is signed.

mod digest;
mod rate;

use std::str::FromStr;

use countersign_mcp::{Message, Messages, Mirror};
use http::{HeaderMap, Method};

pub(crate) use self::digest::{arguments_digest, digest_of};
pub(crate) use self::rate::RateLimit;
use crate::refusal::{Code, Refusal};

/// The policy of one binding.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Policy {
    /// Methods; empty for every method but `CONNECT` and `TRACE`.
    pub methods: Vec<Method>,
    /// Paths of the resource's origin, each good for itself and what is below it; empty for all below the resource.
    pub paths: Vec<String>,
    /// MCP methods; `None` for all.
    pub mcp_methods: Option<Vec<String>>,
    /// MCP tools; `None` for all.
    pub tools: Option<Vec<String>>,
    /// MCP tools whose calls are no writes.
    pub read_only_tools: Vec<String>,
    /// Requests in a minute; `None` for any number.
    pub per_minute: Option<u32>,
    /// When a person has to approve.
    pub approval: ApprovalMode,
    /// True to let cookies through both ways.
    pub cookies: bool,
}

/// When a person has to approve a request.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ApprovalMode {
    /// Never: the policy alone decides.
    #[default]
    Never,
    /// Once for the binding, good until the agent ends or is locked.
    FirstUse,
    /// Once for each MCP tool, and for each method and path of other requests.
    PerTool,
    /// For every request.
    PerCall,
    /// For every request that may change something.
    PerWrite,
}

/// A text names no approval mode.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an approval mode is never, first-use, per-tool, per-call or per-write")]
pub struct UnknownMode;

impl FromStr for ApprovalMode {
    type Err = UnknownMode;

    fn from_str(name: &str) -> Result<Self, UnknownMode> {
        Ok(match name {
            "never" => Self::Never,
            "first-use" => Self::FirstUse,
            "per-tool" => Self::PerTool,
            "per-call" => Self::PerCall,
            "per-write" => Self::PerWrite,
            _ => return Err(UnknownMode),
        })
    }
}

impl ApprovalMode {
    /// The name, as configurations write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::FirstUse => "first-use",
            Self::PerTool => "per-tool",
            Self::PerCall => "per-call",
            Self::PerWrite => "per-write",
        }
    }
}

/// Methods that change nothing (RFC 9110 §9.2.1, RFC 10008).
const SAFE: [&str; 4] = ["GET", "HEAD", "OPTIONS", "QUERY"];

impl Policy {
    /// Judges method and path, the path as it will be sent. `base` is the resource's own.
    ///
    /// # Errors
    /// The refusal, naming the rule.
    pub fn judge_target(&self, method: &Method, path: &str, base: &str) -> Result<(), Refusal> {
        if matches!(*method, Method::CONNECT | Method::TRACE)
            || !(self.methods.is_empty() || self.methods.contains(method))
        {
            return Err(Refusal::policy(format!("the method {method} is not among those of this binding")));
        }
        let allowed = match self.paths.as_slice() {
            [] => is_below(path, base),
            paths => paths.iter().any(|prefix| is_below(path, prefix)),
        };
        if allowed { Ok(()) } else { Err(Refusal::policy("the path is not among those of this binding")) }
    }

    /// True when messages have to be read before they are judged.
    pub(crate) const fn reads_messages(&self) -> bool {
        self.mcp_methods.is_some()
            || self.tools.is_some()
            || matches!(self.approval, ApprovalMode::PerTool | ApprovalMode::PerCall | ApprovalMode::PerWrite)
    }

    /// True when what cannot be read as an MCP message may not be sent.
    pub(crate) const fn wants_messages(&self) -> bool {
        self.mcp_methods.is_some() || self.tools.is_some()
    }

    /// Judges the messages of a body, and that the fields beside it say the same.
    ///
    /// # Errors
    /// The refusal, naming the rule.
    pub fn judge_messages(&self, messages: &Messages, headers: &HeaderMap) -> Result<(), Refusal> {
        for message in messages.iter() {
            if let (Some(allowed), Some(method)) = (&self.mcp_methods, message.method())
                && !allowed.iter().any(|allowed| allowed == method)
            {
                return Err(Refusal::policy("the MCP method is not among those of this binding"));
            }
            if let (Some(allowed), Some(tool)) = (&self.tools, message.tool())
                && !allowed.iter().any(|allowed| allowed == tool)
            {
                return Err(Refusal::policy("the tool is not among those of this binding"));
            }
        }
        let mirror = Mirror::read(headers);
        mirror.and_then(|mirror| messages.agree_with(&mirror)).map_err(|fault| {
            Refusal::new(Code::C02, http::StatusCode::BAD_REQUEST, fault.to_string(), "send what the body says")
        })
    }

    /// True when the request may change something at the resource.
    pub(crate) fn writes(&self, method: &Method, messages: Option<&Messages>) -> bool {
        match messages {
            Some(messages) => messages.iter().any(|message| self.message_writes(message)),
            None => !SAFE.contains(&method.as_str()),
        }
    }

    fn message_writes(&self, message: &Message) -> bool {
        match (message.method(), message.tool()) {
            (_, Some(tool)) => !self.read_only_tools.iter().any(|reading| reading == tool),
            (Some(method), None) => !is_reading(method),
            // The answer to a question of the server.
            (None, None) => false,
        }
    }
}

/// MCP methods that only read, list, or keep the connection.
fn is_reading(method: &str) -> bool {
    method.ends_with("/list")
        || method.starts_with("notifications/")
        || method.starts_with("server/")
        || method.starts_with("subscriptions/")
        || matches!(
            method,
            "initialize"
                | "ping"
                | "resources/read"
                | "resources/templates/list"
                | "prompts/get"
                | "completion/complete"
                | "logging/setLevel"
        )
}

/// True when `path` is `prefix` or goes on from it at a slash.
fn is_below(path: &str, prefix: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(methods: &[&str], paths: &[&str]) -> Policy {
        Policy {
            methods: methods.iter().map(|method| method.parse().expect("a method")).collect(),
            paths: paths.iter().map(|&path| path.to_owned()).collect(),
            ..Policy::default()
        }
    }

    fn code(policy: &Policy, method: &str, path: &str) -> Option<Code> {
        policy.judge_target(&method.parse().expect("a method"), path, "/v1").err().map(|refusal| refusal.code)
    }

    #[test]
    fn allows_what_is_below_the_resource_by_default() {
        let policy = Policy::default();
        for path in ["/v1", "/v1/", "/v1/x"] {
            assert_eq!(code(&policy, "PURGE", path), None, "{path}");
        }
        for (method, path) in [("GET", "/"), ("GET", "/v10"), ("GET", "/V1/x"), ("TRACE", "/v1"), ("CONNECT", "/v1")] {
            assert_eq!(code(&policy, method, path), Some(Code::A02), "{method} {path}");
        }
    }

    #[test]
    fn allows_the_methods_and_paths_named_and_no_others() {
        let policy = policy(&["GET", "POST"], &["/v1/orders", "/v1/tea/"]);
        for (method, path) in
            [("GET", "/v1/orders"), ("POST", "/v1/orders/7"), ("GET", "/v1/tea/x"), ("GET", "/v1/tea")]
        {
            assert_eq!(code(&policy, method, path), None, "{method} {path}");
        }
        for (method, path) in [("get", "/v1/orders"), ("DELETE", "/v1/orders"), ("GET", "/v1"), ("GET", "/v1/ordersx")]
        {
            assert_eq!(code(&policy, method, path), Some(Code::A02), "{method} {path}");
        }
    }

    #[test]
    fn knows_a_write_when_it_sees_one() {
        let policy = Policy { read_only_tools: vec!["read_ledger".to_owned()], ..Policy::default() };
        let writes = |body: &str| {
            let messages = Messages::parse(body.as_bytes()).expect("messages");
            policy.writes(&Method::POST, Some(&messages))
        };
        assert!(!writes(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#));
        assert!(!writes(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_ledger"}}"#));
        assert!(writes(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write_ledger"}}"#));
        assert!(writes(r#"{"jsonrpc":"2.0","id":1,"method":"something/new"}"#));
        assert!(policy.writes(&Method::DELETE, None) && !policy.writes(&Method::GET, None));
    }
}
