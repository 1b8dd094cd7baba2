//! `client_credentials` (RFC 6749 §4.4): a client for itself.

use crate::discovery::IssuerMetadata;
use crate::enrolment::Enrolment;
use crate::flows::TokenError;
use crate::flows::post::request_token;
use crate::http::Form;
use crate::token::Tokens;

pub(crate) async fn client_credentials(enrolment: &Enrolment, metadata: &IssuerMetadata) -> Result<Tokens, TokenError> {
    let mut form = Form::default();
    form.add("grant_type", "client_credentials");
    enrolment.registration.add_target(&mut form);
    request_token(enrolment, metadata, &form).await
}
