use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use countersign_dpop::replay::ReplayStore;
use countersign_dpop::time::Clock;
use countersign_dpop::{NoRandomness, NonceKey, NonceKeyRing};
use countersign_forward::TlsError;
use countersign_replay::{MemoryReplayError, RedisReplayError, RedisReplayFault};
use countersign_resource::fetch::{ReqwestFetch, ReqwestFetchError};
use countersign_resource::{IssuerConfigError, ResourceConfigError};
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::Admin;
use crate::assertion::{AssertionKeyError, Assertions};
use crate::config::{GatewayLimits, Settings};
use crate::connection::Connections;
use crate::door::{Door, SiteCell};
use crate::logs::{DecisionSink, RequestIds};
use crate::mcp::{SessionKey, SessionKeyError};
use crate::metrics::Metrics;
use crate::reload::Reloader;
use crate::replay::Replay;
use crate::site::{Lasting, Site, SiteError};
use crate::tls::{ServerTls, TlsFileError};
use crate::workers::Workers;
use crate::{keys, listener};

/// Connections that the system holds until they are taken.
const BACKLOG: u32 = 1_024;
/// How often the issuers' keys are looked after.
const RENEW: Duration = Duration::from_secs(5);

/// A gateway with its addresses bound, not yet serving.
#[derive(Debug)]
pub struct Gateway {
    listener: TcpListener,
    admin_listener: Option<TcpListener>,
    local_addr: SocketAddr,
    admin_addr: Option<SocketAddr>,
    door: Arc<Door>,
    limits: GatewayLimits,
    reloader: Reloader,
    tls: Option<ServerTls>,
    workers: Option<Workers>,
}

/// Why a gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {fault}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What is wrong.
        fault: io::Error,
    },
    /// The issuers contradict each other, or there are none.
    #[error(transparent)]
    Issuers(#[from] IssuerConfigError),
    /// The resource identifier cannot be one.
    #[error(transparent)]
    Resource(#[from] ResourceConfigError),
    /// The replay store cannot be made so.
    #[error(transparent)]
    Replay(#[from] MemoryReplayError),
    /// The replay store in Redis cannot be opened.
    #[error(transparent)]
    RedisReplay(#[from] RedisReplayError),
    /// The replay store in Redis is there, and must not be used.
    #[error("the replay store {server} cannot be used: {fault}")]
    ReplayServer {
        /// The store.
        server: String,
        /// What is wrong.
        fault: RedisReplayFault,
    },
    /// The client that fetches issuers' keys cannot be set up.
    #[error("issuers' keys cannot be fetched: {0}")]
    Fetch(#[from] ReqwestFetchError),
    /// The certificate or its key cannot be used.
    #[error("TLS cannot be spoken to clients: {0}")]
    ServerTls(#[from] TlsFileError),
    /// The key for assertions cannot be used.
    #[error(transparent)]
    AssertionKey(#[from] AssertionKeyError),
    /// There is no key for MCP sessions.
    #[error("a key for MCP sessions {0}")]
    SessionKey(#[from] SessionKeyError),
    /// TLS towards the upstream cannot be set up.
    #[error("the upstream cannot be reached over TLS: {0}")]
    Tls(#[from] TlsError),
    /// The threads that serve cannot be started.
    #[error("no threads to serve with: {0}")]
    Workers(io::Error),
    /// The system gave no randomness.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

impl Gateway {
    /// Binds the addresses and sets everything up. Nothing is fetched and the upstream is not asked: what is only
    /// away does not stop the start. Verdicts go to `decisions`.
    ///
    /// # Errors
    /// See [`GatewayError`].
    pub async fn bind(
        settings: Settings,
        clock: Arc<dyn Clock>,
        decisions: Arc<dyn DecisionSink>,
    ) -> Result<Self, GatewayError> {
        let listener = if settings.reuse_port { share(settings.listen)? } else { bind(settings.listen).await?.0 };
        Self::on_listener(listener, settings, clock, decisions).await
    }

    /// [`Gateway::bind`] with a socket that is bound already, for a public origin whose port is picked before it is
    /// configured. `listen` of the settings is not used.
    ///
    /// # Errors
    /// See [`GatewayError`].
    pub async fn on_listener(
        listener: TcpListener,
        settings: Settings,
        clock: Arc<dyn Clock>,
        decisions: Arc<dyn DecisionSink>,
    ) -> Result<Self, GatewayError> {
        let local_addr =
            listener.local_addr().map_err(|fault| GatewayError::Listen { address: settings.listen, fault })?;
        let (admin_listener, admin_addr) = match settings.admin {
            Some(address) => bind(address).await.map(|(listener, address)| (Some(listener), Some(address)))?,
            None => (None, None),
        };
        let limits = settings.limits;
        let tls = settings.tls.as_ref().map(ServerTls::read).transpose()?;
        let assertions = settings.assertion.as_ref();
        let assertions =
            assertions.map(|assertion| Assertions::new(assertion, settings.public_origin.as_str())).transpose()?;
        let nonce_keys = NonceKeyRing::new(NonceKey::generate()?);
        let replay = Replay::open(&settings, &clock, &nonce_keys).await?;
        let lasting = Lasting {
            replay: replay.store(),
            clock: Arc::clone(&clock),
            nonce_keys,
            fetch: Arc::new(ReqwestFetch::new()?),
            keys: keys::open(&settings.keys),
            session_key: SessionKey::generate()?,
            room: Arc::default(),
        };
        let site = SiteCell::new(Site::new(&settings, &lasting, None)?);
        let door = Arc::new(Door {
            site,
            keys: lasting.keys.clone(),
            clock,
            decisions,
            ids: RequestIds::new(std::process::id()),
            metrics: Metrics::default(),
            mode: settings.mode.clone(),
            replay,
            assertions,
        });
        let reloader = Reloader::new(Arc::clone(&door), lasting, settings);
        Ok(Self { listener, admin_listener, local_addr, admin_addr, door, limits, reloader, tls, workers: None })
    }

    /// Serves connections on so many threads of its own, each connection on one of them from its beginning to its end;
    /// else the runtime that calls [`Gateway::serve`] serves them.
    ///
    /// # Errors
    /// [`GatewayError::Workers`] when they cannot be started.
    pub fn with_workers(mut self, number: NonZeroUsize) -> Result<Self, GatewayError> {
        self.workers = Some(Workers::start(number).map_err(GatewayError::Workers)?);
        Ok(self)
    }

    /// Where clients connect.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where health and metrics are served.
    pub const fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_addr
    }

    /// Where used proofs are remembered.
    pub fn replay_store(&self) -> Arc<dyn ReplayStore> {
        self.door.replay.store()
    }

    /// What replaces the configuration while the gateway serves.
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// Serves until `shutdown` completes and then lets requests under way finish: no new connection is taken, open
    /// ones end with their request. What is not finished within the time that the limits allow is cut off.
    /// WebSockets are cut off once no request is under way.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let (draining, closing) = (CancellationToken::new(), CancellationToken::new());
        let background = CancellationToken::new();
        start_background(&self.door, self.admin_listener, &draining, &background);
        let tasks = TaskTracker::new();
        let (door, limits) = (Arc::clone(&self.door), self.limits);
        let (tls, workers) = (self.tls.clone(), self.workers);
        let connections =
            Arc::new(Connections { door, limits, draining: draining.clone(), closing: closing.clone(), tls });
        if let Some(tls) = self.tls {
            tokio::spawn(background.clone().run_until_cancelled_owned(tls.keep()));
        }
        let accepting = listener::accept(self.listener, connections, workers.as_ref(), &tasks);
        tokio::select! {
            () = accepting => (),
            () = shutdown => (),
        }
        draining.cancel();
        tasks.close();
        if timeout(limits.drain, tasks.wait()).await.is_err() {
            tracing::warn!(connections = tasks.len(), "not finished in time; cut off");
        }
        closing.cancel();
        tasks.wait().await;
        self.reloader.close_tunnels().await;
        if let Some(workers) = workers {
            workers.end().await;
        }
        background.cancel();
    }
}

/// What runs beside the serving, until `ended`: the admin address, also while draining, and the care for keys.
fn start_background(
    door: &Arc<Door>,
    admin: Option<TcpListener>,
    draining: &CancellationToken,
    ended: &CancellationToken,
) {
    if let Some(listener) = admin {
        let admin = Arc::new(Admin { door: Arc::clone(door), draining: draining.clone() });
        tokio::spawn(ended.clone().run_until_cancelled_owned(admin.serve(listener)));
    }
    tokio::spawn(ended.clone().run_until_cancelled_owned(renew(Arc::clone(door))));
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), GatewayError> {
    let fail = |fault| GatewayError::Listen { address, fault };
    let listener = TcpListener::bind(address).await.map_err(fail)?;
    let bound = listener.local_addr().map_err(fail)?;
    Ok((listener, bound))
}

/// Binds an address that another process may be bound to, so that two versions can overlap (`SO_REUSEPORT`).
fn share(address: SocketAddr) -> Result<TcpListener, GatewayError> {
    let listening = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        #[cfg(unix)]
        socket.set_reuseport(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listening().map_err(|fault| GatewayError::Listen { address, fault })
}

async fn renew(door: Arc<Door>) {
    let mut ticks = interval(RENEW);
    loop {
        ticks.tick().await;
        door.site.now().renew(door.clock.now()).await;
    }
}

impl From<SiteError> for GatewayError {
    fn from(fault: SiteError) -> Self {
        match fault {
            SiteError::Issuers(fault) => Self::Issuers(fault),
            SiteError::Resource(fault) => Self::Resource(fault),
            SiteError::Tls(fault) => Self::Tls(fault),
        }
    }
}
