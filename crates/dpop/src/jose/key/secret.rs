//! The private keys of aws-lc, which wipes them when it frees them.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::encoding::Pkcs8V1Der;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_ASN1, ECDSA_P521_SHA512_FIXED_SIGNING, ED25519, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
    VerificationAlgorithm,
};
#[cfg(feature = "ml-dsa")]
use aws_lc_rs::signature::{ML_DSA_44_SIGNING, ML_DSA_65_SIGNING, PqdsaKeyPair, PqdsaSigningAlgorithm};
use zeroize::Zeroizing;

use crate::jose::jwk::{ed25519_key, rsa_key};
use crate::jose::{Algorithm, KeyFormatError, PublicJwk};

pub(super) enum Secret {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
    #[cfg(feature = "ml-dsa")]
    MlDsa(PqdsaKeyPair),
}

/// The kinds of keys, with what aws-lc calls their algorithms.
pub(super) enum Kind {
    Ecdsa(&'static EcdsaSigningAlgorithm),
    Ed25519,
    Rsa,
    #[cfg(feature = "ml-dsa")]
    MlDsa(&'static PqdsaSigningAlgorithm),
}

impl Kind {
    pub(super) fn of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Es256 => Self::Ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING),
            Algorithm::Es384 => Self::Ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING),
            Algorithm::Es512 => Self::Ecdsa(&ECDSA_P521_SHA512_FIXED_SIGNING),
            Algorithm::Ed25519 | Algorithm::EdDsa => Self::Ed25519,
            Algorithm::Ps256 | Algorithm::Rs256 => Self::Rsa,
            #[cfg(feature = "ml-dsa")]
            Algorithm::MlDsa44 => Self::MlDsa(&ML_DSA_44_SIGNING),
            #[cfg(feature = "ml-dsa")]
            Algorithm::MlDsa65 => Self::MlDsa(&ML_DSA_65_SIGNING),
        }
    }
}

impl Secret {
    pub(super) fn generate(algorithm: Algorithm) -> Result<Self, KeyFormatError> {
        let made = match Kind::of(algorithm) {
            Kind::Ecdsa(curve) => EcdsaKeyPair::generate(curve).map(Self::Ecdsa),
            Kind::Ed25519 => Ed25519KeyPair::generate().map(Self::Ed25519),
            Kind::Rsa => RsaKeyPair::generate(KeySize::Rsa2048).map(Self::Rsa),
            #[cfg(feature = "ml-dsa")]
            Kind::MlDsa(set) => PqdsaKeyPair::generate(set).map(Self::MlDsa),
        };
        made.map_err(|_| KeyFormatError::NoRandomness)
    }

    /// `None` when `der` is not PKCS#8 of a key for `algorithm`.
    pub(super) fn from_pkcs8(der: &[u8], algorithm: Algorithm) -> Option<Self> {
        match Kind::of(algorithm) {
            Kind::Ecdsa(curve) => EcdsaKeyPair::from_pkcs8(curve, der).map(Self::Ecdsa).ok(),
            Kind::Ed25519 => Ed25519KeyPair::from_pkcs8(der).map(Self::Ed25519).ok(),
            Kind::Rsa => RsaKeyPair::from_pkcs8(der).map(Self::Rsa).ok(),
            #[cfg(feature = "ml-dsa")]
            Kind::MlDsa(set) => PqdsaKeyPair::from_pkcs8(set, der).map(Self::MlDsa).ok(),
        }
    }

    /// `None` when `der` is not an `ECPrivateKey` (RFC 5915) on the curve of `algorithm`.
    pub(super) fn from_sec1(der: &[u8], algorithm: Algorithm) -> Option<Self> {
        match Kind::of(algorithm) {
            Kind::Ecdsa(curve) => EcdsaKeyPair::from_private_key_der(curve, der).map(Self::Ecdsa).ok(),
            Kind::Ed25519 | Kind::Rsa => None,
            #[cfg(feature = "ml-dsa")]
            Kind::MlDsa(_) => None,
        }
    }

    /// `None` when `der` is not an `RSAPrivateKey` (RFC 8017) or `algorithm` is not for RSA.
    pub(super) fn from_pkcs1(der: &[u8], algorithm: Algorithm) -> Option<Self> {
        match Kind::of(algorithm) {
            Kind::Rsa => RsaKeyPair::from_der(der).map(Self::Rsa).ok(),
            Kind::Ecdsa(_) | Kind::Ed25519 => None,
            #[cfg(feature = "ml-dsa")]
            Kind::MlDsa(_) => None,
        }
    }

    pub(super) fn to_pkcs8(&self) -> Option<Zeroizing<Vec<u8>>> {
        let document = match self {
            Self::Ecdsa(pair) => pair.to_pkcs8v1(),
            Self::Ed25519(pair) => pair.to_pkcs8v1(),
            Self::Rsa(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().ok()?;
                return Some(Zeroizing::new(der.as_ref().to_vec()));
            }
            #[cfg(feature = "ml-dsa")]
            Self::MlDsa(pair) => pair.to_pkcs8v1(),
        };
        Some(Zeroizing::new(document.ok()?.as_ref().to_vec()))
    }

    /// `None` when the key is too weak to be used.
    pub(super) fn public_jwk(&self) -> Option<PublicJwk> {
        match self {
            Self::Ecdsa(pair) => ec_key(pair.public_key().as_ref()),
            Self::Ed25519(pair) => ed25519_key(pair.public_key().as_ref().try_into().ok()?).ok(),
            Self::Rsa(pair) => {
                let public = pair.public_key();
                let modulus = public.modulus().big_endian_without_leading_zero().to_vec();
                let exponent = public.exponent().big_endian_without_leading_zero().to_vec();
                rsa_key(modulus, exponent).ok()
            }
            #[cfg(feature = "ml-dsa")]
            Self::MlDsa(pair) => {
                let algorithm =
                    if *pair.algorithm() == ML_DSA_44_SIGNING { Algorithm::MlDsa44 } else { Algorithm::MlDsa65 };
                Some(PublicJwk::MlDsa { algorithm, public: pair.public_key().as_ref().to_vec() })
            }
        }
    }

    pub(super) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Ecdsa(pair) => Some(pair.sign(&random, message).ok()?.as_ref().to_vec()),
            Self::Ed25519(pair) => Some(pair.try_sign(message).ok()?.as_ref().to_vec()),
            Self::Rsa(pair) => {
                let padding = if algorithm == Algorithm::Ps256 { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature).ok()?;
                Some(signature)
            }
            #[cfg(feature = "ml-dsa")]
            Self::MlDsa(pair) => {
                let mut signature = vec![0; pair.algorithm().signature_len()];
                let length = pair.sign(message, &mut signature).ok()?;
                signature.truncate(length);
                Some(signature)
            }
        }
    }
}

/// True when `der` is a `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7).
pub(super) fn is_public(der: &[u8]) -> bool {
    let kinds: [&'static dyn VerificationAlgorithm; 5] = [
        &ECDSA_P256_SHA256_ASN1,
        &ECDSA_P384_SHA384_ASN1,
        &ECDSA_P521_SHA512_ASN1,
        &ED25519,
        &RSA_PKCS1_2048_8192_SHA256,
    ];
    kinds.into_iter().any(|kind| ParsedPublicKey::new(kind, der).is_ok())
}

/// Takes an uncompressed point (SEC 1 §2.3.3).
fn ec_key(point: &[u8]) -> Option<PublicJwk> {
    let (&4, coordinates) = point.split_first()? else { return None };
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    match x.len() {
        32 => Some(PublicJwk::P256 { x: x.try_into().ok()?, y: y.try_into().ok()? }),
        48 => Some(PublicJwk::P384 { x: x.try_into().ok()?, y: y.try_into().ok()? }),
        66 => Some(PublicJwk::P521 { x: Box::new(x.try_into().ok()?), y: Box::new(y.try_into().ok()?) }),
        _ => None,
    }
}
