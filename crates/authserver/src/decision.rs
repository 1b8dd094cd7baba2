//! One line for every judged request, an allow-list of fields: nothing that the client sent but what was recognised.
//! Where a field means the same as in the decision log of the gateway it has the same name.

use std::sync::Arc;

use countersign_dpop::jose::Jkt;
use countersign_dpop::time::Timestamp;
use countersign_dpop::{CheckedProof, ErrorCode};
use http::StatusCode;

use crate::endpoint::Endpoint;
use crate::error::{OAuthError, Refusal};
use crate::grant::GrantType;
use crate::operation::Metrics;

/// What is known of a request so far.
#[derive(Debug, Default)]
pub(crate) struct Decision {
    metrics: Arc<Metrics>,
    endpoint: Endpoint,
    pub(crate) grant: Option<GrantType>,
    /// A registered client, known to be the one.
    pub(crate) client: Option<String>,
    jkt: Option<Jkt>,
    /// Seconds by which the client's clock is ahead of ours, by its proof.
    offset: Option<i64>,
}

impl Decision {
    /// What is logged is also counted in `metrics`.
    pub(crate) fn at(endpoint: Endpoint, metrics: &Arc<Metrics>) -> Self {
        Self { endpoint, metrics: metrics.clone(), ..Self::default() }
    }

    /// Notes the proof, once its signature is verified.
    pub(crate) fn note_proof(&mut self, proof: &CheckedProof, now: Timestamp) {
        self.jkt = Some(*proof.jkt());
        let offset = proof.iat().floor().since(now);
        self.offset = Some(offset);
        self.metrics.offset(offset);
    }

    /// Logs an answer that is no token.
    pub(crate) fn log_answered(&self, code: &'static str) {
        self.metrics.decision(self.endpoint.name(), "granted", code);
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
        self.metrics.decision(self.endpoint.name(), "granted", "ok");
        self.metrics.token(self.grant.map_or("none", GrantType::name), bound);
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
        self.metrics.decision(self.endpoint.name(), "refused", refusal.name());
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
