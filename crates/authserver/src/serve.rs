//! Serving on sockets: bounded waiting everywhere, and a drain at the end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use countersign_dpop::time::Clock;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::util::MapRequest;

use crate::config::Settings;
use crate::operation::{InFlight, Opening, Peer, Tls, TlsError};
use crate::server::{AuthServer, OpenError};

/// A server with its sockets.
#[derive(Debug)]
pub struct BoundAuthServer {
    opening: Opening,
    tls: Option<Tls>,
    main: Bound,
    admin: Option<Bound>,
}

/// Why a server cannot be opened and bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Its certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// It cannot listen.
    #[error("cannot listen: {0}")]
    Listen(#[from] io::Error),
}

impl AuthServer {
    /// Binds to `listen`; port 0 picks one.
    ///
    /// # Errors
    /// The system's, for instance when the port is in use.
    pub async fn bind(self, listen: SocketAddr) -> io::Result<BoundAuthServer> {
        self.bind_listener(TcpListener::bind(listen).await?)
    }

    /// Takes a socket that is bound already, for an issuer whose port is picked before it is configured.
    ///
    /// # Errors
    /// The system's, or that the TLS certificate can no longer be read.
    pub fn bind_listener(self, listener: TcpListener) -> io::Result<BoundAuthServer> {
        let tls = open_tls(self.settings()).map_err(io::Error::other)?;
        Ok(BoundAuthServer { main: Bound::new(listener)?, opening: Opening::of(self), tls, admin: None })
    }

    /// Opens a server and binds it. A database that only cannot be reached does not keep it from serving: until the
    /// database is there every request is answered with 503, and `/readyz` says what is missing.
    ///
    /// # Errors
    /// See [`BindError`].
    pub async fn open_and_bind(
        settings: Settings,
        clock: Arc<dyn Clock>,
        listen: SocketAddr,
    ) -> Result<BoundAuthServer, BindError> {
        let tls = open_tls(&settings)?;
        let main = Bound::new(TcpListener::bind(listen).await?)?;
        let opening = Opening::begin(Arc::new(settings), clock).await?;
        Ok(BoundAuthServer { opening, tls, main, admin: None })
    }
}

impl BoundAuthServer {
    /// Serves `/healthz`, `/readyz` and `/metrics` on `listen` too.
    ///
    /// # Errors
    /// The system's, for instance when the port is in use.
    pub async fn with_admin(mut self, listen: SocketAddr) -> io::Result<Self> {
        self.admin = Some(Bound::new(TcpListener::bind(listen).await?)?);
        Ok(self)
    }

    /// The address it listens on.
    pub const fn local_addr(&self) -> SocketAddr {
        self.main.address
    }

    /// Whether it speaks TLS.
    pub const fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// The address of the admin listener, if there is one.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|admin| admin.address)
    }

    /// Serves until `shutdown` ends, then takes no more connections and gives requests in flight as long as the
    /// configuration says. The admin listener ends last.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) {
        let Self { opening, tls, main, admin } = self;
        let (stop_admin, mut admin_stops) = watch::channel(());
        let admin = async {
            if let Some(admin) = admin {
                let stopped = async {
                    // An error is a sender that is gone, which is as good.
                    let _ = admin_stops.changed().await;
                };
                admin.serve(None, ADMIN_DRAIN, || (opening.admin_router(), None), stopped).await;
            }
        };
        let main = async {
            let shutdown = async {
                shutdown.await;
                if let Some(server) = opening.server() {
                    server.shared.metrics.drain();
                }
            };
            let drain = opening.settings().limits.drain;
            let counted = || opening.server().map(|server| server.shared.metrics.connection());
            main.serve(tls.as_ref(), drain, || (opening.router(), counted()), shutdown).await;
            drop(stop_admin);
        };
        let upkeep = keep_up(&opening, tls.as_ref());
        tokio::select! {
            ((), ()) = async { tokio::join!(main, admin) } => {}
            () = upkeep => {}
        }
    }
}

fn open_tls(settings: &Settings) -> Result<Option<Tls>, TlsError> {
    settings.tls.clone().map(Tls::open).transpose()
}

/// What goes on beside serving: opening, following certificates, sweeping what has expired. Never ends.
async fn keep_up(opening: &Opening, tls: Option<&Tls>) {
    let follow = async {
        if let Some(tls) = tls {
            tls.follow().await;
        }
    };
    let sweep = async {
        opening.run().await;
        while let Some(server) = opening.server() {
            tokio::time::sleep(SWEEP_EVERY).await;
            let shared = &server.shared;
            if let Err(fault) = shared.storage.sweep(shared.clock.now()).await {
                tracing::warn!(%fault, "what has expired could not be swept");
            }
        }
    };
    tokio::join!(follow, sweep);
    std::future::pending::<()>().await;
}

/// How long requests in flight at the admin listener may take at the end.
const ADMIN_DRAIN: Duration = Duration::from_secs(1);
/// How often the storage is swept where few requests come; those that come sweep a little each.
const SWEEP_EVERY: Duration = Duration::from_mins(5);
/// The most connections at a time; more wait to be accepted.
const MAX_CONNECTIONS: usize = 4_096;
/// How long a request's header may take to arrive, and how long a connection may idle.
const HEADER_PATIENCE: Duration = Duration::from_secs(15);
/// How long to wait when the system has no room for another connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug)]
struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    fn new(listener: TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    async fn serve(
        self,
        tls: Option<&Tls>,
        drain: Duration,
        router: impl Fn() -> (Router, Option<InFlight>),
        shutdown: impl Future<Output = ()> + Send,
    ) {
        let graceful = GracefulShutdown::new();
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                accepted = accept(&self.listener, &room) => accepted,
                () = &mut shutdown => break,
            };
            if let Some((stream, peer, permit)) = accepted {
                let (router, counted) = router();
                let connection = Connection { peer, permit, router, counted, watcher: graceful.watcher() };
                tokio::spawn(connection.serve(stream, tls.cloned()));
            }
        }
        drop(self.listener);
        if tokio::time::timeout(drain, graceful.shutdown()).await.is_err() {
            tracing::warn!("requests still in flight were cut off at shutdown");
        }
    }
}

/// What a connection is served with; all of it ends with the connection.
struct Connection {
    peer: Peer,
    permit: OwnedSemaphorePermit,
    router: Router,
    counted: Option<InFlight>,
    watcher: Watcher,
}

impl Connection {
    async fn serve(self, stream: TcpStream, tls: Option<Tls>) {
        match tls {
            None => self.serve_plain(stream).await,
            Some(tls) => match tls.accept(stream).await {
                Ok(stream) => self.serve_plain(stream).await,
                Err(error) => tracing::debug!(%error, "a TLS handshake failed"),
            },
        }
    }

    async fn serve_plain(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let peer = self.peer;
        let service = MapRequest::new(self.router, move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            request
        });
        let connection =
            connection_builder().serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).into_owned();
        if let Err(error) = self.watcher.watch(connection).await {
            tracing::debug!(error, "a connection ended early");
        }
        drop((self.permit, self.counted));
    }
}

async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> Option<(TcpStream, Peer, OwnedSemaphorePermit)> {
    let permit = room.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Answers are small and wait for nothing; a failure only costs time.
            let _ = stream.set_nodelay(true);
            Some((stream, Peer(peer.ip()), permit))
        }
        Err(error) => {
            tracing::warn!(%error, "no connection could be accepted");
            tokio::time::sleep(EXHAUSTED_PAUSE).await;
            None
        }
    }
}

fn connection_builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_PATIENCE).max_buf_size(32 * 1_024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(64)
        .max_header_list_size(32 * 1_024)
        .keep_alive_interval(HEADER_PATIENCE);
    builder
}
