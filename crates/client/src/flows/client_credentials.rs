//! `client_credentials` (RFC 6749 §4.4): a client for itself.

use crate::discovery::IssuerMetadata;
use crate::flows::TokenError;
use crate::flows::token_endpoint::request_token;
use crate::http::Form;
use crate::session::Session;
use crate::token::AccessToken;

pub(crate) async fn client_credentials(
    session: &Session,
    metadata: &IssuerMetadata,
) -> Result<AccessToken, TokenError> {
    let grant = || {
        let mut form = Form::default();
        form.add("grant_type", "client_credentials");
        if let Some(scope) = &session.registration.scope {
            form.add("scope", scope);
        }
        if let Some(resource) = &session.registration.resource {
            form.add("resource", resource);
        }
        form
    };
    request_token(session, metadata, grant).await
}
