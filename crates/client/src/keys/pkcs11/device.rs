//! A token, logged in to once for this process.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use secrecy::{ExposeSecret, SecretString};

use crate::keys::KeyStoreError;
use crate::shown::shown;

/// A module may be set up once in a process, and is not taken down while others may use it.
static MODULES: Mutex<BTreeMap<PathBuf, Pkcs11>> = Mutex::new(BTreeMap::new());

pub(super) struct Device {
    token: String,
    /// A session is for one thread at a time.
    session: Mutex<Session>,
    alone: Mutex<()>,
}

impl Device {
    pub(super) fn open(module: &Path, token: &str, pin: Option<&SecretString>) -> Result<Self, KeyStoreError> {
        let context = context(module)?;
        let slots = context.get_slots_with_initialized_token().map_err(|fault| failed(&fault))?;
        let is_it = |slot: &cryptoki::slot::Slot| {
            context.get_token_info(*slot).is_ok_and(|info| info.label().trim_end() == token)
        };
        let slot = slots.into_iter().find(is_it);
        let missing = || KeyStoreError::Device { reason: format!("there is no token '{}' in it", shown(token)) };
        let session = context.open_rw_session(slot.ok_or_else(missing)?).map_err(|fault| failed(&fault))?;
        let pin = pin.ok_or_else(|| KeyStoreError::Locked { reason: "its PIN was not given".to_owned() })?;
        match session.login(UserType::User, Some(&AuthPin::from(pin.expose_secret()))) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(fault) => return Err(failed(&fault)),
        }
        Ok(Self { token: token.to_owned(), session: Mutex::new(session), alone: Mutex::new(()) })
    }

    pub(super) fn with<T>(&self, work: impl FnOnce(&Session) -> Result<T, KeyStoreError>) -> Result<T, KeyStoreError> {
        work(&self.session.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Held while keys are made and deleted.
    pub(super) fn alone(&self) -> MutexGuard<'_, ()> {
        self.alone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn context(module: &Path) -> Result<Pkcs11, KeyStoreError> {
    let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(context) = modules.get(module) {
        return Ok(context.clone());
    }
    let context = Pkcs11::new(module)
        .map_err(|_| KeyStoreError::Device { reason: format!("the module {} cannot be loaded", module.display()) })?;
    match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(fault) => return Err(failed(&fault)),
    }
    modules.insert(module.to_owned(), context.clone());
    Ok(context)
}

/// What a failure means for the one who holds the key.
pub(super) fn failed(fault: &Error) -> KeyStoreError {
    let locked = |reason: &str| KeyStoreError::Locked { reason: reason.to_owned() };
    match fault {
        Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _) => {
            locked("its PIN is another one")
        }
        Error::Pkcs11(RvError::PinLocked, _) => locked("its PIN is locked after too many wrong ones"),
        Error::Pkcs11(RvError::PinExpired, _) => locked("its PIN has expired"),
        Error::Pkcs11(RvError::UserNotLoggedIn, _) => locked("nobody is logged in to it any more"),
        Error::Pkcs11(RvError::TokenNotPresent | RvError::DeviceRemoved, _) => {
            KeyStoreError::Device { reason: "the token has been taken out".to_owned() }
        }
        Error::Pkcs11(code, function) => KeyStoreError::Device { reason: shown(&format!("{function:?}: {code:?}")) },
        _ => KeyStoreError::Device { reason: "it does not answer as PKCS#11 says".to_owned() },
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({})", self.token)
    }
}
