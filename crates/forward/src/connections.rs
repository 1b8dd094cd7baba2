//! Connections to an upstream: over TLS by hyper's pooled client, which agrees on HTTP/2 or HTTP/1.1; without TLS by
//! a pool of our own, which spares a request the way through a second task.

use std::error::Error;

use http::{Request, Uri};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;

use crate::connect::{Connector, History};
use crate::forwarder::UpstreamHost;
use crate::limits::ForwardLimits;
use crate::pool::{Answer, Pool, PoolError};
use crate::request_body::RequestBody;
use crate::upstream::Upstream;

#[derive(Clone, Debug)]
pub(crate) enum Connections {
    Plain(Pool),
    Tls(Box<Client<Connector, RequestBody>>),
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum SendError {
    Plain(PoolError),
    Tls(ClientError),
}

/// Whether the letter case of fields' names is kept, which costs a second map of them for each message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LetterCase {
    Kept,
    Lowered,
}

impl Connections {
    pub(crate) fn to(
        upstream: &Upstream,
        tls: ClientConfig,
        host: UpstreamHost,
        limits: &ForwardLimits,
        case: LetterCase,
    ) -> Self {
        let connector = Connector::new(tls, host, limits.connect);
        if !upstream.is_tls() {
            return Self::Plain(Pool::new(connector, upstream.root(), limits, case));
        }
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(limits.pool_idle)
            .pool_max_idle_per_host(limits.pool_size)
            .set_host(false)
            .http1_preserve_header_case(case == LetterCase::Kept)
            .build(connector);
        Self::Tls(Box::new(client))
    }

    /// Sends the request and waits for the answer's head. What is left of the request is empty: it is taken from where
    /// it lies, because every wait that it were handed to would make room for it and move it there.
    pub(crate) async fn send(
        &self,
        request: &mut Request<RequestBody>,
        changes_protocol: bool,
    ) -> Result<Answer, SendError> {
        match self {
            Self::Plain(pool) => {
                *request.uri_mut() = origin_form(request.uri());
                pool.send(request, changes_protocol).await.map_err(SendError::Plain)
            }
            // Its wait is large, and not everybody's.
            Self::Tls(client) => {
                Box::pin(client.request(take(request))).await.map(|answer| (answer, None)).map_err(SendError::Tls)
            }
        }
    }
}

impl SendError {
    /// True when there was no connection.
    pub(crate) fn is_connect(&self) -> bool {
        match self {
            Self::Plain(PoolError::Connect(_)) => true,
            Self::Plain(PoolError::Exchange { .. }) => false,
            Self::Tls(error) => error.is_connect(),
        }
    }

    /// True when the connection had brought an answer before.
    pub(crate) fn is_of_old_connection(&self) -> bool {
        match self {
            Self::Plain(PoolError::Connect(_)) => false,
            Self::Plain(PoolError::Exchange { was_used, .. }) => *was_used,
            Self::Tls(error) => !error.is_connect() && History::is_long(error.connect_info()),
        }
    }

    pub(crate) fn cause(&self) -> &(dyn Error + 'static) {
        match self {
            Self::Plain(PoolError::Connect(error)) => error.as_ref(),
            Self::Plain(PoolError::Exchange { error, .. }) => error,
            Self::Tls(error) => error,
        }
    }
}

/// The request out of its place.
pub(crate) fn take(request: &mut Request<RequestBody>) -> Request<RequestBody> {
    std::mem::replace(request, Request::new(RequestBody::empty()))
}

/// The target as a server that is no proxy wants it (RFC 9112 §3.2.1).
fn origin_form(target: &Uri) -> Uri {
    target.path_and_query().cloned().map_or_else(Uri::default, Uri::from)
}
