//! Where programs reach a binding: a Unix socket, or a loopback port with a path that cannot be guessed.

use std::convert::Infallible;
use std::fs::{self, DirBuilder};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use countersign_forward::Dormant;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::process::getuid;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::binding::Listen;
use crate::door::Door;
use crate::journal::{Entry, Event};
use crate::peer::Peer;
use crate::port::{KeptPort, SecretPath};
use crate::refusal::Code;
use crate::visit::{OpenPort, Visit, Way};

/// Connections of one binding at a time; more wait.
const MAX_CONNECTIONS: usize = 128;
/// How much is read at a time, in bytes.
const READ_AHEAD: usize = 65_536;
/// How long to wait when the system has no more sockets to give.
const PAUSE: Duration = Duration::from_millis(100);
/// The part of a mode that is about everybody but the owner.
pub(crate) const OTHERS: u32 = 0o077;
/// The longest path that a socket's address holds, in bytes.
const MAX_SOCKET_PATH: usize = 107;

/// A bound address.
#[derive(Debug)]
pub(crate) enum Bound {
    Socket { listener: UnixListener, path: PathBuf },
    Port { listener: TcpListener, address: SocketAddr, secret: SecretPath },
    Nowhere,
}

/// Why an address cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The system's reason.
    #[error("cannot listen on {place}: {fault}")]
    Io {
        /// Where.
        place: String,
        /// The system's reason.
        fault: io::Error,
    },
    /// Another program serves this socket.
    #[error("another program serves {}", .0.display())]
    InUse(PathBuf),
    /// Others than the owner could reach the socket.
    #[error("{} is not for its owner only; chmod 700 it, or choose another directory", .0.display())]
    OpenDirectory(PathBuf),
    /// Too long for a socket's address.
    #[error("{} is longer than the {MAX_SOCKET_PATH} bytes that a socket's address holds", .0.display())]
    TooLong(PathBuf),
    /// Not of this machine only.
    #[error("{0} is no address of the loopback interface")]
    NotLoopback(SocketAddr),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    NoRandomness,
}

impl Bound {
    pub(crate) async fn bind(listen: &Listen) -> Result<Self, ListenError> {
        match listen {
            Listen::Socket(path) => bind_socket(path).await,
            Listen::Port(address) => bind_port(*address, SecretPath::draw()?).await,
            Listen::KeptPort { address, file } => bind_kept_port(*address, file).await,
            Listen::Nowhere => Ok(Self::Nowhere),
        }
    }

    /// The URL that stands for the resource.
    pub(crate) fn url(&self) -> Option<String> {
        match self {
            Self::Socket { .. } => Some("http://localhost".to_owned()),
            Self::Port { address, secret, .. } => Some(format!("http://{address}/{}", secret.as_str())),
            Self::Nowhere => None,
        }
    }

    pub(crate) fn socket(&self) -> Option<&Path> {
        match self {
            Self::Socket { path, .. } => Some(path),
            Self::Port { .. } | Self::Nowhere => None,
        }
    }

    /// Address and port, without the path.
    pub(crate) const fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Port { address, .. } => Some(*address),
            Self::Socket { .. } | Self::Nowhere => None,
        }
    }

    /// Serves until `ending`.
    pub(crate) async fn serve(self, door: Door, ending: CancellationToken, idle: Duration) {
        let shared = Serving { door, ending, idle, tasks: TaskTracker::new() };
        match self {
            Self::Socket { listener, path } => {
                shared.serve_socket(&listener).await;
                let _ = fs::remove_file(path);
            }
            Self::Port { listener, address, secret } => shared.serve_port(&listener, address, &secret).await,
            Self::Nowhere => shared.ending.cancelled().await,
        }
        shared.tasks.close();
        shared.tasks.wait().await;
    }
}

/// Makes the directory of sockets and makes sure that it is for its owner only.
pub(crate) fn private_directory(directory: &Path) -> Result<(), ListenError> {
    let failed = |fault| ListenError::Io { place: directory.display().to_string(), fault };
    if !directory.exists() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    }
    let facts = fs::metadata(directory).map_err(failed)?;
    let others = facts.permissions().mode() & OTHERS;
    let private = others == 0 && facts.uid() == getuid().as_raw();
    if private { Ok(()) } else { Err(ListenError::OpenDirectory(directory.to_owned())) }
}

async fn bind_socket(path: &Path) -> Result<Bound, ListenError> {
    let failed = |fault| ListenError::Io { place: path.display().to_string(), fault };
    if path.as_os_str().len() > MAX_SOCKET_PATH {
        return Err(ListenError::TooLong(path.to_owned()));
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    private_directory(directory)?;
    if let Ok(facts) = fs::symlink_metadata(path) {
        if !facts.file_type().is_socket() || UnixStream::connect(path).await.is_ok() {
            return Err(ListenError::InUse(path.to_owned()));
        }
        // One that an agent left behind that was killed.
        fs::remove_file(path).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(Bound::Socket { listener, path: path.to_owned() })
}

async fn bind_port(address: SocketAddr, secret: SecretPath) -> Result<Bound, ListenError> {
    if !address.ip().is_loopback() {
        return Err(ListenError::NotLoopback(address));
    }
    let failed = |fault| ListenError::Io { place: address.to_string(), fault };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Bound::Port { listener, address, secret })
}

async fn bind_kept_port(address: SocketAddr, file: &Path) -> Result<Bound, ListenError> {
    let bound = match KeptPort::read(file) {
        Some(kept) => bind_again(address, kept, file).await?,
        None => bind_port(address, SecretPath::draw()?).await?,
    };
    if let Bound::Port { address, secret, .. } = &bound {
        let failed = |fault| ListenError::Io { place: file.display().to_string(), fault };
        KeptPort::write(file, *address, secret).map_err(failed)?;
    }
    Ok(bound)
}

/// Somebody else who has the port may have got what programs sent there: its path is good no more.
async fn bind_again(address: SocketAddr, kept: KeptPort, file: &Path) -> Result<Bound, ListenError> {
    let any = address.port() == 0;
    let wanted = if any { SocketAddr::new(address.ip(), kept.number) } else { address };
    match bind_port(wanted, kept.path).await {
        Err(ListenError::Io { .. }) if any => bind_port(address, SecretPath::draw()?).await,
        Err(fault @ ListenError::Io { .. }) => {
            let _ = fs::remove_file(file);
            Err(fault)
        }
        bound => bound,
    }
}

struct Serving {
    door: Door,
    ending: CancellationToken,
    idle: Duration,
    tasks: TaskTracker,
}

impl Serving {
    async fn serve_socket(&self, listener: &UnixListener) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        while let Some(place) = self.place(&places).await {
            let Some(accepted) = self.ending.run_until_cancelled(listener.accept()).await else { return };
            match accepted {
                Ok((stream, _)) => self.take_socket(stream, place),
                Err(fault) => pause(&fault).await,
            }
        }
    }

    fn take_socket(&self, stream: UnixStream, place: OwnedSemaphorePermit) {
        match Peer::of(&stream) {
            Ok(peer) if peer.uid == getuid().as_raw() => self.spawn(stream, Way::Socket(peer), place),
            Ok(peer) => {
                let detail = "another user connected";
                let mut entry = Entry::new(Event::Refused).of(self.door.binding.name.as_str()).saying(detail);
                entry.code = Some(Code::A01.as_str().into());
                entry.uid = Some(peer.uid);
                entry.process = peer.chain.into_iter().take(1).collect();
                let _ = self.door.shared.journal.write(&entry);
            }
            Err(fault) => tracing::warn!(%fault, "nobody knows who connected"),
        }
    }

    async fn serve_port(&self, listener: &TcpListener, address: SocketAddr, secret: &SecretPath) {
        let authorities = [address.to_string(), format!("localhost:{}", address.port())];
        let port = Arc::new(OpenPort { authorities, base: format!("/{}", secret.as_str()) });
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        while let Some(place) = self.place(&places).await {
            let Some(accepted) = self.ending.run_until_cancelled(listener.accept()).await else { return };
            match accepted {
                Ok((stream, _)) => {
                    let _ = stream.set_nodelay(true);
                    self.spawn(stream, Way::Port(Arc::clone(&port)), place);
                }
                Err(fault) => pause(&fault).await,
            }
        }
    }

    async fn place(&self, places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        self.ending.run_until_cancelled(Arc::clone(places).acquire_owned()).await?.ok()
    }

    fn spawn<S>(&self, stream: S, way: Way, place: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let visit = Arc::new(Visit::new(self.door.clone(), way));
        // They are there for the connection's whole life, and hardly ever come: not to be looked at for each request.
        let silence = Dormant::new(Arc::clone(&visit).silence(self.idle));
        let hearing = Dormant::new(Arc::clone(&visit).hear());
        let ending = Dormant::new(self.ending.clone().cancelled_owned());
        self.tasks.spawn(async move {
            if let Err(fault) = serve_visit(visit, stream, silence, hearing, ending).await {
                tracing::debug!(%fault, "a connection of a program ended early");
            }
            drop(place);
        });
    }
}

/// Serves a connection until it ends, is silent for too long, or the agent ends and no request is under way.
async fn serve_visit<S>(
    visit: Arc<Visit>,
    stream: S,
    silence: impl Future<Output = ()> + Unpin,
    hearing: impl Future<Output = ()> + Unpin,
    mut ending: impl Future<Output = ()> + Unpin,
) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let visit = Arc::clone(&visit);
        // The large future is made where it stays, and not moved here.
        async move {
            let (head, body) = request.into_parts();
            Ok::<_, Infallible>(visit.answer(head, body).await)
        }
    });
    let connection =
        http1::Builder::new().max_buf_size(READ_AHEAD).serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let served = async {
        tokio::select! {
            biased;
            ended = connection.as_mut() => return ended,
            () = &mut ending => connection.as_mut().graceful_shutdown(),
        }
        connection.await
    };
    tokio::select! {
        biased;
        // Before all that looks whether it was cut off, so that no ringing is missed.
        () = hearing => Ok(()),
        ended = served => ended,
        () = silence => Ok(()),
    }
}

/// A failing accept is either about one connection, or the system has no more to give.
async fn pause(fault: &io::Error) {
    tracing::warn!(%fault, "no connection can be taken");
    tokio::time::sleep(PAUSE).await;
}
