//! Client ID Metadata Documents (draft-ietf-oauth-client-id-metadata-document): the identifier of a client is the URL of a
//! document that describes it. The URL is a stranger's: public addresses only, no redirects, 5 KiB, three seconds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use countersign_dpop::jose::{JsonLimits, from_strict_json};
use countersign_dpop::time::Timestamp;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::{RegisteredClient, Registrar};
use crate::client::Client;
use crate::config::{AuthSetting, Strangers};
use crate::fetch::{FETCH_PATIENCE, FetchRequest, FetchUrl, Reach, get_json};
use crate::server::Shared;

/// The longest document, in bytes.
const MAX_LENGTH: usize = 5 * 1_024;
/// Seconds for which a document is taken as it was.
const KEPT_FOR: i64 = 300;
/// Seconds for which it is used when it cannot be fetched again.
const STALE_FOR: i64 = 3_600;
/// Seconds for which a document that is not there, or not right, is not asked for again.
const REFUSED_FOR: i64 = 30;
/// The most documents that are remembered.
const MAX_DOCUMENTS: usize = 1_000;
/// The most fetches at a time; more wait, and not for long.
const MAX_FETCHES: usize = 8;

/// Documents as they were fetched.
#[derive(Debug)]
pub(crate) struct Documents {
    known: Mutex<HashMap<String, Known>>,
    fetches: Semaphore,
}

#[derive(Clone, Debug)]
struct Known {
    tried: Timestamp,
    client: Option<(Arc<Client>, Timestamp)>,
}

impl Default for Documents {
    fn default() -> Self {
        Self { known: Mutex::default(), fetches: Semaphore::new(MAX_FETCHES) }
    }
}

impl Documents {
    /// The client whose document is at `id`; `None` when there is none, or it cannot be had.
    pub(crate) async fn find(
        &self,
        server: &Shared,
        strangers: &Strangers,
        id: &str,
        now: Timestamp,
    ) -> Option<Arc<Client>> {
        let url = read_url(id)?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        let kept = |age: i64| {
            let client = known.as_ref().and_then(|known| known.client.as_ref());
            client.filter(|(_, fetched)| apart(*fetched, now) < age).map(|(client, _)| client.clone())
        };
        if let Some(client) = kept(KEPT_FOR) {
            return Some(client);
        }
        if known.as_ref().is_some_and(|known| apart(known.tried, now) < REFUSED_FOR) {
            return kept(STALE_FOR);
        }
        let fetched = self.fetch(server, strangers, url, now).await;
        let old = known.as_ref().and_then(|known| known.client.clone());
        self.remember(id, Known { tried: now, client: fetched.clone().map(|client| (client, now)).or(old) });
        fetched.or_else(|| kept(STALE_FOR))
    }

    async fn fetch(
        &self,
        server: &Shared,
        strangers: &Strangers,
        url: FetchUrl,
        now: Timestamp,
    ) -> Option<Arc<Client>> {
        let _turn = tokio::time::timeout(FETCH_PATIENCE, self.fetches.acquire()).await.ok()?.ok()?;
        let id = url.as_str().to_owned();
        let request = FetchRequest { url, reach: Reach::Public, limit: MAX_LENGTH };
        let body = match get_json(server.fetch.as_ref(), request).await {
            Ok(body) => body,
            Err(fault) => {
                tracing::info!(client = id, %fault, "a client's document cannot be fetched");
                return None;
            }
        };
        let described = read_document(&body, &id, strangers, now);
        let resolved =
            described.and_then(|client| client.resolve(&server.settings).map_err(|faults| faults.to_string()));
        match resolved {
            Ok(client) => Some(Arc::new(client)),
            Err(fault) => {
                tracing::info!(client = id, fault, "a client's document does not describe a client");
                None
            }
        }
    }

    /// When full, the one that was asked for longest ago makes room.
    fn remember(&self, id: &str, entry: Known) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_DOCUMENTS
            && !known.contains_key(id)
            && let Some(oldest) = known.iter().min_by_key(|(_, known)| known.tried).map(|(id, _)| id.clone())
        {
            known.remove(&oldest);
        }
        known.insert(id.to_owned(), entry);
    }
}

/// An https URL in normal form, with a path: a bare origin describes nobody.
fn read_url(id: &str) -> Option<FetchUrl> {
    let url = FetchUrl::parse(id).ok()?;
    let rest = id.strip_prefix("https://")?;
    let has_path = rest.split_once('/').is_some_and(|(_, path)| !path.is_empty() && !path.starts_with('?'));
    (has_path && url.may_be_public() && url.as_str() == id).then_some(url)
}

/// What the document says, as if it had registered so.
fn read_document(body: &[u8], id: &str, strangers: &Strangers, now: Timestamp) -> Result<RegisteredClient, String> {
    let members: Map<String, Value> =
        from_strict_json(body, JsonLimits::DOCUMENT).map_err(|fault| fault.to_string())?;
    if members.get("client_id").and_then(Value::as_str) != Some(id) {
        return Err("client_id is not the document's own URL".to_owned());
    }
    if members.contains_key("client_secret") || members.contains_key("client_secret_expires_at") {
        return Err("a secret in a public document".to_owned());
    }
    let auth = match members.get("token_endpoint_auth_method").map(Value::as_str) {
        None | Some(Some("none")) => AuthSetting::None,
        Some(Some("private_key_jwt")) => AuthSetting::PrivateKeyJwt,
        Some(_) => return Err("token_endpoint_auth_method is neither none nor private_key_jwt".to_owned()),
    };
    strangers.describe(&members, id.to_owned(), auth, Registrar::Itself, now)
}

/// Seconds between two readings of the clock; one that was set back makes documents old rather than young for ever.
fn apart(one: Timestamp, other: Timestamp) -> i64 {
    one.since(other).saturating_abs()
}
