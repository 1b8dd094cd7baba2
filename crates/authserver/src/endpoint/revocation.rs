//! Revocation (RFC 7009): a client gives back a token of its own. What is no token of its own is left as it is, and the
//! answer is the same.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use countersign_dpop::time::Timestamp;
use http::{HeaderValue, StatusCode, header};

use super::{Endpoint, Exchange};
use crate::access_token::Claims;
use crate::approval::{Approval, EndedBy};
use crate::error::Refusal;
use crate::form::Form;
use crate::grant::refresh::RefreshToken;
use crate::server::Shared;
use crate::storage::{self, Change, EntryContent, EntryId, EntryKind, Found};

pub(super) async fn revoke(State(server): State<Arc<Shared>>, request: Request) -> Response {
    let mut exchange = Exchange::begin(&server, Endpoint::Revocation);
    match answer(&mut exchange, request).await {
        Ok(revoked) => {
            exchange.decision.log_answered(if revoked { "revoked" } else { "nothing_to_revoke" });
            let no_store = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            let mut response = (StatusCode::OK, [no_store]).into_response();
            exchange.add_nonce(&mut response);
            response
        }
        Err(refusal) => exchange.refuse(&refusal),
    }
}

/// Whether there was something to revoke.
async fn answer(exchange: &mut Exchange<'_>, request: Request) -> Result<bool, Refusal> {
    let (parts, body) = request.into_parts();
    let form = Form::read(&parts.headers, body).await?;
    let token = form.required("token")?;
    let proof = exchange.check_proof(&parts)?;
    let client = exchange.authenticate(&parts, &form, proof.as_ref()).await?;
    let (server, now) = (exchange.server, exchange.now);
    let changes = server.changes_to_revoke(token, &client.client.id, now).await?;
    server.commit(&client, proof, &changes, now).await?;
    Ok(!changes.is_empty())
}

/// An access token is remembered as revoked until its end.
fn end(claims: &Claims) -> Change {
    let content = EntryContent { owner: None, not_after: claims.ends_at(), body: "{}".to_owned() };
    Change::Add(EntryKind::RevokedToken, EntryId::of(&claims.jti), content)
}

impl Shared {
    /// What ends the token and its whole family: the approval that it is a part of, and so every token that came of it.
    async fn changes_to_revoke(&self, token: &str, client_id: &str, now: Timestamp) -> Result<Vec<Change>, Refusal> {
        let (mut changes, approval) = match Claims::read(token, self, now) {
            Some(claims) if claims.client_id == client_id && self.is_live(&claims, now).await? => {
                (vec![end(&claims)], claims.grant_id)
            }
            Some(_) => return Ok(Vec::new()),
            None => {
                let refresh: Option<Found<RefreshToken>> = storage::find(self.storage.as_ref(), token).await?;
                let own = refresh.filter(|refresh| refresh.it.client_id == client_id);
                (Vec::new(), own.map(|refresh| refresh.it.approval))
            }
        };
        let Some(id) = approval else { return Ok(changes) };
        let approval: Option<Found<Approval>> = storage::find(self.storage.as_ref(), &id).await?;
        if let Some(approval) = approval.filter(|approval| approval.it.ended.is_none()) {
            changes.push(approval.replace(&approval.it.end(EndedBy::Client, now))?);
        }
        Ok(changes)
    }

    /// Whether a token that was read has not been revoked, nor ended with the approval that it is a part of.
    pub(crate) async fn is_live(&self, claims: &Claims, _now: Timestamp) -> Result<bool, Refusal> {
        let revoked = self.storage.find(EntryKind::RevokedToken, EntryId::of(&claims.jti)).await?;
        if revoked.is_some() {
            return Ok(false);
        }
        let Some(id) = &claims.grant_id else { return Ok(true) };
        let approval: Option<Found<Approval>> = storage::find(self.storage.as_ref(), id).await?;
        // A token may outlast the time of its approval; its end it does not.
        Ok(approval.is_some_and(|approval| approval.it.ended.is_none()))
    }
}
