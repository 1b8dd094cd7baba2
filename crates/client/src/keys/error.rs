//! What can go wrong with kept keys.

use std::io;
use std::path::PathBuf;

use countersign_dpop::jose::{Algorithm, KeyFormatError};

use crate::keys::{KeyClass, KeyName, Keyring};

/// Why a key store did not do what was asked. Nothing was changed. Carries no part of any key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyStoreError {
    /// A file or directory that others may read or write.
    #[error("{} is open to other users (mode {mode:03o}); `chmod {wanted:03o}` it", path.display())]
    Access {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What they should be.
        wanted: u32,
    },
    /// The store makes no keys for that algorithm.
    #[error("{class} makes no keys for {algorithm}; ES256 is made everywhere")]
    AlgorithmNotOfStore {
        /// The class of the store.
        class: KeyClass,
        /// The algorithm that was asked for.
        algorithm: Algorithm,
    },
    /// The file's checksum is wrong, or its parts contradict each other.
    #[error("the file of key '{name}' is damaged; restore it from a copy, or delete the key and make a new one")]
    Damaged {
        /// The key.
        name: KeyName,
    },
    /// The token behind PKCS#11 cannot be used.
    #[error("the PKCS#11 token cannot be used: {reason}")]
    Device {
        /// Why.
        reason: String,
    },
    /// The device key's file is not 32 bytes in a plain file.
    #[error("the device key in {} is damaged; restore it from a copy", path.display())]
    DeviceKeyDamaged {
        /// The file.
        path: PathBuf,
    },
    /// The key is sealed by the device key, and that is not there.
    #[error("key '{name}' is sealed by the device key, and {} is missing", path.display())]
    DeviceKeyMissing {
        /// The key.
        name: KeyName,
        /// Where the device key should be.
        path: PathBuf,
    },
    /// There is a key of that name already.
    #[error("there is a key '{name}' already; it was left as it is")]
    Exists {
        /// The key.
        name: KeyName,
    },
    /// The file system refused.
    #[error("{}: {kind}", path.display())]
    File {
        /// What was to be read or written.
        path: PathBuf,
        /// Its reason.
        kind: io::ErrorKind,
    },
    /// The key cannot be made or taken.
    #[error(transparent)]
    Format(#[from] KeyFormatError),
    /// Keys of this store are made in it.
    #[error("a key of the store '{class}' is made in it and never comes from outside")]
    ImportRefused {
        /// The class of the store.
        class: KeyClass,
    },
    /// A keyring of the system cannot be used.
    #[error("the {keyring} cannot be used: {reason}")]
    Keyring {
        /// Which.
        keyring: Keyring,
        /// Why.
        reason: String,
    },
    /// The key is sealed by a key in a keyring of the system, and that is not there any more.
    #[error("key '{name}' is sealed by a key in the {keyring}, and that is not there any more")]
    KeyringEmpty {
        /// The key.
        name: KeyName,
        /// The keyring.
        keyring: Keyring,
    },
    /// The token behind PKCS#11 is locked.
    #[error("the PKCS#11 token is locked: {reason}")]
    Locked {
        /// Why.
        reason: String,
    },
    /// The file asks for more memory or time than is reasonable before it could even be opened.
    #[error("the file of key '{name}' asks for {memory_kib} KiB and {passes} passes to be opened, more than allowed")]
    KdfTooCostly {
        /// The key.
        name: KeyName,
        /// The memory it asks for.
        memory_kib: u32,
        /// The passes it asks for.
        passes: u32,
    },
    /// The file holds a key that was made under another name.
    #[error("the file of key '{name}' holds another key, '{found}'; give it its old name back")]
    NameMismatch {
        /// The key that was asked for.
        name: KeyName,
        /// The name inside.
        found: KeyName,
    },
    /// The file was written by a newer version.
    #[error("the file of key '{name}' has format {found}, newer than the {known} known here; update countersign")]
    NewerVersion {
        /// The key.
        name: KeyName,
        /// The format of the file.
        found: u32,
        /// The newest format known.
        known: u32,
    },
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    NoRandomness,
    /// The store is not part of this build.
    #[error("the key store {store} is not part of this build")]
    NotBuilt {
        /// Its word.
        store: &'static str,
    },
    /// There is no key of that name.
    #[error("there is no key '{name}'")]
    NotFound {
        /// The key.
        name: KeyName,
    },
    /// The key was sealed by another device key than the one that is there.
    #[error("key '{name}' was sealed by another device key than the one in its directory")]
    OtherDeviceKey {
        /// The key.
        name: KeyName,
    },
    /// A passphrase without a character.
    #[error("an empty passphrase protects nothing; give one, or none at all to use the device key")]
    PassphraseEmpty,
    /// The key is sealed by a passphrase, and none was given.
    #[error("key '{name}' is sealed by a passphrase, and none was given")]
    PassphraseNeeded {
        /// The key.
        name: KeyName,
    },
    /// The cryptographic library failed.
    #[error("the key could not be sealed or unsealed: the cryptographic library failed")]
    SealingFailed,
    /// The file ends too early.
    #[error("the file of key '{name}' is cut off; restore it from a copy, or delete the key and make a new one")]
    Truncated {
        /// The key.
        name: KeyName,
    },
    /// The passphrase is not the one that the key was sealed with.
    #[error("wrong passphrase for key '{name}'")]
    WrongPassphrase {
        /// The key.
        name: KeyName,
    },
}

impl KeyStoreError {
    /// What to do about it, for a key that is lost or locked; nothing for other faults, which say it themselves.
    pub const fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::NotFound { .. }
            | Self::KeyringEmpty { .. }
            | Self::DeviceKeyMissing { .. }
            | Self::OtherDeviceKey { .. }
            | Self::Damaged { .. }
            | Self::Truncated { .. } => {
                Some("a key that is lost cannot be had back: log in again, with a new key (new jkt)")
            }
            Self::Locked { .. } | Self::PassphraseNeeded { .. } | Self::WrongPassphrase { .. } => {
                Some("unlock it: give the passphrase or PIN with --passphrase or --passphrase-file")
            }
            Self::Keyring { .. } => Some("unlock the keyring, or use another store (--keys)"),
            Self::Device { .. } => Some("put the token in, and see that module and label are right"),
            _ => None,
        }
    }
}
