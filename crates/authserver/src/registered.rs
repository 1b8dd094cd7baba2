//! Clients that are not of the configuration: registered by whoever runs the server, by themselves (RFC 7591), or
//! described by a document of their own (Client ID Metadata Documents).

mod document;
mod keeper;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use countersign_dpop::jose::{decode_base64url, encode_base64url};
use countersign_dpop::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use self::document::Documents;
pub use self::keeper::{AddClientError, AddedClient, ClientKeeper, ClientListing, Registrar};
use crate::client::Client;
use crate::config::{AuthSetting, ClientConfig, ConfigErrors, Settings, resolve_registered};
use crate::error::Refusal;
use crate::fetch::Reach;
use crate::server::Shared;
use crate::storage::{Entry, EntryContent, EntryId, EntryKind, StorageError};

/// A client as it is kept.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct RegisteredClient {
    pub(crate) client_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    pub(crate) auth: AuthSetting,
    /// SHA-256 of its secret, as base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret_sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) jwks: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) jwks_uri: Option<String>,
    #[serde(default)]
    pub(crate) redirect_uris: Vec<String>,
    pub(crate) grants: Vec<String>,
    pub(crate) scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dpop_bound_access_tokens: Option<bool>,
    pub(crate) registered_at: i64,
    pub(crate) by: Registrar,
    #[serde(default)]
    pub(crate) disabled: bool,
}

impl RegisteredClient {
    /// A client with what must be there.
    pub(crate) fn new(
        client_id: String,
        auth: AuthSetting,
        grants: Vec<String>,
        by: Registrar,
        now: Timestamp,
    ) -> Self {
        Self {
            client_id,
            name: None,
            auth,
            secret_sha256: None,
            jwks: None,
            jwks_uri: None,
            redirect_uris: Vec::new(),
            grants,
            scopes: Vec::new(),
            dpop_bound_access_tokens: None,
            registered_at: now.seconds(),
            by,
            disabled: false,
        }
    }

    pub(crate) fn set_secret(&mut self, sha256: &[u8; 32]) {
        self.secret_sha256 = Some(encode_base64url(sha256));
    }

    /// The client, with everything checked as if it stood in the configuration. What a stranger wrote is fetched from
    /// public addresses only.
    pub(crate) fn resolve(&self, settings: &Settings) -> Result<Client, ConfigErrors> {
        let written = ClientConfig {
            jwks: self.jwks.clone(),
            jwks_uri: self.jwks_uri.clone(),
            redirect_uris: self.redirect_uris.clone(),
            grants: self.grants.clone(),
            scopes: self.scopes.clone(),
            dpop_bound_access_tokens: self.dpop_bound_access_tokens,
            ..ClientConfig::new(&self.client_id, self.auth)
        };
        let secret = self.secret_sha256.as_deref().and_then(|text| decode_base64url(text).ok());
        let secret = secret.and_then(|bytes| bytes.try_into().ok());
        let reach = if self.by == Registrar::Operator { Reach::Anywhere } else { Reach::Public };
        resolve_registered(&written, secret, reach, settings)
    }

    pub(crate) fn content(&self) -> Result<EntryContent, StorageError> {
        let body = serde_json::to_string(self)
            .map_err(|_| StorageError::Unavailable { reason: "a client that cannot be written".to_owned() })?;
        Ok(EntryContent { owner: None, not_after: FOR_GOOD, body })
    }

    pub(crate) fn read(entry: &Entry) -> Result<Self, StorageError> {
        serde_json::from_str(&entry.content.body)
            .map_err(|_| StorageError::Unavailable { reason: "a broken entry of a client".to_owned() })
    }
}

/// The end of the year 9999.
const FOR_GOOD: Timestamp = Timestamp::from_seconds(253_402_300_799);

/// Registered clients as they were read last, so that the keys they publish are fetched once and not for each request.
#[derive(Debug, Default)]
pub(crate) struct Registered(Mutex<HashMap<String, (i64, Arc<Client>)>>);

impl Registered {
    /// The most clients that are remembered.
    const MAX: usize = 10_000;

    /// The registered client of this identifier, unless it is disabled or no longer fits the configuration.
    pub(crate) async fn find(&self, server: &Shared, id: &str) -> Result<Option<Arc<Client>>, Refusal> {
        let Some(entry) = server.storage.find(EntryKind::Client, EntryId::of(id)).await? else { return Ok(None) };
        if let Some(known) = self.known(id, entry.at.version) {
            return Ok(Some(known));
        }
        let registered = RegisteredClient::read(&entry)?;
        if registered.disabled {
            return Ok(None);
        }
        match registered.resolve(&server.settings) {
            Ok(client) => Ok(Some(self.remember(entry.at.version, Arc::new(client)))),
            Err(faults) => {
                tracing::warn!(client = id, %faults, "a registered client no longer fits the configuration");
                Ok(None)
            }
        }
    }

    fn known(&self, id: &str, version: i64) -> Option<Arc<Client>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(id).filter(|(own, _)| *own == version).map(|(_, client)| client.clone())
    }

    fn remember(&self, version: i64, client: Arc<Client>) -> Arc<Client> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= Self::MAX {
            known.clear();
        }
        known.insert(client.id.clone(), (version, client.clone()));
        client
    }
}
