//! What has been approved: who, when, for which client, what, for how long, and bound to which key. It is the family
//! of the code and of every token that came of it: when it ends, all of them do.

use std::sync::Arc;

use countersign_dpop::jose::Jkt;
use countersign_dpop::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::plain;
use crate::scope::Scope;
use crate::server::{AuthServer, Shared};
use crate::storage::{self, EntryKind, Found, Kept, Listing, SingleUse, Storage, StorageError, Verdict};

/// One approval.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Approval {
    /// Its name, which tokens carry as `grant_id`; not a secret.
    pub(crate) id: String,
    /// The user.
    pub(crate) subject: String,
    pub(crate) client_id: String,
    pub(crate) scope: Scope,
    /// The identifiers of the resources that tokens may be for.
    pub(crate) resources: Vec<String>,
    /// RFC 9396, as approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) authorization_details: Option<serde_json::Value>,
    /// The key that the client said it would use.
    #[serde(with = "plain::optional_jkt")]
    pub(crate) jkt: Option<Jkt>,
    #[serde(with = "plain::date")]
    pub(crate) approved_at: Timestamp,
    /// The last second at which a token may be issued by it.
    #[serde(with = "plain::date")]
    pub(crate) until: Timestamp,
    /// When and why it ended before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<Ended>,
}

/// An end before the time.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Ended {
    #[serde(with = "plain::date")]
    pub(crate) at: Timestamp,
    pub(crate) by: EndedBy,
}

/// What ended an approval.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EndedBy {
    /// The user took it back.
    User,
    /// Whoever runs the server did.
    Operator,
    /// The client revoked a token (RFC 7009).
    Client,
    /// A code was used a second time (RFC 6749 §4.1.2).
    CodeReused,
    /// A refresh token was used after its successor (RFC 9700 §4.14.2).
    RefreshTokenReused,
}

impl EndedBy {
    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Operator => "operator",
            Self::Client => "client",
            Self::CodeReused => "code_reused",
            Self::RefreshTokenReused => "refresh_token_reused",
        }
    }
}

impl Approval {
    /// How long an approval is kept after its end, so that it can be looked up, in seconds.
    const KEPT_LONGER: i64 = 30 * 86_400;

    /// Whether tokens may be issued by it.
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now <= self.until
    }

    /// The same, ended.
    pub(crate) fn end(&self, by: EndedBy, at: Timestamp) -> Self {
        Self { ended: Some(Ended { at, by }), ..self.clone() }
    }
}

impl Kept for Approval {
    const KIND: EntryKind = EntryKind::Grant;

    fn owner(&self) -> Option<&str> {
        Some(&self.subject)
    }

    fn not_after(&self) -> Timestamp {
        self.until.plus(Self::KEPT_LONGER)
    }
}

/// Every approval, or those of one user, that has not been swept.
pub(crate) async fn list(storage: &dyn Storage, owner: Option<&str>) -> Result<Vec<Approval>, StorageError> {
    let (mut approvals, mut after) = (Vec::new(), None);
    loop {
        let page = storage.list(Listing { kind: Approval::KIND, owner, after, limit: 500 }).await?;
        let Some(last) = page.last() else { return Ok(approvals) };
        after = Some(last.at.id);
        for entry in &page {
            approvals.push(Found::<Approval>::read(entry)?.it);
        }
    }
}

/// Ends an approval that is live and that `may_end` allows; says whether there was one.
pub(crate) async fn end(
    storage: &dyn Storage,
    id: &str,
    by: EndedBy,
    may_end: impl Fn(&Approval) -> bool,
    now: Timestamp,
) -> Result<bool, StorageError> {
    loop {
        let found: Option<Found<Approval>> = storage::find(storage, id).await?;
        let Some(found) = found.filter(|found| found.it.is_live(now) && may_end(&found.it)) else { return Ok(false) };
        let changes = [found.replace(&found.it.end(by, now))?];
        if storage.commit(&SingleUse::default(), &changes, now).await? == Verdict::First {
            return Ok(true);
        }
    }
}

/// The approvals of a server, for whoever runs it.
#[derive(Clone, Debug)]
pub struct Approvals {
    server: Arc<Shared>,
}

/// One approval, as listed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ApprovalState {
    /// Its name; not a secret.
    pub id: String,
    /// Who approved.
    pub subject: String,
    /// For which client.
    pub client_id: String,
    /// What.
    pub scope: String,
    /// Where.
    pub resources: Vec<String>,
    /// The key that the client said it would use.
    pub jkt: Option<String>,
    /// When.
    pub approved_at: Timestamp,
    /// Until when at most.
    pub until: Timestamp,
    /// When and by whom it ended before that.
    pub ended: Option<(Timestamp, &'static str)>,
}

impl AuthServer {
    /// What users have approved at this server.
    pub fn approvals(&self) -> Approvals {
        Approvals { server: self.shared.clone() }
    }
}

impl Approvals {
    /// Every approval, or those of one user; the latest first.
    ///
    /// # Errors
    /// The storage's.
    pub async fn list(&self, user: Option<&str>) -> Result<Vec<ApprovalState>, StorageError> {
        let approvals = list(self.server.storage.as_ref(), user).await?;
        let mut states: Vec<ApprovalState> = approvals.into_iter().map(ApprovalState::from).collect();
        states.sort_by(|one, other| other.approved_at.cmp(&one.approved_at).then_with(|| one.id.cmp(&other.id)));
        Ok(states)
    }

    /// Ends an approval and with it every token that came of it. False when there is none of that name that lives.
    ///
    /// # Errors
    /// The storage's.
    pub async fn revoke(&self, id: &str) -> Result<bool, StorageError> {
        let now = self.server.clock.now();
        end(self.server.storage.as_ref(), id, EndedBy::Operator, |_| true, now).await
    }
}

impl From<Approval> for ApprovalState {
    fn from(approval: Approval) -> Self {
        Self {
            id: approval.id,
            subject: approval.subject,
            client_id: approval.client_id,
            scope: approval.scope.to_string(),
            resources: approval.resources,
            jkt: approval.jkt.map(|jkt| jkt.to_string()),
            approved_at: approval.approved_at,
            until: approval.until,
            ended: approval.ended.map(|ended| (ended.at, ended.by.as_str())),
        }
    }
}
