//! Sessions in sealed files: `ID.session` and `ISSUER.registration`, mode 0600 in a directory of mode 0700.
//!
//! A file has two lines: a JSON header with version, kind, identifier and salt, and base64url of nonce, ciphertext and
//! tag, AES-256-GCM with the header as additional data. The sealing key comes from the 32 random bytes in
//! `.device-key` beside it. That keeps tokens out of backups of single files, searches and shoulder surfing; whoever
//! can copy the directory can open it, and still needs the key that the tokens are bound to.

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::time::Duration;

use countersign_dpop::jose::{JsonLimits, decode_base64url, encode_base64url, from_strict_json};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::keys::KeyStoreError;
use crate::keys::file::disk::PrivateDirectory;
use crate::keys::file::seal::{Salt, SealingKey, new_salt};
use crate::sessions::{SessionError, SessionId};

const SESSION: &str = ".session";
const REGISTRATION: &str = ".registration";
const LOCK: &str = ".lock";
/// The version of the format.
const VERSION: u32 = 1;
/// How often a lock that is held is asked for again.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

pub(super) struct SessionDirectory {
    directory: PrivateDirectory,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Header {
    countersign_session: u32,
    file: String,
    salt: String,
}

impl SessionDirectory {
    pub(super) const fn new(directory: PathBuf) -> Self {
        Self { directory: PrivateDirectory::new(directory) }
    }

    pub(super) fn ids(&self) -> Result<Vec<SessionId>, SessionError> {
        let names = self.directory.file_names(SESSION)?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// `None` when there is no such session.
    pub(super) fn read(&self, id: &SessionId) -> Result<Option<Zeroizing<Vec<u8>>>, SessionError> {
        self.read_sealed(&format!("{id}{SESSION}"), || SessionError::Damaged { id: *id })
    }

    pub(super) fn write(&self, id: &SessionId, plain: &Zeroizing<Vec<u8>>) -> Result<(), SessionError> {
        self.write_sealed(&format!("{id}{SESSION}"), plain)
    }

    pub(super) fn remove(&self, id: &SessionId) -> Result<bool, SessionError> {
        Ok(self.directory.remove_file(&format!("{id}{SESSION}"))?)
    }

    pub(super) fn read_registration(&self, issuer: &str) -> Result<Option<Zeroizing<Vec<u8>>>, SessionError> {
        let damaged = || SessionError::RegistrationDamaged { issuer: issuer.to_owned() };
        self.read_sealed(&registration_file(issuer), damaged)
    }

    pub(super) fn write_registration(&self, issuer: &str, plain: &Zeroizing<Vec<u8>>) -> Result<(), SessionError> {
        self.write_sealed(&registration_file(issuer), plain)
    }

    /// Waits for the lock of a session. The system lets it go when the file is closed, also by a crash.
    pub(super) async fn lock(&self, id: &SessionId) -> Result<File, SessionError> {
        self.directory.make()?;
        let file = self.directory.lock_file(&format!("{id}{LOCK}"))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
                Err(TryLockError::Error(fault)) => {
                    let path = self.directory.path_of(&format!("{id}{LOCK}"));
                    return Err(KeyStoreError::File { path, kind: fault.kind() }.into());
                }
            }
        }
    }

    fn read_sealed(
        &self,
        name: &str,
        damaged: impl Fn() -> SessionError,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, SessionError> {
        let Some(bytes) = self.directory.read_file(name)? else { return Ok(None) };
        let text = str::from_utf8(&bytes).map_err(|_| damaged())?;
        let (line, sealed) = text.split_once('\n').ok_or_else(&damaged)?;
        let sealed = sealed.strip_suffix('\n').and_then(|text| decode_base64url(text).ok()).ok_or_else(&damaged)?;
        let header: Header = from_strict_json(line.as_bytes(), JsonLimits::PROOF).map_err(|_| damaged())?;
        let salt: Salt =
            decode_base64url(&header.salt).ok().and_then(|salt| salt.try_into().ok()).ok_or_else(&damaged)?;
        if header.countersign_session != VERSION || header.file != name {
            return Err(damaged());
        }
        let device_key = self.directory.read_device_key()?.ok_or_else(&damaged)?;
        let key = SealingKey::from_device_key(&device_key, &salt)?;
        key.open(&sealed, line.as_bytes()).map(Some).ok_or_else(damaged)
    }

    fn write_sealed(&self, name: &str, plain: &Zeroizing<Vec<u8>>) -> Result<(), SessionError> {
        self.directory.make()?;
        let salt = new_salt()?;
        let key = SealingKey::from_device_key(&self.directory.make_device_key()?, &salt)?;
        let header = Header { countersign_session: VERSION, file: name.to_owned(), salt: encode_base64url(salt) };
        let line = serde_json::to_string(&header).map_err(|_| KeyStoreError::SealingFailed)?;
        let sealed = key.seal(plain.clone(), line.as_bytes())?;
        let text = format!("{line}\n{}\n", encode_base64url(sealed));
        Ok(self.directory.replace_file(name, text.as_bytes())?)
    }
}

fn registration_file(issuer: &str) -> String {
    format!("{}{REGISTRATION}", SessionId::of(issuer, None, "", "registration"))
}

impl fmt::Debug for SessionDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.directory.fmt(f)
    }
}
