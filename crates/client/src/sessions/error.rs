//! What can go wrong with kept sessions.

use crate::keys::KeyStoreError;
use crate::sessions::SessionId;

/// Why a session could not be read or kept. Carries nothing secret.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SessionError {
    /// Somebody else has held the session for too long.
    #[error("session {id} has been in use by another process for two minutes; try again, or end that process")]
    Busy {
        /// The session.
        id: SessionId,
    },
    /// The file is not what was written, or was sealed by another device key.
    #[error("session {id} cannot be read any more; log out of it, and in again")]
    Damaged {
        /// The session.
        id: SessionId,
    },
    /// The program ended meanwhile.
    #[error("the program ended while a session was read or written")]
    Interrupted,
    /// There is no such session.
    #[error("there is no session {id}")]
    NotFound {
        /// The session.
        id: SessionId,
    },
    /// The file of a registration is not what was written.
    #[error("the registration at {issuer} cannot be read any more")]
    RegistrationDamaged {
        /// The issuer.
        issuer: String,
    },
    /// The directory of the sessions.
    #[error(transparent)]
    Store(#[from] KeyStoreError),
}
