//! One request from its arrival to its answer, and what all requests share.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

use countersign_dpop::time::Clock;
use countersign_forward::peer_field;
use countersign_resource::KeyCache;
use http::header::{DATE, Entry};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::assertion::Assertions;
use crate::body::GatewayBody;
use crate::date;
use crate::identity::LastCaller;
use crate::logs::{AccessRecord, DecisionSink, RequestIds};
use crate::metrics::Metrics;
use crate::mode::Mode;
use crate::replay::Replay;
use crate::site::Site;
use crate::unread::to_unread;
use crate::visit::{Opened, Visit};
use crate::wire::Notes;

/// Everything that requests share.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) site: SiteCell,
    pub(crate) keys: KeyCache,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) decisions: Arc<dyn DecisionSink>,
    pub(crate) ids: RequestIds,
    pub(crate) metrics: Metrics,
    pub(crate) mode: Mode,
    pub(crate) replay: Replay,
    pub(crate) assertions: Option<Assertions>,
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
    ///
    /// What is rare waits in a box: the room of this future is made and moved for every request.
    /// So is that of what it is handed; so the head stays where it lies until it is taken from there.
    pub(crate) async fn answer(
        &self,
        head: &mut Parts,
        body: Incoming,
        peer: &Peer,
        notes: &Notes,
    ) -> Response<GatewayBody> {
        let in_flight = self.metrics.request();
        let site = self.site.now();
        let visit = Visit { door: self, site: &site, id: self.ids.next(), peer };
        let arrived = self.decisions.wants_access().then(|| Arrived::of(head));
        let (story, mut response) = match visit.open(head) {
            Ok(Opened::ToBeAdvised { proxy, trusted }) => {
                let (story, response) = Box::pin(visit.advise(head, proxy, trusted)).await;
                (story, to_unread(head, body, response).await)
            }
            Ok(Opened::ToBeAnsweredByGrpc { trusted, keep_credentials }) => {
                Box::pin(visit.answer_envoy(Request::from_parts(take(head), body), trusted, keep_credentials)).await
            }
            Err(trouble) => {
                let response = visit.own_answer(&trouble, false);
                (Story::of(trouble.code()), to_unread(head, body, response).await)
            }
            Ok(Opened::Answered(response)) => (Story::of("open"), to_unread(head, body, response).await),
            Ok(Opened::ToBeJudged(choice)) => visit.judge(choice, head, body).await,
        };
        let status = story.told.unwrap_or(response.status());
        self.metrics.answer(status);
        if !story.observes {
            self.date(response.headers_mut());
        }
        if let Some(arrived) = arrived {
            self.write_access(arrived, &visit, &story, status);
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            notes.switch();
        }
        response.map(|content| GatewayBody::new(content, in_flight))
    }

    /// True when requests of any route are passed on as they came.
    pub(crate) fn observes(&self) -> bool {
        self.site.now().observes(self.clock.now())
    }

    /// Says when an answer was made, if it does not say so itself (RFC 9110 §6.6.1). Clients set their clocks by it.
    fn date(&self, fields: &mut HeaderMap) {
        if let Entry::Vacant(place) = fields.entry(DATE)
            && let Some(date) = date::at(self.clock.now())
        {
            place.insert(date);
        }
    }

    fn write_access(&self, arrived: Arrived, visit: &Visit<'_>, story: &Story, status: StatusCode) {
        let Arrived { at, method, path } = arrived;
        let about = story.about.as_ref();
        self.decisions.access(&AccessRecord {
            time: self.clock.now().seconds(),
            request: &visit.id,
            peer: about.and_then(|about| about.peer).unwrap_or(visit.peer.address.ip()),
            method: about.map_or(&method, |about| &about.method).as_str(),
            path: about.map_or(&path, |about| &about.path),
            route: story.route.as_deref(),
            client: story.client.as_deref(),
            code: story.code,
            status: status.as_u16(),
            took: at.elapsed(),
        });
    }
}

/// What the access log says of a request, kept from before it is handed on.
struct Arrived {
    at: Instant,
    method: Method,
    path: String,
}

impl Arrived {
    fn of(head: &Parts) -> Self {
        Self { at: Instant::now(), method: head.method.clone(), path: head.uri.path().to_owned() }
    }
}

/// What became known of a request.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) code: &'static str,
    pub(crate) route: Option<Arc<str>>,
    pub(crate) client: Option<Arc<str>>,
    /// The answer is to be as the upstream gave it.
    pub(crate) observes: bool,
    /// What another proxy asked about.
    pub(crate) about: Option<About>,
    /// The status that this proxy is told to answer with, where the answer to itself has another one.
    pub(crate) told: Option<StatusCode>,
}

/// The request that another proxy asked about: the log tells of it, not of the question.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Who sent it, where the proxy says so.
    pub(crate) peer: Option<IpAddr>,
}

impl Story {
    pub(crate) const fn of(code: &'static str) -> Self {
        Self { code, route: None, client: None, observes: false, about: None, told: None }
    }
}

/// The other end of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// How the upstream is told of it, made once for all requests of the connection.
    pub(crate) field: Option<HeaderValue>,
    pub(crate) caller: LastCaller,
}

impl Peer {
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self { address, field: peer_field(address.ip()), caller: LastCaller::default() }
    }
}

/// The head out of its place.
pub(crate) fn take(head: &mut Parts) -> Parts {
    std::mem::replace(head, Request::new(()).into_parts().0)
}
