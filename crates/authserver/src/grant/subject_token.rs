//! What somebody else's word, or ours of before, is worth: a token that is presented to get another by it (RFC 8693,
//! RFC 7523). The other is never worth more.

use countersign_dpop::error::ConfirmationError;
use countersign_dpop::time::Timestamp;
use countersign_dpop::{CheckedProof, Confirmation};
use serde::{Deserialize, Serialize};

use crate::access_token::{Actor, Claims};
use crate::error::{Refusal, SubjectError};
use crate::foreign_token::ForeignToken;
use crate::scope::Scope;
use crate::server::Shared;
use crate::storage::{Change, EntryContent, EntryId, EntryKind, StorageError};

/// A token that was presented and is good.
pub(crate) struct SubjectToken {
    pub(crate) subject: String,
    /// What it allows here.
    pub(crate) scope: Scope,
    /// The identifiers of the resources that it is good for.
    pub(crate) resources: Vec<String>,
    pub(crate) ends_at: Timestamp,
    pub(crate) confirmation: Confirmation,
    /// The client it was issued to, when it is ours.
    pub(crate) client_id: Option<String>,
    pub(crate) actor: Option<Actor>,
    /// How often it may be presented, when it is not ours.
    pub(crate) limit: Option<UseLimit>,
}

/// How often a token may be presented.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UseLimit {
    id: EntryId,
    most: u32,
}

impl SubjectToken {
    /// One of ours. What is not one, has ended or was revoked is refused.
    pub(crate) async fn own(server: &Shared, text: &str, now: Timestamp) -> Result<Self, Refusal> {
        let claims = Claims::read(text, server, now).ok_or(SubjectError::NotOurs).map_err(Refusal::Exchange)?;
        if !server.is_live(&claims, now).await? {
            return Err(Refusal::Exchange(SubjectError::Revoked));
        }
        let confirmation = claims.confirmation().ok_or(Refusal::Exchange(SubjectError::BoundOtherwise))?;
        Ok(Self {
            scope: claims.scope(),
            resources: vec![claims.aud.clone()],
            ends_at: claims.ends_at(),
            confirmation,
            client_id: Some(claims.client_id),
            actor: claims.act,
            limit: None,
            subject: claims.sub,
        })
    }

    /// One of a trusted issuer.
    pub(crate) fn foreign(token: ForeignToken<'_>) -> Self {
        Self {
            scope: token.scope.map(|scope| token.issuer.map_scope(&scope)).unwrap_or_default(),
            resources: token.issuer.resources.clone(),
            subject: token.subject,
            ends_at: token.ends_at,
            confirmation: token.confirmation,
            client_id: None,
            actor: None,
            limit: Some(UseLimit { id: token.uses, most: token.issuer.max_uses }),
        }
    }

    /// A bound token is presented with a proof by its key, or not at all.
    pub(crate) fn confirm(&self, proof: Option<&CheckedProof>) -> Result<(), SubjectError> {
        if !self.confirmation.is_bound() {
            return Ok(());
        }
        let proof = proof.ok_or(SubjectError::ProofRequired)?;
        match (self.confirmation.jkt(), self.confirmation.other_methods()) {
            (Some(jkt), []) if jkt == proof.jkt() => Ok(()),
            (Some(jkt), []) => Err(SubjectError::BoundToAnotherKey(ConfirmationError::JktMismatch {
                token: *jkt,
                proof: *proof.jkt(),
            })),
            _ => Err(SubjectError::BoundOtherwise),
        }
    }
}

/// What is kept of the uses of one token: each of them.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Uses(Vec<Use>);

/// One use.
#[derive(Debug, Deserialize, Serialize)]
struct Use {
    at: i64,
    client_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jkt: Option<String>,
}

impl UseLimit {
    /// The change that notes one more use, if one more is allowed. `until` is when the token ends.
    pub(crate) async fn note(
        &self,
        server: &Shared,
        client_id: &str,
        proof: Option<&CheckedProof>,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Result<Change, SubjectError>, StorageError> {
        let found = server.storage.find(EntryKind::SubjectToken, self.id).await?;
        let broken = || StorageError::Unavailable { reason: "a broken entry of a subject token".to_owned() };
        let mut uses = match &found {
            Some(entry) => serde_json::from_str::<Uses>(&entry.content.body).map_err(|_| broken())?,
            None => Uses::default(),
        };
        if uses.0.len() >= self.most as usize {
            return Ok(Err(SubjectError::Exhausted { most: self.most }));
        }
        let jkt = proof.map(|proof| proof.jkt().to_string());
        uses.0.push(Use { at: now.seconds(), client_id: client_id.to_owned(), jkt });
        let body = serde_json::to_string(&uses).map_err(|_| broken())?;
        let content = EntryContent { owner: Some(client_id.to_owned()), not_after: until, body };
        Ok(Ok(match found {
            Some(entry) => Change::Replace(entry.at, content),
            None => Change::Add(EntryKind::SubjectToken, self.id, content),
        }))
    }
}
