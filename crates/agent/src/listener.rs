//! Where programs reach a binding: a Unix socket, or a loopback port with a path that cannot be guessed.

use std::convert::Infallible;
use std::fs::{self, DirBuilder};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::header::{HOST, ORIGIN};
use http::{HeaderName, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::getuid;
use subtle::ConstantTimeEq;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::binding::Listen;
use crate::door::{Door, DoorBody, Entrance};
use crate::journal::{Entry, Event};
use crate::peer::{Peer, plain_method};
use crate::port::{KeptPort, SecretPath};
use crate::refusal::{Code, Refusal};

/// Connections of one binding at a time; more wait.
const MAX_CONNECTIONS: usize = 128;
/// The longest head of a request, in bytes. The library takes no more than 100 fields.
const MAX_HEAD: usize = 32_768;
/// How much is read at a time, in bytes.
const READ_AHEAD: usize = 65_536;
/// How long to wait when the system has no more sockets to give.
const PAUSE: Duration = Duration::from_millis(100);
/// The part of a mode that is about everybody but the owner.
pub(crate) const OTHERS: u32 = 0o077;
/// The longest path that a socket's address holds, in bytes.
const MAX_SOCKET_PATH: usize = 107;
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

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

/// How a request reached the machine.
#[derive(Clone)]
enum Way {
    Socket(Arc<Peer>),
    Port { authorities: Arc<[String; 2]>, base: Arc<str> },
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
            Ok(peer) if peer.uid == getuid().as_raw() => self.spawn(stream, Way::Socket(Arc::new(peer)), place),
            Ok(peer) => {
                let detail = "another user connected";
                let mut entry = Entry::new(Event::Refused).of(self.door.binding.name.as_str()).saying(detail);
                entry.code = Some(Code::A01.as_str().into());
                entry.uid = Some(peer.uid);
                entry.process = peer.chain.into_iter().take(1).collect();
                let _ = self.door.shared.journal.write(entry);
            }
            Err(fault) => tracing::warn!(%fault, "nobody knows who connected"),
        }
    }

    async fn serve_port(&self, listener: &TcpListener, address: SocketAddr, secret: &SecretPath) {
        let authorities = Arc::new([address.to_string(), format!("localhost:{}", address.port())]);
        let way = Way::Port { authorities, base: format!("/{}", secret.as_str()).into() };
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        while let Some(place) = self.place(&places).await {
            let Some(accepted) = self.ending.run_until_cancelled(listener.accept()).await else { return };
            match accepted {
                Ok((stream, _)) => {
                    let _ = stream.set_nodelay(true);
                    self.spawn(stream, way.clone(), place);
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
        let (door, ending, idle) = (self.door.clone(), self.ending.clone(), self.idle);
        self.tasks.spawn(async move {
            let service = service_fn(move |request| {
                let (door, way) = (door.clone(), way.clone());
                async move { Ok::<_, Infallible>(answer(&door, &way, request).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(idle)
                .max_buf_size(READ_AHEAD)
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                biased;
                ended = connection.as_mut() => ended,
                () = ending.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(fault) = ended {
                tracing::debug!(%fault, "a connection of a program ended early");
            }
            drop(place);
        });
    }
}

/// A failing accept is either about one connection, or the system has no more to give.
async fn pause(fault: &io::Error) {
    tracing::warn!(%fault, "no connection can be taken");
    tokio::time::sleep(PAUSE).await;
}

async fn answer(door: &Door, way: &Way, request: Request<Incoming>) -> Response<DoorBody> {
    let target = match target(way, &request) {
        Ok(target) => target,
        Err(refusal) => return refuse(door, &request, &refusal),
    };
    let (peer, base) = match way {
        Way::Socket(peer) => (Some(peer), ""),
        Way::Port { base, .. } => (None, base.as_ref()),
    };
    door.answer(request, &Entrance { peer, rest: &target, base }).await
}

/// What follows the local address in the target, if the request may come in at all.
fn target(way: &Way, request: &Request<Incoming>) -> Result<String, Refusal> {
    let uri = request.uri();
    // The library's own bound is on what it reads at a time.
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len().saturating_add(value.len()));
    let longest = uri.path_and_query().map_or(0, |target| target.as_str().len());
    if fields.fold(longest, usize::saturating_add) > MAX_HEAD {
        let (status, detail) = (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the head of the request is too long");
        return Err(Refusal::new(Code::A02, status, detail, ""));
    }
    if request.method() == http::Method::CONNECT {
        let detail = "this is no proxy for other places";
        return Err(Refusal::new(Code::A02, StatusCode::METHOD_NOT_ALLOWED, detail, ""));
    }
    // Some clients name the host in the target of every request. Here it may be this place only.
    if uri.authority().is_some_and(|authority| !is_here(way, authority.as_str())) {
        let detail = "the target names a host: this address stands for one resource only";
        return Err(Refusal::new(Code::A02, StatusCode::MISDIRECTED_REQUEST, detail, "send the path alone"));
    }
    let whole = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    match way {
        Way::Socket(_) => Ok(whole.to_owned()),
        Way::Port { authorities, base } => {
            refuse_pages(request, authorities)?;
            let (front, rest) = whole.split_at_checked(base.len()).unwrap_or(("", ""));
            let known = bool::from(front.as_bytes().ct_eq(base.as_bytes()));
            if known && (rest.is_empty() || rest.starts_with(['/', '?'])) {
                return Ok(rest.to_owned());
            }
            let detail = "nothing is here";
            Err(Refusal::new(Code::A01, StatusCode::NOT_FOUND, detail, "use the address that the agent printed"))
        }
    }
}

/// True for the names by which this place is printed.
fn is_here(way: &Way, authority: &str) -> bool {
    match way {
        Way::Socket(_) => authority == "localhost",
        Way::Port { authorities, .. } => authorities.iter().any(|own| own == authority),
    }
}

/// A page in a browser of this machine can send requests here, but not without saying whose page it is.
fn refuse_pages(request: &Request<Incoming>, authorities: &[String; 2]) -> Result<(), Refusal> {
    let headers = request.headers();
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    if hosts.next().is_some() || !host.is_some_and(|host| authorities.iter().any(|own| own == host)) {
        let detail = "the Host field names another place";
        return Err(Refusal::new(Code::A01, StatusCode::MISDIRECTED_REQUEST, detail, "use the address as printed"));
    }
    if headers.contains_key(ORIGIN) || headers.contains_key(SEC_FETCH_SITE) {
        let detail = "pages in a browser may not use this address";
        return Err(Refusal::new(Code::A01, StatusCode::FORBIDDEN, detail, ""));
    }
    Ok(())
}

fn refuse(door: &Door, request: &Request<Incoming>, refusal: &Refusal) -> Response<DoorBody> {
    let mut entry = Entry::new(Event::Refused).of(door.binding.name.as_str()).saying(refusal.detail.as_str());
    entry.code = Some(refusal.code.as_str().into());
    entry.status = Some(refusal.status.as_u16());
    entry.method = Some(plain_method(request.method()));
    let _ = door.shared.journal.write(entry);
    DoorBody::refusal(refusal)
}
