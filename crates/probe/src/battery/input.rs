use std::fmt;
use std::sync::Arc;

use countersign_dpop::jose::ProofSigner;
use countersign_dpop::time::Clock;
use http::{Method, Uri};

/// What the thief has.
#[derive(Clone)]
pub struct Loot {
    /// A bound access token of somebody else that is still good.
    pub token: String,
    /// A request of the token's owner that the server has already served.
    pub captured: Option<CapturedRequest>,
}

impl fmt::Debug for Loot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loot").field("captured", &self.captured.is_some()).finish_non_exhaustive()
    }
}

/// A request as it was read on its way, proof included.
#[derive(Clone)]
pub struct CapturedRequest {
    /// The method.
    pub method: Method,
    /// The URL that was called.
    pub url: String,
    /// The value of the `DPoP` field.
    pub proof: String,
}

impl fmt::Debug for CapturedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CapturedRequest").field("method", &self.method).finish_non_exhaustive()
    }
}

/// An access token and the key that it is bound to.
#[derive(Clone)]
pub struct Session {
    /// The token.
    pub token: String,
    /// The key.
    pub key: Arc<dyn ProofSigner>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("jkt", &self.key.public_jwk().jkt()).finish_non_exhaustive()
    }
}

/// What a battery works with: the request that is attacked, the loot, and what the operator adds to make the
/// attacks sharper.
#[derive(Clone, Debug)]
pub struct BatteryInput {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) loot: Loot,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) honest: Option<Session>,
    pub(crate) foreign_audience: Option<Session>,
    pub(crate) expired: Option<Session>,
    pub(crate) other_issuer: Option<Session>,
}

impl BatteryInput {
    /// Attacks requests of `method` for `url`, which the token in `loot` opens to its owner. Proofs are dated by
    /// `clock`.
    ///
    /// # Errors
    /// [`InputError`] when `url` is not an absolute http or https URL.
    pub fn new(method: Method, url: impl Into<String>, loot: Loot, clock: Arc<dyn Clock>) -> Result<Self, InputError> {
        let url = url.into();
        let uri: Uri = url.parse().map_err(|_| InputError)?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            return Err(InputError);
        }
        Ok(Self { method, url, loot, clock, honest: None, foreign_audience: None, expired: None, other_issuer: None })
    }

    /// An honest session for the URL: a token with its key.
    #[must_use]
    pub fn with_honest_session(mut self, session: Session) -> Self {
        self.honest = Some(session);
        self
    }

    /// A good token for another audience.
    #[must_use]
    pub fn with_foreign_audience(mut self, session: Session) -> Self {
        self.foreign_audience = Some(session);
        self
    }

    /// A token that has expired.
    #[must_use]
    pub fn with_expired_token(mut self, session: Session) -> Self {
        self.expired = Some(session);
        self
    }

    /// A token that another issuer signed.
    #[must_use]
    pub fn with_other_issuer(mut self, session: Session) -> Self {
        self.other_issuer = Some(session);
        self
    }
}

/// The URL is not an absolute http or https URL.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an absolute http or https URL")]
pub struct InputError;
