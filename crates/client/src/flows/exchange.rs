//! Token exchange (RFC 8693): a token of somebody else, also an unbound one, for a token bound to our key.

use secrecy::{ExposeSecret, SecretString};

use crate::discovery::IssuerMetadata;
use crate::enrolment::Enrolment;
use crate::flows::TokenError;
use crate::flows::post::request_token;
use crate::http::Form;
use crate::token::Tokens;

/// A token to be exchanged.
#[derive(Clone, Debug)]
pub struct SubjectToken {
    /// The token.
    pub token: SecretString,
    /// What it is.
    pub kind: SubjectTokenType,
}

/// What a subject token is (RFC 8693 §3).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SubjectTokenType {
    /// An access token of any form.
    #[default]
    AccessToken,
    /// An ID token of OpenID Connect.
    IdToken,
    /// A JWT of another kind.
    Jwt,
}

impl SubjectTokenType {
    /// Its identifier.
    pub const fn urn(self) -> &'static str {
        match self {
            Self::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Self::IdToken => "urn:ietf:params:oauth:token-type:id_token",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
        }
    }
}

pub(crate) async fn exchange(
    enrolment: &Enrolment,
    metadata: &IssuerMetadata,
    subject: &SubjectToken,
) -> Result<Tokens, TokenError> {
    let mut form = Form::default();
    form.add("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
    form.add_secret("subject_token", subject.token.expose_secret());
    form.add("subject_token_type", subject.kind.urn());
    form.add("requested_token_type", SubjectTokenType::AccessToken.urn());
    enrolment.registration.add_target(&mut form);
    request_token(enrolment, metadata, &form).await
}
