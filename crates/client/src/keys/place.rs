//! Naming a key store in a word.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use countersign_dpop::time::Clock;
use secrecy::SecretString;

use crate::keys::{KeyStore, KeyStoreError, MemoryKeyStore, SealedFileStore};

/// Where keys are kept, as people write it: `memory`, or `file:DIRECTORY`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeyPlace {
    /// Sealed files in this directory.
    Files(PathBuf),
    /// The memory of the process.
    Memory,
}

impl KeyPlace {
    /// Reads the name of a store.
    ///
    /// # Errors
    /// [`KeyPlaceError`] when it is none.
    pub fn parse(text: &str) -> Result<Self, KeyPlaceError> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            Some(("file", directory)) if !directory.is_empty() => Ok(Self::Files(directory.into())),
            _ => Err(KeyPlaceError),
        }
    }

    /// The same place with a relative path taken from `directory`.
    #[must_use]
    pub fn within(self, directory: &Path) -> Self {
        match self {
            Self::Files(path) => Self::Files(directory.join(path)),
            Self::Memory => Self::Memory,
        }
    }

    /// Opens the store. `secret` is the passphrase of sealed files.
    ///
    /// # Errors
    /// As the store can fail.
    pub fn open(
        &self,
        secret: Option<SecretString>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<dyn KeyStore>, KeyStoreError> {
        Ok(match self {
            Self::Files(directory) => {
                let store = SealedFileStore::new(directory, clock);
                Arc::new(match secret {
                    Some(passphrase) => store.with_passphrase(passphrase)?,
                    None => store,
                })
            }
            Self::Memory => Arc::new(MemoryKeyStore::new(clock)),
        })
    }
}

impl fmt::Display for KeyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(directory) => write!(f, "file:{}", directory.display()),
            Self::Memory => f.write_str("memory"),
        }
    }
}

impl FromStr for KeyPlace {
    type Err = KeyPlaceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// The text names no key store.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a key store is `memory` or `file:DIRECTORY`")]
pub struct KeyPlaceError;
