//! `client_credentials` (RFC 6749 §4.4): a token for the client itself, never a refresh token.

use super::{GrantContext, GrantType};
use crate::access_token::TokenAnswer;
use crate::error::Refusal;

pub(crate) async fn redeem(context: GrantContext<'_>) -> Result<TokenAnswer, Refusal> {
    context.admit(GrantType::ClientCredentials)?;
    let client = context.client();
    let resource = context.target()?;
    let scope = context.scope(&client.scopes, resource)?;
    context.record().await?.issue(&client.id, resource, &scope)
}
