//! Approvals in bulk, for measuring a server that has many.

use countersign_dpop::jose::Jkt;
use zeroize::Zeroizing;

use crate::approval::Approval;
use crate::grant::refresh::RefreshToken;
use crate::random::{random_id, random_secret};
use crate::scope::Scope;
use crate::server::AuthServer;
use crate::storage::{self, SingleUse, StorageError};

/// What approvals are made of.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct BulkApprovals {
    /// A registered client.
    pub client_id: String,
    /// A registered resource.
    pub resource: String,
    /// The key that refreshes have to prove.
    pub jkt: Jkt,
    /// How many.
    pub count: usize,
    /// How many of their refresh tokens to return.
    pub tokens: usize,
}

impl AuthServer {
    /// Makes approvals that nobody has given, with a refresh token each. Whoever can call this holds the server's keys
    /// anyway.
    ///
    /// # Errors
    /// When the storage fails.
    #[doc(hidden)]
    pub async fn approve_in_bulk(
        &self,
        bulk: &BulkApprovals,
        mut progress: impl FnMut(usize) + Send,
    ) -> Result<Vec<Zeroizing<String>>, StorageError> {
        let (shared, now) = (&self.shared, self.shared.clock.now());
        let no_random = |_| StorageError::Unavailable { reason: "no random bytes".to_owned() };
        let mut tokens = Vec::with_capacity(bulk.tokens);
        let mut changes = Vec::with_capacity(TOGETHER);
        for made in 1..=bulk.count {
            let id = random_id().map_err(no_random)?;
            let approval = Approval {
                subject: format!("user {}", made % 10_000),
                client_id: bulk.client_id.clone(),
                scope: Scope::default(),
                resources: vec![bulk.resource.clone()],
                authorization_details: None,
                jkt: Some(bulk.jkt),
                approved_at: now,
                until: now.plus(86_400),
                ended: None,
                id,
            };
            let text = random_secret().map_err(no_random)?;
            changes.push(storage::add(&approval.id, &approval)?);
            changes.push(storage::add(&text, &RefreshToken::of_bulk(&approval, bulk.jkt, now))?);
            if tokens.len() < bulk.tokens {
                tokens.push(text);
            }
            if changes.len() >= TOGETHER || made == bulk.count {
                shared.storage.commit(&SingleUse::default(), &changes, now).await?;
                changes.clear();
                progress(made);
            }
        }
        Ok(tokens)
    }
}

/// How many changes are committed together.
const TOGETHER: usize = 2_000;
