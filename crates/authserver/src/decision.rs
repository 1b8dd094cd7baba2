//! One line for every judged request, an allow-list of fields: nothing that the client sent but what was recognised.
//! Where a field means the same as in the decision log of the gateway it has the same name.

use std::net::IpAddr;
use std::sync::Arc;

use countersign_dpop::jose::Jkt;
use countersign_dpop::time::Timestamp;
use countersign_dpop::{CheckedProof, ErrorCode};
use http::StatusCode;

use crate::approval::Approval;
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
        let offset = proof.facts().iat().floor().since(now);
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

    /// A request of a client that was done and got no token.
    pub(crate) fn log_done(&self, status: StatusCode) {
        self.metrics.decision(self.endpoint.name(), "granted", "ok");
        tracing::info!(
            target: TARGET,
            endpoint = self.endpoint.name(),
            outcome = "granted",
            code = "ok",
            status = status.as_u16(),
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

/// One line for a request that was refused unread, because too many come from its address.
pub(crate) fn log_limited(endpoint: &'static str, source: IpAddr, refusal: &Refusal, answer: &OAuthError) {
    tracing::info!(
        target: TARGET,
        endpoint,
        outcome = "refused",
        code = refusal.name(),
        status = answer.status.as_u16(),
        reason = %refusal,
        %source,
    );
}

/// One line for a page that somebody was shown or a form that was sent.
#[derive(Debug)]
pub(crate) struct PageDecision {
    metrics: Arc<Metrics>,
    endpoint: &'static str,
    /// A registered client.
    pub(crate) client: Option<String>,
    outcome: &'static str,
    code: &'static str,
    reason: Option<String>,
    approval: Option<Approval>,
}

impl PageDecision {
    /// What is logged is also counted in `metrics`.
    pub(crate) fn at(endpoint: &'static str, metrics: &Arc<Metrics>) -> Self {
        let metrics = metrics.clone();
        Self { metrics, endpoint, client: None, outcome: "shown", code: "ok", reason: None, approval: None }
    }

    /// Something was done that is not an approval.
    pub(crate) const fn note(&mut self, outcome: &'static str) {
        self.outcome = outcome;
    }

    /// The user approved.
    pub(crate) fn approve(&mut self, approval: &Approval) {
        self.outcome = "approved";
        self.approval = Some(approval.clone());
    }

    /// The request, the form or the user said no.
    pub(crate) fn refuse(&mut self, code: &'static str, reason: &dyn std::error::Error) {
        (self.outcome, self.code, self.reason) = ("refused", code, Some(reason.to_string()));
    }

    pub(crate) fn log(&self, status: StatusCode) {
        self.metrics.decision(self.endpoint, self.outcome, self.code);
        let approval = self.approval.as_ref();
        tracing::info!(
            target: TARGET,
            endpoint = self.endpoint,
            outcome = self.outcome,
            code = self.code,
            status = status.as_u16(),
            reason = self.reason,
            client = self.client,
            subject = approval.map(|approval| approval.subject.as_str()),
            grant_id = approval.map(|approval| approval.id.as_str()),
            scope = approval.map(|approval| tracing::field::display(&approval.scope)),
            jkt = approval.and_then(|approval| approval.jkt).map(tracing::field::display),
        );
    }
}

const TARGET: &str = "countersign::decision";
