//! Pushed authorization requests (RFC 9126): checked when they are pushed, kept until the user has answered.

use countersign_dpop::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::AuthorizationRequest;
use crate::plain;
use crate::storage::{EntryKind, Kept};

/// A pushed request. It may be opened many times, but answered once.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct PushedRequest {
    pub(crate) request: AuthorizationRequest,
    /// The last second at which it may be answered.
    #[serde(with = "plain::date")]
    pub(crate) until: Timestamp,
    /// Whether it has been answered.
    pub(crate) answered: bool,
}

impl PushedRequest {
    /// What stands before the secret in `request_uri` (RFC 9126 §2.2).
    pub(crate) const PREFIX: &'static str = "urn:ietf:params:oauth:request_uri:";

    /// The same, answered.
    pub(crate) fn answered(&self) -> Self {
        Self { answered: true, ..self.clone() }
    }
}

impl Kept for PushedRequest {
    const KIND: EntryKind = EntryKind::PushedRequest;

    fn not_after(&self) -> Timestamp {
        self.until
    }
}
