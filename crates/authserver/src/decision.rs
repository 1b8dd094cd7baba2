//! One line for every judged request, an allow-list of fields: nothing that the client sent but what was recognised.
//! Where a field means the same as in the decision log of the gateway it has the same name.

use countersign_dpop::jose::Jkt;
use countersign_dpop::time::Timestamp;
use countersign_dpop::{CheckedProof, ErrorCode};
use http::StatusCode;

use crate::endpoint::Endpoint;
use crate::error::{OAuthError, Refusal};
use crate::grant::GrantType;

/// What is known of a request so far.
#[derive(Debug, Default)]
pub(crate) struct Decision {
    endpoint: Endpoint,
    pub(crate) grant: Option<GrantType>,
    /// A registered client, known to be the one.
    pub(crate) client: Option<String>,
    jkt: Option<Jkt>,
    /// Seconds by which the client's clock is ahead of ours, by its proof.
    offset: Option<i64>,
}

impl Decision {
    pub(crate) fn at(endpoint: Endpoint) -> Self {
        Self { endpoint, ..Self::default() }
    }

    /// Notes the proof, once its signature is verified.
    pub(crate) fn note_proof(&mut self, proof: &CheckedProof, now: Timestamp) {
        self.jkt = Some(*proof.jkt());
        self.offset = Some(proof.iat().floor().since(now));
    }

    /// Logs an answer that is no token.
    pub(crate) fn log_answered(&self, code: &'static str) {
        tracing::info!(
            target: TARGET,
            endpoint = self.endpoint.name(),
            outcome = "granted",
            code,
            status = StatusCode::OK.as_u16(),
            client = self.client,
            jkt = self.jkt.map(tracing::field::display),
            offset = self.offset,
        );
    }

    pub(crate) fn log_granted(&self, bound: bool) {
        tracing::info!(
            target: TARGET,
            endpoint = self.endpoint.name(),
            outcome = "granted",
            code = "ok",
            status = StatusCode::OK.as_u16(),
            grant = self.grant.map(GrantType::name),
            client = self.client,
            jkt = self.jkt.map(tracing::field::display),
            offset = self.offset,
            bound,
        );
    }

    pub(crate) fn log_refused(&self, refusal: &Refusal, answer: &OAuthError) {
        tracing::info!(
            target: TARGET,
            endpoint = self.endpoint.name(),
            outcome = "refused",
            code = refusal.name(),
            error = answer.code.map(ErrorCode::as_str),
            status = answer.status.as_u16(),
            reason = %refusal,
            grant = self.grant.map(GrantType::name),
            client = self.client,
            jkt = self.jkt.map(tracing::field::display),
            offset = self.offset,
        );
    }
}

const TARGET: &str = "countersign::decision";
