//! Reading `client.toml`.

use std::ops::Range;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::config::{AssertionKey, Authentication, ClientConfig, ClientSecret, ConfigError, ConfigFault, KeyPlaces};
use crate::keys::{KeyName, KeyPlace};

impl ClientConfig {
    /// Reads the text of a `client.toml`. Relative paths in it are taken from `directory`, that of the file.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn parse(text: &str, directory: &Path) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text).map_err(|fault| without_values(text, &fault))?;
        let line = |span: Option<Range<usize>>| span.map(|span| line_of(text, span.start));
        let at = |span: &Range<usize>, fault| ConfigError { line: line(Some(span.clone())), fault };

        let authentication = file.auth.get_ref().typed(directory).map_err(|fault| at(&file.auth.span(), fault))?;
        let dpop = key_name("dpop", file.keys.dpop.get_ref()).map_err(|fault| at(&file.keys.dpop.span(), fault))?;
        let store = file.keys.place(directory).map_err(|fault| at(&file.keys.dpop.span(), fault))?;
        let keys = KeyPlaces { store, dpop };
        let mut config =
            Self::new(file.issuer.get_ref(), file.client_id.get_ref(), authentication, keys).map_err(|fault| {
                match fault {
                    ConfigFault::Empty { .. } => at(&file.client_id.span(), fault),
                    fault => at(&file.issuer.span(), fault),
                }
            })?;
        if let Some(resource) = &file.resource {
            config = config.with_resource(resource.get_ref()).map_err(|fault| at(&resource.span(), fault))?;
        }
        if let Some(url) = &file.base_url {
            config = config.with_base_url(url.get_ref()).map_err(|fault| at(&url.span(), fault))?;
        }
        config.scope = file.scope;
        config.allow_bearer = file.allow_bearer;
        config.assume_dpop = file.assume_dpop;
        Ok(config)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    issuer: Spanned<String>,
    client_id: Spanned<String>,
    resource: Option<Spanned<String>>,
    scope: Option<String>,
    base_url: Option<Spanned<String>>,
    #[serde(default)]
    assume_dpop: bool,
    #[serde(default)]
    allow_bearer: bool,
    auth: Spanned<AuthTable>,
    keys: KeysTable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysTable {
    store: Option<String>,
    directory: Option<PathBuf>,
    dpop: Spanned<String>,
}

impl KeysTable {
    fn place(&self, directory: &Path) -> Result<KeyPlace, ConfigFault> {
        match (self.store.as_deref(), &self.directory) {
            (None, Some(keys)) => Ok(KeyPlace::Files(directory.join(keys))),
            (Some(store), None) => KeyPlace::parse(store)
                .map(|place| place.within(directory))
                .map_err(|fault| ConfigFault::KeyPlace { fault }),
            (None, None) => Err(ConfigFault::Missing { key: "directory" }),
            (Some(_), Some(_)) => Err(ConfigFault::Both { one: "store", other: "directory" }),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthTable {
    method: String,
    key: Option<String>,
    key_file: Option<PathBuf>,
    kid: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    secret: Option<SecretString>,
    secret_file: Option<PathBuf>,
}

const PRIVATE_KEY_JWT: &str = "private_key_jwt";
const CLIENT_SECRET_BASIC: &str = "client_secret_basic";
const NONE: &str = "none";

impl AuthTable {
    fn typed(&self, directory: &Path) -> Result<Authentication, ConfigFault> {
        match self.method.as_str() {
            PRIVATE_KEY_JWT => {
                self.refuse_secrets(PRIVATE_KEY_JWT)?;
                Ok(Authentication::PrivateKeyJwt { key: self.assertion_key(directory)?, kid: self.kid.clone() })
            }
            CLIENT_SECRET_BASIC => {
                self.refuse_keys(CLIENT_SECRET_BASIC)?;
                Ok(Authentication::ClientSecretBasic { secret: self.client_secret(directory)? })
            }
            NONE => {
                self.refuse_keys(NONE)?;
                self.refuse_secrets(NONE)?;
                Ok(Authentication::None)
            }
            _ => Err(ConfigFault::UnknownMethod),
        }
    }

    fn assertion_key(&self, directory: &Path) -> Result<AssertionKey, ConfigFault> {
        match (&self.key, &self.key_file) {
            (Some(name), None) => Ok(AssertionKey::Stored(key_name("key", name)?)),
            (None, Some(path)) => Ok(AssertionKey::File(directory.join(path))),
            (None, None) => Err(ConfigFault::Missing { key: "key" }),
            (Some(_), Some(_)) => Err(ConfigFault::Both { one: "key", other: "key_file" }),
        }
    }

    fn client_secret(&self, directory: &Path) -> Result<ClientSecret, ConfigFault> {
        match (&self.secret, &self.secret_file) {
            (Some(secret), None) => Ok(ClientSecret::Inline(secret.clone())),
            (None, Some(path)) => Ok(ClientSecret::File(directory.join(path))),
            (None, None) => Err(ConfigFault::Missing { key: "secret" }),
            (Some(_), Some(_)) => Err(ConfigFault::Both { one: "secret", other: "secret_file" }),
        }
    }

    fn refuse_keys(&self, method: &'static str) -> Result<(), ConfigFault> {
        let given = [(self.key.is_some(), "key"), (self.key_file.is_some(), "key_file"), (self.kid.is_some(), "kid")];
        refuse(&given, method)
    }

    fn refuse_secrets(&self, method: &'static str) -> Result<(), ConfigFault> {
        refuse(&[(self.secret.is_some(), "secret"), (self.secret_file.is_some(), "secret_file")], method)
    }
}

fn refuse(given: &[(bool, &'static str)], method: &'static str) -> Result<(), ConfigFault> {
    match given.iter().find(|(is_given, _)| *is_given) {
        Some((_, key)) => Err(ConfigFault::NotOfMethod { key, method }),
        None => Ok(()),
    }
}

fn key_name(key: &'static str, name: &str) -> Result<KeyName, ConfigFault> {
    KeyName::parse(name).map_err(|fault| ConfigFault::KeyName { key, fault })
}

/// Says no more than that it is no text: the value itself is secret whatever its type.
fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    let text = String::deserialize(deserializer);
    text.map(|text| Some(text.into())).map_err(|_| serde::de::Error::custom("`secret` is not a text"))
}

/// The parser's own way to print an error shows the line of the file, which may hold a secret; its message alone
/// does not.
fn without_values(text: &str, fault: &toml::de::Error) -> ConfigError {
    let line = fault.span().map(|span| line_of(text, span.start));
    ConfigError { line, fault: ConfigFault::Toml { reason: fault.message().to_owned() } }
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    before.filter(|byte| **byte == b'\n').count().saturating_add(1)
}
