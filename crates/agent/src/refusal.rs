//! What the agent says when it does not pass a request on. Short, safe, and with a code that can be looked up.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

/// The codes of refusals, as `docs/agent.md` lists them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
pub enum Code {
    /// The caller is not one that this address is for.
    A01,
    /// The policy of the binding does not allow it.
    A02,
    /// A person has not approved it.
    A03,
    /// The key cannot be used.
    A04,
    /// There is no token.
    A05,
    /// The agent is locked, or the binding has ended.
    A06,
    /// It could not be recorded, so it was not signed.
    A07,
    /// The resource refuses what the agent sends.
    A08,
    /// No answer from the resource.
    A09,
    /// The client looked for OAuth metadata: there is none to be found here, the agent does that.
    C01,
    /// Header and body of an MCP message name different things, or it cannot be read.
    C02,
}

impl Code {
    /// The code as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A01 => "A01",
            Self::A02 => "A02",
            Self::A03 => "A03",
            Self::A04 => "A04",
            Self::A05 => "A05",
            Self::A06 => "A06",
            Self::A07 => "A07",
            Self::A08 => "A08",
            Self::A09 => "A09",
            Self::C01 => "C01",
            Self::C02 => "C02",
        }
    }
}

/// One refusal: what the program is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The code.
    pub code: Code,
    /// The status of the answer.
    pub status: StatusCode,
    /// One sentence: what is refused. Nothing secret, nothing that a program could not know.
    pub detail: String,
    /// What to do about it.
    pub hint: &'static str,
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'static str,
    code: Code,
    detail: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    hint: &'static str,
}

impl Refusal {
    pub(crate) fn new(code: Code, status: StatusCode, detail: impl Into<String>, hint: &'static str) -> Self {
        Self { code, status, detail: detail.into(), hint }
    }

    pub(crate) fn policy(detail: impl Into<String>) -> Self {
        Self::new(Code::A02, StatusCode::FORBIDDEN, detail, "the policy of the binding says what may be sent")
    }

    /// The answer.
    pub(crate) fn to_response(&self) -> Response<Bytes> {
        let body = Body { error: "countersign_agent", code: self.code, detail: &self.detail, hint: self.hint };
        let mut response = Response::new(serde_json::to_vec(&body).unwrap_or_default().into());
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}
