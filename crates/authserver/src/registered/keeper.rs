//! Clients, for whoever runs the server.

use std::sync::Arc;

use aws_lc_rs::rand;
use countersign_dpop::NoRandomness;
use countersign_dpop::jose::encode_base64url;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::RegisteredClient;
use crate::client::AuthMethod;
use crate::config::{AuthSetting, ClientConfig, ConfigErrors, sha256};
use crate::server::{AuthServer, Shared};
use crate::storage::{Change, EntryId, EntryKind, Listing, SingleUse, StorageError, Verdict};

/// Who registered a client.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Registrar {
    /// It stands in the configuration.
    Configuration,
    /// Whoever runs the server.
    Operator,
    /// The client itself (RFC 7591).
    Itself,
}

/// A client, as listed. Holds nothing secret.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ClientListing {
    /// Its identifier.
    pub client_id: String,
    /// What it calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How it authenticates.
    pub auth: &'static str,
    /// The grants it may use.
    pub grants: Vec<String>,
    /// The scopes it may ask for.
    pub scopes: Vec<String>,
    /// Whether it gets bound tokens only.
    pub dpop_bound_access_tokens: bool,
    /// Who registered it.
    pub registered_by: Registrar,
    /// Whether it is switched off.
    pub disabled: bool,
}

/// A client that was added, with what it is told once.
#[derive(Debug)]
pub struct AddedClient {
    /// Its identifier.
    pub client_id: String,
    /// Its secret, if it has one; the server keeps a hash of it only.
    pub secret: Option<SecretString>,
}

/// Why a client is not added.
#[derive(Debug, thiserror::Error)]
pub enum AddClientError {
    /// There is one of that name.
    #[error("there is a client of that name")]
    Taken,
    /// Something about it is wrong.
    #[error(transparent)]
    Wrong(#[from] ConfigErrors),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// No random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// The clients of a server.
#[derive(Clone, Debug)]
pub struct ClientKeeper {
    server: Arc<Shared>,
}

impl AuthServer {
    /// The clients of this server.
    pub fn clients(&self) -> ClientKeeper {
        ClientKeeper { server: self.shared.clone() }
    }
}

impl ClientKeeper {
    /// Adds a client, as it would stand in the configuration but without a secret: one is made where it needs one.
    ///
    /// # Errors
    /// See [`AddClientError`].
    pub async fn add(&self, written: ClientConfig, name: Option<String>) -> Result<AddedClient, AddClientError> {
        let now = self.server.clock.now();
        let registered = RegisteredClient {
            name,
            jwks: written.jwks,
            jwks_uri: written.jwks_uri,
            redirect_uris: written.redirect_uris,
            scopes: written.scopes,
            dpop_bound_access_tokens: written.dpop_bound_access_tokens,
            ..RegisteredClient::new(written.client_id, written.auth, written.grants, Registrar::Operator, now)
        };
        self.server.add_client(registered).await
    }

    /// Every client: those of the configuration and those that were registered, by their identifiers.
    ///
    /// # Errors
    /// The storage's.
    pub async fn list(&self) -> Result<Vec<ClientListing>, StorageError> {
        let mut listed: Vec<ClientListing> = Vec::new();
        for client in self.server.settings.clients.values() {
            listed.push(ClientListing {
                client_id: client.id.clone(),
                name: None,
                auth: client.credential.method().as_str(),
                grants: client.grants.iter().map(|grant| grant.name().to_owned()).collect(),
                scopes: client.scopes.iter().map(str::to_owned).collect(),
                dpop_bound_access_tokens: client.bound_tokens_only,
                registered_by: Registrar::Configuration,
                disabled: false,
            });
        }
        let mut after = None;
        loop {
            let listing = Listing { kind: EntryKind::Client, owner: None, after, limit: 500 };
            let page = self.server.storage.list(listing).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.at.id);
            for entry in &page {
                listed.push(ClientListing::from(RegisteredClient::read(entry)?));
            }
        }
        listed.sort_by(|one, other| one.client_id.cmp(&other.client_id));
        Ok(listed)
    }

    /// Switches a registered client off, or on again. False when there is none of that name.
    ///
    /// # Errors
    /// The storage's.
    pub async fn set_disabled(&self, client_id: &str, disabled: bool) -> Result<bool, StorageError> {
        self.change(client_id, |client| Some(RegisteredClient { disabled, ..client })).await
    }

    /// Forgets a registered client. False when there is none of that name.
    ///
    /// # Errors
    /// The storage's.
    pub async fn remove(&self, client_id: &str) -> Result<bool, StorageError> {
        self.change(client_id, |_| None).await
    }

    async fn change(
        &self,
        client_id: &str,
        change: impl Fn(RegisteredClient) -> Option<RegisteredClient>,
    ) -> Result<bool, StorageError> {
        let (storage, now) = (self.server.storage.as_ref(), self.server.clock.now());
        loop {
            let found = storage.find(EntryKind::Client, EntryId::of(client_id)).await?;
            let Some(entry) = found else { return Ok(false) };
            let change = match change(RegisteredClient::read(&entry)?) {
                Some(changed) => Change::Replace(entry.at, changed.content()?),
                None => Change::Remove(entry.at),
            };
            if storage.commit(&SingleUse::default(), &[change], now).await? == Verdict::First {
                return Ok(true);
            }
        }
    }
}

impl Shared {
    /// Adds a client, with a secret where it needs one.
    pub(crate) async fn add_client(&self, mut registered: RegisteredClient) -> Result<AddedClient, AddClientError> {
        let needs_secret = matches!(registered.auth, AuthSetting::ClientSecretBasic | AuthSetting::ClientSecretPost);
        let secret = needs_secret.then(draw_secret).transpose()?;
        if let Some(secret) = &secret {
            registered.set_secret(&sha256(secret.as_bytes()));
        }
        registered.resolve(&self.settings)?;
        if self.settings.clients.contains_key(&registered.client_id) {
            return Err(AddClientError::Taken);
        }
        let id = EntryId::of(&registered.client_id);
        let changes = [Change::Add(EntryKind::Client, id, registered.content()?)];
        match self.storage.commit(&SingleUse::default(), &changes, self.clock.now()).await? {
            Verdict::First => Ok(AddedClient {
                client_id: registered.client_id,
                secret: secret.map(|secret| SecretString::from(secret.as_str())),
            }),
            _ => Err(AddClientError::Taken),
        }
    }
}

/// 256 random bits.
fn draw_secret() -> Result<Zeroizing<String>, NoRandomness> {
    let mut bytes = Zeroizing::new([0; 32]);
    rand::fill(&mut bytes[..]).map_err(|_| NoRandomness)?;
    Ok(Zeroizing::new(encode_base64url(&bytes[..])))
}

impl From<RegisteredClient> for ClientListing {
    fn from(client: RegisteredClient) -> Self {
        Self {
            auth: AuthMethod::from(client.auth).as_str(),
            client_id: client.client_id,
            name: client.name,
            grants: client.grants,
            scopes: client.scopes,
            dpop_bound_access_tokens: client.dpop_bound_access_tokens.unwrap_or_default(),
            registered_by: client.by,
            disabled: client.disabled,
        }
    }
}
