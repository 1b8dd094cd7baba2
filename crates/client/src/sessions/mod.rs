//! Sessions: what a login brought, kept so that the next call needs no login. One record for each issuer, resource,
//! client and label; tokens are sealed at rest.

mod error;
mod file;
mod id;
mod memory;
mod record;
mod registration;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

pub use self::error::SessionError;
use self::file::SessionDirectory;
pub use self::id::SessionId;
use self::memory::SessionMemory;
pub use self::record::{GrantKind, Session};
pub use self::registration::KeptRegistration;
use crate::http::Endpoint;

/// Keeps sessions and the registrations of clients. Clones share all that is kept.
#[derive(Clone)]
pub struct SessionStore(Arc<Place>);

enum Place {
    Directory(SessionDirectory),
    Memory(SessionMemory),
}

/// One line of [`SessionStore::list`].
#[derive(Debug)]
pub struct ListedSession {
    /// Its identifier.
    pub id: SessionId,
    /// The session, or why it cannot be read.
    pub session: Result<Session, SessionError>,
}

/// The right to change one session: no other holder, in this process or another, until it is dropped.
pub struct SessionLock(#[expect(dead_code, reason = "held, not read")] Held);

enum Held {
    File(#[expect(dead_code, reason = "unlocked when it is closed")] std::fs::File),
    Memory(#[expect(dead_code, reason = "unlocked when it is dropped")] tokio::sync::OwnedMutexGuard<()>),
}

/// How long a lock is waited for: longer than the one who holds it may wait for a server.
const LOCK_LIMIT: Duration = Duration::from_mins(2);

impl SessionStore {
    /// Sessions in sealed files of `directory`, which is made when the first one is kept.
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Place::Directory(SessionDirectory::new(directory.into()))))
    }

    /// Sessions in the memory of this process.
    pub fn in_memory() -> Self {
        Self(Arc::new(Place::Memory(SessionMemory::default())))
    }

    /// All sessions that can be read, in the order of their identifiers, and the faults of those that cannot. Blocks.
    ///
    /// # Errors
    /// When the store as a whole cannot be read.
    pub fn list(&self) -> Result<Vec<ListedSession>, SessionError> {
        let ids = match self.place() {
            Place::Directory(directory) => directory.ids()?,
            Place::Memory(memory) => memory.ids(),
        };
        Ok(ids.into_iter().map(|id| ListedSession { session: self.load(&id), id }).collect())
    }

    /// The session without a label whose resource `url` belongs to; of several the one that says most of the path, and
    /// of those the newest. One with a label is somebody's own. Blocks.
    ///
    /// # Errors
    /// When the store as a whole cannot be read.
    pub fn find(&self, url: &Endpoint) -> Result<Option<Session>, SessionError> {
        let sessions = self
            .list()?
            .into_iter()
            .filter_map(|listed| listed.session.ok())
            .filter(|session| session.label.is_empty());
        let reaching = sessions.filter_map(|session| {
            let reach = session.reach().filter(|reach| reach.contains(url))?;
            Some((reach.path().trim_end_matches('/').len(), session.created, session))
        });
        Ok(reaching.max_by_key(|(length, created, _)| (*length, *created)).map(|(_, _, session)| session))
    }

    /// Reads a session. Blocks.
    ///
    /// # Errors
    /// [`SessionError::NotFound`], [`SessionError::Damaged`], [`SessionError::Store`].
    pub fn load(&self, id: &SessionId) -> Result<Session, SessionError> {
        let plain = match self.place() {
            Place::Directory(directory) => directory.read(id)?,
            Place::Memory(memory) => memory.read(id),
        };
        let plain = plain.ok_or(SessionError::NotFound { id: *id })?;
        Session::from_bytes(&plain).ok_or(SessionError::Damaged { id: *id })
    }

    /// Keeps a session in the place of an older one. When this returns it has reached the disk. Blocks.
    ///
    /// # Errors
    /// [`SessionError::Store`]; the older one is still there then.
    pub fn save(&self, session: &Session) -> Result<(), SessionError> {
        let (id, plain) = (session.id(), session.to_bytes()?);
        match self.place() {
            Place::Directory(directory) => directory.write(&id, &plain),
            Place::Memory(memory) => {
                memory.write(&id, plain);
                Ok(())
            }
        }
    }

    /// Forgets a session. False when there was none. Blocks.
    ///
    /// # Errors
    /// [`SessionError::Store`].
    pub fn remove(&self, id: &SessionId) -> Result<bool, SessionError> {
        match self.place() {
            Place::Directory(directory) => directory.remove(id),
            Place::Memory(memory) => Ok(memory.remove(id)),
        }
    }

    /// Waits for the right to change a session.
    ///
    /// # Errors
    /// [`SessionError::Busy`] after two minutes, [`SessionError::Store`].
    pub async fn lock(&self, id: &SessionId) -> Result<SessionLock, SessionError> {
        let held = async {
            Ok(match self.place() {
                Place::Directory(directory) => Held::File(directory.lock(id).await?),
                Place::Memory(memory) => Held::Memory(memory.lock(id).await),
            })
        };
        let held = tokio::time::timeout(LOCK_LIMIT, held).await;
        held.unwrap_or(Err(SessionError::Busy { id: *id })).map(SessionLock)
    }

    /// The registration of a client at `issuer`, if one was kept. Blocks.
    ///
    /// # Errors
    /// [`SessionError::Store`], [`SessionError::RegistrationDamaged`].
    pub fn registration(&self, issuer: &str) -> Result<Option<KeptRegistration>, SessionError> {
        let plain: Option<Zeroizing<Vec<u8>>> = match self.place() {
            Place::Directory(directory) => directory.read_registration(issuer)?,
            Place::Memory(memory) => memory.read_registration(issuer),
        };
        let damaged = || SessionError::RegistrationDamaged { issuer: issuer.to_owned() };
        plain.map(|plain| KeptRegistration::from_bytes(issuer, &plain).ok_or_else(damaged)).transpose()
    }

    /// Keeps the registration of a client. Blocks.
    ///
    /// # Errors
    /// [`SessionError::Store`].
    pub fn save_registration(&self, registration: &KeptRegistration) -> Result<(), SessionError> {
        let plain = registration.to_bytes()?;
        match self.place() {
            Place::Directory(directory) => directory.write_registration(&registration.issuer, &plain),
            Place::Memory(memory) => {
                memory.write_registration(&registration.issuer, plain);
                Ok(())
            }
        }
    }

    fn place(&self) -> &Place {
        &self.0
    }
}

impl fmt::Debug for SessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place() {
            Place::Directory(directory) => f.debug_tuple("SessionStore").field(directory).finish(),
            Place::Memory(_) => f.write_str("SessionStore(memory)"),
        }
    }
}

impl fmt::Debug for SessionLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionLock")
    }
}
