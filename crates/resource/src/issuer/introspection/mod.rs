//! Asking the issuer about a token (RFC 7662): for tokens that say nothing by themselves, and where revocation has to
//! be seen soon.

mod exchange;
mod memory;

use std::fmt;
use std::sync::Arc;

use countersign_dpop::jose::ProofSigner;
use secrecy::SecretString;

pub(super) use self::exchange::Answer;
pub(crate) use self::memory::Introspector;
pub use self::memory::{INTROSPECTION_CACHE, MAX_INTROSPECTIONS};
use crate::issuer::config::{IssuerConfigError, check_url};

/// How an issuer is asked about tokens. `Debug` shows no secret.
#[derive(Clone)]
pub struct Introspection {
    pub(crate) endpoint: Option<String>,
    pub(crate) client_id: String,
    pub(crate) credential: IntrospectionCredential,
    pub(crate) cache: i64,
}

/// How the resource server says to the issuer who it is.
#[derive(Clone)]
pub enum IntrospectionCredential {
    /// `client_secret_basic` (RFC 6749 §2.3.1).
    SecretBasic(SecretString),
    /// `private_key_jwt` (RFC 7523 §2.2), with the issuer as its only audience.
    PrivateKeyJwt {
        /// Signs the assertions.
        signer: Arc<dyn ProofSigner>,
        /// The key's identifier at the issuer.
        kid: Option<String>,
    },
}

impl Introspection {
    /// Asks as the client `client_id`, at the endpoint that the issuer's metadata names.
    pub fn new(client_id: impl Into<String>, credential: IntrospectionCredential) -> Self {
        Self { endpoint: None, client_id: client_id.into(), credential, cache: INTROSPECTION_CACHE }
    }

    /// Asks at `url` instead.
    ///
    /// # Errors
    /// [`IssuerConfigError::IntrospectionUrl`] when it is not https, or http to a loopback host.
    pub fn at(mut self, url: impl Into<String>) -> Result<Self, IssuerConfigError> {
        let url = url.into();
        check_url(&url).map_err(|fault| IssuerConfigError::IntrospectionUrl { url: url.clone(), fault })?;
        self.endpoint = Some(url);
        Ok(self)
    }

    /// Believes an answer for this many seconds, 0 to [`INTROSPECTION_CACHE`] (more counts as that), and never past
    /// the token's `exp`. A token that is revoked meanwhile is taken that much longer.
    #[must_use]
    pub fn with_cache(mut self, seconds: i64) -> Self {
        self.cache = seconds.clamp(0, INTROSPECTION_CACHE);
        self
    }
}

impl fmt::Debug for Introspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspection")
            .field("endpoint", &self.endpoint)
            .field("client_id", &self.client_id)
            .field("credential", &self.credential)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for IntrospectionCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SecretBasic(_) => "SecretBasic",
            Self::PrivateKeyJwt { .. } => "PrivateKeyJwt",
        })
    }
}
