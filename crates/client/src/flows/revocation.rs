//! Revocation (RFC 7009).

use secrecy::ExposeSecret;

use crate::discovery::IssuerMetadata;
use crate::enrolment::Enrolment;
use crate::flows::TokenError;
use crate::flows::post::{Proving, post};
use crate::http::Form;
use crate::token::Tokens;

/// Revokes the refresh token, and with it what was issued by it, and the access token. False when the issuer has no
/// endpoint for that.
pub(crate) async fn revoke(
    enrolment: &Enrolment,
    metadata: &IssuerMetadata,
    tokens: &Tokens,
) -> Result<bool, TokenError> {
    let Some(endpoint) = &metadata.revocation_endpoint else { return Ok(false) };
    let refresh = tokens.refresh.as_ref().map(|token| ("refresh_token", token.0.expose_secret()));
    let access = ("access_token", tokens.access.expose_secret());
    for (hint, token) in refresh.into_iter().chain([access]) {
        let mut form = Form::default();
        form.add_secret("token", token);
        form.add("token_type_hint", hint);
        post(enrolment, endpoint, &form, Proving::No).await?;
    }
    Ok(true)
}
