//! Health, readiness and metrics, on an address of their own.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use countersign_forward::Upstream;
use futures_util::future::join_all;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::door::Door;
use crate::keys;
use crate::metrics::{Text, render_issuers};
use crate::mode::Mode;

/// Connections at a time: probes and scrapers are few.
const CONNECTIONS: usize = 64;
const HEAD: Duration = Duration::from_secs(10);
/// How long the upstream may take to accept a connection and still count as there.
const PROBE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(100);

/// What the admin address tells about.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) door: Arc<Door>,
    pub(crate) draining: CancellationToken,
}

/// Why the gateway is not ready.
#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    missing: Vec<Missing>,
}

/// Something that requests need and that is not there.
#[derive(Debug, Serialize)]
pub struct Missing {
    /// `gateway`, `issuer`, `upstream`, `replay store`.
    pub what: &'static str,
    /// Which one.
    pub name: String,
    /// Why not.
    pub reason: String,
}

impl Admin {
    /// Answers until the future is dropped: also while draining, so that a load balancer sees it.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let Ok((stream, _)) = listener.accept().await else {
                sleep(PAUSE).await;
                continue;
            };
            let admin = Arc::clone(&self);
            tokio::spawn(async move {
                admin.serve_connection(stream).await;
                drop(place);
            });
        }
    }

    async fn serve_connection(self: Arc<Self>, stream: TcpStream) {
        let service = service_fn(move |request: Request<Incoming>| {
            let admin = Arc::clone(&self);
            async move { Ok::<_, Infallible>(admin.answer(request.method(), request.uri().path()).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = connection.await {
            tracing::debug!(%error, "an admin connection ended early");
        }
    }

    async fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if method != Method::GET && method != Method::HEAD {
            let mut response = answer(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET and HEAD\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match path {
            "/healthz" => answer(StatusCode::OK, "text/plain", "ok\n"),
            "/readyz" => self.readiness().await,
            "/metrics" => answer(StatusCode::OK, "text/plain; version=0.0.4", self.metrics()),
            "/jwks.json" => match &self.door.assertions {
                Some(assertions) => answer(StatusCode::OK, "application/jwk-set+json", assertions.key_set()),
                None => answer(StatusCode::NOT_FOUND, "text/plain", "there are no assertions\n"),
            },
            _ => answer(StatusCode::NOT_FOUND, "text/plain", "there are /healthz, /readyz and /metrics\n"),
        }
    }

    async fn readiness(&self) -> Response<Full<Bytes>> {
        let mut missing = missing(&self.door).await;
        if self.draining.is_cancelled() {
            let reason = "told to stop; running requests are finished".to_owned();
            missing.push(Missing { what: "gateway", name: "this one".to_owned(), reason });
        }
        let ready = missing.is_empty();
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        // Texts and a truth value always have a JSON form.
        let body = serde_json::to_string(&Readiness { ready, missing }).unwrap_or_default();
        answer(status, "application/json", body)
    }

    fn metrics(&self) -> String {
        let mut text = Text::default();
        self.door.metrics.render(&mut text);
        render_issuers(&self.door.site.now().issuer_counts(), &mut text);
        text.counter("countersign_decisions_lost_total", "Decisions not written down", self.door.decisions.lost());
        self.door.replay.render(&mut text);
        keys::render(&self.door.keys.counts(), &mut text);
        text.into_string()
    }
}

/// What requests need and is not there.
pub(crate) async fn missing(door: &Door) -> Vec<Missing> {
    let site = door.site.now();
    let mut missing = Vec::new();
    for keys in site.missing_keys(door.clock.now()) {
        missing.push(Missing { what: "issuer", name: keys.issuer, reason: keys.fault.to_string() });
    }
    // Without a use for it an upstream need not be there.
    let upstreams = site.upstreams().filter(|_| door.mode == Mode::Proxy);
    for (upstream, probed) in join_all(upstreams.map(probe)).await {
        if let Err(reason) = probed {
            missing.push(Missing { what: "upstream", name: upstream.to_string(), reason });
        }
    }
    if let Some((name, reason)) = door.replay.fault() {
        missing.push(Missing { what: "replay store", name, reason });
    }
    missing
}

/// Whether the upstream takes connections, asked when somebody wants to know.
async fn probe(upstream: &Upstream) -> (&Upstream, Result<(), String>) {
    let host = upstream.host().trim_start_matches('[').trim_end_matches(']');
    let probed = match timeout(PROBE, TcpStream::connect((host, upstream.port()))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no connection within {} s", PROBE.as_secs())),
    };
    (upstream, probed)
}

fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
