//! What can go wrong with kept keys.

use std::io;
use std::path::PathBuf;

use countersign_dpop::jose::KeyFormatError;

use crate::keys::KeyName;

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
    /// The file's checksum is wrong, or its parts contradict each other.
    #[error("the file of key '{name}' is damaged; restore it from a copy, or delete the key and make a new one")]
    Damaged {
        /// The key.
        name: KeyName,
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
