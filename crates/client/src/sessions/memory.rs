//! Sessions in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;
use zeroize::Zeroizing;

use crate::sessions::SessionId;

type Plain = Zeroizing<Vec<u8>>;

#[derive(Default)]
pub(super) struct SessionMemory(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    sessions: BTreeMap<SessionId, Plain>,
    registrations: BTreeMap<String, Plain>,
    locks: BTreeMap<SessionId, Arc<tokio::sync::Mutex<()>>>,
}

impl SessionMemory {
    pub(super) fn ids(&self) -> Vec<SessionId> {
        self.kept().sessions.keys().copied().collect()
    }

    pub(super) fn read(&self, id: &SessionId) -> Option<Plain> {
        self.kept().sessions.get(id).cloned()
    }

    pub(super) fn write(&self, id: &SessionId, plain: Plain) {
        self.kept().sessions.insert(*id, plain);
    }

    pub(super) fn remove(&self, id: &SessionId) -> bool {
        self.kept().sessions.remove(id).is_some()
    }

    pub(super) fn read_registration(&self, issuer: &str) -> Option<Plain> {
        self.kept().registrations.get(issuer).cloned()
    }

    pub(super) fn write_registration(&self, issuer: &str, plain: Plain) {
        self.kept().registrations.insert(issuer.to_owned(), plain);
    }

    pub(super) async fn lock(&self, id: &SessionId) -> OwnedMutexGuard<()> {
        let lock = self.kept().locks.entry(*id).or_default().clone();
        lock.lock_owned().await
    }

    /// Maps of whole entries are never left half changed, so ones that a panicking thread held are still good.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
