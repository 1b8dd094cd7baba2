//! What a client is told: its issuer, how it proves who it is, and where its keys are. The file `client.toml`.

mod error;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::path::PathBuf;

use secrecy::SecretString;

pub use self::error::{ConfigError, ConfigFault};
use crate::http::Endpoint;
use crate::keys::{KeyName, KeyPlace};
use crate::nonce::Binding;

/// The configuration of one client at one issuer.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    pub(crate) resource: Option<String>,
    pub(crate) scope: Option<String>,
    pub(crate) base_url: Option<String>,
    pub(crate) assume_dpop: bool,
    pub(crate) allow_bearer: bool,
    pub(crate) authentication: Authentication,
    pub(crate) keys: KeyPlaces,
}

/// How the client proves who it is to the authorization server.
#[derive(Clone, Debug)]
pub enum Authentication {
    /// `private_key_jwt` (RFC 7523 §2.2), by another key than that of the proofs.
    PrivateKeyJwt {
        /// The key.
        key: AssertionKey,
        /// The `kid` of the key, if the server knows it by one.
        kid: Option<String>,
    },
    /// `client_secret_basic` (RFC 6749 §2.3.1).
    ClientSecretBasic {
        /// The secret.
        secret: ClientSecret,
    },
    /// `none`: a public client.
    None,
}

/// Where the key for `private_key_jwt` is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AssertionKey {
    /// In the key store, under this name.
    Stored(KeyName),
    /// In a file: PEM or JWK, not sealed.
    File(PathBuf),
}

/// Where the client secret is.
#[derive(Clone, Debug)]
pub enum ClientSecret {
    /// In the configuration.
    Inline(SecretString),
    /// In a file that holds nothing else; one line end at its end is not part of it.
    File(PathBuf),
}

/// Where the keys are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyPlaces {
    /// The store.
    pub store: KeyPlace,
    /// The name of the key that proofs are made with.
    pub dpop: KeyName,
}

impl ClientConfig {
    /// A client `client_id` of `issuer`.
    ///
    /// # Errors
    /// [`ConfigFault::Url`] when `issuer` is no https URL (or http on loopback) or has a query or fragment
    /// (RFC 8414 §2); [`ConfigFault::Empty`] when `client_id` is empty.
    pub fn new(
        issuer: &str,
        client_id: &str,
        authentication: Authentication,
        keys: KeyPlaces,
    ) -> Result<Self, ConfigFault> {
        check_issuer(issuer)?;
        if client_id.is_empty() {
            return Err(ConfigFault::Empty { key: "client_id" });
        }
        let (issuer, client_id) = (issuer.to_owned(), client_id.to_owned());
        Ok(Self {
            issuer,
            client_id,
            resource: None,
            scope: None,
            base_url: None,
            assume_dpop: false,
            allow_bearer: false,
            authentication,
            keys,
        })
    }

    /// Asks for tokens for this resource (RFC 8707).
    ///
    /// # Errors
    /// [`ConfigFault::Url`] as for the issuer.
    pub fn with_resource(mut self, resource: &str) -> Result<Self, ConfigFault> {
        check_resource(resource)?;
        self.resource = Some(resource.to_owned());
        Ok(self)
    }

    /// Asks for these scopes, with blanks between them.
    #[must_use]
    pub fn with_scope(mut self, scope: &str) -> Self {
        self.scope = Some(scope.to_owned());
        self
    }

    /// Says that the resource is to be found below this URL, where its identifier is another. Tokens are sent there
    /// and nowhere else.
    ///
    /// # Errors
    /// [`ConfigFault::Url`] as for the issuer.
    pub fn with_base_url(mut self, url: &str) -> Result<Self, ConfigFault> {
        check_base_url(url)?;
        self.base_url = Some(url.to_owned());
        Ok(self)
    }

    /// Goes on with a token that is not bound, where the issuer binds none.
    #[must_use]
    pub fn with_bearer_allowed(mut self) -> Self {
        self.allow_bearer = true;
        self
    }

    /// Goes on with an issuer whose metadata does not announce DPoP. A token that is not bound is refused all the
    /// same.
    #[must_use]
    pub fn with_dpop_assumed(mut self) -> Self {
        self.assume_dpop = true;
        self
    }

    /// What nonces and clock offsets are kept for.
    pub(crate) fn binding(&self, label: &str) -> Binding {
        let resource = self.resource.as_deref().unwrap_or_default();
        Binding::new(&format!("{} {} {resource} {label}", self.issuer, self.client_id))
    }

    /// The issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The client's identifier.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The resource that tokens are asked for.
    pub fn resource(&self) -> Option<&str> {
        self.resource.as_deref()
    }

    /// The scopes that are asked for.
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// Below which URL the resource is, if not below its identifier.
    pub fn base_url(&self) -> Option<&str> {
        self.base_url.as_deref()
    }

    /// Below which URL its token may be sent; `None` when nothing says so.
    pub(crate) fn reach(&self) -> Option<Endpoint> {
        let url = self.base_url.as_deref().or(self.resource.as_deref())?;
        Endpoint::parse(url).ok()
    }

    /// How the client proves who it is.
    pub const fn authentication(&self) -> &Authentication {
        &self.authentication
    }

    /// Where the keys are.
    pub const fn keys(&self) -> &KeyPlaces {
        &self.keys
    }
}

fn check_issuer(issuer: &str) -> Result<(), ConfigFault> {
    Endpoint::parse(issuer).map_err(|fault| ConfigFault::Url { key: "issuer", fault })?;
    if issuer.contains(['?', '#']) { Err(ConfigFault::QueryOrFragment { key: "issuer" }) } else { Ok(()) }
}

fn check_base_url(url: &str) -> Result<(), ConfigFault> {
    Endpoint::parse(url).map_err(|fault| ConfigFault::Url { key: "base_url", fault })?;
    if url.contains(['?', '#']) { Err(ConfigFault::QueryOrFragment { key: "base_url" }) } else { Ok(()) }
}

fn check_resource(resource: &str) -> Result<(), ConfigFault> {
    Endpoint::parse(resource).map_err(|fault| ConfigFault::Url { key: "resource", fault })?;
    if resource.contains('#') { Err(ConfigFault::QueryOrFragment { key: "resource" }) } else { Ok(()) }
}
