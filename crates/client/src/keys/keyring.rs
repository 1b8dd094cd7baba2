//! The keyrings of the system, which hold the key that seals the key files: the desktop's Secret Service (GNOME
//! Keyring, KWallet, KeePassXC), and the keyring of the Linux kernel.
//!
//! Private keys are in sealed files as ever; what opens them is in the keyring and nowhere on disk. So a copy of the
//! directory, or of the whole disk, opens nothing. Names, listing and the making of keys by several processes at once
//! are the files' business and work the same everywhere.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::keys::KeyStoreError;
use crate::keys::file::seal::DeviceKey;

/// A keyring of the system.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keyring {
    /// The Linux kernel's: in memory that no other user can read, gone at the latest with a reboot.
    Kernel,
    /// The desktop's, unlocked when the person logs in.
    SecretService,
}

impl Keyring {
    /// Its word in [`KeyPlace`](crate::keys::KeyPlace).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel-keyring",
            Self::SecretService => "secret-service",
        }
    }

    /// The sealing key for the files of `directory`, if there is one.
    pub(super) fn read(self, directory: &str) -> Result<Option<DeviceKey>, KeyStoreError> {
        let text = backend::read(self, directory)?;
        text.map(|text| self.decode(&text)).transpose()
    }

    /// Keeps a sealing key, and makes sure that it can be read back.
    pub(super) fn write(self, directory: &str, key: &DeviceKey) -> Result<(), KeyStoreError> {
        let text = zeroize::Zeroizing::new(countersign_dpop::jose::encode_base64url(key.as_bytes()));
        backend::write(self, directory, &text)?;
        match self.read(directory)? {
            Some(kept) if kept.as_bytes() == key.as_bytes() => Ok(()),
            _ => Err(KeyStoreError::Keyring { keyring: self, reason: "it does not keep what it is given".to_owned() }),
        }
    }

    fn decode(self, text: &zeroize::Zeroizing<String>) -> Result<DeviceKey, KeyStoreError> {
        let bytes = countersign_dpop::jose::decode_base64url(text).ok().map(zeroize::Zeroizing::new);
        let key = bytes.and_then(|bytes| DeviceKey::from_bytes(&bytes));
        key.ok_or_else(|| KeyStoreError::Keyring { keyring: self, reason: "its entry is no sealing key".to_owned() })
    }
}

impl fmt::Display for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(all(target_os = "linux", any(feature = "kernel-keyring", feature = "secret-service")))]
mod backend {
    use keyring_core::api::CredentialStoreApi;
    use keyring_core::{Entry, Error};
    use zeroize::Zeroizing;

    use super::{KeyStoreError, Keyring};
    use crate::shown::shown;

    const SERVICE: &str = "countersign";

    pub(super) fn read(keyring: Keyring, directory: &str) -> Result<Option<Zeroizing<String>>, KeyStoreError> {
        on_a_thread(keyring, || match entry(keyring, directory)?.get_password() {
            Ok(text) => Ok(Some(Zeroizing::new(text))),
            Err(Error::NoEntry) => Ok(None),
            Err(fault) => Err(failed(keyring, &fault)),
        })
    }

    pub(super) fn write(keyring: Keyring, directory: &str, text: &str) -> Result<(), KeyStoreError> {
        on_a_thread(keyring, || entry(keyring, directory)?.set_password(text).map_err(|fault| failed(keyring, &fault)))
    }

    /// The clients of the Secret Service wait with a runtime of their own, which cannot be within another.
    fn on_a_thread<T: Send>(
        keyring: Keyring,
        work: impl FnOnce() -> Result<T, KeyStoreError> + Send,
    ) -> Result<T, KeyStoreError> {
        let lost = || KeyStoreError::Keyring { keyring, reason: "its client broke off".to_owned() };
        std::thread::scope(|scope| scope.spawn(work).join()).unwrap_or_else(|_| Err(lost()))
    }

    fn entry(keyring: Keyring, directory: &str) -> Result<Entry, KeyStoreError> {
        let user = format!("keys in {directory}");
        let built = match keyring {
            #[cfg(feature = "kernel-keyring")]
            Keyring::Kernel => {
                linux_keyutils_keyring_store::Store::new().and_then(|store| store.build(SERVICE, &user, None))
            }
            #[cfg(feature = "secret-service")]
            Keyring::SecretService => {
                zbus_secret_service_keyring_store::Store::new().and_then(|store| store.build(SERVICE, &user, None))
            }
            #[cfg(not(all(feature = "kernel-keyring", feature = "secret-service")))]
            _ => return Err(KeyStoreError::NotBuilt { store: keyring.name() }),
        };
        built.map_err(|fault| failed(keyring, &fault))
    }

    fn failed(keyring: Keyring, fault: &Error) -> KeyStoreError {
        let reason = match fault {
            Error::NoStorageAccess(reason) | Error::PlatformFailure(reason) => shown(&reason.to_string()),
            Error::NoEntry => "there is no entry".to_owned(),
            Error::Ambiguous(_) => "there are several entries".to_owned(),
            _ => "it cannot be used".to_owned(),
        };
        KeyStoreError::Keyring { keyring, reason }
    }
}

#[cfg(not(all(target_os = "linux", any(feature = "kernel-keyring", feature = "secret-service"))))]
mod backend {
    use zeroize::Zeroizing;

    use super::{KeyStoreError, Keyring};

    pub(super) fn read(keyring: Keyring, _: &str) -> Result<Option<Zeroizing<String>>, KeyStoreError> {
        Err(KeyStoreError::NotBuilt { store: keyring.name() })
    }

    pub(super) fn write(keyring: Keyring, _: &str, _: &str) -> Result<(), KeyStoreError> {
        Err(KeyStoreError::NotBuilt { store: keyring.name() })
    }
}
