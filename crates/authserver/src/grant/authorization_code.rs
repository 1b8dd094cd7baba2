//! `authorization_code` (RFC 6749 §4.1.3, RFC 7636, RFC 9449 §10).

use countersign_dpop::error::ConfirmationError;

use super::refresh::RefreshToken;
use super::{GrantContext, GrantType, settle};
use crate::access_token::TokenAnswer;
use crate::approval::{Approval, EndedBy};
use crate::authorization::Code;
use crate::error::{GrantError, Refusal};
use crate::storage::{self, Found, SingleUse};

pub(crate) async fn redeem(context: GrantContext<'_>) -> Result<TokenAnswer, Refusal> {
    context.admit(GrantType::AuthorizationCode)?;
    let text = context.form.required("code")?;
    settle(|| try_once(&context, text)).await
}

/// Reads, decides and commits; `None` when what was read has changed meanwhile.
async fn try_once(context: &GrantContext<'_>, text: &str) -> Result<Option<TokenAnswer>, Refusal> {
    let storage = context.server.storage.as_ref();
    let code: Found<Code> = storage::find(storage, text).await?.ok_or(GrantError::CodeUnknown)?;
    check(context, &code.it)?;
    let approval: Option<Found<Approval>> = storage::find(storage, &code.it.approval).await?;
    let approval = approval.ok_or(GrantError::ApprovalEnded)?;
    if code.it.redeemed {
        return refuse_reuse(context, &approval).await;
    }
    if context.now > code.it.until {
        return Err(GrantError::CodeExpired.into());
    }
    if !approval.it.is_live(context.now) {
        return Err(GrantError::ApprovalEnded.into());
    }
    let resource = context.target_among(&approval.it.resources)?;
    let scope = approval.it.scope.shared_with(&resource.scopes);
    let mut changes = vec![code.replace(&code.it.redeemed())?, approval.keep()];
    let refresh = RefreshToken::first(context, &approval.it)?;
    if let Some((text, token)) = &refresh {
        changes.push(storage::add(text, token)?);
    }
    let Some(accepted) = context.try_commit(&changes).await? else { return Ok(None) };
    let answer = accepted.issue_by(&approval.it, resource, &scope)?;
    Ok(Some(answer.with_refresh_token(refresh.map(|(text, _)| text))))
}

/// Everything that the code is bound to, before anything is consumed.
fn check(context: &GrantContext<'_>, code: &Code) -> Result<(), Refusal> {
    if code.client_id != context.client().id {
        return Err(GrantError::CodeOfAnotherClient.into());
    }
    match context.form.get("redirect_uri") {
        Some(uri) if uri != code.redirect_uri => return Err(GrantError::RedirectUriMismatch.into()),
        None if code.redirect_uri_named && context.server.settings.profile.rules().redirect_uri_demanded => {
            return Err(GrantError::RedirectUriMismatch.into());
        }
        Some(_) | None => {}
    }
    let verifier = context.form.get("code_verifier").ok_or(GrantError::VerifierMissing)?;
    if !code.is_verified_by(verifier) {
        return Err(GrantError::VerifierWrong.into());
    }
    match (&code.jkt, &context.proof) {
        (Some(bound), Some(proof)) if bound != proof.jkt() => {
            let mismatch = ConfirmationError::JktMismatch { token: *bound, proof: *proof.jkt() };
            Err(Refusal::Proof(mismatch.into()))
        }
        (Some(_), None) => Err(GrantError::ProofRequired.into()),
        _ => Ok(()),
    }
}

/// Somebody who holds client, verifier and key presents the code a second time: one of them is not who they should be,
/// and what was issued by it ends (RFC 6749 §4.1.2).
async fn refuse_reuse(context: &GrantContext<'_>, approval: &Found<Approval>) -> Result<Option<TokenAnswer>, Refusal> {
    if approval.it.ended.is_none() {
        let ended = approval.replace(&approval.it.end(EndedBy::CodeReused, context.now))?;
        let storage = context.server.storage.as_ref();
        if storage.commit(&SingleUse::default(), &[ended], context.now).await? == storage::Verdict::Conflict {
            return Ok(None);
        }
    }
    Err(GrantError::CodeReused.into())
}
