//! The way of one request: who asks, what for, may it be; then recorded, signed, forwarded; then stripped.

mod answer;
mod body;
mod request;
pub(crate) mod scrub;
mod shared;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use bytes::Bytes;
use countersign_client::{CallError, Credentials, Endpoint, Next, Signing};
use countersign_dpop::headers::DPOP;
use countersign_dpop::time::Timestamp;
use countersign_forward::{BoxError, ForwardedFields, Forwarder, Handover};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body::Body;

use self::body::Source;
pub use self::body::{Content, DoorBody};
use self::request::{Asked, read_body};
use self::scrub::Needles;
pub(crate) use self::shared::Shared;
use crate::approval::{Ask, NotApproved, Subject};
use crate::binding::Binding;
use crate::journal::{Entry, Event};
use crate::peer::{Peer, plain};
use crate::policy::ApprovalMode;
use crate::refusal::{Code, Refusal};

/// The field in which a program says what a request is for. It goes no further.
pub(crate) const REASON: HeaderName = HeaderName::from_static("countersign-reason");

/// The way to one binding. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) binding: Arc<Binding>,
    pub(crate) shared: Arc<Shared>,
}

/// How a program came to the door.
pub(crate) struct Entrance<'a> {
    /// Who it is, where the kernel says so.
    pub(crate) peer: Option<&'a Peer>,
    /// What follows the local address in the target.
    pub(crate) rest: &'a str,
    /// The local address, for redirects: what goes before what is below the resource.
    pub(crate) base: &'a str,
}

impl Door {
    /// Answers a request. With the answer comes how often the lock had gone on when the request was let through:
    /// [`Door::over`] says whether the answer may still be passed on.
    pub(crate) async fn answer<B>(
        &self,
        head: &mut Parts,
        body: B,
        entrance: &Entrance<'_>,
    ) -> Result<(Response<DoorBody>, u64), Refusal>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let id = self.shared.requests.fetch_add(1, Ordering::Relaxed);
        let mut asked = Asked::new(id, head, entrance.peer);
        let reason = reason(&mut head.headers);
        let judged = self.judge(&mut asked, head, body, entrance.rest, reason).await;
        let (source, now) = judged.inspect_err(|refusal| self.write_refusal(&asked, refusal))?;
        self.record(&asked.entry(&self.binding, Event::Signed))?;
        let closings = self.shared.lock.enter(now);
        let endpoint = asked.endpoint.take();
        let sent = match (closings, endpoint) {
            (Some(closings), Some(endpoint)) => self.send(endpoint, head, source, closings).await,
            (None, _) => Err(locked()),
            (Some(_), None) => Err(unusual_target()),
        };
        self.note_answer(&asked, &sent);
        let response = answer::local(sent?, &self.binding.place, entrance.base);
        Ok((response, closings.unwrap_or_default()))
    }

    /// Sends it and waits for the answer, no longer than the lock is off and the binding lasts: whoever polls this is
    /// woken when that may have changed.
    async fn send<B>(
        &self,
        endpoint: Endpoint,
        head: &mut Parts,
        source: Source<B>,
        closings: u64,
    ) -> Result<Response<DoorBody>, Refusal>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        // Large, and not moved any more.
        let mut sending = std::pin::pin!(self.exchange(endpoint, head, source, closings));
        std::future::poll_fn(|context| match self.over(closings) {
            Some(refusal) => Poll::Ready(Err(refusal)),
            None => sending.as_mut().poll(context),
        })
        .await
    }

    /// Why a request that was let through may not go on, if it may not.
    pub(crate) fn over(&self, closings: u64) -> Option<Refusal> {
        if self.shared.lock.has_closed_since(closings) {
            return Some(locked());
        }
        self.binding.is_revoked().then(ended)
    }

    /// Notes how it ended. It was signed and sent: that it was is recorded already.
    fn note_answer(&self, asked: &Asked<'_>, sent: &Result<Response<DoorBody>, Refusal>) {
        let mut entry = asked.entry(&self.binding, Event::Answered);
        entry.status = Some(sent.as_ref().map_or_else(|refusal| refusal.status, Response::status).as_u16());
        entry.code = sent.as_ref().err().map(|refusal| Cow::Borrowed(refusal.code.as_str()));
        self.shared.note(&entry);
    }

    /// Everything that is asked before anything is signed; when it was answered.
    async fn judge<B>(
        &self,
        asked: &mut Asked<'_>,
        head: &Parts,
        body: B,
        rest: &str,
        reason: Option<String>,
    ) -> Result<(Source<B>, Timestamp), Refusal>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let (binding, policy, now) = (&self.binding, &self.binding.policy, self.shared.clock.now());
        request::refuse_discovery(rest)?;
        let endpoint = binding.place.resolve(rest).map_err(|fault| Refusal::policy(fault.to_string()))?;
        let endpoint: &Endpoint = asked.endpoint.insert(endpoint);
        self.open(now)?;
        policy.judge_target(&head.method, endpoint.path(), binding.place.base())?;
        if !binding.rate.take(policy.per_minute, now) {
            let detail = "more requests in a minute than the policy of this binding allows";
            return Err(Refusal::new(Code::A02, StatusCode::TOO_MANY_REQUESTS, detail, "wait a minute"));
        }
        let source = if policy.reads_messages() {
            let (messages, digest, source) = read_body(policy, &head.headers, body).await?;
            if let Some(messages) = &messages {
                asked.message(messages);
                policy.judge_messages(messages, &head.headers)?;
            } else {
                asked.arguments = digest;
            }
            asked.messages = messages;
            source
        } else {
            Source::stream(body)
        };
        if policy.approval != ApprovalMode::Never {
            self.approve(asked, head, reason).await?;
        }
        if policy.approval == ApprovalMode::Never && !policy.reads_messages() {
            return Ok((source, now));
        }
        // It may have taken a while.
        let now = self.shared.clock.now();
        self.open(now)?;
        Ok((source, now))
    }

    /// Whether this binding signs at all.
    fn open(&self, now: Timestamp) -> Result<(), Refusal> {
        let (is_locked, just_now) = self.shared.lock.is_locked(now);
        if just_now {
            self.shared.approvals.forget();
            let _ =
                self.shared.journal.write(&Entry::new(Event::Locked).saying("nobody asked for anything for a while"));
        }
        if is_locked {
            return Err(locked());
        }
        if self.binding.is_revoked() || self.binding.ends_at.is_some_and(|end| now >= end) {
            return Err(ended());
        }
        Ok(())
    }

    async fn approve(&self, asked: &mut Asked<'_>, head: &Parts, reason: Option<String>) -> Result<(), Refusal> {
        let binding = self.binding.name.to_string();
        let tool = || asked.tools().unwrap_or_else(|| format!("{} {}", head.method, asked.path()));
        // Where only messages may be sent, what has none is about the connection: a stream, the end of a session.
        let is_transport = self.binding.policy.wants_messages() && asked.messages.is_none();
        let subject = match self.binding.policy.approval {
            ApprovalMode::Never => return Ok(()),
            ApprovalMode::FirstUse => Subject::Binding { binding },
            ApprovalMode::PerTool | ApprovalMode::PerWrite if is_transport => return Ok(()),
            // What calls no tool is no use of one: lists, pings, the beginning.
            ApprovalMode::PerTool if asked.messages.is_some() && asked.tools().is_none() => return Ok(()),
            ApprovalMode::PerTool => Subject::Tool { tool: tool(), binding },
            ApprovalMode::PerWrite if !self.binding.policy.writes(&head.method, asked.messages.as_ref()) => {
                return Ok(());
            }
            ApprovalMode::PerCall | ApprovalMode::PerWrite => Subject::Call { tool: tool(), binding },
        };
        if let Some(approved) = self.shared.approvals.covering(&subject) {
            asked.approval = Some(approved.id);
            return Ok(());
        }
        let ask = self.ask(asked, head, reason, subject);
        let (ask, answer) = self.shared.approvals.put(ask).map_err(not_approved)?;
        asked.approval = Some(ask.id);
        self.record(&asked.entry(&self.binding, Event::Asked))?;
        notify(&self.shared.notify, &ask);
        match answer.await {
            Ok(_) => Ok(()),
            Err(fault) => {
                if fault == NotApproved::Lapsed {
                    let _ = self.shared.journal.write(&asked.entry(&self.binding, Event::Lapsed));
                }
                Err(not_approved(fault))
            }
        }
    }

    fn ask(&self, asked: &Asked<'_>, head: &Parts, reason: Option<String>, subject: Subject) -> Ask {
        let message = asked.messages.as_ref().and_then(|messages| messages.first());
        Ask {
            id: 0,
            binding: self.binding.name.to_string(),
            process: asked.peer.as_ref().map(|peer| peer.chain.clone()).unwrap_or_default(),
            verified: asked.peer.as_ref().is_some_and(|peer| peer.verified),
            tool: asked.tools(),
            mcp: message.and_then(|message| message.method()).map(plain),
            resource: self.binding.resource(),
            method: head.method.to_string(),
            path: asked.path().into_owned(),
            scope: self.binding.scope.clone(),
            reason: reason.or_else(|| self.binding.reason.clone()),
            arguments: asked.arguments.clone(),
            subject,
            asked_at: 0,
            lapses_at: 0,
        }
    }

    /// Writes what must be written before it may happen.
    fn record(&self, entry: &Entry<'_>) -> Result<(), Refusal> {
        self.shared.journal.write(entry).map_err(|fault| {
            tracing::error!(%fault, "nothing is signed while the journal cannot be written");
            let detail = "the journal cannot be written, and nothing is signed that is not recorded";
            Refusal::new(Code::A07, StatusCode::SERVICE_UNAVAILABLE, detail, "make room on the disk of the journal")
        })
    }

    fn write_refusal(&self, asked: &Asked<'_>, refusal: &Refusal) {
        let mut entry = asked.entry(&self.binding, Event::Refused).saying(refusal.detail.as_str());
        entry.code = Some(Cow::Borrowed(refusal.code.as_str()));
        entry.status = Some(refusal.status.as_u16());
        // Nothing is signed here, so nothing depends on it.
        let _ = self.shared.journal.write(&entry);
    }

    async fn exchange<B>(
        &self,
        endpoint: Endpoint,
        head: &mut Parts,
        source: Source<B>,
        closings: u64,
    ) -> Result<Response<DoorBody>, Refusal>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let target: Uri = endpoint.path_and_query().parse().map_err(|_| unusual_target())?;
        let mut signing = self.binding.client.signing_at(&head.method, endpoint).map_err(|f| no_answer(&f))?;
        request::clean(&mut head.headers, &self.binding.policy);
        // For another attempt, which hardly ever comes.
        let spare: Vec<_> = head.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut headers = std::mem::take(&mut head.headers);
        loop {
            // Once more before each signature.
            if let Some(refusal) = self.over(closings) {
                return Err(refusal);
            }
            let set = fields(signing.credentials().await.map_err(|fault| no_answer(&fault))?);
            let needles = Needles::of(&set);
            let mut request = Request::new(source.attempt());
            request.method_mut().clone_from(&head.method);
            request.uri_mut().clone_from(&target);
            *request.headers_mut() = headers;
            let response = self.binding.forwarder.forward(request, Handover { set, ..Handover::default() }).await;
            let response = response.map_err(|fault| answer::no_answer(&fault))?;
            let learned = self.learn(&mut signing, &response, source.is_repeatable()).await?;
            if learned == Next::Done {
                return answer::clean(response, needles, &self.binding.policy);
            }
            headers = HeaderMap::new();
            for (name, value) in &spare {
                headers.append(name, value.clone());
            }
        }
    }

    async fn learn<B>(
        &self,
        signing: &mut Signing<'_>,
        response: &Response<B>,
        repeatable: bool,
    ) -> Result<Next, Refusal> {
        let learned = signing.learn(response.status(), response.headers(), repeatable).await;
        match learned.map_err(|fault| no_answer(&fault))? {
            Next::Again => Ok(Next::Again),
            // Redirects are the program's to follow: the client is told to follow none.
            Next::Done | Next::Follow { .. } => Ok(Next::Done),
        }
    }
}

/// A forwarder as the agent uses it: the program's own claims about where it comes from go no further.
pub(crate) fn forwarder(forwarder: Forwarder) -> Forwarder {
    forwarder.with_forwarded_fields(ForwardedFields::Remove)
}

fn reason(headers: &mut HeaderMap) -> Option<String> {
    let reason = headers.remove(REASON)?;
    Some(plain(reason.to_str().ok()?.trim())).filter(|reason| !reason.is_empty())
}

fn fields(credentials: Credentials) -> Vec<(HeaderName, HeaderValue)> {
    let mut fields = Vec::with_capacity(2);
    fields.push((AUTHORIZATION, credentials.authorization));
    fields.extend(credentials.proof.map(|proof| (DPOP, proof)));
    fields
}

fn locked() -> Refusal {
    Refusal::new(Code::A06, StatusCode::LOCKED, "the agent is locked", "countersign agent unlock")
}

fn ended() -> Refusal {
    let detail = "this binding has ended";
    Refusal::new(Code::A06, StatusCode::GONE, detail, "start it again; its lifetime is over, or it was revoked")
}

fn not_approved(fault: NotApproved) -> Refusal {
    let status = match fault {
        NotApproved::Denied | NotApproved::Lapsed => StatusCode::FORBIDDEN,
        NotApproved::TooMany => StatusCode::TOO_MANY_REQUESTS,
    };
    let hint = "countersign agent approve shows what waits, and a person decides there";
    Refusal::new(Code::A03, status, fault.to_string(), hint)
}

fn unusual_target() -> Refusal {
    Refusal::policy("the target makes no URL that may be called")
}

/// What stands in the way of an answer, for the program: the code, and nothing of what servers say.
fn no_answer(fault: &CallError) -> Refusal {
    tracing::warn!(%fault, "a request got no answer");
    let (code, detail, hint) = match fault {
        CallError::Token(_) => {
            (Code::A05, "there is no token for this binding", "countersign login, or see the agent's log")
        }
        CallError::Proof(_) => (Code::A04, "the key cannot be used", "is the key's store locked, or the key deleted?"),
        CallError::Clock(_) => (Code::A08, "the resource's clock is too far from this machine's", "set the clock"),
        CallError::Nonce(_) => {
            (Code::A08, "the resource asks for a nonce that cannot be met", "send the request once more")
        }
        _ => (Code::A09, "no answer from the resource", "see the agent's log"),
    };
    let status =
        if code == Code::A05 || code == Code::A04 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_GATEWAY };
    Refusal::new(code, status, detail, hint)
}

/// Runs the command that tells a person; how it ends is nobody's concern.
fn notify(command: &[String], ask: &Ask) {
    let [program, arguments @ ..] = command else { return };
    let what = ask.tool.clone().unwrap_or_else(|| format!("{} {}", ask.method, ask.path));
    let text = format!("{} asks for {what} at {} (countersign agent approve {})", ask.binding, ask.resource, ask.id);
    let arguments = arguments.iter().map(|argument| argument.replace("{text}", &text));
    let spawned = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn();
    match spawned {
        Ok(mut child) => {
            tokio::spawn(async move { child.wait().await });
        }
        Err(fault) => tracing::warn!(%fault, "the notification command cannot be run"),
    }
}
