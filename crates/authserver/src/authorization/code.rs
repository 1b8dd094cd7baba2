//! Authorization codes (RFC 6749 §4.1.2, RFC 7636, RFC 9449 §10): what each is good for, kept under its hash.

use aws_lc_rs::digest;
use countersign_dpop::jose::{Jkt, encode_base64url};
use countersign_dpop::time::Timestamp;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::AuthorizationRequest;
use crate::plain;
use crate::storage::{EntryKind, Kept};

/// What a code is bound to.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Code {
    /// The approval that it is a part of.
    pub(crate) approval: String,
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) redirect_uri_named: bool,
    challenge: String,
    /// The key that the token request has to prove.
    #[serde(with = "plain::optional_jkt")]
    pub(crate) jkt: Option<Jkt>,
    /// The last second at which it is good.
    #[serde(with = "plain::date")]
    pub(crate) until: Timestamp,
    pub(crate) redeemed: bool,
}

impl Code {
    /// Seconds that a code is remembered after its end, so that a second use is known as one.
    const KEPT_LONGER: i64 = 600;

    /// The code for what was asked and approved.
    pub(crate) fn new(request: &AuthorizationRequest, approval: &str, until: Timestamp) -> Self {
        Self {
            approval: approval.to_owned(),
            client_id: request.client_id.clone(),
            redirect_uri: request.redirect_uri.clone(),
            redirect_uri_named: request.redirect_uri_named,
            challenge: request.code_challenge.clone(),
            jkt: request.jkt,
            until,
            redeemed: false,
        }
    }

    /// The same, redeemed.
    pub(crate) fn redeemed(&self) -> Self {
        Self { redeemed: true, ..self.clone() }
    }

    /// Whether `verifier` is what the challenge was made of (RFC 7636 §4.6).
    pub(crate) fn is_verified_by(&self, verifier: &str) -> bool {
        let fits = (43..=128).contains(&verifier.len())
            && verifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
        let challenge = encode_base64url(digest::digest(&digest::SHA256, verifier.as_bytes()));
        fits && bool::from(challenge.as_bytes().ct_eq(self.challenge.as_bytes()))
    }
}

impl Kept for Code {
    const KIND: EntryKind = EntryKind::Code;

    fn not_after(&self) -> Timestamp {
        self.until.plus(Self::KEPT_LONGER)
    }
}
