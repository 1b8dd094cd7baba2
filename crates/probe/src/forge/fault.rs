use countersign_dpop::jose::SignError;
use serde::Deserialize;

/// What is put in the place of a signature.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum SignatureForm {
    /// The right one.
    #[default]
    Right,
    /// No byte at all.
    Empty,
    /// These bytes, in base64url.
    Literal(String),
    /// The right one with its first bit changed.
    BitChanged,
    /// The right one without its last byte.
    ByteShort,
    /// The right one and a zero byte.
    ByteLong,
    /// HMAC-SHA256 with the text of `jwk` for a secret.
    HmacOfJwk,
    /// A fault that only ECDSA has.
    Ecdsa(EcdsaForm),
    /// A fault that only Ed25519 has.
    Ed25519(Ed25519Form),
    /// A fault that only RSA has.
    Rsa(RsaForm),
}

/// Forms of ECDSA signatures on P-256.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum EcdsaForm {
    /// The DER form of X.509.
    Der,
    /// r and s of zero.
    Zeros,
    /// r equal to the order of the group.
    OrderAsR,
    /// s equal to the order of the group.
    OrderAsS,
    /// r and s padded to 48 bytes each.
    PaddedHalves,
    /// s in the upper half of the group; right by JWS.
    HighS,
}

/// Forms of Ed25519 signatures.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Ed25519Form {
    /// The order of the group added to S.
    OrderAddedToS,
    /// The neutral element for R in a form that is not canonical; right for a verifier that decodes R.
    NonCanonicalR,
}

/// Forms of RSA signatures.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum RsaForm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, whatever the key is for.
    Rs256,
    /// RSASSA-PSS with SHA-256, whatever the key is for.
    Ps256,
    /// RSASSA-PKCS1-v1_5 without the NULL after the hash's identifier.
    Pkcs1WithoutNull,
    /// RSASSA-PSS with a salt of so many bytes.
    PssSalt(usize),
    /// RSASSA-PSS with SHA-1 in its mask.
    PssSha1Mask,
    /// The right number with the modulus added.
    ModulusAdded,
}

/// Why something could not be forged. Carries no part of a key.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// The form of signature is for another type of key.
    #[error("this form of signature is for another type of key")]
    WrongKeyType,
    /// The change would change nothing here, so it would test nothing.
    #[error("the change has no effect here: {what}")]
    NoEffect {
        /// Which change.
        what: &'static str,
    },
    /// The cryptographic library failed.
    #[error("the cryptographic library failed")]
    Library,
    /// A signer failed, or its public key cannot be read.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl From<aws_lc_rs::error::Unspecified> for ForgeError {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::Library
    }
}

impl From<aws_lc_rs::error::KeyRejected> for ForgeError {
    fn from(_: aws_lc_rs::error::KeyRejected) -> Self {
        Self::Library
    }
}
