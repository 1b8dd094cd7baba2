//! One request at the site that it found: authority, preflight, metadata, verdict, upstream.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use countersign_dpop::headers::DPOP_NONCE;
use countersign_dpop::time::Timestamp;
use countersign_forward::{Arrival, BoxError, Handover, Upstream, remove_all};
use countersign_resource::{Access, Decision, NoPolicy, Outcome, Policy, RequestFacts, Stage, Verdict};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::{Body, Incoming};
use ipnet::IpNet;
use tokio::time::Instant;

use crate::answer::Trouble;
use crate::assertion::ASSERTION;
use crate::authority::{BadAuthority, authority};
use crate::body::Content;
use crate::door::{Door, Peer, Story, take};
use crate::ext_authz;
use crate::forward_auth::FrontProxy;
use crate::identity;
use crate::mcp::{Asking, Exchange, McpRoute};
use crate::mode::Mode;
use crate::site::{Choice, Origin, Site};
use crate::unread::to_unread;

/// The gateway's name for a request, in its refusals and towards the upstream.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// One request at the site that it found.
pub(crate) struct Visit<'a> {
    pub(crate) door: &'a Door,
    pub(crate) site: &'a Site,
    /// The gateway's name for the request.
    pub(crate) id: Arc<str>,
    pub(crate) peer: &'a Peer,
}

/// What became of a request before its credentials were looked at.
pub(crate) enum Opened<'a> {
    Answered(Response<Content>),
    ToBeJudged(Choice<'a>),
    ToBeAdvised { proxy: FrontProxy, trusted: &'a [IpNet] },
    ToBeAnsweredByGrpc { trusted: &'a [IpNet], keep_credentials: bool },
}

impl<'a> Visit<'a> {
    /// Answers what needs no credentials: what is no request to be judged, preflights, and the metadata.
    pub(crate) fn open(&self, head: &Parts) -> Result<Opened<'a>, Trouble> {
        if head.method == Method::CONNECT {
            return Err(Trouble::Connect);
        }
        if head.headers.len() > self.site.max_fields {
            return Err(Trouble::TooManyFields);
        }
        match &self.door.mode {
            Mode::Proxy => self.open_to_be_forwarded(head),
            // Its own metadata is served to whoever is sent here for it.
            Mode::ForwardAuth { proxy, trusted } => {
                let answered = self.open_to_all(head).map(Opened::Answered);
                Ok(answered.unwrap_or(Opened::ToBeAdvised { proxy: *proxy, trusted }))
            }
            Mode::ExtAuthz { trusted, keep_credentials } if ext_authz::is_grpc(head) => {
                Ok(Opened::ToBeAnsweredByGrpc { trusted, keep_credentials: *keep_credentials })
            }
            Mode::ExtAuthz { .. } => self.open_to_all(head).map(Opened::Answered).ok_or(Trouble::NotGrpc),
        }
    }

    fn open_to_be_forwarded(&self, head: &Parts) -> Result<Opened<'a>, Trouble> {
        let authority = self.authority(head).map_err(Trouble::Authority)?;
        // For another authority the verdict says what that means at this stage.
        if authority.is_none_or(|authority| self.site.origin(authority).is_some())
            && let Some(response) = self.open_to_all(head)
        {
            return Ok(Opened::Answered(response));
        }
        let now = self.door.clock.now();
        let choice = self.site.choose(&head.method, head.uri.path(), now).map_err(|_| Trouble::AmbiguousPath)?;
        Ok(Opened::ToBeJudged(choice))
    }

    fn open_to_all(&self, head: &Parts) -> Option<Response<Content>> {
        if let Some(fields) = self.site.cors.as_ref().and_then(|cors| cors.preflight(&head.method, &head.headers)) {
            let mut response = Response::new(Content::Own(Bytes::new()));
            *response.status_mut() = StatusCode::NO_CONTENT;
            *response.headers_mut() = fields;
            return Some(response);
        }
        let reads = head.method == Method::GET || head.method == Method::HEAD;
        let server = self.site.resource_at(head.uri.path()).filter(|_| reads)?;
        if self.site.only_observes(self.door.clock.now()) {
            return None;
        }
        let mut response = server.metadata().to_response().map(Content::Own);
        if let Some(cors) = &self.site.cors {
            cors.open(cors.allowed_origin(&head.headers), response.headers_mut());
        }
        Some(response)
    }

    pub(crate) async fn judge(
        &self,
        choice: Choice<'_>,
        head: &mut Parts,
        body: Incoming,
    ) -> (Story, Response<Content>) {
        if let Some(mcp) = choice.mcp {
            return Box::pin(self.judge_message(choice, mcp, head, body)).await;
        }
        let (origin, mut verdict) = self.verdict(choice, head, &mut NoPolicy).await;
        self.settle(choice, origin, &mut verdict, head, body, None).await
    }

    async fn judge_message(
        &self,
        choice: Choice<'_>,
        mcp: &McpRoute,
        head: &mut Parts,
        body: Incoming,
    ) -> (Story, Response<Content>) {
        let mut asking = Asking::new(mcp, head, self.peer.address.ip(), body);
        let (origin, mut verdict) = self.verdict(choice, head, &mut asking).await;
        let (body, exchange) = asking.judged();
        self.settle(choice, origin, &mut verdict, head, body, Some(exchange)).await
    }

    /// Does what the verdict says.
    async fn settle<B>(
        &self,
        choice: Choice<'_>,
        origin: &Origin,
        verdict: &mut Verdict,
        head: &mut Parts,
        body: B,
        mcp: Option<Exchange<'_>>,
    ) -> (Story, Response<Content>)
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let page = self.site.cors.as_ref().and_then(|cors| cors.allowed_origin(&head.headers)).cloned();
        verdict.decision.request = Some(Arc::clone(&self.id));
        let observes = verdict.decision.stage == Stage::Observe;
        self.door.decisions.record(&verdict.decision);
        self.door.metrics.decision(&verdict.decision, choice.label, verdict.nonce().is_some());
        let mut response = match &verdict.outcome {
            Outcome::Refused(refusal) => {
                let mut response = refusal.to_response();
                if let Some(mcp) = &mcp {
                    mcp.refuse(&mut response, refusal.rejection());
                }
                let mut response = response.map(Content::Own);
                self.name(response.headers_mut());
                to_unread(head, body, response).await
            }
            Outcome::Granted(access) => match self.handover(choice, origin, access, &verdict.decision) {
                Ok(handover) => {
                    let left = handover.tunnel_lifetime;
                    let mcp = mcp.filter(|_| !observes);
                    if let Some(mcp) = &mcp {
                        mcp.readdress(&mut head.headers);
                    }
                    let response = self.forward(choice, observes, head, body, handover).await;
                    match mcp.zip(left) {
                        Some((mcp, left)) => mcp.pass_back(response, access, left),
                        None => response,
                    }
                }
                Err(trouble) => self.own_answer(&trouble, observes),
            },
            Outcome::Observed(_) => {
                self.forward(choice, observes, head, body, self.bare_handover(origin, observes)).await
            }
        };
        if !observes {
            verdict.add_fields_to(response.headers_mut());
            if let Some(cors) = &self.site.cors {
                cors.open(page.as_ref(), response.headers_mut());
            }
        }
        let Decision { code, client, .. } = &mut verdict.decision;
        let (route, client) = (Some(Arc::clone(choice.label)), client.take());
        (Story { route, client, observes, ..Story::of(code) }, response)
    }

    /// What goes along with a request that may pass.
    fn handover<'o>(
        &self,
        choice: Choice<'_>,
        origin: &'o Origin,
        access: &Access,
        decision: &Decision,
    ) -> Result<Handover<'o>, Trouble>
    where
        'a: 'o,
    {
        let observes = decision.stage == Stage::Observe;
        let now = Timestamp::from_seconds(decision.time);
        let mut set = Vec::new();
        if !observes {
            set = self.identity(access, choice.forwarder.upstream(), now)?;
            set.extend(self.name_field());
        }
        Ok(Handover { set, tunnel_lifetime: Some(lifetime(access, now)), ..self.bare_handover(origin, observes) })
    }

    /// What the upstream learns of the caller: the plain fields, or the assertion in place of them.
    pub(crate) fn identity(
        &self,
        access: &Access,
        upstream: &Upstream,
        now: Timestamp,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, Trouble> {
        let Some(assertions) = &self.door.assertions else { return Ok(self.peer.caller.fields(access)) };
        let assertion = assertions.make(access, &upstream.to_string(), now).ok_or(Trouble::NoAssertion)?;
        Ok(vec![(ASSERTION, assertion)])
    }

    fn bare_handover<'o>(&self, origin: &'o Origin, observes: bool) -> Handover<'o>
    where
        'a: 'o,
    {
        Handover {
            arrival: Some(self.arrival(origin)),
            is_reserved: identity::is_reserved,
            untouched: observes,
            ..Handover::default()
        }
    }

    /// Says the gateway's name for the request, so that both sides can ask for it in the logs.
    pub(crate) fn name(&self, fields: &mut HeaderMap) {
        if let Some((name, id)) = self.name_field() {
            fields.insert(name, id);
        }
    }

    fn name_field(&self) -> Option<(HeaderName, HeaderValue)> {
        HeaderValue::from_str(&self.id).ok().map(|id| (REQUEST_ID, id))
    }

    /// An answer of the gateway's own. What is only observed gets no field that it would not have had.
    pub(crate) fn own_answer(&self, trouble: &Trouble, observes: bool) -> Response<Content> {
        self.own_refusal(trouble, observes).map(Content::Own)
    }

    pub(crate) fn own_refusal(&self, trouble: &Trouble, observes: bool) -> Response<Bytes> {
        self.door.metrics.trouble(trouble.code());
        let mut response = trouble.to_response();
        if !observes {
            self.name(response.headers_mut());
        }
        response
    }

    /// The verdict, and the origin that the request was made to.
    async fn verdict<P: Policy>(&self, choice: Choice<'_>, head: &Parts, policy: &mut P) -> (&'a Origin, Verdict) {
        // Already found to be one; here it is only read again.
        let authority = self.authority(head).ok().flatten();
        let facts = RequestFacts {
            method: head.method.as_str(),
            path_and_query: head.uri.path_and_query().map_or("", PathAndQuery::as_str),
            headers: &head.headers,
            authority,
        };
        let origin = authority.and_then(|authority| self.site.origin(authority));
        let verdict = choice.server.judge_by(&facts, choice.route, policy).await;
        (origin.unwrap_or(self.site.public_origin()), verdict)
    }

    async fn forward<B>(
        &self,
        choice: Choice<'_>,
        observes: bool,
        head: &mut Parts,
        body: B,
        handover: Handover<'_>,
    ) -> Response<Content>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        remove_all(&mut head.headers, |name| {
            identity::is_reserved(name) || (!observes && identity::is_credential(name))
        });
        let begun = Instant::now();
        match choice.forwarder.forward(Request::from_parts(take(head), body), handover).await {
            Ok(answer) => {
                self.door.metrics.upstream_answered(choice.label, answer.status(), begun.elapsed());
                let mut answer = answer.map(Content::Upstream);
                if !observes {
                    // A nonce of the upstream's own would be taken for one of the gateway's.
                    answer.headers_mut().remove(DPOP_NONCE);
                }
                answer
            }
            Err(error) => {
                self.door.metrics.upstream_failed(choice.label, error.code());
                tracing::warn!(code = error.code(), %error, "a request was not answered by the upstream");
                self.own_answer(&Trouble::Forward(error), observes)
            }
        }
    }

    fn arrival<'o>(&self, origin: &'o Origin) -> Arrival<'o>
    where
        'a: 'o,
    {
        Arrival { peer: self.peer.field.as_ref(), scheme: origin.scheme, authority: &origin.authority }
    }

    fn authority<'h>(&self, head: &'h Parts) -> Result<Option<&'h str>, BadAuthority> {
        authority(head, |authority| self.site.origin(authority).is_some())
    }
}

/// How long a WebSocket may live: as long as the token that opened it.
fn lifetime(access: &Access, now: Timestamp) -> Duration {
    let left = access.expires().since(now);
    Duration::from_secs(u64::try_from(left).unwrap_or(0))
}
