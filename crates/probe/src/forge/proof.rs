use std::fmt;

use aws_lc_rs::rand;
use countersign_dpop::Ath;
use countersign_dpop::jose::{ProofSigner, SignError, encode_base64url};
use countersign_dpop::time::Timestamp;

use crate::forge::RawObject;

/// What a right proof would say.
#[derive(Clone, Copy)]
pub struct ProofClaims<'a> {
    /// `jti`.
    pub jti: &'a str,
    /// `htm`.
    pub method: &'a str,
    /// The URL of the request; query and fragment are left out of `htu`.
    pub url: &'a str,
    /// `iat`.
    pub iat: Timestamp,
    /// The access token that `ath` is the hash of.
    pub token: Option<&'a str>,
    /// `nonce`.
    pub nonce: Option<&'a str>,
}

impl fmt::Debug for ProofClaims<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofClaims").field("method", &self.method).field("iat", &self.iat).finish_non_exhaustive()
    }
}

/// A proof in the making (RFC 9449 §4.2): right at first, and open to any change before it is signed.
#[derive(Clone)]
pub struct ProofForge {
    /// The JOSE header; its `jwk` is an object of its own.
    pub header: RawObject,
    /// The claims.
    pub claims: RawObject,
}

impl ProofForge {
    /// A right proof for a key given as the name of its algorithm and its public JWK.
    pub fn new(alg: &str, jwk: RawObject, claims: &ProofClaims<'_>) -> Self {
        let mut header = RawObject::new();
        header.set_text("typ", "dpop+jwt");
        header.set_text("alg", alg);
        header.set_object("jwk", jwk);
        Self { header, claims: claims_object(claims) }
    }

    /// A right proof for the key of `signer`.
    ///
    /// # Errors
    /// [`StartError`] when the signer's JWK is not a JSON object.
    pub fn for_signer(signer: &dyn ProofSigner, claims: &ProofClaims<'_>) -> Result<Self, StartError> {
        let jwk = RawObject::from_json(&signer.public_jwk().to_json()).ok_or(StartError)?;
        Ok(Self::new(signer.algorithm().name(), jwk, claims))
    }

    /// The `jwk` in the header; `None` when it was taken out or replaced by text.
    pub fn jwk_mut(&mut self) -> Option<&mut RawObject> {
        self.header.object_mut("jwk")
    }

    /// Header and claims, encoded, with the dot: what is signed.
    pub fn signing_input(&self) -> String {
        format!("{}.{}", encode_base64url(self.header.to_string()), encode_base64url(self.claims.to_string()))
    }

    /// The compact proof with `signature`, whatever that is.
    pub fn with_signature(&self, signature: &[u8]) -> String {
        format!("{}.{}", self.signing_input(), encode_base64url(signature))
    }

    /// The compact proof, signed by `signer`.
    ///
    /// # Errors
    /// See [`SignError`].
    pub async fn sign(&self, signer: &dyn ProofSigner) -> Result<String, SignError> {
        let signature = signer.sign(self.signing_input().as_bytes()).await?;
        Ok(self.with_signature(&signature))
    }
}

impl fmt::Debug for ProofForge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofForge").finish_non_exhaustive()
    }
}

/// The signer's public JWK is not a JSON object.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the signer's public JWK cannot be read")]
pub struct StartError;

/// A `jti` of 128 random bits.
///
/// # Errors
/// [`SignError::Failed`] when the system gives no random bytes.
pub fn random_jti() -> Result<String, SignError> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| SignError::Failed)?;
    Ok(encode_base64url(bytes))
}

fn claims_object(claims: &ProofClaims<'_>) -> RawObject {
    let mut object = RawObject::new();
    object.set_text("jti", claims.jti);
    object.set_text("htm", claims.method);
    object.set_text("htu", without_query(claims.url));
    object.set("iat", claims.iat.to_string());
    if let Some(token) = claims.token {
        object.set_text("ath", &Ath::of(token).to_string());
    }
    if let Some(nonce) = claims.nonce {
        object.set_text("nonce", nonce);
    }
    object
}

fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}
