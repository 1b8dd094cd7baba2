//! What one request to an MCP server asks for.

use std::net::IpAddr;

use countersign_dpop::Rejection;
use countersign_dpop::error::{McpError, PolicyError};
use countersign_mcp::{Message, MessageError, Messages, Mirror, MirrorError, is_spelled_otherwise};
use countersign_resource::{Access, Caller, Policy};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response};
use hyper::body::Incoming;

use super::body::{ClientBody, ReadBody};
use super::room::Sender;
use super::stream::{EventStream, is_event_stream};
use super::{MCP_SESSION_ID, McpRoute, explain};
use crate::body::Content;
use crate::config::JudgedBy;

/// A request on its way through the policy of its route.
pub(crate) struct Asking<'a, 'h> {
    route: &'a McpRoute,
    head: &'h Parts,
    peer: IpAddr,
    body: ClientBody,
    id: Option<String>,
    session: Option<HeaderValue>,
}

/// What is known of a request once it was judged, for its answer.
#[derive(Debug)]
pub(crate) struct Exchange<'a> {
    route: &'a McpRoute,
    /// The identifier that errors are to name, in JSON.
    id: Option<String>,
    /// The session by the server's own name.
    session: Option<HeaderValue>,
}

impl<'a, 'h> Asking<'a, 'h> {
    pub(crate) const fn new(route: &'a McpRoute, head: &'h Parts, peer: IpAddr, body: Incoming) -> Self {
        Self { route, head, peer, body: ClientBody::Streaming(body), id: None, session: None }
    }

    /// The body as far as it is there, and what the answer has to know.
    pub(crate) fn judged(self) -> (ClientBody, Exchange<'a>) {
        (self.body, Exchange { route: self.route, id: self.id, session: self.session })
    }

    async fn ask(&mut self, caller: Caller<'_>) -> Result<Vec<String>, McpError> {
        if !self.route.takes(&self.head.method) {
            return Err(McpError::HttpMethod);
        }
        self.session = self.session(caller)?;
        if self.head.method != Method::POST {
            // A stream of what the server has to say, or the end of a session: no operation.
            return Ok(Vec::new());
        }
        let mirror = Mirror::read(&self.head.headers).map_err(mismatch)?;
        match self.route.judged_by {
            JudgedBy::Fields => self.by_fields(&mirror),
            JudgedBy::Body => self.by_body(&mirror, Sender::of(caller, self.peer)).await,
        }
    }

    /// The session that the client names, if it is the caller's.
    fn session(&self, caller: Caller<'_>) -> Result<Option<HeaderValue>, McpError> {
        if is_spelled_otherwise(&self.head.headers, &MCP_SESSION_ID) {
            return Err(McpError::SessionUnknown);
        }
        let Some(sessions) = &self.route.sessions else { return Ok(None) };
        let mut fields = self.head.headers.get_all(&MCP_SESSION_ID).iter();
        let Some(presented) = fields.next() else { return Ok(None) };
        let presented = presented.to_str().ok().filter(|_| fields.next().is_none());
        let id = presented.and_then(|presented| sessions.open(presented, caller.into()));
        let id = id.and_then(|id| HeaderValue::from_str(id).ok());
        id.map(Some).ok_or(McpError::SessionUnknown)
    }

    fn by_fields(&self, mirror: &Mirror<'_>) -> Result<Vec<String>, McpError> {
        if !mirror.is_compared_by_servers() {
            return Err(McpError::VersionTooOld);
        }
        let (method, name) = mirror.in_full().map_err(mismatch)?;
        Ok(self.route.rules.scopes(method, name)?.to_vec())
    }

    async fn by_body(&mut self, mirror: &Mirror<'_>, sender: Sender) -> Result<Vec<String>, McpError> {
        if !is_json(&self.head.headers) {
            return Err(McpError::ContentType);
        }
        // Asked once for each request; what was read is not there a second time.
        let ClientBody::Streaming(body) = &mut self.body else { return Err(McpError::BodyBroken) };
        let route = self.route;
        let place = route.room.place(sender, route.max_body);
        let body = ReadBody::read(body, route.max_body, route.patience, place).await?;
        let messages = Messages::parse(body.bytes()).map_err(unreadable)?;
        if messages.is_batch() && !route.batches {
            return Err(McpError::Unreadable { reason: "several messages in one body" });
        }
        if !messages.is_batch() {
            self.id = messages.first().and_then(Message::id).map(countersign_mcp::Id::to_json);
        }
        messages.agree_with(mirror).map_err(mismatch)?;
        let mut scopes = Vec::new();
        for (method, name) in messages.iter().filter_map(|message| Some((message.method()?, message.name()))) {
            scopes.extend_from_slice(route.rules.scopes(method, name)?);
        }
        self.body = ClientBody::Read(body);
        Ok(scopes)
    }
}

impl Policy for Asking<'_, '_> {
    async fn needs(&mut self, caller: Caller<'_>) -> Result<Vec<String>, PolicyError> {
        self.ask(caller).await.map_err(PolicyError::from)
    }
}

impl Exchange<'_> {
    /// Names the session as the server knows it; where there are no sessions, none.
    pub(crate) fn readdress(&self, headers: &mut HeaderMap) {
        headers.remove(&MCP_SESSION_ID);
        if let Some(session) = &self.session {
            headers.insert(MCP_SESSION_ID, session.clone());
        }
    }

    /// Says why a request is refused in the words of the protocol.
    pub(crate) fn refuse(&self, response: &mut Response<bytes::Bytes>, rejection: &Rejection) {
        explain(response, rejection, self.id.as_deref(), self.route.http_methods());
    }

    /// The server's answer for the client: the session bound to the caller, a stream that ends in time. `left` is how
    /// long the token is good for.
    pub(crate) fn pass_back(
        &self,
        mut response: Response<Content>,
        access: &Access,
        left: std::time::Duration,
    ) -> Response<Content> {
        self.bind_session(response.headers_mut(), access);
        let streams = is_event_stream(response.headers());
        response.map(|content| match content {
            Content::Upstream(body) if streams => {
                let left = self.route.end_streams.then_some(left);
                Content::Events(Box::new(EventStream::new(body, left, self.route.stream_idle)))
            }
            other => other,
        })
    }

    fn bind_session(&self, headers: &mut HeaderMap, access: &Access) {
        let mut fields = headers.get_all(&MCP_SESSION_ID).iter();
        let Some(id) = fields.next() else { return };
        let id = id.to_str().ok().filter(|_| fields.next().is_none());
        let sealed = self.route.sessions.as_ref().zip(id).and_then(|(sessions, id)| sessions.seal(id, access.into()));
        let sealed = sealed.and_then(|sealed| HeaderValue::from_str(&sealed).ok());
        if sealed.is_none() && self.route.sessions.is_some() {
            tracing::warn!("the MCP server names a session in a way that no client could repeat; it is left out");
        }
        headers.remove(&MCP_SESSION_ID);
        if let Some(sealed) = sealed {
            headers.insert(MCP_SESSION_ID, sealed);
        }
    }
}

/// True when the body is said to be what is read here: in another character set or coding it would be another text to the
/// server.
fn is_json(headers: &HeaderMap) -> bool {
    if headers.contains_key(CONTENT_ENCODING) {
        return false;
    }
    let mut fields = headers.get_all(CONTENT_TYPE).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return false };
    let Ok(text) = field.to_str() else { return false };
    let mut parts = text.split(';').map(str::trim);
    let is_media_type = parts.next().is_some_and(|media_type| media_type.eq_ignore_ascii_case("application/json"));
    let is_utf8 = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        Some(_) | None => parameter.is_empty(),
    };
    is_media_type && parts.all(is_utf8)
}

const fn mismatch(fault: MirrorError) -> McpError {
    McpError::FieldMismatch { field: fault.field }
}

const fn unreadable(fault: MessageError) -> McpError {
    McpError::Unreadable {
        reason: match fault {
            MessageError::NotJson => "not strict JSON",
            MessageError::NotAMessage => "not one JSON-RPC 2.0 message",
            MessageError::TooMany => "too many messages",
            MessageError::NoName => "a call without the name of what is called",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_in_utf_8_is_read() {
        let says = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_TYPE, value.parse().expect("a value"));
            }
            is_json(&headers)
        };
        for good in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
            "application/json;",
        ] {
            assert!(says(&[good]), "{good}");
        }
        for bad in [
            &[][..],
            &["text/plain"],
            &["application/json", "application/json"],
            &["application/json; charset=utf-7"],
            &["application/json; charset=utf-16"],
            &["application/json; charset=utf-8; charset=utf-7"],
            &["application/json; charset"],
            &["application/jsonp"],
            &["application/json, text/plain"],
        ] {
            assert!(!says(bad), "{bad:?}");
        }
    }
}
