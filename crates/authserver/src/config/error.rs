//! What can be wrong with a configuration, as data: the key and what to do.

use std::fmt;
use std::path::PathBuf;

use countersign_dpop::jose::JwkSetError;

use crate::cors::OriginError;
use crate::fetch::FetchUrlError;
use crate::issuer::IssuerError;
use crate::operation::{NetworkError, TlsError};
use crate::people::PasswordError;
use crate::redirect_uri::RedirectUriError;
use crate::scope::ScopeError;
use crate::storage::PostgresAddressError;

/// Everything that is wrong with a configuration, in the order in which it is written. Never empty.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigErrors(pub Vec<ConfigError>);

/// One fault and the key it is at.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct ConfigError {
    /// Where it is.
    pub key: Key,
    /// What is wrong and what to do.
    pub problem: Problem,
}

/// A key of the configuration: `nonce`, or one of the n-th table of an array, as in `client[0].secret`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Key {
    /// The array of tables and the place in it, from 0; or a table that stands alone and [`Key::ALONE`].
    pub table: Option<(&'static str, usize)>,
    /// The key.
    pub name: &'static str,
}

impl Key {
    /// In place of a number: the table is not one of an array.
    pub const ALONE: usize = usize::MAX;

    /// A key at the top.
    pub const fn top(name: &'static str) -> Self {
        Self { table: None, name }
    }

    /// A key of the `index`-th table of `[[array]]`.
    pub const fn of(array: &'static str, index: usize, name: &'static str) -> Self {
        Self { table: Some((array, index)), name }
    }

    /// A key of `[table]`.
    pub const fn in_table(table: &'static str, name: &'static str) -> Self {
        Self { table: Some((table, Self::ALONE)), name }
    }

    /// True for `array` itself and for keys of its tables.
    pub(crate) fn is_of(&self, array: &str) -> bool {
        self.table.map_or(self.name, |(table, _)| table) == array
    }
}

impl Problem {
    /// What stands there and is not right, perhaps shortened, when it is one of a list.
    pub fn item(&self) -> Option<&str> {
        match self {
            Self::Origin { origin: found, .. }
            | Self::Unknown { found, .. }
            | Self::Repeated { found }
            | Self::RedirectUri { found, .. }
            | Self::ClientUnknown { client: found }
            | Self::ClientWithoutGrant { client: found }
            | Self::ResourceUnknown { resource: found }
            | Self::ScopeUnknown { scope: found } => Some(found),
            Self::Issuer(_)
            | Self::Database(_)
            | Self::Network(_)
            | Self::Tls(_)
            | Self::OutOfRange { .. }
            | Self::Missing { .. }
            | Self::NoneConfigured { .. }
            | Self::Ambiguous { .. }
            | Self::Meaningless { .. }
            | Self::Profile { .. }
            | Self::ClientId { .. }
            | Self::Username { .. }
            | Self::UserIsClient
            | Self::Password(_)
            | Self::PasswordHash
            | Self::ResourceIdentifier
            | Self::Scope(_)
            | Self::IssuerWithoutKeys { .. }
            | Self::NotPublic
            | Self::SecretEmpty
            | Self::Jwks(_)
            | Self::FetchUrl(_)
            | Self::File { .. }
            | Self::FileTooLarge { .. }
            | Self::FileNotText { .. } => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.table {
            Some((table, Self::ALONE)) => write!(f, "{table}.{}", self.name),
            Some((array, index)) => write!(f, "{array}[{index}].{}", self.name),
            None => f.write_str(self.name),
        }
    }
}

/// What is wrong with a key. Carries no secret.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The issuer cannot be one.
    #[error("{0}")]
    Issuer(#[from] IssuerError),
    /// Not an origin of pages.
    #[error("{origin:?} cannot be allowed: {fault}")]
    Origin {
        /// What stands there, shortened.
        origin: String,
        /// What is wrong.
        fault: OriginError,
    },
    /// Not an address of a database.
    #[error("{0}")]
    Database(#[from] PostgresAddressError),
    /// Not a range of addresses.
    #[error("{0}")]
    Network(#[from] NetworkError),
    /// Certificate and key cannot be used.
    #[error("{0}")]
    Tls(#[from] TlsError),
    /// A number that is too small or too large.
    #[error("write a number from {least} to {most}")]
    OutOfRange {
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// A key that is needed is absent.
    #[error("missing; {what}")]
    Missing {
        /// What to write.
        what: &'static str,
    },
    /// Nothing of this kind is registered.
    #[error("none is configured; {what}")]
    NoneConfigured {
        /// What to write.
        what: &'static str,
    },
    /// Keys of which only one may stand.
    #[error("stands beside {other}; keep one of them")]
    Ambiguous {
        /// The other one.
        other: &'static str,
    },
    /// A key that means nothing beside another.
    #[error("has no meaning with {with}; remove it")]
    Meaningless {
        /// What makes it so.
        with: String,
    },
    /// Not a value that is known.
    #[error("{found:?} is not known here; known are {known}")]
    Unknown {
        /// What stands there, shortened.
        found: String,
        /// What may.
        known: String,
    },
    /// The profile does not allow it.
    #[error("profile {profile} does not allow {what}; {remedy}")]
    Profile {
        /// The profile.
        profile: &'static str,
        /// What.
        what: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Not a client identifier.
    #[error("not a client identifier; write 1 to {limit} printable ASCII characters")]
    ClientId {
        /// The most characters.
        limit: usize,
    },
    /// Named twice.
    #[error("{found:?} stands twice; each may stand once")]
    Repeated {
        /// What, shortened.
        found: String,
    },
    /// Not a redirect URI.
    #[error("{found:?} cannot be a redirect URI: {fault}")]
    RedirectUri {
        /// What stands there, shortened.
        found: String,
        /// What is wrong.
        fault: RedirectUriError,
    },
    /// Not a name for a user.
    #[error("not a name for a user; write 1 to {limit} bytes without blanks")]
    Username {
        /// The longest name, in bytes.
        limit: usize,
    },
    /// A user who is called as a client.
    #[error("a client is called so too, and their tokens could not be told apart; rename one of them")]
    UserIsClient,
    /// A password that cannot be used.
    #[error("{0}")]
    Password(#[from] PasswordError),
    /// Not an argon2id hash.
    #[error("not an argon2id hash in PHC form; write one that starts with $argon2id$, or a password")]
    PasswordHash,
    /// Not a resource identifier (RFC 8707 §2).
    #[error("not a resource identifier; write an absolute URI without a fragment")]
    ResourceIdentifier,
    /// Not scopes.
    #[error("{0}")]
    Scope(#[from] ScopeError),
    /// A client that is not registered.
    #[error("no [[client]] has the client_id {client:?}; add it or remove it here")]
    ClientUnknown {
        /// The client, shortened.
        client: String,
    },
    /// A client that could do nothing with what names it.
    #[error("the client {client:?} has neither the token exchange nor the JWT bearer grant; add one of them to it")]
    ClientWithoutGrant {
        /// The client, shortened.
        client: String,
    },
    /// A resource that is not registered.
    #[error("no [[resource]] has the identifier {resource:?}; add it or remove it here")]
    ResourceUnknown {
        /// The resource, shortened.
        resource: String,
    },
    /// Neither keys nor a way to find them.
    #[error("its keys cannot be found by it ({fault}); write jwks, jwks_file or jwks_uri")]
    IssuerWithoutKeys {
        /// Why not.
        fault: countersign_dpop::PublicOriginError,
    },
    /// A stranger's URL inside.
    #[error("not an https URL of a public address")]
    NotPublic,
    /// A scope that no resource has.
    #[error("no [[resource]] has the scope {scope:?}; add it there or remove it here")]
    ScopeUnknown {
        /// The scope.
        scope: String,
    },
    /// An empty secret.
    #[error("an empty secret; write one of at least 32 random characters")]
    SecretEmpty,
    /// Not a usable key set.
    #[error("{0}; write the client's public keys as a JWK Set")]
    Jwks(#[from] JwkSetError),
    /// Not a URL to fetch.
    #[error("{0}")]
    FetchUrl(#[from] FetchUrlError),
    /// A file that cannot be read.
    #[error("{} cannot be read: {fault}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why not.
        fault: std::io::Error,
    },
    /// A file that is larger than such a file can be.
    #[error("{} has more than {limit} bytes", path.display())]
    FileTooLarge {
        /// Its path.
        path: PathBuf,
        /// The most bytes.
        limit: u64,
    },
    /// A file that is no text.
    #[error("{} is not UTF-8 text", path.display())]
    FileNotText {
        /// Its path.
        path: PathBuf,
    },
}
