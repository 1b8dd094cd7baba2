use crate::replay::ReplayStoreError;

/// The replay record says no, or cannot be made (RFC 9449 §11.1).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReplayError {
    /// The proof was used before.
    #[error("the proof was used before")]
    Replayed,
    /// The store could not judge; nothing is known against the request.
    #[error(transparent)]
    Store(#[from] ReplayStoreError),
}
