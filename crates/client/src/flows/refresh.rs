//! `refresh_token` (RFC 6749 §6): a new access token without asking anybody.

use secrecy::ExposeSecret;

use crate::discovery::IssuerMetadata;
use crate::enrolment::Enrolment;
use crate::flows::TokenError;
use crate::flows::post::request_token;
use crate::http::Form;
use crate::token::{RefreshToken, Tokens};

/// Redeems `refresh`. Where the answer brings no new refresh token, the old one stays good and is given back.
pub(crate) async fn refresh(
    enrolment: &Enrolment,
    metadata: &IssuerMetadata,
    refresh: &RefreshToken,
) -> Result<Tokens, TokenError> {
    let mut form = Form::default();
    form.add("grant_type", "refresh_token");
    form.add_secret("refresh_token", refresh.0.expose_secret());
    enrolment.registration.add_resource(&mut form);
    let mut tokens = request_token(enrolment, metadata, &form).await?;
    tokens.refresh.get_or_insert_with(|| refresh.clone());
    Ok(tokens)
}
