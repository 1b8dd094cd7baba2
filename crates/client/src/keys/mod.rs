//! Where keys live: one trait, several stores.
//!
//! A store makes, keeps and opens keys by name. What it gives out is a signer; the private key itself has no way out.

mod error;
pub(crate) mod file;
mod keyring;
mod memory;
mod name;
#[cfg(feature = "pkcs11")]
mod pkcs11;
mod place;

use std::fmt;
use std::sync::Arc;

use countersign_dpop::jose::{Algorithm, Jkt, ProofSigner, PublicJwk, SoftwareKey};
use countersign_dpop::time::Timestamp;

pub use self::error::KeyStoreError;
pub use self::file::{KdfCost, SealedFileStore};
pub use self::keyring::Keyring;
pub use self::memory::MemoryKeyStore;
pub use self::name::{KeyName, KeyNameError};
#[cfg(feature = "pkcs11")]
pub use self::pkcs11::Pkcs11KeyStore;
pub use self::place::{KeyPlace, KeyPlaceError};

/// Keeps keys by name. Calls block: a sealed file takes some 100 ms to open, a device may take longer.
///
/// The contract of every store: a name holds at most one key; a key is never replaced; what failed has changed
/// nothing.
pub trait KeyStore: fmt::Debug + Send + Sync {
    /// The class of storage of the keys that this store makes.
    fn class(&self) -> KeyClass;

    /// Makes a new key where it is going to live.
    ///
    /// # Errors
    /// [`KeyStoreError::Exists`] when the name is taken; otherwise as the store can fail.
    fn generate(&self, name: &KeyName, algorithm: Algorithm) -> Result<StoredKey, KeyStoreError> {
        self.import(name, SoftwareKey::generate(algorithm)?)
    }

    /// Takes a key made elsewhere.
    ///
    /// # Errors
    /// [`KeyStoreError::Exists`] when the name is taken; otherwise as the store can fail.
    fn import(&self, name: &KeyName, key: SoftwareKey) -> Result<StoredKey, KeyStoreError>;

    /// Opens a key for signing.
    ///
    /// # Errors
    /// [`KeyStoreError::NotFound`]; otherwise as the store can fail.
    fn open(&self, name: &KeyName) -> Result<Arc<dyn ProofSigner>, KeyStoreError>;

    /// What is known of a key without opening it.
    ///
    /// # Errors
    /// [`KeyStoreError::NotFound`]; otherwise as the store can fail.
    fn show(&self, name: &KeyName) -> Result<StoredKey, KeyStoreError>;

    /// All keys in the order of their names. One that cannot be read is listed with its fault.
    ///
    /// # Errors
    /// When the store as a whole cannot be read.
    fn list(&self) -> Result<Vec<ListedKey>, KeyStoreError>;

    /// Deletes a key for good, also one that cannot be read any more.
    ///
    /// # Errors
    /// [`KeyStoreError::NotFound`]; otherwise as the store can fail.
    fn delete(&self, name: &KeyName) -> Result<(), KeyStoreError>;

    /// Opens the key of that name, made now with `algorithm` if there is none. Of several callers at once, all get
    /// the same key.
    ///
    /// # Errors
    /// As [`KeyStore::open`] and [`KeyStore::generate`].
    fn open_or_generate(&self, name: &KeyName, algorithm: Algorithm) -> Result<Arc<dyn ProofSigner>, KeyStoreError> {
        match self.open(name) {
            Err(KeyStoreError::NotFound { .. }) => {}
            opened => return opened,
        }
        match self.generate(name, algorithm) {
            Ok(_) | Err(KeyStoreError::Exists { .. }) => self.open(name),
            Err(fault) => Err(fault),
        }
    }
}

/// The public side of a kept key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredKey {
    /// Its name.
    pub name: KeyName,
    /// The algorithm that it signs with.
    pub algorithm: Algorithm,
    /// The public half.
    pub public: PublicJwk,
    /// Where it lives.
    pub class: KeyClass,
    /// When it came into the store.
    pub created: Timestamp,
}

impl StoredKey {
    /// The thumbprint (RFC 7638).
    pub fn jkt(&self) -> Jkt {
        self.public.jkt()
    }
}

/// One line of [`KeyStore::list`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListedKey {
    /// The name.
    pub name: KeyName,
    /// The key, or why it cannot be read.
    pub key: Result<StoredKey, KeyStoreError>,
}

/// Where a key lives, which says what it takes to steal it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum KeyClass {
    /// In the memory of this process; gone when it ends.
    Memory,
    /// In a file, sealed by a passphrase.
    FilePassphrase,
    /// In a file, sealed by a random key in another file of the same directory: a copy of one file is worthless, a
    /// copy of the directory is not.
    FileDeviceKey,
    /// In a file, sealed by a key in a keyring of the system: a copy of the disk is worthless, a program that runs as
    /// the same user is not kept out.
    FileKeyring(Keyring),
    /// In a token behind PKCS#11, made there and not extractable.
    Pkcs11,
}

impl fmt::Display for KeyClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::FilePassphrase => "file, passphrase",
            Self::FileDeviceKey => "file, device key",
            Self::FileKeyring(Keyring::Kernel) => "file, key in the kernel keyring",
            Self::FileKeyring(Keyring::SecretService) => "file, key in the secret service",
            Self::Pkcs11 => "PKCS#11 token",
        })
    }
}
