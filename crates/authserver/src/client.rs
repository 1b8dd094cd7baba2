//! Registered clients.

use std::fmt;

use crate::config::AuthSetting;
use crate::grant::GrantType;
use crate::keys::PublicKeys;
use crate::redirect_uri::RedirectUri;
use crate::scope::Scope;

/// A client as it is registered.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a member of a client's metadata and has its RFC")]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) credential: Credential,
    pub(crate) grants: Vec<GrantType>,
    pub(crate) scopes: Scope,
    /// Resources that it may exchange tokens for which are for another (RFC 8693).
    pub(crate) exchange_resources: Vec<String>,
    /// `dpop_bound_access_tokens` (RFC 9449 §5.2): never a token without a proof.
    pub(crate) bound_tokens_only: bool,
    /// Where its users may be sent back to.
    pub(crate) redirect_uris: Vec<RedirectUri>,
    /// `require_pushed_authorization_requests` (RFC 9126 §6).
    pub(crate) push_demanded: bool,
    /// `require_signed_request_object` (RFC 9101 §10.5).
    pub(crate) signature_demanded: bool,
    /// Whether its refresh tokens are bound to a key though it can authenticate; those of a public client always are.
    pub(crate) refresh_bound_to_key: bool,
    /// `authorization_details_types` (RFC 9396 §10).
    pub(crate) authorization_details_types: Vec<String>,
}

impl Client {
    /// Whether a refresh has to prove the key that the refresh token was issued to (RFC 9449 §5).
    pub(crate) const fn refresh_is_bound_to_key(&self) -> bool {
        self.refresh_bound_to_key || self.credential.is_public()
    }
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
    /// Whether whoever names the client's identifier counts as the client (RFC 6749 §2.1).
    pub(crate) const fn is_public(&self) -> bool {
        matches!(self, Self::None)
    }

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

impl From<AuthSetting> for AuthMethod {
    fn from(setting: AuthSetting) -> Self {
        match setting {
            AuthSetting::None => Self::None,
            AuthSetting::ClientSecretBasic => Self::ClientSecretBasic,
            AuthSetting::ClientSecretPost => Self::ClientSecretPost,
            AuthSetting::PrivateKeyJwt => Self::PrivateKeyJwt,
        }
    }
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
