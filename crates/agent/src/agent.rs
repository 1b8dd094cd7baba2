//! The agent: its bindings, its journal, its control socket.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use std::{fmt, fs, io};

use countersign_client::EndpointError;
use countersign_dpop::jose::Jkt;
use countersign_dpop::time::Clock;
use countersign_forward::{ForwardLimits, Forwarder, TlsError, Upstream, client_tls};
use http::{Request, Response};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use crate::approval::Approvals;
use crate::binding::{Binding, BindingName, BindingSettings, Listen};
use crate::control;
use crate::door::{Door, DoorBody, Shared, forwarder};
use crate::journal::{Entry, Event, Head, Journal, JournalError};
use crate::listener::{Bound, ListenError};
use crate::lock::{Lock, LockError};
use crate::place::Place;
use crate::visit::{Visit, Way};

/// How an agent behaves, whatever its bindings.
#[derive(Clone, Debug)]
pub struct AgentSettings {
    /// How long a request waits for a person.
    pub approval_wait: Duration,
    /// Seconds without a request after which the agent locks itself; `None` for never.
    pub idle_lock: Option<u32>,
    /// A command that tells a person that something waits; `{text}` in its arguments is replaced.
    pub notify: Vec<String>,
    /// How long a connection may take to send the next head.
    pub head_wait: Duration,
}

impl Default for AgentSettings {
    /// 60 s for a person, no idle lock, no command, 30 s for a head.
    fn default() -> Self {
        Self {
            approval_wait: Duration::from_mins(1),
            idle_lock: None,
            notify: Vec::new(),
            head_wait: Duration::from_secs(30),
        }
    }
}

/// Why an agent cannot be what it is told to be.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// An address.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Two bindings of one name.
    #[error("there are two bindings named {0}")]
    NameTwice(BindingName),
    /// Two bindings with one key: what one may do the other could.
    #[error("the bindings {one} and {other} have the same key ({jkt}); every binding needs its own")]
    SharedKey {
        /// One of them.
        one: BindingName,
        /// The other.
        other: BindingName,
        /// The thumbprint of the key.
        jkt: Jkt,
    },
    /// The resource is no URL that may be called.
    #[error("the resource of {binding}: {fault}")]
    Resource {
        /// Which.
        binding: BindingName,
        /// What is wrong with it.
        fault: EndpointError,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// An agent that can be given bindings. Clones are the same agent.
#[derive(Clone)]
pub struct Agent(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    settings: AgentSettings,
    bindings: RwLock<BTreeMap<BindingName, Opened>>,
    tls: OnceLock<rustls::ClientConfig>,
    ending: CancellationToken,
    tasks: TaskTracker,
    revoke: OnceLock<Box<Revoke>>,
}

/// A binding, and how programs reach it.
#[derive(Clone)]
pub(crate) struct Opened {
    pub(crate) binding: Arc<Binding>,
    pub(crate) socket: Option<PathBuf>,
    /// Of a port, without its path.
    pub(crate) address: Option<SocketAddr>,
    /// With the path of a port: whoever knows it can send requests.
    pub(crate) url: Option<String>,
    /// Where the path of a port is kept.
    kept: Option<PathBuf>,
}

/// What has to be done at the issuer and in the key store when a binding is revoked; the text says what failed.
pub type Revoke = dyn Fn(Arc<Binding>) -> Revoking + Send + Sync;
/// It under way.
pub type Revoking = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// A binding that programs can reach.
#[derive(Clone)]
pub struct Running {
    /// The binding.
    pub binding: Arc<Binding>,
    /// The URL that stands for the resource; `None` when it has no address.
    pub url: Option<String>,
    /// The socket, if it has one.
    pub socket: Option<PathBuf>,
    visit: Arc<Visit>,
}

impl Agent {
    /// An agent that writes to `journal`.
    ///
    /// # Errors
    /// [`AgentError::Journal`] when its first line cannot be written.
    pub fn new(settings: AgentSettings, journal: Journal, clock: Arc<dyn Clock>) -> Result<Self, AgentError> {
        journal.write_through(&Entry::new(Event::Started))?;
        let shared = Shared {
            journal,
            approvals: Arc::new(Approvals::new(settings.approval_wait, Arc::clone(&clock))),
            lock: Lock::new(settings.idle_lock, clock.now()),
            clock,
            notify: settings.notify.clone(),
            requests: AtomicU64::new(1),
        };
        Ok(Self(Arc::new(Inner {
            shared: Arc::new(shared),
            settings,
            bindings: RwLock::default(),
            tls: OnceLock::new(),
            ending: CancellationToken::new(),
            tasks: TaskTracker::new(),
            revoke: OnceLock::new(),
        })))
    }

    /// Adds a binding and serves it.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn open(&self, settings: BindingSettings) -> Result<Running, AgentError> {
        let listen = settings.listen.clone();
        let binding = Arc::new(self.binding(settings)?);
        self.require_own(&binding)?;
        let bound = Bound::bind(&listen).await?;
        let shared = Arc::clone(&self.0.shared);
        let jkt = binding.jkt().to_string();
        let mut entry = Entry::new(Event::Opened).of(binding.name.as_str());
        entry.jkt = Some(jkt.as_str().into());
        shared.journal.write(&entry)?;
        let door = Door { binding: Arc::clone(&binding), shared };
        let running = Running {
            url: bound.url(),
            socket: bound.socket().map(Path::to_owned),
            binding: Arc::clone(&binding),
            visit: Arc::new(Visit::new(door.clone(), Way::Inside)),
        };
        let opened = Opened {
            binding: Arc::clone(&binding),
            socket: running.socket.clone(),
            address: bound.address(),
            url: running.url.clone(),
            kept: if let Listen::KeptPort { file, .. } = listen { Some(file) } else { None },
        };
        self.write_bindings().insert(binding.name.clone(), opened);
        let (ending, idle) = (self.0.ending.clone(), self.0.settings.head_wait);
        self.0.tasks.spawn(bound.serve(door, ending, idle));
        Ok(running)
    }

    /// Serves the control socket at `path`, for its owner only.
    ///
    /// # Errors
    /// [`AgentError::Listen`].
    pub async fn open_control(&self, path: &Path) -> Result<(), AgentError> {
        let bound = Bound::bind(&Listen::Socket(path.to_owned())).await?;
        let serving = control::serve(bound, self.clone(), self.0.ending.clone());
        self.0.tasks.spawn(serving);
        Ok(())
    }

    /// The bindings, in the order of their names.
    pub fn bindings(&self) -> Vec<Arc<Binding>> {
        self.read_bindings().values().map(|opened| Arc::clone(&opened.binding)).collect()
    }

    /// The bindings with their addresses.
    pub(crate) fn opened(&self) -> Vec<Opened> {
        self.read_bindings().values().cloned().collect()
    }

    /// Says what else there is to do when a binding is revoked. Can be said once.
    pub fn on_revoke(&self, revoke: Box<Revoke>) {
        let _ = self.0.revoke.set(revoke);
    }

    /// The approvals.
    pub fn approvals(&self) -> &Arc<Approvals> {
        &self.0.shared.approvals
    }

    /// The end of the journal.
    pub fn head(&self) -> Head {
        self.0.shared.journal.head()
    }

    /// Writes a line to the journal.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn record(&self, entry: &Entry<'_>) -> Result<(), JournalError> {
        self.0.shared.journal.write_through(entry)
    }

    /// True while nothing is signed.
    pub fn is_locked(&self) -> bool {
        self.0.shared.lock.is_locked(self.0.shared.clock.now()).0
    }

    /// Locks: nothing is signed, answers under way are cut off, approvals are forgotten.
    ///
    /// # Errors
    /// See [`LockError`].
    pub fn lock(&self, password: Option<&Zeroizing<String>>) -> Result<(), LockError> {
        self.0.shared.lock.close(password)?;
        self.0.shared.approvals.forget();
        let _ = self.0.shared.journal.write_through(&Entry::new(Event::Locked));
        Ok(())
    }

    /// Unlocks.
    ///
    /// # Errors
    /// See [`LockError`].
    pub fn unlock(&self, password: Option<&Zeroizing<String>>) -> Result<(), LockError> {
        self.0.shared.lock.open(password, self.0.shared.clock.now())?;
        let _ = self.0.shared.journal.write_through(&Entry::new(Event::Unlocked));
        Ok(())
    }

    /// Ends a binding for good: nothing more is signed for it, answers under way are cut off, and what
    /// [`Agent::on_revoke`] was told is done.
    ///
    /// # Errors
    /// What failed, in words; the binding has ended all the same.
    pub async fn revoke(&self, name: &BindingName) -> Result<(), String> {
        let opened = self.read_bindings().get(name).cloned();
        let Opened { binding, kept, .. } = opened.ok_or_else(|| "there is no such binding".to_owned())?;
        binding.revoke();
        self.0.shared.lock.bell().notify_waiters();
        let written = self.0.shared.journal.write_through(&Entry::new(Event::Revoked).of(name.as_str()));
        let forgotten = kept.map_or(Ok(()), |file| forget(&file));
        if let Some(revoke) = self.0.revoke.get() {
            revoke(binding).await?;
        }
        written.map_err(|fault| fault.to_string())?;
        forgotten.map_err(|fault| format!("the path of its port is kept still: {fault}"))
    }

    /// Ends the agent: no new connections, requests under way are finished.
    pub async fn stop(&self) {
        self.0.ending.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
        let _ = self.0.shared.journal.write_through(&Entry::new(Event::Stopped));
    }

    fn binding(&self, settings: BindingSettings) -> Result<Binding, AgentError> {
        let resource = |fault| AgentError::Resource { binding: settings.name.clone(), fault };
        let place = Place::parse(&settings.resource).map_err(resource)?;
        let upstream: Upstream = place.origin().parse().map_err(|_| resource(EndpointError::NotHttp))?;
        let forwarder = forwarder(self.forwarder(upstream)?);
        Ok(Binding::new(settings, place, forwarder, self.0.shared.clock.now()))
    }

    /// Forwarders share what they trust: it is large.
    fn forwarder(&self, upstream: Upstream) -> Result<Forwarder, TlsError> {
        let limits = ForwardLimits { pool_size: 16, first_byte: Duration::from_mins(5), ..ForwardLimits::default() };
        if !upstream.is_tls() {
            return Forwarder::new(upstream, limits);
        }
        let tls = if let Some(tls) = self.0.tls.get() {
            tls.clone()
        } else {
            let tls = client_tls()?;
            self.0.tls.get_or_init(|| tls).clone()
        };
        Ok(Forwarder::with_tls(upstream, tls, limits))
    }

    fn require_own(&self, binding: &Binding) -> Result<(), AgentError> {
        let bindings = self.read_bindings();
        if bindings.contains_key(&binding.name) {
            return Err(AgentError::NameTwice(binding.name.clone()));
        }
        match bindings.values().map(|opened| &opened.binding).find(|other| other.jkt() == binding.jkt()) {
            Some(other) => {
                Err(AgentError::SharedKey { one: other.name.clone(), other: binding.name.clone(), jkt: *binding.jkt() })
            }
            None => Ok(()),
        }
    }

    fn read_bindings(&self) -> RwLockReadGuard<'_, BTreeMap<BindingName, Opened>> {
        self.0.bindings.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_bindings(&self) -> RwLockWriteGuard<'_, BTreeMap<BindingName, Opened>> {
        self.0.bindings.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The next start makes a new one.
fn forget(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => Err(fault),
        Err(_) | Ok(()) => Ok(()),
    }
}

impl Running {
    /// Answers a request of this process as one that came in by the binding's address; the path of its target is
    /// appended to the resource.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<DoorBody>
    where
        B: http_body::Body<Data = bytes::Bytes> + Send + Unpin + 'static,
        B::Error: Into<countersign_forward::BoxError>,
    {
        let (head, body) = request.into_parts();
        let mut answering = std::pin::pin!(Arc::clone(&self.visit).answer(head, body));
        loop {
            // Requests over a connection are woken by its task when something is cut off.
            let rang = self.visit.door().shared.lock.bell().notified();
            tokio::select! {
                biased;
                answer = &mut answering => return answer,
                () = rang => {}
            }
        }
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").field("bindings", &self.bindings()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("binding", &self.binding).field("socket", &self.socket).finish_non_exhaustive()
    }
}
