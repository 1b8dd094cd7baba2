use crate::jose::Jkt;

/// Token and proof do not belong together (RFC 9449 §4.3 check 12b, §6, §7).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ConfirmationError {
    /// `cnf` is not an object, or its `jkt` is not 43 characters of base64url.
    #[error("the token's cnf claim is malformed")]
    Malformed,
    /// The token is bound to another key than the proof's.
    #[error("the token is bound to another key")]
    JktMismatch {
        /// The key in the token.
        token: Jkt,
        /// The key of the proof.
        proof: Jkt,
    },
    /// The token is not bound to a key.
    #[error("the token is not bound to a key")]
    NotBound,
    /// The token is bound by a method that cannot be confirmed here, alone or beside `jkt`.
    #[error("the token is bound by {method}, which cannot be confirmed here")]
    MethodNotSupported {
        /// The method's name, shortened.
        method: String,
    },
    /// A bound token under the Bearer scheme (§7.2).
    #[error("the token is bound to a key but was presented as Bearer")]
    BoundAsBearer,
    /// An unbound token under the Bearer scheme where only bound ones are taken.
    #[error("only bound tokens are taken here")]
    BearerNotAccepted,
}
