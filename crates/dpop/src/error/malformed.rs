use std::fmt;

use crate::jose::{JsonError, JwsError, JwsPart};

/// A claim that a proof must have or that is read when present (RFC 9449 §4.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Claim {
    /// Hash of the access token.
    Ath,
    /// Expiry; read when present.
    Exp,
    /// HTTP method.
    Htm,
    /// HTTP target URI.
    Htu,
    /// Time of making.
    Iat,
    /// Unique identifier.
    Jti,
    /// Not-before; read when present.
    Nbf,
    /// Server-provided nonce.
    Nonce,
}

impl Claim {
    /// The claim's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ath => "ath",
            Self::Exp => "exp",
            Self::Htm => "htm",
            Self::Htu => "htu",
            Self::Iat => "iat",
            Self::Jti => "jti",
            Self::Nbf => "nbf",
            Self::Nonce => "nonce",
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a text is not a proof at all (RFC 9449 §4.3 checks 2 and 3, and what header and claims must look like).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MalformedProof {
    /// Not a compact JWS.
    #[error("the proof is not a compact JWS: {0}")]
    Jws(#[from] JwsError),
    /// Header or claims are not strict JSON.
    #[error("the proof's {part} is not acceptable JSON: {fault}")]
    Json {
        /// Header or payload.
        part: JwsPart,
        /// What is wrong.
        fault: JsonError,
    },
    /// A required claim is absent (check 3).
    #[error("the proof has no {claim} claim")]
    ClaimMissing {
        /// Which one.
        claim: Claim,
    },
    /// A claim has another JSON type than its own.
    #[error("the proof's {claim} claim has the wrong type")]
    ClaimWrongType {
        /// Which one.
        claim: Claim,
    },
    /// A claim is empty or longer than allowed.
    #[error("the proof's {claim} claim is {length} bytes long; allowed are 1 to {limit}")]
    ClaimLength {
        /// Which one.
        claim: Claim,
        /// Its length in bytes.
        length: usize,
        /// The most bytes allowed.
        limit: usize,
    },
}
