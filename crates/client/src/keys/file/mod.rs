//! Keys in sealed files: one file a key, `NAME.key`, mode 0600 in a directory of mode 0700.
//!
//! A file has three lines of text:
//!
//! 1. the header, JSON: version of the format, name, algorithm, public JWK, when it was made, how it is sealed;
//! 2. base64url of nonce, ciphertext and tag: AES-256-GCM over the PKCS#8 form of the key, with the bytes of the
//!    first line as additional data, so that nothing in the header can be changed unnoticed;
//! 3. base64url of SHA-256 over the two lines before, which tells damage from a wrong passphrase. The last line is
//!    that in every version of the format.
//!
//! The sealing key comes from a passphrase by Argon2id (RFC 9106) or, where there is none, from 32 random bytes in
//! the file `.device-key` beside it, or in a keyring of the system. Files are written under another name, flushed, and then given theirs, which
//! fails if it is taken.

pub(crate) mod disk;
mod envelope;
pub(crate) mod seal;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use countersign_dpop::jose::{ProofSigner, SoftwareKey};
use countersign_dpop::time::Clock;
use secrecy::{ExposeSecret, SecretString};

use self::disk::PrivateDirectory;
use self::envelope::{Envelope, Header, SealedBy, Sealing};
pub use self::seal::KdfCost;
use self::seal::{DeviceKey, SealingKey};
use crate::keys::{KeyClass, KeyName, KeyStore, KeyStoreError, Keyring, ListedKey, StoredKey};

const KEYRING_LOCK: &str = ".keyring.lock";

/// Keeps keys in sealed files of one directory.
pub struct SealedFileStore {
    directory: PrivateDirectory,
    passphrase: Option<SecretString>,
    keyring: Option<Keyring>,
    cost: KdfCost,
    clock: Arc<dyn Clock>,
}

impl SealedFileStore {
    /// Keeps keys in `directory`, which is made when the first key is. New keys are sealed by the device key.
    pub fn new(directory: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self {
            directory: PrivateDirectory::new(directory.into()),
            passphrase: None,
            keyring: None,
            cost: KdfCost::DEFAULT,
            clock,
        }
    }

    /// Opens and makes keys with a passphrase. Keys that are sealed by the device key can still be opened.
    ///
    /// # Errors
    /// [`KeyStoreError::PassphraseEmpty`].
    pub fn with_passphrase(mut self, passphrase: SecretString) -> Result<Self, KeyStoreError> {
        if passphrase.expose_secret().is_empty() {
            return Err(KeyStoreError::PassphraseEmpty);
        }
        self.passphrase = Some(passphrase);
        Ok(self)
    }

    /// Seals new keys by a key in `keyring`.
    #[must_use]
    pub const fn with_keyring(mut self, keyring: Keyring) -> Self {
        self.keyring = Some(keyring);
        self
    }

    /// Sets what it costs to try a passphrase on the keys made from now on.
    #[must_use]
    pub fn with_kdf_cost(mut self, cost: KdfCost) -> Self {
        self.cost = cost;
        self
    }

    fn read(&self, name: &KeyName) -> Result<Envelope, KeyStoreError> {
        Envelope::parse(name, &self.directory.read_key(name)?)
    }

    fn new_sealing(&self) -> Result<(Sealing, SealingKey), KeyStoreError> {
        if let Some(passphrase) = &self.passphrase {
            let sealing = Sealing::by(SealedBy::Passphrase(self.cost))?;
            let key = SealingKey::from_passphrase(passphrase, self.cost, &sealing.salt)?;
            Ok((sealing, key))
        } else if let Some(keyring) = self.keyring {
            let sealing = Sealing::by(SealedBy::Keyring(keyring))?;
            let key = SealingKey::from_device_key(&self.make_keyring_key(keyring)?, &sealing.salt)?;
            Ok((sealing, key))
        } else {
            let sealing = Sealing::by(SealedBy::DeviceKey)?;
            let key = SealingKey::from_device_key(&self.directory.make_device_key()?, &sealing.salt)?;
            Ok((sealing, key))
        }
    }

    fn sealing_key(&self, name: &KeyName, sealing: &Sealing) -> Result<SealingKey, KeyStoreError> {
        match sealing.by {
            SealedBy::Passphrase(cost) => {
                let passphrase = self.passphrase.as_ref();
                let passphrase = passphrase.ok_or_else(|| KeyStoreError::PassphraseNeeded { name: name.clone() })?;
                SealingKey::from_passphrase(passphrase, cost, &sealing.salt)
            }
            SealedBy::DeviceKey => SealingKey::from_device_key(&self.device_key(name)?, &sealing.salt),
            SealedBy::Keyring(keyring) => {
                let key = keyring.read(&self.directory.name()?)?;
                let key = key.ok_or_else(|| KeyStoreError::KeyringEmpty { name: name.clone(), keyring })?;
                SealingKey::from_device_key(&key, &sealing.salt)
            }
        }
    }

    /// The sealing key in `keyring`, made now if there is none. Of several processes at once, one makes it: a keyring
    /// has no way to say that only the first shall.
    fn make_keyring_key(&self, keyring: Keyring) -> Result<DeviceKey, KeyStoreError> {
        let _lock = self.directory.lock(KEYRING_LOCK)?;
        let directory = self.directory.name()?;
        if let Some(key) = keyring.read(&directory)? {
            return Ok(key);
        }
        let key = DeviceKey::generate()?;
        keyring.write(&directory, &key)?;
        Ok(key)
    }

    fn device_key(&self, name: &KeyName) -> Result<DeviceKey, KeyStoreError> {
        let missing = || KeyStoreError::DeviceKeyMissing { name: name.clone(), path: self.directory.device_key_path() };
        self.directory.read_device_key()?.ok_or_else(missing)
    }
}

impl KeyStore for SealedFileStore {
    fn class(&self) -> KeyClass {
        match (&self.passphrase, self.keyring) {
            (Some(_), _) => KeyClass::FilePassphrase,
            (None, Some(keyring)) => KeyClass::FileKeyring(keyring),
            (None, None) => KeyClass::FileDeviceKey,
        }
    }

    fn import(&self, name: &KeyName, key: SoftwareKey) -> Result<StoredKey, KeyStoreError> {
        self.directory.refuse_taken(name)?;
        self.directory.make()?;
        let (sealing, sealing_key) = self.new_sealing()?;
        let header = Header::new(name, &key, self.clock.now(), sealing);
        let envelope = Envelope::seal(header, &sealing_key, key.to_pkcs8()?)?;
        self.directory.write_key(name, envelope.to_text().as_bytes())?;
        Ok(envelope.into_stored_key())
    }

    fn open(&self, name: &KeyName) -> Result<Arc<dyn ProofSigner>, KeyStoreError> {
        let envelope = self.read(name)?;
        let sealing_key = self.sealing_key(name, envelope.sealing())?;
        Ok(Arc::new(envelope.open(&sealing_key)?))
    }

    fn show(&self, name: &KeyName) -> Result<StoredKey, KeyStoreError> {
        Ok(self.read(name)?.into_stored_key())
    }

    fn list(&self) -> Result<Vec<ListedKey>, KeyStoreError> {
        let names = self.directory.names()?;
        Ok(names.into_iter().map(|name| ListedKey { key: self.show(&name), name }).collect())
    }

    fn delete(&self, name: &KeyName) -> Result<(), KeyStoreError> {
        self.directory.delete_key(name)
    }
}

impl fmt::Debug for SealedFileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedFileStore").field("directory", &self.directory).finish_non_exhaustive()
    }
}
