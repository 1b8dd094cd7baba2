//! How an issuer knows a client that was registered dynamically (RFC 7591).

use countersign_dpop::jose::{JsonLimits, from_strict_json};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::keys::KeyStoreError;
use crate::sessions::SessionError;

/// A registration that was kept.
#[derive(Clone, Debug)]
pub struct KeptRegistration {
    /// At whom.
    pub issuer: String,
    /// The identifier that the issuer gave.
    pub client_id: String,
    /// The secret that it gave, if it gave one.
    pub client_secret: Option<SecretString>,
}

#[derive(Serialize)]
struct Text<'a> {
    issuer: &'a str,
    client_id: &'a str,
    client_secret: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnedText {
    issuer: String,
    client_id: String,
    client_secret: Option<String>,
}

impl KeptRegistration {
    pub(super) fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, SessionError> {
        let client_secret = self.client_secret.as_ref().map(ExposeSecret::expose_secret);
        let text = Text { issuer: &self.issuer, client_id: &self.client_id, client_secret };
        let bytes = serde_json::to_vec(&text).map_err(|_| KeyStoreError::SealingFailed)?;
        Ok(Zeroizing::new(bytes))
    }

    pub(super) fn from_bytes(issuer: &str, bytes: &[u8]) -> Option<Self> {
        let text: OwnedText = from_strict_json(bytes, JsonLimits::PROOF).ok()?;
        let client_secret = text.client_secret.map(SecretString::from);
        (text.issuer == issuer).then_some(Self { issuer: text.issuer, client_id: text.client_id, client_secret })
    }
}
