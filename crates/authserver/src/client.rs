//! Registered clients.

use std::fmt;

use crate::grant::GrantType;
use crate::keys::PublicKeys;
use crate::scope::Scope;

/// A client as it is registered.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) credential: Credential,
    pub(crate) grants: Vec<GrantType>,
    pub(crate) scopes: Scope,
    /// Resources that it may exchange tokens for which are for another (RFC 8693).
    pub(crate) exchange_resources: Vec<String>,
    /// `dpop_bound_access_tokens` (RFC 9449 §5.2): never a token without a proof.
    pub(crate) bound_tokens_only: bool,
}

/// What the server holds to authenticate a client; it also is the registered method.
pub(crate) enum Credential {
    /// `none`: a public client, which has nothing but its identifier.
    None,
    /// `client_secret_basic`: SHA-256 of the secret.
    SecretBasic { sha256: [u8; 32] },
    /// `client_secret_post`: SHA-256 of the secret.
    SecretPost { sha256: [u8; 32] },
    /// `private_key_jwt`: the client's public keys.
    PrivateKeyJwt { keys: PublicKeys },
}

impl Credential {
    pub(crate) const fn method(&self) -> AuthMethod {
        match self {
            Self::None => AuthMethod::None,
            Self::SecretBasic { .. } => AuthMethod::ClientSecretBasic,
            Self::SecretPost { .. } => AuthMethod::ClientSecretPost,
            Self::PrivateKeyJwt { .. } => AuthMethod::PrivateKeyJwt,
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.method().as_str())
    }
}

/// How a client authenticates (RFC 8414 §2, `token_endpoint_auth_methods_supported`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AuthMethod {
    ClientSecretBasic,
    ClientSecretPost,
    None,
    PrivateKeyJwt,
}

impl AuthMethod {
    /// The methods that a client can be registered with, the strongest first.
    pub(crate) const SUPPORTED: &'static [Self] =
        &[Self::PrivateKeyJwt, Self::ClientSecretBasic, Self::ClientSecretPost, Self::None];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::None => "none",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }
}

impl fmt::Display for AuthMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
