//! `authorization_code` (RFC 6749 §4.1) with PKCE (RFC 7636), pushed requests (RFC 9126), the issuer's name in the
//! answer (RFC 9207), and the code bound to the key (RFC 9449 §10).

mod answer;
mod loopback;
mod pkce;

use countersign_dpop::jose::{JsonLimits, from_strict_json};
use serde::Deserialize;
use zeroize::Zeroizing;

pub use self::answer::AuthorizationError;
use self::answer::{AuthorizationAnswer, Expected};
pub(crate) use self::loopback::{CALLBACK, Loopback, Page, Returned};
use self::pkce::{Verifier, random_text};
use crate::discovery::IssuerMetadata;
use crate::enrolment::Enrolment;
use crate::flows::TokenError;
use crate::flows::post::{Proving, post, request_token};
use crate::http::{Endpoint, Form};
use crate::token::Tokens;

/// A question to the person, on its way through the browser.
pub(crate) struct AuthorizationRequest {
    url: Endpoint,
    redirect_uri: String,
    verifier: Verifier,
    state: Zeroizing<String>,
}

#[derive(Deserialize)]
struct Pushed {
    request_uri: String,
}

impl AuthorizationRequest {
    /// Makes the request, pushed to the issuer where it takes that, so that nothing of it passes through the browser.
    pub(crate) async fn make(
        enrolment: &Enrolment,
        metadata: &IssuerMetadata,
        redirect_uri: String,
    ) -> Result<Self, TokenError> {
        let endpoint = metadata.require_authorization_endpoint()?;
        let (verifier, state) = (Verifier::draw()?, random_text()?);
        let form = request(enrolment, &redirect_uri, &verifier, &state);
        let query = match &metadata.pushed_authorization_request_endpoint {
            None => {
                let mut query = Form::default();
                query.add("client_id", &enrolment.registration.client_id);
                query.join(form)
            }
            Some(pushing) => {
                let pushed = post(enrolment, pushing, &form, Proving::Yes).await?;
                let pushed: Pushed = from_strict_json(&pushed.body, JsonLimits::DOCUMENT)
                    .map_err(|_| TokenError::Malformed { reason: "not a JSON object with request_uri" })?;
                let mut query = Form::default();
                query.add("client_id", &enrolment.registration.client_id);
                query.add("request_uri", &pushed.request_uri);
                query
            }
        };
        let url = endpoint.with_more_query(query.as_str());
        let url = url.map_err(|_| TokenError::Malformed { reason: "no URL can be made of authorization_endpoint" })?;
        Ok(Self { url, redirect_uri, verifier, state })
    }

    /// Where the person has to go.
    pub(crate) const fn url(&self) -> &Endpoint {
        &self.url
    }

    /// Judges the query that the browser brought back. Nothing is sent anywhere before this has said yes.
    pub(crate) fn accept(
        &self,
        enrolment: &Enrolment,
        metadata: &IssuerMetadata,
        query: &str,
    ) -> Result<AuthorizationAnswer, AuthorizationError> {
        let expected = Expected {
            state: &self.state,
            issuer: &enrolment.registration.issuer,
            issuer_is_named: metadata.answers_name_issuer,
        };
        AuthorizationAnswer::accept(query, &expected)
    }

    /// Redeems the code.
    pub(crate) async fn redeem(
        &self,
        enrolment: &Enrolment,
        metadata: &IssuerMetadata,
        answer: &AuthorizationAnswer,
    ) -> Result<Tokens, TokenError> {
        let mut form = Form::default();
        form.add("grant_type", "authorization_code");
        form.add_secret("code", &answer.code);
        form.add("redirect_uri", &self.redirect_uri);
        form.add_secret("code_verifier", self.verifier.as_str());
        enrolment.registration.add_resource(&mut form);
        request_token(enrolment, metadata, &form).await
    }
}

/// The parameters but `client_id`, which client authentication adds. `dpop_jkt` binds the code to the key from the
/// beginning (RFC 9449 §10): a code that is stolen on its way back is of no use without it.
fn request(enrolment: &Enrolment, redirect_uri: &str, verifier: &Verifier, state: &str) -> Form {
    let mut form = Form::default();
    form.add("response_type", "code");
    form.add("redirect_uri", redirect_uri);
    form.add("code_challenge", &verifier.challenge());
    form.add("code_challenge_method", "S256");
    form.add_secret("state", state);
    form.add("dpop_jkt", &enrolment.prover.maker.jkt().to_string());
    enrolment.registration.add_target(&mut form);
    form
}
