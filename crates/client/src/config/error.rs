//! What can be wrong with a configuration.

use crate::http::EndpointError;

/// A fault of a configuration file, with its line. Carries no value of the file, for it may be a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigError {
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong.
    pub fault: ConfigFault,
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        self.fault.fmt(f)
    }
}

impl std::error::Error for ConfigError {}

/// What is wrong with a configuration.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ConfigFault {
    /// Two keys of which one is wanted.
    #[error("`{one}` and `{other}` exclude each other")]
    Both {
        /// One.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// A value that may not be empty.
    #[error("`{key}` is empty")]
    Empty {
        /// The key.
        key: &'static str,
    },
    /// A key that does not belong to the authentication method.
    #[error("`{key}` does not go with `method = \"{method}\"`")]
    NotOfMethod {
        /// The key.
        key: &'static str,
        /// The method.
        method: &'static str,
    },
    /// A name that no key can have.
    #[error("`{key}`: {fault}")]
    KeyName {
        /// The key of the file.
        key: &'static str,
        /// What is wrong with it.
        fault: crate::keys::KeyNameError,
    },
    /// A store that no key can be in.
    #[error("`store`: {fault}")]
    KeyPlace {
        /// What is wrong with it.
        fault: crate::keys::KeyPlaceError,
    },
    /// A key that is missing.
    #[error("`{key}` is missing")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A query or fragment where there can be none.
    #[error("`{key}` has a query or fragment")]
    QueryOrFragment {
        /// The key.
        key: &'static str,
    },
    /// Not TOML, an unknown key, or a value of the wrong type.
    #[error("{reason}")]
    Toml {
        /// What the parser says.
        reason: String,
    },
    /// An authentication method that is not known.
    #[error("`method` is not one of \"private_key_jwt\", \"client_secret_basic\" and \"none\"")]
    UnknownMethod,
    /// Not a URL that may be called.
    #[error("`{key}`: {fault}")]
    Url {
        /// The key.
        key: &'static str,
        /// What is wrong with it.
        fault: EndpointError,
    },
}
