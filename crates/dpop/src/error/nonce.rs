/// The server-provided nonce is absent or not good (RFC 9449 §4.3 check 10, §8, §9). Every one of these is answered
/// with a fresh nonce.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NonceError {
    /// A nonce is required and the proof has none.
    #[error("a nonce is required and the proof has none")]
    Missing,
    /// The proof is older than the server's memory, so it needs a nonce of this epoch.
    #[error("the proof was made before the server began to remember, so it needs a nonce")]
    EpochDemandsNonce,
    /// Not a nonce of this server, realm and epoch.
    #[error("the nonce is not one of this server")]
    Unknown,
    /// Issued by this server, longer ago than it is good for.
    #[error("the nonce is {age} s old; {lifetime} s are allowed")]
    Expired {
        /// Seconds since it was issued.
        age: i64,
        /// Seconds it is good for.
        lifetime: i64,
    },
}
