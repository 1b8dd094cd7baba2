/// Why a JWK is refused (RFC 9449 §4.3 check 7; RFC 7517; RFC 7518 §6; RFC 8725 §3.5).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// There is no `jwk` in the header.
    #[error("the header has no jwk")]
    Missing,
    /// `jwk` is not a JSON object of strict form.
    #[error("the jwk is not a JSON object")]
    NotAnObject,
    /// A member that only a private or symmetric key has is present, whatever its value (check 7).
    #[error("the jwk holds the private or symmetric member {member}")]
    PrivateMember {
        /// Its name.
        member: &'static str,
    },
    /// `kty` or `crv` is unknown or absent, or not one that signs.
    #[error("the jwk is of a type that is not accepted")]
    UnsupportedType,
    /// A required member is absent, of the wrong type, or not canonical base64url of the right length.
    #[error("the jwk member {member} is absent or not in canonical form")]
    BadMember {
        /// Its name.
        member: &'static str,
    },
    /// The key cannot be used with the header's `alg`, or its own `alg` or `use` forbids it.
    #[error("the jwk does not fit the algorithm")]
    AlgMismatch,
    /// An RSA key outside 2048 to 4096 bits, with an even modulus, a bad exponent or the pattern of CVE-2017-15361; a
    /// low-order Ed25519 key.
    #[error("the jwk is too weak or out of bounds: {reason}")]
    Weak {
        /// What is wrong.
        reason: &'static str,
    },
    /// The point is not on its curve.
    #[error("the jwk is no point of its curve")]
    NotOnCurve,
}
