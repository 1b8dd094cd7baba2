//! Connections to the upstream that know whether they have been of use before.
//!
//! A server may close an idle connection at any moment, also just when the next request is on its way. Whoever wants
//! to send that request again (RFC 9112 §9.3.1) has to know that the connection was an old one.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Extensions, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::error::BoxError;
use crate::forwarder::UpstreamHost;

const KEEP_ALIVE: Duration = Duration::from_mins(1);

/// Connects by TCP and, where the URL says so, TLS.
#[derive(Clone, Debug)]
pub(crate) struct Connector(HttpsConnector<HttpConnector>);

/// A connection with its history.
#[derive(Debug)]
pub(crate) struct UpstreamStream {
    stream: MaybeHttpsStream<TokioIo<TcpStream>>,
    history: History,
}

/// Whether an answer ever came over a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(Arc<AtomicBool>);

impl Connector {
    pub(crate) fn new(tls: ClientConfig, host: UpstreamHost, timeout: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(timeout));
        tcp.set_keepalive(Some(KEEP_ALIVE));
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        Self(match host {
            UpstreamHost::Upstream => connector.enable_all_versions().wrap_connector(tcp),
            UpstreamHost::Public => connector.enable_http1().wrap_connector(tcp),
        })
    }
}

impl History {
    /// Notes that an answer came.
    pub(crate) fn answered(extensions: &Extensions) {
        if let Some(history) = extensions.get::<Self>() {
            history.0.store(true, Ordering::Relaxed);
        }
    }

    /// True when the connection had brought an answer before.
    pub(crate) fn is_long(connected: Option<&Connected>) -> bool {
        let mut extensions = Extensions::new();
        if let Some(connected) = connected {
            connected.get_extras(&mut extensions);
        }
        extensions.get::<Self>().is_some_and(|history| history.0.load(Ordering::Relaxed))
    }
}

impl Service<Uri> for Connector {
    type Response = UpstreamStream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<UpstreamStream, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async move { Ok(UpstreamStream { stream: connecting.await?, history: History::default() }) })
    }
}

impl Connection for UpstreamStream {
    fn connected(&self) -> Connected {
        self.stream.connected().extra(self.history.clone())
    }
}

impl Read for UpstreamStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl Write for UpstreamStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match bytes {
            // A head without a body; to the system one piece is less work than a list.
            [only] => Pin::new(&mut self.stream).poll_write(cx, only),
            _ => Pin::new(&mut self.stream).poll_write_vectored(cx, bytes),
        }
    }
}
