//! Random texts, and the proof that the one who redeems a code is the one who asked (RFC 7636).

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use countersign_dpop::jose::encode_base64url;
use zeroize::Zeroizing;

use crate::flows::TokenError;

/// A `code_verifier` of 256 random bits.
pub(super) struct Verifier(Zeroizing<String>);

impl Verifier {
    pub(super) fn draw() -> Result<Self, TokenError> {
        random_text().map(Self)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The `code_challenge` by `S256`.
    pub(super) fn challenge(&self) -> String {
        encode_base64url(digest(&SHA256, self.0.as_bytes()))
    }
}

/// 43 characters with 256 random bits.
pub(super) fn random_text() -> Result<Zeroizing<String>, TokenError> {
    let mut random = Zeroizing::new([0; 32]);
    rand::fill(random.as_mut_slice()).map_err(|_| TokenError::NoRandomness)?;
    Ok(Zeroizing::new(encode_base64url(random.as_slice())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_the_challenge_of_rfc_7636_appendix_b() {
        let verifier = Verifier(Zeroizing::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned()));
        assert_eq!(verifier.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert_ne!(Verifier::draw().expect("random").as_str(), Verifier::draw().expect("random").as_str());
    }
}
