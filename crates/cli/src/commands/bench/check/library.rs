//! The measure of all rows: one bare verification, and one bare signature, by aws-lc-rs.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
#[cfg(feature = "ml-dsa")]
use aws_lc_rs::signature::{ML_DSA_44, ML_DSA_65};
use countersign_dpop::jose::{Algorithm, PublicJwk, decode_base64url};

use super::super::fixture::{BenchClient, at_once, url};
use super::super::measure::Work;
use crate::error::CommandError;

/// Verifies signatures of fresh proofs with the key as bytes, as a server without tables has it.
pub(super) struct LibraryVerify {
    client: BenchClient,
    key: BareKey,
    signed: Vec<(Vec<u8>, Vec<u8>)>,
}

enum BareKey {
    Bytes(UnparsedPublicKey<Vec<u8>>),
    Rsa(&'static RsaParameters, RsaPublicKeyComponents<Vec<u8>>),
}

impl LibraryVerify {
    pub(super) fn new(client: BenchClient, algorithm: Algorithm) -> Self {
        let key = BareKey::of(client.signer().public_jwk(), algorithm);
        Self { client, key, signed: Vec::new() }
    }
}

impl Work for LibraryVerify {
    fn prepare(&mut self, calls: usize) -> Result<(), CommandError> {
        let proofs = (0..calls).map(|_| signed_parts(&self.client.proof(&url())?));
        self.signed = proofs.collect::<Result<_, _>>()?;
        Ok(())
    }

    fn call(&mut self) -> bool {
        self.signed.pop().is_some_and(|(message, signature)| self.key.verifies(&message, &signature))
    }
}

impl BareKey {
    fn of(key: &PublicJwk, algorithm: Algorithm) -> Self {
        let bytes = |by: &'static dyn VerificationAlgorithm, key| Self::Bytes(UnparsedPublicKey::new(by, key));
        let point = |x: &[u8], y: &[u8]| [&[4], x, y].concat();
        match key {
            PublicJwk::P256 { x, y } => bytes(&ECDSA_P256_SHA256_FIXED, point(x, y)),
            PublicJwk::P384 { x, y } => bytes(&ECDSA_P384_SHA384_FIXED, point(x, y)),
            PublicJwk::P521 { x, y } => bytes(&ECDSA_P521_SHA512_FIXED, point(x.as_slice(), y.as_slice())),
            PublicJwk::Ed25519 { x } => bytes(&ED25519, x.to_vec()),
            PublicJwk::Rsa { n, e } => {
                let parameters =
                    if algorithm == Algorithm::Ps256 { &RSA_PSS_2048_8192_SHA256 } else { &RSA_PKCS1_2048_8192_SHA256 };
                Self::Rsa(parameters, RsaPublicKeyComponents { n: n.clone(), e: e.clone() })
            }
            #[cfg(feature = "ml-dsa")]
            PublicJwk::MlDsa { algorithm: Algorithm::MlDsa44, public } => bytes(&ML_DSA_44, public.clone()),
            #[cfg(feature = "ml-dsa")]
            PublicJwk::MlDsa { public, .. } => bytes(&ML_DSA_65, public.clone()),
        }
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Bytes(key) => key.verify(message, signature).is_ok(),
            Self::Rsa(parameters, key) => key.verify(parameters, message, signature).is_ok(),
        }
    }
}

fn signed_parts(proof: &str) -> Result<(Vec<u8>, Vec<u8>), CommandError> {
    let (message, signature) = proof.rsplit_once('.').unwrap_or_default();
    let signature = decode_base64url(signature).map_err(CommandError::internal)?;
    Ok((message.as_bytes().to_vec(), signature))
}

/// Signs something as long as a proof.
pub(super) fn library_sign(client: &BenchClient) -> Box<dyn Work + '_> {
    let message = [b'm'; 420];
    Box::new(move || at_once(client.signer().sign(&message)).is_ok_and(|signature| signature.is_ok()))
}

/// Makes a whole proof.
pub(super) fn make_proof(client: &BenchClient) -> Box<dyn Work + '_> {
    let url = url();
    Box::new(move || client.proof(&url).is_ok())
}
