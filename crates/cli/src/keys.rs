//! Which key store, and what seals it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use countersign_client::keys::{KeyPlace, KeyStore, KeyStoreError};
use countersign_dpop::time::SystemClock;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::error::CommandError;
use crate::input;

/// What seals a key: a passphrase, or without one the device key of the directory. For a token: its PIN.
#[derive(Clone, Debug, Args)]
pub(crate) struct Sealing {
    /// Ask for the passphrase that seals the key, or the PIN of the token; without any, a device key beside it does
    #[arg(long)]
    passphrase: bool,
    /// File whose first line is the passphrase or PIN
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase")]
    passphrase_file: Option<PathBuf>,
}

impl Sealing {
    /// The passphrase for a key about to be sealed: from the prompt (asked twice), the file, or the variable.
    pub(crate) fn passphrase_for_new_key(&self) -> Result<Option<SecretString>, CommandError> {
        if self.passphrase {
            return ask_twice().map(Some);
        }
        if let Some(file) = &self.passphrase_file {
            return passphrase_in(file).map(Some);
        }
        Ok(passphrase_of_environment())
    }
}

impl Sealing {
    /// The passphrase for keys that exist: from the prompt (asked once), the file, or the variable.
    pub(crate) fn passphrase_for_kept_key(&self) -> Result<Option<SecretString>, CommandError> {
        if self.passphrase { ask("passphrase: ").map(Some) } else { self.passphrase_for_new_key() }
    }
}

/// Which key store.
#[derive(Clone, Debug, Args)]
pub(crate) struct Keys {
    /// Where keys are: file, secret-service, kernel-keyring, pkcs11:MODULE,TOKEN, or the directory of sealed files
    /// [default: file, in countersign/keys of the user's data directory]
    #[arg(long, value_name = "STORE", env = "COUNTERSIGN_KEYS", global = true)]
    keys: Option<String>,
}

impl Keys {
    /// The store.
    pub(crate) fn place(&self) -> Result<KeyPlace, CommandError> {
        place(self.keys.as_deref())
    }
}

/// The store of that name, or the usual one.
pub(crate) fn place(store: Option<&str>) -> Result<KeyPlace, CommandError> {
    let usual = || data_directory("keys", "--keys DIR");
    let Some(text) = store else { return usual().map(KeyPlace::Files) };
    // A store that is named whole, or is nowhere, needs no home directory.
    let usual = if text == "memory" || text.contains([':', '/']) { PathBuf::new() } else { usual()? };
    KeyPlace::parse_with_default(text, &usual).map_err(|fault| {
        CommandError::configuration(format!("--keys {text}: {fault}"))
            .with_hint("file, secret-service and kernel-keyring alone are for the usual directory; a path is for files")
    })
}

/// A directory of countersign's in the user's data directory.
pub(crate) fn data_directory(name: &str, flag: &str) -> Result<PathBuf, CommandError> {
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let data = data.or_else(|| std::env::home_dir().map(|home| home.join(".local/share")));
    data.map(|data| data.join("countersign").join(name)).ok_or_else(|| {
        CommandError::configuration(format!("there is no home directory to keep {name} in"))
            .with_hint(format!("say where with {flag}"))
    })
}

/// Opens the store.
pub(crate) fn open(place: &KeyPlace, secret: Option<SecretString>) -> Result<Arc<dyn KeyStore>, CommandError> {
    place.open(secret, Arc::new(SystemClock)).map_err(store_error)
}

/// Says what a store said.
pub(crate) fn store_error(fault: KeyStoreError) -> CommandError {
    let error = CommandError::configuration(&fault);
    match fault {
        KeyStoreError::NotFound { .. } => error.with_hint("countersign key list shows the keys there are"),
        KeyStoreError::PassphraseNeeded { .. } => {
            error.with_hint("give it with --passphrase, --passphrase-file FILE or COUNTERSIGN_PASSPHRASE")
        }
        KeyStoreError::WrongPassphrase { .. } => error,
        fault => match fault.remedy() {
            Some(remedy) => error.with_hint(format!("A04: {remedy}")),
            None => error,
        },
    }
}

fn ask(prompt: &str) -> Result<SecretString, CommandError> {
    rpassword::prompt_password(prompt).map(SecretString::from).map_err(|fault| {
        CommandError::configuration(format!("no passphrase could be read: {fault}"))
            .with_hint("without a terminal use --passphrase-file FILE or COUNTERSIGN_PASSPHRASE")
    })
}

fn ask_twice() -> Result<SecretString, CommandError> {
    let first = ask("new passphrase: ")?;
    if ask("again: ")?.expose_secret() == first.expose_secret() {
        Ok(first)
    } else {
        Err(CommandError::configuration("the two passphrases differ; nothing was written"))
    }
}

fn passphrase_of_environment() -> Option<SecretString> {
    let secret = std::env::var_os("COUNTERSIGN_PASSPHRASE")?.into_string().ok()?;
    Some(SecretString::from(secret))
}

pub(crate) fn passphrase_in(file: &Path) -> Result<SecretString, CommandError> {
    let bytes = input::read_secret(file, "passphrase")?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| CommandError::configuration(format!("the passphrase in {} is not UTF-8", file.display())))?;
    let line = Zeroizing::new(text.lines().next().unwrap_or_default().to_owned());
    Ok(SecretString::from(line.as_str()))
}
