//! What can go wrong with a login.

use std::io;

use crate::client::OpenError;
use crate::config::ConfigFault;
use crate::discovery::DiscoveryError;
use crate::flows::{AuthorizationError, TokenError};
use crate::http::{EndpointError, TransportError};
use crate::keys::{KeyNameError, KeyStoreError};
use crate::sessions::SessionError;

/// Why a login did not succeed. Carries nothing secret.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LoginError {
    /// The authorization answer was not taken.
    #[error(transparent)]
    Authorization(#[from] AuthorizationError),
    /// The browser could not be started.
    #[error("the browser could not be started: {kind}")]
    Browser {
        /// The system's reason.
        kind: io::ErrorKind,
    },
    /// The issuer does not know the client and registers none.
    #[error("{issuer} does not register clients by itself; have one registered there and give its client_id")]
    ClientUnknown {
        /// The issuer.
        issuer: String,
    },
    /// What was found out cannot be a client.
    #[error("what the servers say cannot be used: {0}")]
    Config(#[from] ConfigFault),
    /// Resource or issuer cannot be talked to.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// The URL may not be called.
    #[error("the URL: {0}")]
    Endpoint(#[from] EndpointError),
    /// No loopback port could be listened on.
    #[error("no loopback port could be listened on: {kind}")]
    Loopback {
        /// The system's reason.
        kind: io::ErrorKind,
    },
    /// The name for the key.
    #[error(transparent)]
    KeyName(#[from] KeyNameError),
    /// The key.
    #[error(transparent)]
    KeyStore(#[from] KeyStoreError),
    /// The issuer takes no client by the URL of its metadata document.
    #[error("{issuer} takes no client by the URL of its metadata document")]
    MetadataDocumentsNotTaken {
        /// The issuer.
        issuer: String,
    },
    /// The client could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The session could not be kept.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// Nobody came back from the browser in time.
    #[error("nobody came back from the browser in time")]
    TimeOut,
    /// There is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The HTTP client could not be set up.
    #[error("the HTTP client could not be set up: {0}")]
    Transport(#[from] TransportError),
}
