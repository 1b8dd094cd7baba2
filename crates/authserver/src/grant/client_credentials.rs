//! `client_credentials` (RFC 6749 §4.4): a token for the client itself, never a refresh token.

use super::{GrantContext, GrantType, Issue};
use crate::access_token::TokenAnswer;
use crate::error::Refusal;

pub(crate) async fn redeem(context: GrantContext<'_>) -> Result<TokenAnswer, Refusal> {
    context.admit(GrantType::ClientCredentials)?;
    let client = context.client();
    let resource = context.target()?;
    let scope = context.scope(&client.scopes, resource)?;
    let accepted = context.record().await?;
    accepted.issue(&Issue { subject: &client.id, resource, scope: &scope, actor: None, ends_by: None })
}
