//! A program's request as far as the agent has to know it.

use std::borrow::Cow;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use countersign_client::Endpoint;
use countersign_forward::{BoxError, remove_all};
use countersign_mcp::Messages;
use http::header::{CONTENT_ENCODING, COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::binding::Binding;
use crate::door::body::Source;
use crate::journal::{Entry, Event};
use crate::peer::{Peer, plain, plain_method};
use crate::policy::{Policy, arguments_digest};
use crate::refusal::{Code, Refusal};

/// The longest body that is read before it is judged, in bytes.
pub(crate) const MAX_READ: usize = 1_048_576;

/// How long the next part of a body may take that is read before it is judged.
const BODY_IDLE: Duration = Duration::from_secs(30);

/// The longest path that is written down, in bytes.
const MAX_PATH: usize = 512;

/// What is known of a request.
pub(crate) struct Asked<'a> {
    pub(crate) id: u64,
    method: Method,
    /// What it is for, as long as that is not known to be no URL, and until it is sent there.
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) peer: Option<&'a Peer>,
    pub(crate) messages: Option<Messages>,
    pub(crate) arguments: Option<String>,
    pub(crate) approval: Option<u64>,
    mcp: Option<String>,
    tools: Option<String>,
}

impl<'a> Asked<'a> {
    pub(crate) fn new(id: u64, head: &Parts, peer: Option<&'a Peer>) -> Self {
        Self {
            id,
            method: head.method.clone(),
            endpoint: None,
            peer,
            messages: None,
            arguments: None,
            approval: None,
            mcp: None,
            tools: None,
        }
    }

    /// Notes what the messages of the body say.
    pub(crate) fn message(&mut self, messages: &Messages) {
        let first = messages.first();
        self.mcp = first.and_then(|message| message.method()).map(plain);
        self.arguments = first.and_then(arguments_digest);
        let tools: Vec<&str> = messages.tools().collect();
        self.tools = (!tools.is_empty()).then(|| plain(&tools.join(" ")));
    }

    /// The path at the resource, bounded.
    pub(crate) fn path(&self) -> Cow<'_, str> {
        short(self.endpoint.as_ref().map_or("", Endpoint::path))
    }

    /// The tools that are called, with blanks between them.
    pub(crate) fn tools(&self) -> Option<String> {
        self.tools.clone()
    }

    /// A line about it.
    pub(crate) fn entry<'b>(&'b self, binding: &'b Binding, event: Event) -> Entry<'b> {
        let mut entry = Entry::new(event).of(binding.name.as_str());
        entry.request = Some(self.id);
        if event == Event::Answered {
            return entry;
        }
        entry.method = Some(plain_method(&self.method));
        entry.path = self.endpoint.is_some().then(|| self.path());
        entry.mcp = self.mcp.as_deref().map(Cow::Borrowed);
        entry.tool = self.tools.as_deref().map(Cow::Borrowed);
        entry.arguments = self.arguments.as_deref().map(Cow::Borrowed);
        entry.approval = self.approval;
        if let Some(peer) = &self.peer {
            entry.uid = Some(peer.uid);
            entry.verified = Some(peer.verified);
            // The ancestors are told where a person is asked.
            let told = if event == Event::Asked { peer.chain.len() } else { peer.chain.len().min(1) };
            entry.process = Cow::Borrowed(peer.chain.get(..told).unwrap_or_default());
        }
        entry
    }
}

/// A path, bounded. It is ASCII.
fn short(path: &str) -> Cow<'_, str> {
    match path.get(..MAX_PATH) {
        Some(begin) if path.len() > MAX_PATH => Cow::Owned(format!("{begin}…")),
        Some(_) | None => Cow::Borrowed(path),
    }
}

/// Takes off what is the agent's to say, and what must not go through it.
pub(crate) fn clean(headers: &mut HeaderMap, policy: &Policy) {
    remove_all(headers, |name| is_not_the_programs(name) && !(policy.cookies && *name == COOKIE));
}

/// What the agent says, and what must not go through it. Without `Accept-Encoding` because the answer is looked through
/// for what the agent sent.
fn is_not_the_programs(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "accept-encoding" | "authorization" | "cookie" | "dpop" | "dpop-nonce" | "proxy-authorization"
    )
}

/// A client that looks for OAuth metadata here would go on to ask a person to log in: the agent does that.
pub(crate) fn refuse_discovery(rest: &str) -> Result<(), Refusal> {
    const WELL_KNOWN: &str = "/.well-known/";
    // Most have nothing of the kind, which is quick to see.
    if !rest.as_bytes().windows(2).any(|pair| pair == b"/.") {
        return Ok(());
    }
    let path = rest.split('?').next().unwrap_or_default();
    let is_discovery = path.split(WELL_KNOWN).nth(1).is_some_and(|what| {
        what.starts_with("oauth-protected-resource")
            || what.starts_with("oauth-authorization-server")
            || what.starts_with("openid-configuration")
    });
    if !is_discovery {
        return Ok(());
    }
    let detail = "there is no OAuth to be done here: the agent does it";
    Err(Refusal::new(Code::C01, StatusCode::NOT_FOUND, detail, "send the request without any credentials"))
}

/// Reads a body to judge it: what it says, or else its digest, and the body to send.
pub(crate) async fn read_body<B>(
    policy: &Policy,
    headers: &HeaderMap,
    body: B,
) -> Result<(Option<Messages>, Option<String>, Source<B>), Refusal>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let bytes = collect(body).await?;
    if bytes.is_empty() {
        return Ok((None, None, Source::whole(bytes)));
    }
    let unreadable = |detail: String| {
        Refusal::new(Code::C02, StatusCode::BAD_REQUEST, detail, "the policy of this binding reads MCP messages")
    };
    if headers.contains_key(CONTENT_ENCODING) && policy.wants_messages() {
        return Err(unreadable("the body is encoded, and its messages cannot be read".to_owned()));
    }
    match Messages::parse(&bytes) {
        Ok(messages) => Ok((Some(messages), None, Source::whole(bytes))),
        Err(fault) if policy.wants_messages() => Err(unreadable(fault.to_string())),
        Err(_) => {
            let digest = crate::policy::digest_of(&bytes);
            Ok((None, Some(digest), Source::whole(bytes)))
        }
    }
}

async fn collect<B>(mut body: B) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let mut whole = BytesMut::new();
    loop {
        let slow =
            |_| Refusal::new(Code::A02, StatusCode::REQUEST_TIMEOUT, "the body of the request does not come", "");
        let Some(frame) = timeout(BODY_IDLE, body.frame()).await.map_err(slow)? else { break };
        let broken = |_| Refusal::new(Code::A02, StatusCode::BAD_REQUEST, "the body of the request broke off", "");
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        if whole.len().saturating_add(data.len()) > MAX_READ {
            let detail = format!("the body is longer than the {MAX_READ} bytes that are read before they are judged");
            return Err(Refusal::new(Code::A02, StatusCode::PAYLOAD_TOO_LARGE, detail, ""));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}
