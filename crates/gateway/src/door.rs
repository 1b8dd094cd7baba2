//! One request from its arrival to its answer: authority, preflight, metadata, verdict, upstream.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use countersign_dpop::PublicOrigin;
use countersign_dpop::headers::DPOP_NONCE;
use countersign_dpop::time::Timestamp;
use countersign_forward::{Arrival, Forwarder, Handover};
use countersign_resource::{Access, Cors, Outcome, RequestFacts, ResourceServer, Stage, Verdict};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::answer::Trouble;
use crate::authority::authority;
use crate::body::{Content, GatewayBody};
use crate::decisions::DecisionSink;
use crate::identity;
use crate::metrics::Metrics;
use crate::unread::to_unread;
use crate::wire::Notes;

/// Everything that requests share.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) server: ResourceServer,
    pub(crate) forwarder: Forwarder,
    /// The public origin, then its aliases.
    pub(crate) origins: Vec<PublicOrigin>,
    pub(crate) stage: Stage,
    pub(crate) cors: Option<Cors>,
    pub(crate) max_fields: usize,
    pub(crate) decisions: Arc<dyn DecisionSink>,
    pub(crate) metrics: Metrics,
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
        let (head, body) = request.into_parts();
        let response = match self.open(&head) {
            Err(trouble) => to_unread(&head, body, self.own_answer(&trouble)).await,
            Ok(Some(response)) => to_unread(&head, body, response).await,
            Ok(None) => self.judge(head, body, peer).await,
        };
        self.metrics.answer(response.status());
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            notes.switch();
        }
        response.map(|content| GatewayBody::new(content, in_flight))
    }

    /// Answers what needs no credentials: what is no request to be judged, preflights, and the metadata.
    fn open(&self, head: &Parts) -> Result<Option<Response<Content>>, Trouble> {
        if head.method == Method::CONNECT {
            return Err(Trouble::Connect);
        }
        if head.headers.len() > self.max_fields {
            return Err(Trouble::TooManyFields);
        }
        let authority = authority(head, |authority| self.origin(authority).is_some()).map_err(Trouble::Authority)?;
        if authority.is_some_and(|authority| self.origin(authority).is_none()) {
            // For another authority: the verdict says what that means at this stage.
            return Ok(None);
        }
        if let Some(fields) = self.cors.as_ref().and_then(|cors| cors.preflight(&head.method, &head.headers)) {
            let mut response = Response::new(Content::Own(bytes::Bytes::new()));
            *response.status_mut() = StatusCode::NO_CONTENT;
            *response.headers_mut() = fields;
            return Ok(Some(response));
        }
        let reads = head.method == Method::GET || head.method == Method::HEAD;
        if reads && self.server.is_metadata_path(head.uri.path()) {
            let mut response = self.server.metadata().to_response().map(Content::Own);
            self.open_to_pages(head, &mut response);
            return Ok(Some(response));
        }
        Ok(None)
    }

    async fn judge(&self, head: Parts, body: Incoming, peer: SocketAddr) -> Response<Content> {
        let page = self.cors.as_ref().and_then(|cors| cors.allowed_origin(&head.headers)).cloned();
        let (origin, verdict) = self.verdict(&head).await;
        self.decisions.record(&verdict.decision);
        self.metrics.decision(&verdict.decision, verdict.nonce().is_some());
        let handover = Handover {
            arrival: origin.map(|origin| arrival(origin, peer)),
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
                self.forward(request, Handover { set, tunnel_lifetime, ..handover }).await
            }
            Outcome::Observed(_) => self.forward(request, handover).await,
        };
        if self.stage != Stage::Observe {
            verdict.add_fields_to(response.headers_mut());
            if let Some(cors) = &self.cors {
                cors.open(page.as_ref(), response.headers_mut());
            }
        }
        response
    }

    /// The verdict, and the origin that the request was made to.
    async fn verdict(&self, head: &Parts) -> (Option<&PublicOrigin>, Verdict) {
        // Already found to be one; here it is only read again.
        let authority = authority(head, |authority| self.origin(authority).is_some()).ok().flatten();
        let facts = RequestFacts {
            method: head.method.as_str(),
            path_and_query: head.uri.path_and_query().map_or("", PathAndQuery::as_str),
            headers: &head.headers,
            authority,
        };
        let origin = authority.and_then(|authority| self.origin(authority)).or(self.origins.first());
        (origin, self.server.judge(&facts).await)
    }

    async fn forward(&self, request: Request<Incoming>, handover: Handover<'_>) -> Response<Content> {
        let (mut head, body) = request.into_parts();
        identity::remove_reserved(&mut head.headers);
        if self.stage != Stage::Observe {
            identity::remove_credentials(&mut head.headers);
        }
        match self.forwarder.forward(Request::from_parts(head, body), handover).await {
            Ok(answer) => {
                let mut answer = answer.map(Content::Upstream);
                if self.stage != Stage::Observe {
                    // A nonce of the upstream's own would be taken for one of the gateway's.
                    answer.headers_mut().remove(DPOP_NONCE);
                }
                answer
            }
            Err(error) => {
                tracing::warn!(code = error.code(), %error, "a request was not answered by the upstream");
                self.own_answer(&Trouble::Forward(error))
            }
        }
    }

    fn own_answer(&self, trouble: &Trouble) -> Response<Content> {
        self.metrics.trouble(trouble.code());
        trouble.to_response().map(Content::Own)
    }

    fn origin(&self, authority: &str) -> Option<&PublicOrigin> {
        self.origins.iter().find(|origin| origin.is_authority(authority))
    }

    fn open_to_pages(&self, head: &Parts, response: &mut Response<Content>) {
        if let Some(cors) = &self.cors {
            cors.open(cors.allowed_origin(&head.headers), response.headers_mut());
        }
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
