//! The token endpoint (RFC 6749 §3.2, RFC 9449 §5). The order: form, proof, client, grant, one storage transaction.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};

use super::{Endpoint, Exchange};
use crate::access_token::TokenAnswer;
use crate::error::{GrantError, Refusal};
use crate::form::Form;
use crate::grant::{
    GrantContext, GrantType, authorization_code, client_credentials, device, jwt_bearer, refresh, token_exchange,
};
use crate::server::Shared;

pub(super) async fn token(State(server): State<Arc<Shared>>, request: Request) -> Response {
    let mut exchange = Exchange::begin(&server, Endpoint::Token);
    match answer(&mut exchange, request).await {
        Ok(mut answer) => {
            exchange.decision.log_granted(answer.is_bound());
            answer.nonce = exchange.fresh_nonce();
            answer.into_response()
        }
        Err(refusal) => exchange.refuse(&refusal),
    }
}

async fn answer(exchange: &mut Exchange<'_>, request: Request) -> Result<TokenAnswer, Refusal> {
    let (parts, body) = request.into_parts();
    let form = Form::read(&parts.headers, body).await?;
    let grant = GrantType::from_name(form.required("grant_type")?).ok_or(GrantError::GrantTypeUnknown)?;
    exchange.decision.grant = Some(grant);
    let proof = exchange.check_proof(&parts)?;
    let client = exchange.authenticate(&parts, &form, proof.as_ref()).await?;
    let context = GrantContext { server: exchange.server, form: &form, client: &client, proof, now: exchange.now };
    match grant {
        GrantType::AuthorizationCode => authorization_code::redeem(context).await,
        GrantType::ClientCredentials => client_credentials::redeem(context).await,
        GrantType::DeviceCode => device::redeem(context).await,
        GrantType::JwtBearer => jwt_bearer::redeem(context).await,
        GrantType::TokenExchange => token_exchange::redeem(context).await,
        GrantType::RefreshToken => refresh::redeem(context).await,
    }
}
