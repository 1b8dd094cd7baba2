//! The configuration as it is written, one TOML file; unknown keys are refused.

mod client;
mod error;
mod file;
mod profile;
mod resolve;
mod strangers;
#[cfg(test)]
mod tests;
mod trusted_issuer;
mod user;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use countersign_dpop::NoncePolicy;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

pub(crate) use self::client::{resolve_registered, sha256};
pub use self::error::{ConfigError, ConfigErrors, Key, Problem};
pub use self::profile::Profile;
pub(crate) use self::profile::{FAPI2_ALGORITHMS, Rotation, Rules};
pub use self::resolve::Settings;
pub(crate) use self::strangers::{Registration, Strangers};
use crate::resource::TokenFormat;

/// The whole configuration. [`AuthServerConfig::resolve`] makes [`Settings`] of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthServerConfig {
    /// The issuer identifier, a URL.
    pub issuer: String,
    /// Where to listen; left to the caller of [`crate::AuthServer::bind`].
    pub listen: Option<SocketAddr>,
    /// Where `/healthz` and `/readyz` are; left to the caller of [`crate::BoundAuthServer::with_admin`].
    pub admin: Option<SocketAddr>,
    /// The origins whose pages may call this server.
    #[serde(default)]
    pub cors_origins: Vec<String>,
    /// The data directory; relative paths count from the configuration's directory.
    pub data: Option<PathBuf>,
    /// `postgres://…` in place of a database in `data`.
    pub database: Option<SecretString>,
    /// A file that holds nothing but such a URL.
    pub database_file: Option<PathBuf>,
    /// Addresses of proxies whose `X-Forwarded-For` says where a request comes from, as `10.0.0.0/8`.
    #[serde(default)]
    pub trusted_proxies: Vec<String>,
    /// `[tls]`; without it the server speaks plain HTTP, to a proxy or on loopback.
    pub tls: Option<TlsConfig>,
    /// `[limits]`
    #[serde(default)]
    pub limits: LimitsConfig,
    /// Which rules apply.
    #[serde(default)]
    pub profile: Profile,
    /// When proofs need a nonce.
    #[serde(default)]
    pub nonce: NonceSetting,
    /// `[[client]]`
    #[serde(default, rename = "client")]
    pub clients: Vec<ClientConfig>,
    /// `[[resource]]`
    #[serde(default, rename = "resource")]
    pub resources: Vec<ResourceConfig>,
    /// `[[trusted_issuer]]`
    #[serde(default, rename = "trusted_issuer")]
    pub trusted_issuers: Vec<TrustedIssuerConfig>,
    /// `[registration]`. Absent: clients cannot register themselves.
    pub registration: Option<RegistrationConfig>,
    /// `[client_metadata_documents]`. Absent: no client is described by a document of its own.
    pub client_metadata_documents: Option<ClientMetadataConfig>,
    /// `[[user]]`
    #[serde(default, rename = "user")]
    pub users: Vec<UserConfig>,
}

impl AuthServerConfig {
    /// A configuration with what must be there.
    pub fn new(issuer: impl Into<String>, data: impl Into<PathBuf>) -> Self {
        Self {
            issuer: issuer.into(),
            listen: None,
            admin: None,
            cors_origins: Vec::new(),
            data: Some(data.into()),
            database: None,
            database_file: None,
            trusted_proxies: Vec::new(),
            tls: None,
            limits: LimitsConfig::default(),
            profile: Profile::default(),
            nonce: NonceSetting::default(),
            clients: Vec::new(),
            resources: Vec::new(),
            trusted_issuers: Vec::new(),
            registration: None,
            client_metadata_documents: None,
            users: Vec::new(),
        }
    }
}

/// `[tls]`: files in PEM form, read again when they change.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate, followed by those that lead to the root.
    pub certificate_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
}

/// `[limits]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    /// Requests a second from one address (of IPv6: from one /64); five seconds' worth may come at once. 0 is no limit.
    pub requests_per_source: Option<u32>,
    /// Requests a second of one authenticated client, likewise.
    pub requests_per_client: Option<u32>,
    /// Seconds that requests in flight may take after the server was told to stop, 1 to 600.
    pub drain_seconds: Option<u64>,
}

/// `nonce`
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum NonceSetting {
    /// Never asked for.
    Never,
    /// Asked for where the server's memory does not reach.
    #[default]
    Optional,
    /// Demanded of every proof.
    Required,
}

impl From<NonceSetting> for NoncePolicy {
    fn from(setting: NonceSetting) -> Self {
        match setting {
            NonceSetting::Never => Self::Never,
            NonceSetting::Optional => Self::Optional,
            NonceSetting::Required => Self::Required,
        }
    }
}

/// `[[client]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientConfig {
    /// The client's identifier.
    pub client_id: String,
    /// How it authenticates.
    pub auth: AuthSetting,
    /// Its secret.
    pub secret: Option<SecretString>,
    /// A file that holds nothing but its secret; one line end at its end is not part of it.
    pub secret_file: Option<PathBuf>,
    /// Its public keys, a JWK Set.
    pub jwks: Option<serde_json::Value>,
    /// A file with its public keys, a JWK Set.
    pub jwks_file: Option<PathBuf>,
    /// Where its public keys are published.
    pub jwks_uri: Option<String>,
    /// Where its users may be sent back to.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// The grants it may use, by their names on the wire.
    #[serde(default)]
    pub grants: Vec<String>,
    /// The scopes it may ask for; those it gets when it names none.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Resources that it may exchange tokens for although they are for another resource (RFC 8693).
    #[serde(default)]
    pub exchange_resources: Vec<String>,
    /// Whether it gets bound tokens only (RFC 9449 §5.2). Absent: what the profile says.
    pub dpop_bound_access_tokens: Option<bool>,
    /// Whether its refresh tokens are bound to a key though it can authenticate (RFC 9449 §5 leaves them free).
    #[serde(default)]
    pub refresh_bound_to_key: bool,
    /// Whether its authorization requests must be pushed (RFC 9126 §6). Absent: what the profile says.
    pub require_pushed_authorization_requests: Option<bool>,
    /// Whether its authorization requests must be signed (RFC 9101 §10.5).
    #[serde(default)]
    pub require_signed_request_object: bool,
    /// The types of authorization details that it may ask for (RFC 9396 §10).
    #[serde(default)]
    pub authorization_details_types: Vec<String>,
}

impl ClientConfig {
    /// A client with what must be there.
    pub fn new(client_id: impl Into<String>, auth: AuthSetting) -> Self {
        Self {
            client_id: client_id.into(),
            auth,
            secret: None,
            secret_file: None,
            jwks: None,
            jwks_file: None,
            jwks_uri: None,
            redirect_uris: Vec::new(),
            grants: Vec::new(),
            scopes: Vec::new(),
            exchange_resources: Vec::new(),
            dpop_bound_access_tokens: None,
            refresh_bound_to_key: false,
            require_pushed_authorization_requests: None,
            require_signed_request_object: false,
            authorization_details_types: Vec::new(),
        }
    }
}

/// `auth`
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthSetting {
    /// A public client.
    None,
    /// A secret in the `Authorization` field.
    ClientSecretBasic,
    /// A secret in the form.
    ClientSecretPost,
    /// A signed assertion (RFC 7523).
    PrivateKeyJwt,
}

/// `[[resource]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceConfig {
    /// The resource identifier; it becomes the audience of tokens.
    pub identifier: String,
    /// The scopes it knows.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What access tokens for it look like.
    #[serde(default)]
    pub token_format: TokenFormat,
    /// The clients that may introspect tokens for it (RFC 7662). Absent: every confidential client.
    pub introspected_by: Option<Vec<String>>,
}

impl ResourceConfig {
    /// A resource of JWT access tokens.
    pub fn new<S: Into<String>>(identifier: impl Into<String>, scopes: impl IntoIterator<Item = S>) -> Self {
        Self {
            identifier: identifier.into(),
            scopes: scopes.into_iter().map(Into::into).collect(),
            token_format: TokenFormat::default(),
            introspected_by: None,
        }
    }
}

/// `[registration]`: clients register themselves (RFC 7591).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistrationConfig {
    /// What a client has to present to be let in.
    pub initial_access_token: Option<SecretString>,
    /// A file that holds nothing but that.
    pub initial_access_token_file: Option<PathBuf>,
    /// The scopes that such clients may ask for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The grants that such clients may use. Absent: `authorization_code` and `refresh_token`.
    pub grants: Option<Vec<String>>,
}

/// `[client_metadata_documents]`: the identifier of a client may be the URL of a document that describes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientMetadataConfig {
    /// The scopes that such clients may ask for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The grants that such clients may use. Absent: `authorization_code` and `refresh_token`.
    pub grants: Option<Vec<String>>,
}

/// `[[trusted_issuer]]`: an issuer whose tokens clients may present to get one of ours.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedIssuerConfig {
    /// `iss` of its tokens.
    pub issuer: String,
    /// What must be among the audiences of its tokens.
    pub audience: String,
    /// Its public keys, a JWK Set. Without any of the three its metadata says where they are.
    pub jwks: Option<serde_json::Value>,
    /// A file with its public keys, a JWK Set.
    pub jwks_file: Option<PathBuf>,
    /// Where its public keys are published.
    pub jwks_uri: Option<String>,
    /// The clients that may present its tokens.
    #[serde(default)]
    pub clients: Vec<String>,
    /// The subjects whose tokens are taken; one that ends in `*` stands for all that begin so. Absent: all.
    pub subjects: Option<Vec<String>>,
    /// The resources that its tokens stand for. Absent: the one whose identifier is the audience.
    pub resources: Option<Vec<String>>,
    /// From its scopes to those that they are here. Absent: the same by name.
    pub scopes: Option<BTreeMap<String, Vec<String>>>,
    /// How often one of its tokens may be presented; 16 when absent.
    pub max_uses: Option<u32>,
    /// What is put before its subjects, so that none is taken for one of ours.
    pub subject_prefix: Option<String>,
}

/// `[[user]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserConfig {
    /// The name to sign in with.
    pub username: String,
    /// An argon2id hash in PHC form.
    pub password_hash: Option<SecretString>,
    /// The password itself.
    pub password: Option<SecretString>,
}
