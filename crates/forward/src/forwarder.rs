use std::fmt;
use std::io::ErrorKind;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::{EXPECT, HOST, TE, UPGRADE, VIA};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body;
use hyper::ext::ReasonPhrase;
use hyper::upgrade::OnUpgrade;
use rustls::ClientConfig;
use tokio::time::sleep_until;

use crate::answer::AnswerBody;
use crate::connect::History;
use crate::connections::{Connections, LetterCase, SendError};
use crate::error::{BoxError, ForwardError, causes, is_caused_by};
use crate::fields::{
    asks_for_websocket, remove_hop_by_hop, remove_hop_by_hop_and, set_websocket, takes_trailers,
    transfer_coding_is_known,
};
use crate::framing::frame;
use crate::limits::ForwardLimits;
use crate::pool::Answer;
use crate::request_body::{Progress, RequestBody};
use crate::spare::SpareHead;
use crate::tls::{TlsError, UpstreamTls, trusting_nobody};
use crate::tunnel::Tunnels;
use crate::upstream::Upstream;
use crate::x_forwarded::{Arrival, ForwardedFields};

/// Sends requests to one upstream over a pool of connections, HTTP/1.1 or, where TLS agrees on it, HTTP/2. Cheap to
/// clone; clones share the pool.
#[derive(Clone)]
pub struct Forwarder {
    connections: Connections,
    /// For requests that go on untouched.
    faithful: Connections,
    tls: ClientConfig,
    upstream: Upstream,
    limits: ForwardLimits,
    host: UpstreamHost,
    forwarded: ForwardedFields,
    via: Option<HeaderValue>,
    tunnels: Tunnels,
}

/// What the `Host` field to the upstream says. Never what the client sent.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum UpstreamHost {
    /// The upstream's own authority, from its URL.
    #[default]
    Upstream,
    /// The public authority, from [`Arrival::authority`]; the upstream's own where there is none. Connections are
    /// HTTP/1.1 then: over HTTP/2 the URL's authority would stand beside it and contradict it.
    Public,
}

/// A request as it is about to be sent, and what its answer has to know of it.
struct Departure {
    request: Request<RequestBody>,
    /// Its head, where it may be sent a second time.
    spare: Option<SpareHead>,
    progress: Progress,
    /// The client's half of a WebSocket to be.
    client_side: Option<OnUpgrade>,
    untouched: bool,
    tunnel_lifetime: Option<Duration>,
}

/// What goes along with one request.
#[derive(Clone, Debug)]
pub struct Handover<'a> {
    /// How the request came in, for `X-Forwarded-*`.
    pub arrival: Option<Arrival<'a>>,
    /// Fields that are set last, so that no `Connection` field of the client can take them off again. Each takes the
    /// place of all of its name.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Fields that a client cannot send as a trailer either.
    pub is_reserved: fn(&HeaderName) -> bool,
    /// Passes the request's head on as it came: order and letter case of the fields' names as they were (over
    /// HTTP/1.1), `Host` and `Expect` too, and no field added. Only a change of protocol that is not a WebSocket's is
    /// taken off, which would not work through a forwarder. The answer's head comes back the same way.
    pub untouched: bool,
    /// How long a WebSocket may stay open; `None` for as long as both sides like.
    pub tunnel_lifetime: Option<Duration>,
}

impl Default for Handover<'_> {
    fn default() -> Self {
        Self { arrival: None, set: Vec::new(), is_reserved: |_| false, untouched: false, tunnel_lifetime: None }
    }
}

impl Forwarder {
    /// A forwarder to `upstream`. For `https` it trusts what the operating system trusts.
    ///
    /// # Errors
    /// [`TlsError`] when the upstream needs TLS and the system has no certificates to trust.
    pub fn new(upstream: Upstream, limits: ForwardLimits) -> Result<Self, TlsError> {
        Self::to(upstream, &UpstreamTls::default(), limits)
    }

    /// A forwarder to `upstream`, by `tls` where that is `https`.
    ///
    /// # Errors
    /// As [`Forwarder::new`].
    pub fn to(upstream: Upstream, tls: &UpstreamTls, limits: ForwardLimits) -> Result<Self, TlsError> {
        let tls = if upstream.is_tls() { tls.config()? } else { trusting_nobody()? };
        Ok(Self::with_tls(upstream, tls, limits))
    }

    /// A forwarder to `upstream` that uses `tls`, in which no application protocols are set, for `https`.
    pub fn with_tls(upstream: Upstream, tls: ClientConfig, limits: ForwardLimits) -> Self {
        let host = UpstreamHost::default();
        Self {
            connections: Connections::to(&upstream, tls.clone(), host, &limits, LetterCase::Lowered),
            faithful: Connections::to(&upstream, tls.clone(), host, &limits, LetterCase::Kept),
            tls,
            upstream,
            limits,
            host,
            forwarded: ForwardedFields::default(),
            via: None,
            tunnels: Tunnels::default(),
        }
    }

    /// Sends another `Host`.
    #[must_use]
    pub fn with_host(mut self, host: UpstreamHost) -> Self {
        let to = |case| Connections::to(&self.upstream, self.tls.clone(), host, &self.limits, case);
        (self.connections, self.faithful) = (to(LetterCase::Lowered), to(LetterCase::Kept));
        self.host = host;
        self
    }

    /// Does otherwise with `X-Forwarded-*`.
    #[must_use]
    pub fn with_forwarded_fields(mut self, forwarded: ForwardedFields) -> Self {
        self.forwarded = forwarded;
        self
    }

    /// Adds itself to `Via` in requests under this name (RFC 9110 §7.6.3), which has to be a token.
    #[must_use]
    pub fn with_via(mut self, name: &'static str) -> Self {
        self.via = HeaderValue::from_str(&format!("1.1 {name}")).ok();
        self
    }

    /// The upstream.
    pub const fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Sends `request` to the upstream and waits for the answer's header; both bodies stream. Dropping the future, or
    /// the answer, ends the exchange with the upstream.
    ///
    /// # Errors
    /// See [`ForwardError`]; nothing has been answered then.
    pub fn forward<'a, B>(
        &'a self,
        request: Request<B>,
        handover: Handover<'a>,
    ) -> impl Future<Output = Result<Response<AnswerBody>, ForwardError>> + Send + use<'a, B>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        // Ahead of all waiting: what is done here needs no room that lasts.
        let mut prepared = self.prepare(request, handover);
        async move {
            match prepared {
                // Where it lies: a second place for it would be room that lasts.
                Ok(ref mut departure) => self.exchange(departure).await,
                Err(error) => Err(error),
            }
        }
    }

    fn prepare<B>(&self, mut request: Request<B>, mut handover: Handover<'_>) -> Result<Departure, ForwardError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let client_side = take_websocket(&mut request);
        let (mut parts, body) = request.into_parts();
        let body = RequestBody::new(body, self.limits.request_body(), handover.is_reserved);
        if handover.untouched {
            self.redirect(&mut parts, client_side.is_some())?;
        } else {
            self.readdress(&mut parts, &mut handover, client_side.is_some())?;
        }
        frame(&mut parts, &body);
        let Handover { untouched, tunnel_lifetime, .. } = handover;
        let progress = body.progress();
        let spare = (parts.method.is_safe() && body.is_end_stream()).then(|| SpareHead::of(&parts));
        let request = Request::from_parts(parts, body);
        Ok(Departure { request, spare, progress, client_side, untouched, tunnel_lifetime })
    }

    /// Ends all tunnels. Requests under way are not touched: they end with their futures.
    pub async fn close(&self) {
        self.tunnels.close().await;
    }

    /// Sends the request elsewhere and leaves its head as it is.
    fn redirect(&self, parts: &mut Parts, is_websocket: bool) -> Result<(), ForwardError> {
        if parts.method == Method::CONNECT {
            return Err(ForwardError::ConnectMethod);
        }
        if !transfer_coding_is_known(&parts.headers) {
            return Err(ForwardError::TransferCoding);
        }
        parts.uri = self.upstream.target(&parts.uri).ok_or(ForwardError::BadTarget)?;
        let over_http2 = parts.version == Version::HTTP_2;
        parts.version = Version::HTTP_11;
        if is_websocket {
            // Asked for anew, because these are the fields of one hop.
            remove_hop_by_hop(&mut parts.headers);
            set_websocket(&mut parts.headers);
        } else if parts.headers.contains_key(UPGRADE) {
            remove_hop_by_hop(&mut parts.headers);
        }
        // Over HTTP/2 it was a pseudo-field.
        if over_http2
            && !parts.headers.contains_key(HOST)
            && let Some(host) = self.upstream.host_field()
        {
            parts.headers.insert(HOST, host);
        }
        Ok(())
    }

    fn readdress(
        &self,
        parts: &mut Parts,
        handover: &mut Handover<'_>,
        is_websocket: bool,
    ) -> Result<(), ForwardError> {
        if parts.method == Method::CONNECT {
            return Err(ForwardError::ConnectMethod);
        }
        if !transfer_coding_is_known(&parts.headers) {
            return Err(ForwardError::TransferCoding);
        }
        parts.uri = self.upstream.target(&parts.uri).ok_or(ForwardError::BadTarget)?;
        parts.version = Version::HTTP_11;
        parts.extensions.clear();
        let headers = &mut parts.headers;
        let takes_trailers = takes_trailers(headers);
        // The client's expectation is met here, when the upstream's connection first asks for the body.
        remove_hop_by_hop_and(headers, |name| *name == EXPECT || self.forwarded.removes(name));
        self.forwarded.set(headers, handover.arrival.as_ref());
        self.set_own_fields(headers, handover.arrival.as_ref());
        if is_websocket {
            set_websocket(headers);
        } else if takes_trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
        for (name, value) in handover.set.drain(..) {
            headers.insert(name, value);
        }
        Ok(())
    }

    fn set_own_fields(&self, headers: &mut HeaderMap, arrival: Option<&Arrival<'_>>) {
        let host = match (self.host, arrival) {
            (UpstreamHost::Public, Some(arrival)) => Some(arrival.authority.clone()),
            (UpstreamHost::Public, None) | (UpstreamHost::Upstream, _) => self.upstream.host_field(),
        };
        match host {
            Some(host) => headers.insert(HOST, host),
            None => headers.remove(HOST),
        };
        if let Some(via) = &self.via {
            headers.append(VIA, via.clone());
        }
    }

    async fn exchange(&self, departure: &mut Departure) -> Result<Response<AnswerBody>, ForwardError> {
        match self.in_time(departure).await? {
            Ok(answer) => self.pass_back(answer, departure),
            Err(error) => self.exchange_again(&error, departure).await,
        }
    }

    /// Sends the request once more, if that changes nothing and the connection was an old one that the upstream may have
    /// closed in the meantime.
    async fn exchange_again(
        &self,
        error: &SendError,
        departure: &mut Departure,
    ) -> Result<Response<AnswerBody>, ForwardError> {
        let Some(spare) = departure.spare.take().filter(|_| error.is_of_old_connection()) else {
            return Err(self.explain(error, &departure.progress));
        };
        departure.request = Request::from_parts(spare.into_parts(), RequestBody::empty());
        match Box::pin(self.in_time(departure)).await? {
            Ok(answer) => self.pass_back(answer, departure),
            Err(error) => Err(self.explain(&error, &departure.progress)),
        }
    }

    /// Waits for the answer's header, as long as the upstream's time is not up.
    async fn in_time(&self, departure: &mut Departure) -> Result<Result<Answer, SendError>, ForwardError> {
        let connections = if departure.untouched { &self.faithful } else { &self.connections };
        let progress = &departure.progress;
        let mut answer = pin!(connections.send(&mut departure.request, departure.client_side.is_some()));
        let limit = self.limits.first_byte;
        loop {
            // While the client has to act there is no deadline, but its end has to be looked for again later.
            let deadline = progress.upstream_deadline(limit);
            let wake = deadline.unwrap_or_else(|| tokio::time::Instant::now() + limit);
            tokio::select! {
                biased;
                answer = &mut answer => return Ok(answer),
                () = sleep_until(wake) => {
                    if deadline.is_some() && progress.upstream_deadline(limit) == deadline {
                        return Err(ForwardError::NoAnswer { limit });
                    }
                }
            }
        }
    }

    fn explain(&self, error: &SendError, progress: &Progress) -> ForwardError {
        if let Some(failure) = progress.failure() {
            return failure;
        }
        let reason = causes(error.cause());
        match error.is_connect() {
            true if is_caused_by(error.cause(), ErrorKind::TimedOut) => {
                ForwardError::ConnectTimeout { limit: self.limits.connect }
            }
            true => ForwardError::Unreachable { reason },
            false => ForwardError::BadAnswer { reason },
        }
    }

    fn pass_back(
        &self,
        (mut answer, lease): Answer,
        departure: &mut Departure,
    ) -> Result<Response<AnswerBody>, ForwardError> {
        let switches = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        let upstream_side = (switches && asks_for_websocket(answer.headers())).then(|| hyper::upgrade::on(&mut answer));
        let (parts, body) = answer.into_parts();
        let mut parts = if departure.untouched && !switches { as_it_came(parts) } else { end_to_end(parts) };
        match (departure.client_side.take(), upstream_side) {
            (Some(client), Some(upstream)) => {
                self.tunnels.open(client, upstream, departure.tunnel_lifetime);
                set_websocket(&mut parts.headers);
                Ok(Response::from_parts(parts, AnswerBody::empty()))
            }
            _ if switches => {
                Err(ForwardError::BadAnswer { reason: "a change of protocol nobody asked for".to_owned() })
            }
            _ => Ok(Response::from_parts(parts, AnswerBody::streaming(body, lease))),
        }
    }
}

impl fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarder")
            .field("upstream", &self.upstream)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// An answer's head with all that it has, but what would end or frame the client's connection by the upstream's.
fn as_it_came(mut parts: http::response::Parts) -> http::response::Parts {
    History::answered(&parts.extensions);
    parts.version = Version::HTTP_11;
    if parts.headers.contains_key(UPGRADE) {
        remove_hop_by_hop(&mut parts.headers);
    }
    parts
}

/// An answer's head without what concerns the upstream's connection only.
fn end_to_end(mut parts: http::response::Parts) -> http::response::Parts {
    History::answered(&parts.extensions);
    remove_hop_by_hop(&mut parts.headers);
    parts.version = Version::HTTP_11;
    let reason = parts.extensions.remove::<ReasonPhrase>();
    parts.extensions.clear();
    if let Some(reason) = reason {
        parts.extensions.insert(reason);
    }
    parts
}

/// The client's half of a WebSocket to be, if the request asks for one. It only can over HTTP/1.1.
fn take_websocket<B>(request: &mut Request<B>) -> Option<OnUpgrade> {
    let asks = request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && asks_for_websocket(request.headers());
    asks.then(|| hyper::upgrade::on(request))
}
