//! One request from its arrival to its answer: authority, preflight, metadata, verdict, upstream.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use countersign_dpop::PublicOrigin;
use countersign_dpop::headers::DPOP_NONCE;
use countersign_dpop::time::{Clock, Timestamp};
use countersign_forward::{Arrival, Forwarder, Handover};
use countersign_resource::{Access, Outcome, RequestFacts, Stage, Verdict};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use ipnet::IpNet;

use crate::answer::Trouble;
use crate::authority::{BadAuthority, authority};
use crate::body::{Content, GatewayBody};
use crate::decisions::DecisionSink;
use crate::forward_auth::{FrontProxy, Mode};
use crate::identity;
use crate::metrics::Metrics;
use crate::site::{Choice, Site};
use crate::unread::to_unread;
use crate::wire::Notes;

/// Everything that requests share.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) site: SiteCell,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) decisions: Arc<dyn DecisionSink>,
    pub(crate) metrics: Metrics,
    pub(crate) mode: Mode,
}

/// The site of the moment.
#[derive(Debug)]
pub(crate) struct SiteCell(RwLock<Arc<Site>>);

impl SiteCell {
    pub(crate) fn new(site: Site) -> Self {
        Self(RwLock::new(Arc::new(site)))
    }

    /// The site that a request goes by from its beginning to its end.
    pub(crate) fn now(&self) -> Arc<Site> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces it for the requests to come; the site until now is given back.
    pub(crate) fn replace(&self, site: Site) -> Arc<Site> {
        std::mem::replace(&mut self.0.write().unwrap_or_else(PoisonError::into_inner), Arc::new(site))
    }
}

impl Door {
    /// Answers a request that came from `peer`. `notes` are told when the connection becomes a WebSocket's.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        notes: &Notes,
    ) -> Response<GatewayBody> {
        let in_flight = self.metrics.request();
        let site = self.site.now();
        let (head, body) = request.into_parts();
        let visit = Visit { door: self, site: &site };
        let response = match visit.open(&head) {
            Ok(Opened::ToBeAdvised { proxy, trusted }) => {
                let response = visit.advise(&head, peer.ip(), proxy, trusted).await;
                to_unread(&head, body, response).await
            }
            Err(trouble) => to_unread(&head, body, self.own_answer(&trouble)).await,
            Ok(Opened::Answered(response)) => to_unread(&head, body, response).await,
            Ok(Opened::ToBeJudged(choice)) => visit.judge(choice, head, body, peer).await,
        };
        self.metrics.answer(response.status());
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            notes.switch();
        }
        response.map(|content| GatewayBody::new(content, in_flight))
    }

    pub(crate) fn own_answer(&self, trouble: &Trouble) -> Response<Content> {
        self.metrics.trouble(trouble.code());
        trouble.to_response().map(Content::Own)
    }
}

/// One request at the site that it found.
pub(crate) struct Visit<'a> {
    pub(crate) door: &'a Door,
    pub(crate) site: &'a Site,
}

/// What became of a request before its credentials were looked at.
enum Opened<'a> {
    Answered(Response<Content>),
    ToBeJudged(Choice<'a>),
    ToBeAdvised { proxy: FrontProxy, trusted: &'a [IpNet] },
}

impl<'a> Visit<'a> {
    /// Answers what needs no credentials: what is no request to be judged, preflights, and the metadata.
    fn open(&self, head: &Parts) -> Result<Opened<'a>, Trouble> {
        if head.method == Method::CONNECT {
            return Err(Trouble::Connect);
        }
        if head.headers.len() > self.site.max_fields {
            return Err(Trouble::TooManyFields);
        }
        if let Mode::ForwardAuth { proxy, trusted } = &self.door.mode {
            // Its own metadata is served to whoever is sent here for it.
            let answered = self.open_to_all(head).map(Opened::Answered);
            return Ok(answered.unwrap_or(Opened::ToBeAdvised { proxy: *proxy, trusted }));
        }
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
            let mut response = Response::new(Content::Own(bytes::Bytes::new()));
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

    async fn judge(&self, choice: Choice<'_>, head: Parts, body: Incoming, peer: SocketAddr) -> Response<Content> {
        let page = self.site.cors.as_ref().and_then(|cors| cors.allowed_origin(&head.headers)).cloned();
        let (origin, verdict) = self.verdict(choice, &head).await;
        let observes = verdict.decision.stage == Stage::Observe;
        self.door.decisions.record(&verdict.decision);
        self.door.metrics.decision(&verdict.decision, choice.label, verdict.nonce().is_some());
        let handover = Handover {
            arrival: Some(arrival(origin, peer)),
            is_reserved: identity::is_reserved,
            ..Handover::default()
        };
        let request = Request::from_parts(head, body);
        let mut response = match &verdict.outcome {
            Outcome::Refused(refusal) => {
                let (head, body) = request.into_parts();
                to_unread(&head, body, refusal.to_response().map(Content::Own)).await
            }
            Outcome::Granted(access) => {
                let tunnel_lifetime = Some(lifetime(access, &verdict));
                let set = identity::fields(access);
                self.forward(choice.forwarder, observes, request, Handover { set, tunnel_lifetime, ..handover }).await
            }
            Outcome::Observed(_) => self.forward(choice.forwarder, observes, request, handover).await,
        };
        if !observes {
            verdict.add_fields_to(response.headers_mut());
            if let Some(cors) = &self.site.cors {
                cors.open(page.as_ref(), response.headers_mut());
            }
        }
        response
    }

    /// The verdict, and the origin that the request was made to.
    async fn verdict(&self, choice: Choice<'_>, head: &Parts) -> (&'a PublicOrigin, Verdict) {
        // Already found to be one; here it is only read again.
        let authority = self.authority(head).ok().flatten();
        let facts = RequestFacts {
            method: head.method.as_str(),
            path_and_query: head.uri.path_and_query().map_or("", PathAndQuery::as_str),
            headers: &head.headers,
            authority,
        };
        let origin = authority.and_then(|authority| self.site.origin(authority));
        let verdict = choice.server.judge_for(&facts, choice.route).await;
        (origin.unwrap_or(self.site.public_origin()), verdict)
    }

    async fn forward(
        &self,
        forwarder: &Forwarder,
        observes: bool,
        request: Request<Incoming>,
        handover: Handover<'_>,
    ) -> Response<Content> {
        let (mut head, body) = request.into_parts();
        identity::remove_reserved(&mut head.headers);
        if !observes {
            identity::remove_credentials(&mut head.headers);
        }
        match forwarder.forward(Request::from_parts(head, body), handover).await {
            Ok(answer) => {
                let mut answer = answer.map(Content::Upstream);
                if !observes {
                    // A nonce of the upstream's own would be taken for one of the gateway's.
                    answer.headers_mut().remove(DPOP_NONCE);
                }
                answer
            }
            Err(error) => {
                tracing::warn!(code = error.code(), %error, "a request was not answered by the upstream");
                self.door.own_answer(&Trouble::Forward(error))
            }
        }
    }

    fn authority<'h>(&self, head: &'h Parts) -> Result<Option<&'h str>, BadAuthority> {
        authority(head, |authority| self.site.origin(authority).is_some())
    }
}

fn arrival(origin: &PublicOrigin, peer: SocketAddr) -> Arrival<'_> {
    let scheme = if origin.as_str().starts_with("https:") { "https" } else { "http" };
    Arrival { peer: Some(peer.ip()), scheme, authority: origin.authority() }
}

/// How long a WebSocket may live: as long as the token that opened it.
fn lifetime(access: &Access, verdict: &Verdict) -> Duration {
    let left = access.expires().since(Timestamp::from_seconds(verdict.decision.time));
    Duration::from_secs(u64::try_from(left).unwrap_or(0))
}
