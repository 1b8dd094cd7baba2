//! Serving on sockets: bounded waiting everywhere, and a drain at the end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::server::AuthServer;

/// A server with its sockets.
#[derive(Debug)]
pub struct BoundAuthServer {
    server: AuthServer,
    main: Bound,
    admin: Option<Bound>,
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
    /// The system's.
    pub fn bind_listener(self, listener: TcpListener) -> io::Result<BoundAuthServer> {
        Ok(BoundAuthServer { main: Bound::new(listener)?, server: self, admin: None })
    }
}

impl BoundAuthServer {
    /// Serves `/healthz` and `/readyz` on `listen` too.
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

    /// The address of the admin listener, if there is one.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|admin| admin.address)
    }

    /// Serves until `shutdown` ends, then takes no more connections and gives requests in flight ten seconds. The
    /// admin listener ends last.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) {
        let (stop_admin, mut admin_stops) = watch::channel(());
        let admin_router = self.server.admin_router();
        let admin = async {
            if let Some(admin) = self.admin {
                let stopped = async {
                    // An error is a sender that is gone, which is as good.
                    let _ = admin_stops.changed().await;
                };
                admin.serve(admin_router, stopped).await;
            }
        };
        let main = async {
            self.main.serve(self.server.router(), shutdown).await;
            drop(stop_admin);
        };
        tokio::join!(main, admin);
    }
}

/// The most connections at a time; more wait to be accepted.
const MAX_CONNECTIONS: usize = 4_096;
/// How long a request's header may take to arrive, and how long a connection may idle.
const HEADER_PATIENCE: Duration = Duration::from_secs(15);
const DRAIN: Duration = Duration::from_secs(10);
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

    async fn serve(self, router: Router, shutdown: impl Future<Output = ()> + Send) {
        let graceful = GracefulShutdown::new();
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                accepted = accept(&self.listener, &room) => accepted,
                () = &mut shutdown => break,
            };
            if let Some((stream, permit)) = accepted {
                serve_connection(stream, permit, router.clone(), &graceful);
            }
        }
        drop(self.listener);
        if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
            tracing::warn!("requests still in flight were cut off at shutdown");
        }
    }
}

fn serve_connection(stream: TcpStream, permit: OwnedSemaphorePermit, router: Router, graceful: &GracefulShutdown) {
    let service = TowerToHyperService::new(router);
    let connection = connection_builder().serve_connection(TokioIo::new(stream), service).into_owned();
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error, "a connection ended early");
        }
        drop(permit);
    });
}

async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let permit = room.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Answers are small and wait for nothing; a failure only costs time.
            let _ = stream.set_nodelay(true);
            Some((stream, permit))
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
