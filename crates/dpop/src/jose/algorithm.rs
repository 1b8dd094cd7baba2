//! Signature algorithms by their registered names.

use std::fmt;
use std::str::FromStr;

/// A JWS signature algorithm (RFC 7518 §3.1, RFC 8037, RFC 9864, RFC 9964) that a proof may use. There is no way to
/// name `none` or a symmetric algorithm.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Algorithm {
    /// ECDSA with P-256 and SHA-256 (RFC 7518 §3.4).
    Es256,
    /// ECDSA with P-384 and SHA-384 (RFC 7518 §3.4).
    Es384,
    /// ECDSA with P-521 and SHA-512 (RFC 7518 §3.4).
    Es512,
    /// Ed25519 by its own name (RFC 9864 §2.2).
    Ed25519,
    /// `EdDSA` (RFC 8037 §3.1), taken with an Ed25519 key only; RFC 9864 replaces the name.
    EdDsa,
    /// RSASSA-PSS with SHA-256 and MGF1 with SHA-256 (RFC 7518 §3.5).
    Ps256,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3).
    Rs256,
    /// ML-DSA-44 (RFC 9964).
    #[cfg(feature = "ml-dsa")]
    MlDsa44,
    /// ML-DSA-65 (RFC 9964).
    #[cfg(feature = "ml-dsa")]
    MlDsa65,
}

impl Algorithm {
    /// Every algorithm that this build implements, strongest recommendation first.
    pub const ALL: &'static [Self] = &[
        Self::Es256,
        Self::Ed25519,
        Self::EdDsa,
        Self::Es384,
        Self::Es512,
        Self::Ps256,
        Self::Rs256,
        #[cfg(feature = "ml-dsa")]
        Self::MlDsa44,
        #[cfg(feature = "ml-dsa")]
        Self::MlDsa65,
    ];

    /// The name in `alg`, exactly as registered.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Ed25519 => "Ed25519",
            Self::EdDsa => "EdDSA",
            Self::Ps256 => "PS256",
            Self::Rs256 => "RS256",
            #[cfg(feature = "ml-dsa")]
            Self::MlDsa44 => "ML-DSA-44",
            #[cfg(feature = "ml-dsa")]
            Self::MlDsa65 => "ML-DSA-65",
        }
    }

    /// True when both names stand for the same signatures: `EdDSA` is only taken with Ed25519 keys (RFC 9864 §2.2).
    pub fn is_same_as(self, other: Self) -> bool {
        let name = |algorithm| if algorithm == Self::EdDsa { Self::Ed25519 } else { algorithm };
        name(self) == name(other)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name is not one of [`Algorithm::ALL`]. Names are compared exactly; case counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a signature algorithm that is implemented here")]
pub struct UnknownAlgorithm;

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|algorithm| algorithm.name() == name).ok_or(UnknownAlgorithm)
    }
}
