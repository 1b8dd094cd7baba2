//! One line for every judged request, an allow-list of fields: nothing that the client sent but what was recognised.

use countersign_dpop::jose::Jkt;
use http::StatusCode;

use crate::error::{OAuthError, Refusal};
use crate::grant::GrantType;

/// What is known of a request so far.
#[derive(Debug, Default)]
pub(crate) struct Decision {
    pub(crate) grant: Option<GrantType>,
    /// A registered client, known to be the one.
    pub(crate) client: Option<String>,
    pub(crate) jkt: Option<Jkt>,
}

impl Decision {
    pub(crate) fn log_issued(&self, bound: bool) {
        tracing::info!(
            target: TARGET,
            endpoint = "token",
            status = StatusCode::OK.as_u16(),
            code = "ok",
            grant = self.grant.map(GrantType::name),
            client = self.client,
            jkt = self.jkt.map(tracing::field::display),
            bound,
        );
    }

    pub(crate) fn log_refused(&self, refusal: &Refusal, answer: &OAuthError) {
        let code = answer.code.map_or("unavailable", countersign_dpop::ErrorCode::as_str);
        tracing::info!(
            target: TARGET,
            endpoint = "token",
            status = answer.status.as_u16(),
            code,
            grant = self.grant.map(GrantType::name),
            client = self.client,
            jkt = self.jkt.map(tracing::field::display),
            reason = %refusal,
        );
    }
}

const TARGET: &str = "countersign::decision";
