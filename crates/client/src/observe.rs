//! What a client does, step by step, for whoever tells its story. No step carries a secret: no token, proof, nonce,
//! assertion, key or query.

use std::fmt;
use std::sync::Arc;

use countersign_dpop::ErrorCode;
use countersign_dpop::jose::{Algorithm, Jkt};
use countersign_dpop::time::Timestamp;

/// One step of a client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// The issuer's metadata was read (RFC 8414).
    MetadataRead {
        /// Where.
        url: String,
        /// The issuer.
        issuer: String,
        /// Its token endpoint.
        token_endpoint: String,
        /// The algorithms that it announces for proofs; empty when it announces none.
        dpop_algorithms: Vec<String>,
    },
    /// A request with a proof was sent.
    Sent {
        /// To whom.
        server: Server,
        /// The method.
        method: String,
        /// The URL without its query.
        url: String,
        /// The thumbprint of the key of the proof.
        jkt: Jkt,
        /// The algorithm of the proof.
        algorithm: Algorithm,
        /// True when the proof carries a nonce of the server.
        with_nonce: bool,
    },
    /// An answer came.
    Answered {
        /// From whom.
        server: Server,
        /// Its status.
        status: u16,
        /// The error code in it, if it is one that is known.
        error: Option<ErrorCode>,
        /// True when it carries a nonce for the next proof.
        nonce_given: bool,
    },
    /// A bound token was received.
    TokenReceived {
        /// When it ends by this machine's clock, if the server said.
        expires_at: Option<Timestamp>,
        /// The scope that was granted, if the server said.
        scope: Option<String>,
    },
    /// The token was refused and will not be used again.
    TokenDiscarded,
    /// The server's clock is not ours; its proofs are dated by its own from now on.
    ClockCorrected {
        /// The server's origin.
        origin: String,
        /// Seconds that it is ahead of ours.
        seconds: i64,
    },
}

/// Whom a request went to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Server {
    /// The authorization server.
    Authorization,
    /// A resource server.
    Resource,
}

#[derive(Clone, Default)]
pub(crate) struct Observer(Option<Arc<Observe>>);

type Observe = dyn Fn(&Step) + Send + Sync;

impl Observer {
    pub(crate) fn new(observe: impl Fn(&Step) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(observe)))
    }

    /// Tells a step, made only if someone listens.
    pub(crate) fn tell(&self, step: impl FnOnce() -> Step) {
        if let Some(observe) = &self.0 {
            observe(&step());
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Observer" } else { "None" })
    }
}
