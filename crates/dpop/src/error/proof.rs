use crate::htu::{HtuDifference, HtuError};

/// A check of RFC 9449 §4.3 that the proof does not pass (checks 4 to 9, 11, 12a).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProofError {
    /// Check 4: `typ` is not `dpop+jwt`.
    #[error("typ is not dpop+jwt")]
    TypMismatch {
        /// What it is, shortened; `None` when absent or not text.
        found: Option<String>,
    },
    /// Check 5: `alg` is absent, not asymmetric, unknown here, or not on the accepted list.
    #[error("the algorithm is not accepted")]
    AlgNotAccepted {
        /// What it is, shortened; `None` when absent or not text.
        found: Option<String>,
        /// The accepted names.
        accepted: String,
    },
    /// `crit` is present; no extension is understood (RFC 7515 §4.1.11).
    #[error("the header has critical extensions")]
    CritNotUnderstood,
    /// Check 6: the signature does not verify with the header's key.
    #[error("the signature does not verify with the key in the header")]
    BadSignature,
    /// Check 8: `htm` is not the request's method.
    #[error("htm is not the method of the request")]
    HtmMismatch {
        /// The request's method.
        expected: String,
        /// The claim, shortened.
        found: String,
    },
    /// Check 9: `htu` is not an absolute http or https URI of RFC 3986.
    #[error("htu is not a usable URI: {fault}")]
    HtuMalformed {
        /// What is wrong.
        fault: HtuError,
    },
    /// Check 9: `htu` is not the request's URI without query and fragment.
    #[error("htu is not the URI of the request")]
    HtuMismatch {
        /// The request's URI, normalised.
        expected: String,
        /// The claim, normalised and shortened.
        found: String,
        /// In which component they differ first.
        difference: HtuDifference,
    },
    /// Check 11: `iat` is older than the window, or `exp` has passed.
    #[error("the proof is {age} s old; {max_age} s are allowed")]
    Stale {
        /// Seconds since `iat`.
        age: i64,
        /// The window.
        max_age: i64,
    },
    /// Check 11: the proof's own `exp` has passed.
    #[error("the proof expired {ago} s ago by its own exp")]
    Expired {
        /// Seconds since `exp`.
        ago: i64,
    },
    /// Check 11: `iat` or `nbf` lies further ahead than the window allows.
    #[error("the proof is made {ahead} s ahead of the server's clock; {max_ahead} s are allowed")]
    FromFuture {
        /// Seconds until `iat` or `nbf`.
        ahead: i64,
        /// The window.
        max_ahead: i64,
    },
    /// The proof is older than the server's memory and nonces are switched off, so it can never be taken.
    #[error("the proof was made before the server began to remember; make a new one")]
    BeforeEpoch,
    /// Check 12a: a token was presented and the proof has no `ath`.
    #[error("the proof has no ath for the access token")]
    AthMissing,
    /// Check 12a: `ath` is not the hash of the presented token.
    #[error("ath is not the hash of the access token")]
    AthMismatch,
    /// `ath` is present where no access token is.
    #[error("the proof has an ath where there is no access token")]
    AthUnexpected,
}
