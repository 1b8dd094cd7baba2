//! Keys in the memory of this process.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countersign_dpop::jose::{ProofSigner, SoftwareKey};
use countersign_dpop::time::Clock;

use crate::keys::{KeyClass, KeyName, KeyStore, KeyStoreError, ListedKey, StoredKey};

/// Keeps keys until the process ends.
pub struct MemoryKeyStore {
    clock: Arc<dyn Clock>,
    keys: Mutex<BTreeMap<KeyName, Kept>>,
}

struct Kept {
    key: Arc<SoftwareKey>,
    stored: StoredKey,
}

impl MemoryKeyStore {
    /// An empty store; `clock` says when a key came into it.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, keys: Mutex::default() }
    }

    /// A map of whole entries is never left half changed, so one that a panicking thread held is still good.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<KeyName, Kept>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyStore for MemoryKeyStore {
    fn class(&self) -> KeyClass {
        KeyClass::Memory
    }

    fn import(&self, name: &KeyName, key: SoftwareKey) -> Result<StoredKey, KeyStoreError> {
        let stored = StoredKey {
            name: name.clone(),
            algorithm: key.algorithm(),
            public: key.public_jwk().clone(),
            class: KeyClass::Memory,
            created: self.clock.now(),
        };
        match self.lock().entry(name.clone()) {
            Entry::Occupied(_) => Err(KeyStoreError::Exists { name: name.clone() }),
            Entry::Vacant(entry) => Ok(entry.insert(Kept { key: Arc::new(key), stored }).stored.clone()),
        }
    }

    fn open(&self, name: &KeyName) -> Result<Arc<dyn ProofSigner>, KeyStoreError> {
        let keys = self.lock();
        let kept = keys.get(name).ok_or_else(|| KeyStoreError::NotFound { name: name.clone() })?;
        Ok(kept.key.clone())
    }

    fn show(&self, name: &KeyName) -> Result<StoredKey, KeyStoreError> {
        let keys = self.lock();
        let kept = keys.get(name).ok_or_else(|| KeyStoreError::NotFound { name: name.clone() })?;
        Ok(kept.stored.clone())
    }

    fn list(&self) -> Result<Vec<ListedKey>, KeyStoreError> {
        let keys = self.lock();
        Ok(keys
            .values()
            .map(|kept| ListedKey { name: kept.stored.name.clone(), key: Ok(kept.stored.clone()) })
            .collect())
    }

    fn delete(&self, name: &KeyName) -> Result<(), KeyStoreError> {
        self.lock().remove(name).map(drop).ok_or_else(|| KeyStoreError::NotFound { name: name.clone() })
    }
}

impl fmt::Debug for MemoryKeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryKeyStore").field("keys", &self.lock().len()).finish_non_exhaustive()
    }
}
