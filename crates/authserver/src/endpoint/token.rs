//! The token endpoint (RFC 6749 §3.2, RFC 9449 §5). The order: form, proof, client, grant, one storage transaction.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use countersign_dpop::error::ErrorCode;
use countersign_dpop::time::Timestamp;
use countersign_dpop::{CheckedProof, ExpectedRequest, NonceAge, Rejection, headers};
use http::request::Parts;

use crate::access_token::TokenAnswer;
use crate::authentication::authenticate;
use crate::decision::Decision;
use crate::error::{GrantError, Refusal};
use crate::form::Form;
use crate::grant::{GrantContext, GrantType, client_credentials};
use crate::server::Shared;

pub(super) async fn token(State(server): State<Arc<Shared>>, request: Request) -> Response {
    let now = server.clock.now();
    let mut exchange = Exchange { server: &server, now, decision: Decision::default(), nonce_is_ageing: false };
    match exchange.answer(request).await {
        Ok(mut answer) => {
            exchange.decision.log_granted(answer.is_bound());
            answer.nonce = exchange.nonce_is_ageing.then(|| server.issue_nonce(now));
            answer.into_response()
        }
        Err(refusal) => exchange.refuse(&refusal),
    }
}

/// One request and what is known of it so far.
struct Exchange<'a> {
    server: &'a Shared,
    now: Timestamp,
    decision: Decision,
    nonce_is_ageing: bool,
}

impl Exchange<'_> {
    async fn answer(&mut self, request: Request) -> Result<TokenAnswer, Refusal> {
        let (parts, body) = request.into_parts();
        let form = Form::read(&parts.headers, body).await?;
        let grant = GrantType::from_name(form.required("grant_type")?).ok_or(GrantError::GrantTypeUnknown)?;
        self.decision.grant = Some(grant);
        let proof = self.check_proof(&parts)?;
        let client = authenticate(self.server, &parts.headers, &form, proof.as_ref(), self.now).await?;
        self.decision.client = Some(client.client.id.clone());
        let context = GrantContext { server: self.server, form: &form, client: &client, proof, now: self.now };
        match grant {
            GrantType::ClientCredentials => client_credentials::redeem(context).await,
        }
    }

    fn check_proof(&mut self, parts: &Parts) -> Result<Option<CheckedProof>, Rejection> {
        let Some(proof) = headers::read_proof(&parts.headers)? else { return Ok(None) };
        let request = ExpectedRequest { method: parts.method.as_str(), htu: &self.server.token_htu, ath: None };
        let checked = self.server.verifier.check(proof, &request, &self.server.storage.epoch(), self.now)?;
        self.decision.note_proof(&checked, self.now);
        self.nonce_is_ageing = checked.nonce_age() == Some(NonceAge::Ageing);
        Ok(Some(checked))
    }

    fn refuse(&self, refusal: &Refusal) -> Response {
        let mut error = refusal.to_oauth_error();
        if self.nonce_is_ageing || error.code == Some(ErrorCode::UseDpopNonce) {
            error.nonce = Some(self.server.issue_nonce(self.now));
        }
        self.decision.log_refused(refusal, &error);
        error.into_response()
    }
}
