//! `urn:ietf:params:oauth:grant-type:device_code` (RFC 8628 §3.4): a device asks again and again until its user has
//! decided elsewhere.

use countersign_dpop::error::ConfirmationError;

use super::refresh::RefreshToken;
use super::{GrantContext, GrantType, settle};
use crate::access_token::TokenAnswer;
use crate::approval::Approval;
use crate::device::{DeviceRequest, DeviceState};
use crate::error::{GrantError, Refusal};
use crate::storage::{self, Found, SingleUse};

pub(crate) async fn redeem(context: GrantContext<'_>) -> Result<TokenAnswer, Refusal> {
    context.admit(GrantType::DeviceCode)?;
    let text = context.form.required("device_code")?;
    settle(|| try_once(&context, text)).await
}

/// Reads, decides and commits; `None` when what was read has changed meanwhile.
async fn try_once(context: &GrantContext<'_>, text: &str) -> Result<Option<TokenAnswer>, Refusal> {
    let storage = context.server.storage.as_ref();
    let request: Found<DeviceRequest> = storage::find(storage, text).await?.ok_or(GrantError::DeviceUnknown)?;
    check(context, &request.it)?;
    let approval = match &request.it.state {
        DeviceState::Denied => return Err(GrantError::DeviceDenied.into()),
        DeviceState::Redeemed => return Err(GrantError::DeviceRedeemed.into()),
        _ if context.now > request.it.until => return Err(GrantError::DeviceExpired.into()),
        DeviceState::Pending => return Err(poll(context, &request).await?.into()),
        DeviceState::Approved(name) => name,
    };
    let approval: Option<Found<Approval>> = storage::find(storage, approval).await?;
    let approval = approval.filter(|approval| approval.it.is_live(context.now)).ok_or(GrantError::ApprovalEnded)?;
    let resource = context.target_among(&approval.it.resources)?;
    let scope = approval.it.scope.shared_with(&resource.scopes);
    let redeemed = DeviceRequest { state: DeviceState::Redeemed, ..request.it.clone() };
    let mut changes = vec![request.replace(&redeemed)?, approval.keep()];
    let refresh = RefreshToken::first(context, &approval.it)?;
    if let Some((text, token)) = &refresh {
        changes.push(storage::add(text, token)?);
    }
    let Some(accepted) = context.try_commit(&changes).await? else { return Ok(None) };
    let answer = accepted.issue_by(&approval.it, resource, &scope)?;
    Ok(Some(answer.with_refresh_token(refresh.map(|(text, _)| text))))
}

/// Everything that the code is bound to, before anything is consumed.
fn check(context: &GrantContext<'_>, request: &DeviceRequest) -> Result<(), Refusal> {
    if request.client_id != context.client().id {
        return Err(GrantError::DeviceOfAnotherClient.into());
    }
    match (&request.jkt, &context.proof) {
        (Some(bound), Some(proof)) if bound != proof.jkt() => {
            let mismatch = ConfirmationError::JktMismatch { token: *bound, proof: *proof.jkt() };
            Err(Refusal::Proof(mismatch.into()))
        }
        (Some(_), None) => Err(GrantError::ProofRequired.into()),
        _ => Ok(()),
    }
}

/// Notes when the device asked, and tells one that asks too often to wait longer. Nothing of the request itself is
/// recorded: with the same assertion it is good as soon as the user has decided.
async fn poll(context: &GrantContext<'_>, request: &Found<DeviceRequest>) -> Result<GrantError, Refusal> {
    let is_too_soon = context.now.since(request.it.polled_at) < request.it.interval;
    let interval = request.it.interval + if is_too_soon { DeviceRequest::INTERVAL } else { 0 };
    let polled = DeviceRequest { polled_at: context.now, interval, ..request.it.clone() };
    let storage = context.server.storage.as_ref();
    // Whoever was faster has polled or decided; the device learns of it the next time.
    storage.commit(&SingleUse::default(), &[request.replace(&polled)?], context.now).await?;
    Ok(if is_too_soon { GrantError::DeviceSlowDown } else { GrantError::DevicePending })
}
