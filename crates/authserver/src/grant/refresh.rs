//! `refresh_token` (RFC 6749 §6, RFC 9449 §5, RFC 9700 §4.14).
//!
//! A token is good for a day since its last use and for a week in all. Where it rotates, the old one stays good, for an
//! answer that was lost, until its successor is used; whoever then presents the old one, or a successor that was
//! replaced by another, ends the grant.

use countersign_dpop::error::ConfirmationError;
use countersign_dpop::jose::Jkt;
use countersign_dpop::time::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{GrantContext, GrantType, settle};
use crate::access_token::TokenAnswer;
use crate::approval::{Approval, EndedBy};
use crate::config::Rotation;
use crate::error::{GrantError, Refusal};
use crate::plain;
use crate::random::random_secret;
use crate::scope::Scope;
use crate::storage::{self, Change, EntryKind, Found, Kept, SingleUse};

/// A refresh token, kept under its hash.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct RefreshToken {
    /// The approval that it is a part of.
    pub(crate) approval: String,
    pub(crate) client_id: String,
    /// The key that a refresh has to prove.
    #[serde(with = "plain::optional_jkt")]
    pub(crate) jkt: Option<Jkt>,
    /// Whether the tokens that came with it were bound: then all later ones are.
    pub(crate) bound: bool,
    #[serde(with = "plain::date")]
    used_at: Timestamp,
    /// The last second at which it is good, used or not.
    #[serde(with = "plain::date")]
    until: Timestamp,
    state: State,
    /// The token that this one follows, by the hash it is kept under; until this one is used.
    follows: Option<String>,
}

/// Where a refresh token stands in its life.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// The one to use.
    Current,
    /// It has a successor that nobody has used yet.
    Followed { by: String },
    /// Its successor was used, or it was itself replaced before it was used.
    Over,
}

/// Seconds since its last use that a refresh token is good for.
pub(crate) const IDLE_LIFE: i64 = 86_400;
/// Seconds that an approval with refresh tokens lasts.
pub(crate) const WHOLE_LIFE: i64 = 7 * 86_400;
/// A use is not written when the last one that was is younger, in seconds: a token that does not rotate is then only
/// read.
const USE_IS_NOTED_AFTER: i64 = 300;

impl Kept for RefreshToken {
    const KIND: EntryKind = EntryKind::RefreshToken;

    fn not_after(&self) -> Timestamp {
        self.until
    }
}

impl RefreshToken {
    /// The first token of an approval, if the client gets any.
    pub(crate) fn first(
        context: &GrantContext<'_>,
        approval: &Approval,
    ) -> Result<Option<(Zeroizing<String>, Self)>, Refusal> {
        let client = context.client();
        if !client.grants.contains(&GrantType::RefreshToken) {
            return Ok(None);
        }
        let token = Self {
            approval: approval.id.clone(),
            client_id: client.id.clone(),
            jkt: context.proof.as_ref().map(|proof| *proof.jkt()).filter(|_| client.refresh_is_bound_to_key()),
            bound: context.proof.is_some(),
            used_at: context.now,
            until: approval.until,
            state: State::Current,
            follows: None,
        };
        Ok(Some((random_secret()?, token)))
    }

    /// The token of an approval that was made in bulk.
    pub(crate) fn of_bulk(approval: &Approval, jkt: Jkt, now: Timestamp) -> Self {
        Self {
            approval: approval.id.clone(),
            client_id: approval.client_id.clone(),
            jkt: Some(jkt),
            bound: true,
            used_at: now,
            until: approval.until,
            state: State::Current,
            follows: None,
        }
    }

    fn successor(&self, context: &GrantContext<'_>, own_hash: &str) -> Self {
        let proof = context.proof.as_ref().map(|proof| *proof.jkt());
        Self {
            jkt: self.jkt.or(proof.filter(|_| context.client().refresh_is_bound_to_key())),
            bound: self.bound || proof.is_some(),
            used_at: context.now,
            state: State::Current,
            follows: Some(own_hash.to_owned()),
            ..self.clone()
        }
    }
}

pub(crate) async fn redeem(context: GrantContext<'_>) -> Result<TokenAnswer, Refusal> {
    context.admit(GrantType::RefreshToken)?;
    let text = context.form.required("refresh_token")?;
    settle(|| try_once(&context, text)).await
}

/// Reads, decides and commits; `None` when what was read has changed meanwhile.
async fn try_once(context: &GrantContext<'_>, text: &str) -> Result<Option<TokenAnswer>, Refusal> {
    let storage = context.server.storage.as_ref();
    let token: Found<RefreshToken> = storage::find(storage, text).await?.ok_or(GrantError::RefreshUnknown)?;
    check(context, &token.it)?;
    let approval: Option<Found<Approval>> = storage::find(storage, &token.it.approval).await?;
    let approval = approval.filter(|approval| approval.it.is_live(context.now)).ok_or(GrantError::ApprovalEnded)?;
    if token.it.state == State::Over {
        return refuse_reuse(context, &approval).await;
    }
    let resource = context.target_among(&approval.it.resources)?;
    let scope: Scope = context.scope(&approval.it.scope, resource)?;
    let Some((mut changes, successor)) = turn(context, &token).await? else { return Ok(None) };
    changes.push(approval.keep());
    let Some(accepted) = context.try_commit(&changes).await? else { return Ok(None) };
    let answer = accepted.issue_by(&approval.it, resource, &scope)?;
    Ok(Some(answer.with_refresh_token(Some(successor.unwrap_or_else(|| Zeroizing::new(text.to_owned()))))))
}

/// Everything that the token is bound to, before anything is consumed.
fn check(context: &GrantContext<'_>, token: &RefreshToken) -> Result<(), Refusal> {
    if token.client_id != context.client().id {
        return Err(GrantError::RefreshOfAnotherClient.into());
    }
    if context.now > token.until || context.now.since(token.used_at) > IDLE_LIFE {
        return Err(GrantError::RefreshExpired.into());
    }
    match (&token.jkt, &context.proof) {
        (Some(bound), Some(proof)) if bound != proof.jkt() => {
            let mismatch = ConfirmationError::JktMismatch { token: *bound, proof: *proof.jkt() };
            Err(Refusal::Proof(mismatch.into()))
        }
        // A token that came with bound ones never becomes one for Bearer tokens.
        (_, None) if token.bound => Err(GrantError::ProofRequired.into()),
        _ => Ok(()),
    }
}

/// What becomes of the token by this use, and the successor that is handed out, if any. `None`: somebody was faster.
async fn turn(
    context: &GrantContext<'_>,
    token: &Found<RefreshToken>,
) -> Result<Option<(Vec<Change>, Option<Zeroizing<String>>)>, Refusal> {
    let storage = context.server.storage.as_ref();
    let mut changes = Vec::new();
    let other = match (&token.it.state, &token.it.follows) {
        // The answer with the successor was lost: the successor is over, unused as it is.
        (State::Followed { by: name }, _)
        // The first use of a successor: what it follows is over.
        | (State::Current, Some(name)) => storage::find_kept_as::<RefreshToken>(storage, name).await?,
        (State::Current, None) => None,
        (State::Over, _) => return Ok(None),
    };
    if let Some(other) = other {
        changes.push(other.replace(&RefreshToken { state: State::Over, ..other.it.clone() })?);
    }
    let used = RefreshToken { used_at: context.now, follows: None, ..token.it.clone() };
    if !context.rotates() {
        let is_noted = context.now.since(token.it.used_at) < USE_IS_NOTED_AFTER && token.it.follows.is_none();
        changes.push(if is_noted { token.keep() } else { token.replace(&used)? });
        return Ok(Some((changes, None)));
    }
    let text = random_secret()?;
    let successor = token.it.successor(context, &token.name());
    let by = storage::kept_as(&text);
    changes.push(token.replace(&RefreshToken { state: State::Followed { by }, ..used })?);
    changes.push(storage::add(&text, &successor)?);
    Ok(Some((changes, Some(text))))
}

impl GrantContext<'_> {
    /// Whether refresh tokens of this client are replaced at each use.
    fn rotates(&self) -> bool {
        match self.server.settings.profile.rules().rotation {
            Rotation::Never => false,
            Rotation::PublicClients => self.client().credential.is_public(),
        }
    }
}

/// Two hold one token, and one of them should not: the grant ends for both.
async fn refuse_reuse(context: &GrantContext<'_>, approval: &Found<Approval>) -> Result<Option<TokenAnswer>, Refusal> {
    let ended = approval.replace(&approval.it.end(EndedBy::RefreshTokenReused, context.now))?;
    let storage = context.server.storage.as_ref();
    match storage.commit(&SingleUse::default(), &[ended], context.now).await? {
        storage::Verdict::Conflict => Ok(None),
        _ => Err(GrantError::RefreshReused.into()),
    }
}
