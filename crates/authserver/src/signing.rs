//! The keys that sign tokens: one signs, all that could still verify a token are published.

use aws_lc_rs::error::Unspecified;
use countersign_dpop::jose::{
    Algorithm, Algorithms, CompactJws, KeyFormatError, PublicJwk, SignError, SoftwareKey, encode_base64url,
};
use countersign_dpop::time::Timestamp;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::seal::{Seal, SealError};
use crate::storage::{KeyState, SealedKey, Storage, StorageError};

/// Why the signing keys cannot be used. Carries nothing of them.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A key cannot be opened or sealed.
    #[error("signing key {kid}: {fault}")]
    Seal {
        /// Which key.
        kid: String,
        /// What is wrong.
        fault: SealError,
    },
    /// A key is not what its row says.
    #[error("signing key {kid} is damaged: {fault}")]
    Damaged {
        /// Which key.
        kid: String,
        /// What is wrong.
        fault: KeyFormatError,
    },
    /// A key could not be made.
    #[error("no signing key could be made: {0}")]
    Make(KeyFormatError),
    /// There are keys, but none that signs.
    #[error("none of the signing keys is active")]
    NoneActive,
}

/// The keys in use.
pub(crate) struct SigningKeys {
    active: SoftwareKey,
    active_kid: String,
    published: Vec<PublishedKey>,
}

struct PublishedKey {
    kid: String,
    algorithm: Algorithm,
    key: PublicJwk,
}

impl SigningKeys {
    /// Loads the keys, or makes the first one.
    pub(crate) async fn load_or_make(storage: &dyn Storage, seal: &Seal, now: Timestamp) -> Result<Self, KeyError> {
        let stored = storage.signing_keys().await?;
        if !stored.is_empty() {
            return Self::open(stored, seal);
        }
        let first = make_key(seal, now)?;
        // Another process may have made one meanwhile; what the storage has is what counts.
        Self::open(storage.add_first_signing_key(first).await?, seal)
    }

    fn open(stored: Vec<SealedKey>, seal: &Seal) -> Result<Self, KeyError> {
        let mut active = None;
        let mut published = Vec::new();
        for sealed in stored {
            let key = open_key(&sealed, seal)?;
            let public = key.public_jwk().clone();
            published.push(PublishedKey { kid: sealed.kid.clone(), algorithm: sealed.algorithm, key: public });
            if sealed.state == KeyState::Active {
                active = Some((key, sealed.kid));
            }
        }
        let (active, active_kid) = active.ok_or(KeyError::NoneActive)?;
        Ok(Self { active, active_kid, published })
    }

    /// Signs the claims of a JWT of this `typ`.
    pub(crate) fn sign(&self, typ: &str, claims: &str) -> Result<Zeroizing<String>, SignError> {
        let header = json!({ "typ": typ, "alg": self.active.algorithm().name(), "kid": self.active_kid });
        let input = format!("{}.{}", encode_base64url(header.to_string()), encode_base64url(claims));
        let signature = encode_base64url(self.active.sign_now(input.as_bytes())?);
        Ok(Zeroizing::new(format!("{input}.{signature}")))
    }

    /// Whether one of the published keys made the signature.
    pub(crate) fn verify(&self, kid: &str, algorithm: &str, jws: &CompactJws<'_>) -> bool {
        let made_by = |key: &&PublishedKey| key.kid == kid && key.algorithm.name() == algorithm;
        self.published.iter().find(made_by).is_some_and(|key| {
            Algorithms::all().verify(key.algorithm, &key.key, jws.signing_input(), jws.signature()).is_ok()
        })
    }

    /// The JWK Set (RFC 7517 §5) to publish.
    pub(crate) fn jwk_set(&self) -> Value {
        let keys: Vec<Value> = self.published.iter().map(PublishedKey::to_jwk).collect();
        json!({ "keys": keys })
    }
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKeys")
            .field("active", &self.active_kid)
            .field("published", &self.published.len())
            .finish_non_exhaustive()
    }
}

impl PublishedKey {
    fn to_jwk(&self) -> Value {
        let mut jwk: Value = serde_json::from_str(&self.key.to_json()).unwrap_or_default();
        jwk["kid"] = json!(self.kid);
        jwk["alg"] = json!(self.algorithm.name());
        jwk["use"] = json!("sig");
        jwk
    }
}

fn make_key(seal: &Seal, now: Timestamp) -> Result<SealedKey, KeyError> {
    let algorithm = Algorithm::Es256;
    let key = SoftwareKey::generate(algorithm).map_err(KeyError::Make)?;
    let kid = key.public_jwk().jkt().to_string();
    let pkcs8 = key.to_pkcs8().map_err(KeyError::Make)?;
    let sealed = seal.seal(&label(&kid), &pkcs8).map_err(|fault| KeyError::Seal { kid: kid.clone(), fault })?;
    Ok(SealedKey { kid, algorithm, sealed, state: KeyState::Active, created_at: now })
}

fn open_key(sealed: &SealedKey, seal: &Seal) -> Result<SoftwareKey, KeyError> {
    let kid = || sealed.kid.clone();
    let pkcs8 = seal.open(&label(&sealed.kid), &sealed.sealed).map_err(|fault| KeyError::Seal { kid: kid(), fault })?;
    let key =
        SoftwareKey::from_pkcs8(&pkcs8, sealed.algorithm).map_err(|fault| KeyError::Damaged { kid: kid(), fault })?;
    if key.public_jwk().jkt().to_string() == sealed.kid {
        Ok(key)
    } else {
        Err(KeyError::Damaged { kid: kid(), fault: KeyFormatError::NotFit(sealed.algorithm) })
    }
}

/// What a sealed key is sealed as, so that one cannot stand in for another.
fn label(kid: &str) -> String {
    format!("signing key {kid}")
}

impl From<Unspecified> for SealError {
    fn from(_: Unspecified) -> Self {
        Self::Failed
    }
}
