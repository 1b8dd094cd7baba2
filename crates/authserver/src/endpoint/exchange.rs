//! What requests of clients have in common, at whatever endpoint: a proof, a client, a decision to log.

use axum::response::{IntoResponse, Response};
use countersign_dpop::error::ErrorCode;
use countersign_dpop::time::Timestamp;
use countersign_dpop::{CheckedProof, ExpectedRequest, NonceAge, Rejection, headers};
use http::HeaderValue;
use http::request::Parts;

use super::Endpoint;
use crate::authentication::{AuthenticatedClient, authenticate};
use crate::decision::Decision;
use crate::error::Refusal;
use crate::form::Form;
use crate::server::Shared;

/// One request of a client and what is known of it so far.
pub(crate) struct Exchange<'a> {
    pub(crate) server: &'a Shared,
    pub(crate) now: Timestamp,
    pub(crate) decision: Decision,
    endpoint: Endpoint,
    nonce_is_ageing: bool,
}

impl<'a> Exchange<'a> {
    /// The clock is read here and nowhere else.
    pub(crate) fn begin(server: &'a Shared, endpoint: Endpoint) -> Self {
        let decision = Decision::at(endpoint, &server.metrics);
        Self { server, now: server.clock.now(), decision, endpoint, nonce_is_ageing: false }
    }

    /// Checks the proof, if there is one, against this endpoint.
    pub(crate) fn check_proof(&mut self, parts: &Parts) -> Result<Option<CheckedProof>, Rejection> {
        let Some(proof) = headers::read_proof(&parts.headers)? else { return Ok(None) };
        let htu = self.server.htu(self.endpoint);
        let request = ExpectedRequest { method: parts.method.as_str(), htu, ath: None };
        let checked = self.server.verifier.check(proof, &request, &self.server.storage.epoch(), self.now)?;
        self.decision.note_proof(&checked, self.now);
        self.nonce_is_ageing = checked.facts().nonce_age() == Some(NonceAge::Ageing);
        Ok(Some(checked))
    }

    /// Authenticates the client.
    pub(crate) async fn authenticate(
        &mut self,
        parts: &Parts,
        form: &Form,
        proof: Option<&CheckedProof>,
    ) -> Result<AuthenticatedClient, Refusal> {
        self.server.keys.renew(self.server.storage.as_ref(), &self.server.seal, self.now).await;
        let client = authenticate(self.server, &parts.headers, form, proof, self.now).await?;
        self.decision.client = Some(client.client.id.clone());
        self.server.admit(&client, self.now)?;
        Ok(client)
    }

    /// A fresh nonce, when the one used is ageing.
    pub(crate) fn fresh_nonce(&self) -> Option<String> {
        self.nonce_is_ageing.then(|| self.server.issue_nonce(self.now))
    }

    /// Puts a fresh nonce on an answer, when the one used is ageing.
    pub(crate) fn add_nonce(&self, response: &mut Response) {
        if let Some(nonce) = self.fresh_nonce().and_then(|nonce| HeaderValue::try_from(nonce).ok()) {
            response.headers_mut().insert(headers::DPOP_NONCE, nonce);
        }
    }

    /// Logs the refusal and answers with it.
    pub(crate) fn refuse(&self, refusal: &Refusal) -> Response {
        let mut error = refusal.to_oauth_error();
        if self.nonce_is_ageing || error.code == Some(ErrorCode::UseDpopNonce) {
            error.nonce = Some(self.server.issue_nonce(self.now));
        }
        self.decision.log_refused(refusal, &error);
        error.into_response()
    }
}
