//! What a granted request may rely on.

use std::fmt;
use std::sync::Arc;

use countersign_dpop::ConfirmedRequest;
use countersign_dpop::jose::Jkt;
use countersign_dpop::time::Timestamp;
use serde::de::DeserializeOwned;

use crate::token::AccessToken;

/// Who is calling, as far as token and proof say so: a request with an `Access` passed every check of its stage.
///
/// `Debug` shows issuer and client only.
#[derive(Clone)]
pub struct Access {
    token: Arc<AccessToken>,
    proof: Option<ConfirmedRequest>,
}

impl Access {
    pub(crate) const fn by_proof(token: Arc<AccessToken>, proof: ConfirmedRequest) -> Self {
        Self { token, proof: Some(proof) }
    }

    pub(crate) const fn by_bearer(token: Arc<AccessToken>) -> Self {
        Self { token, proof: None }
    }

    /// The issuer of the token.
    pub fn issuer(&self) -> &str {
        self.token.issuer()
    }

    /// On whose behalf (`sub`).
    pub fn subject(&self) -> Option<&str> {
        self.token.subject()
    }

    /// The client.
    pub fn client_id(&self) -> Option<&str> {
        self.token.client_id()
    }

    /// What the token allows, values separated by blanks.
    pub fn scope(&self) -> &str {
        self.token.scope()
    }

    /// The single values of the scope.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.token.scopes()
    }

    /// True when the scope holds `value`.
    pub fn has_scope(&self, value: &str) -> bool {
        self.token.has_scope(value)
    }

    /// The key that signed the request; `None` for a Bearer request.
    pub fn jkt(&self) -> Option<&Jkt> {
        self.proof.as_ref().map(ConfirmedRequest::jkt)
    }

    /// The checked, confirmed and recorded proof; `None` for a Bearer request.
    pub const fn proof(&self) -> Option<&ConfirmedRequest> {
        self.proof.as_ref()
    }

    /// The first second at which the token is no longer good. Streams should end by then.
    pub fn expires(&self) -> Timestamp {
        self.token.expires()
    }

    /// All claims of the token, read into a type of the application's.
    ///
    /// # Errors
    /// The claims are not of that shape.
    pub fn claims<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        self.token.claims()
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("issuer", &self.issuer())
            .field("client_id", &self.client_id())
            .field("jkt", &self.jkt())
            .finish_non_exhaustive()
    }
}
