//! Naming a key store in a word.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use countersign_dpop::time::Clock;
use secrecy::SecretString;

use crate::keys::{KeyStore, KeyStoreError, Keyring, MemoryKeyStore, SealedFileStore};

/// Where keys are kept, as people write it: `memory`, `file:DIRECTORY`, `secret-service:DIRECTORY`,
/// `kernel-keyring:DIRECTORY`, or `pkcs11:MODULE,TOKEN`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeyPlace {
    /// Sealed files in this directory.
    Files(PathBuf),
    /// Files in this directory, sealed by a key in a keyring of the system.
    Keyring(Keyring, PathBuf),
    /// The memory of the process.
    Memory,
    /// A token behind PKCS#11.
    Pkcs11 {
        /// The module that speaks to it.
        module: PathBuf,
        /// The token's label.
        token: String,
    },
}

impl KeyPlace {
    /// Reads the name of a store.
    ///
    /// # Errors
    /// [`KeyPlaceError`] when it is none.
    pub fn parse(text: &str) -> Result<Self, KeyPlaceError> {
        if text == "memory" {
            return Ok(Self::Memory);
        }
        let (word, rest) = text.split_once(':').filter(|(_, rest)| !rest.is_empty()).ok_or(KeyPlaceError)?;
        let keyring = [Keyring::Kernel, Keyring::SecretService].into_iter().find(|keyring| keyring.name() == word);
        match (word, keyring, rest.rsplit_once(',')) {
            (_, Some(keyring), _) => Ok(Self::Keyring(keyring, rest.into())),
            ("file", ..) => Ok(Self::Files(rest.into())),
            ("pkcs11", _, Some((module, token))) if !module.is_empty() && !token.is_empty() => {
                Ok(Self::Pkcs11 { module: module.into(), token: token.to_owned() })
            }
            _ => Err(KeyPlaceError),
        }
    }

    /// As [`KeyPlace::parse`], with `directory` for a store of files that is named by its word alone; a path stands for
    /// sealed files there.
    ///
    /// # Errors
    /// [`KeyPlaceError`] when it is none.
    pub fn parse_with_default(text: &str, directory: &Path) -> Result<Self, KeyPlaceError> {
        match text {
            "file" => Ok(Self::Files(directory.to_owned())),
            "kernel-keyring" => Ok(Self::Keyring(Keyring::Kernel, directory.to_owned())),
            "secret-service" => Ok(Self::Keyring(Keyring::SecretService, directory.to_owned())),
            path if path.contains(['/', '\\']) && !path.contains(':') => Ok(Self::Files(path.into())),
            text => Self::parse(text),
        }
    }

    /// The same place with a relative path taken from `directory`.
    #[must_use]
    pub fn within(self, directory: &Path) -> Self {
        match self {
            Self::Files(path) => Self::Files(directory.join(path)),
            Self::Keyring(keyring, path) => Self::Keyring(keyring, directory.join(path)),
            Self::Memory | Self::Pkcs11 { .. } => self,
        }
    }

    /// Opens the store. `secret` is the passphrase of sealed files, or the PIN of a token.
    ///
    /// # Errors
    /// As the store can fail; [`KeyStoreError::NotBuilt`].
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
            Self::Keyring(keyring, directory) => {
                Arc::new(SealedFileStore::new(directory, clock).with_keyring(*keyring))
            }
            Self::Memory => Arc::new(MemoryKeyStore::new(clock)),
            Self::Pkcs11 { module, token } => open_pkcs11(module, token, secret.as_ref(), clock)?,
        })
    }
}

#[cfg(feature = "pkcs11")]
fn open_pkcs11(
    module: &Path,
    token: &str,
    pin: Option<&SecretString>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn KeyStore>, KeyStoreError> {
    Ok(Arc::new(crate::keys::Pkcs11KeyStore::open(module, token, pin, clock)?))
}

#[cfg(not(feature = "pkcs11"))]
fn open_pkcs11(
    _: &Path,
    _: &str,
    _: Option<&SecretString>,
    _: Arc<dyn Clock>,
) -> Result<Arc<dyn KeyStore>, KeyStoreError> {
    Err(KeyStoreError::NotBuilt { store: "pkcs11" })
}

impl fmt::Display for KeyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(directory) => write!(f, "file:{}", directory.display()),
            Self::Keyring(keyring, directory) => write!(f, "{keyring}:{}", directory.display()),
            Self::Memory => f.write_str("memory"),
            Self::Pkcs11 { module, token } => write!(f, "pkcs11:{},{token}", module.display()),
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
#[error(
    "a key store is memory, file:DIRECTORY, secret-service:DIRECTORY, kernel-keyring:DIRECTORY or pkcs11:MODULE,TOKEN"
)]
pub struct KeyPlaceError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_it_is_read() {
        for text in ["memory", "file:/a b", "secret-service:/k", "kernel-keyring:k", "pkcs11:/usr/lib/x.so,my token"] {
            assert_eq!(KeyPlace::parse(text).expect(text).to_string(), text);
        }
        for bad in
            ["", "file", "file:", "memory:", "memory:x", "pkcs11:", "pkcs11:x", "pkcs11:,t", "pkcs11:m,", "keychain:x"]
        {
            assert_eq!(KeyPlace::parse(bad), Err(KeyPlaceError), "{bad}");
        }
    }

    #[test]
    fn a_word_alone_is_for_the_usual_directory_and_a_path_for_files() {
        let parse = |text| KeyPlace::parse_with_default(text, Path::new("/usual"));
        assert_eq!(parse("file"), Ok(KeyPlace::Files("/usual".into())));
        assert_eq!(parse("secret-service"), Ok(KeyPlace::Keyring(Keyring::SecretService, "/usual".into())));
        assert_eq!(parse("./keys"), Ok(KeyPlace::Files("./keys".into())));
        assert_eq!(parse("keys"), Err(KeyPlaceError), "neither a word that is known nor a path");
    }
}
