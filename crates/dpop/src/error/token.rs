/// Why an access token is refused (RFC 9068 §4, RFC 7662 §2.2).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenError {
    /// Not a compact JWS with strict JSON inside, or longer than allowed.
    #[error("the access token cannot be read: {reason}")]
    Malformed {
        /// What is wrong; never a part of the token.
        reason: String,
    },
    /// `typ` is not that of an access token (RFC 9068 §2.1): an ID token, a proof, something else.
    #[error("the token's typ is not that of an access token")]
    TypMismatch {
        /// What it is, shortened.
        found: Option<String>,
    },
    /// `alg` is not accepted for this issuer.
    #[error("the token's algorithm is not accepted")]
    AlgNotAccepted {
        /// What it is, shortened.
        found: Option<String>,
    },
    /// `iss` is not a trusted issuer.
    #[error("the token's issuer is not trusted here")]
    IssuerUnknown {
        /// What it is, shortened.
        found: Option<String>,
    },
    /// No key of the issuer has this `kid` and fits.
    #[error("the issuer has no key that could have signed the token")]
    KeyUnknown {
        /// `kid`, shortened.
        kid: Option<String>,
    },
    /// The signature does not verify with the issuer's key.
    #[error("the token's signature does not verify")]
    BadSignature,
    /// `exp` has passed.
    #[error("the token expired {ago} s ago")]
    Expired {
        /// Seconds since `exp`.
        ago: i64,
    },
    /// `nbf` or `iat` lies ahead.
    #[error("the token is not valid before {ahead} s from now")]
    NotYetValid {
        /// Seconds until it is.
        ahead: i64,
    },
    /// `aud` does not name this resource.
    #[error("the token is for another audience")]
    AudienceMismatch {
        /// The audience expected here.
        expected: String,
        /// The audiences of the token, shortened.
        found: Vec<String>,
    },
    /// A required claim is absent or of the wrong type.
    #[error("the token's {claim} claim is absent or of the wrong type")]
    BadClaim {
        /// Its name.
        claim: &'static str,
    },
    /// Introspection says that the token is not active.
    #[error("the issuer says that the token is not active")]
    Inactive,
    /// The issuer's keys or introspection endpoint cannot be reached; the token may be good.
    #[error("the issuer cannot be reached to judge the token: {reason}")]
    IssuerUnavailable {
        /// What went wrong, for the log.
        reason: String,
    },
}
