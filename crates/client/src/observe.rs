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
    /// A request was sent.
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
        /// True when it carries a proof.
        with_proof: bool,
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
    /// The resource said whose tokens it takes (RFC 9728).
    ResourceRead {
        /// Where it was read.
        url: String,
        /// The resource's identifier.
        resource: String,
        /// The issuer that is gone to.
        issuer: String,
    },
    /// The client was registered (RFC 7591).
    ClientRegistered {
        /// The issuer.
        issuer: String,
        /// The identifier that it gave.
        client_id: String,
    },
    /// An authorization answer that is not to our question came to the loopback address, and was refused.
    AnswerRefused {
        /// Why.
        reason: String,
    },
    /// A token was received.
    TokenReceived {
        /// True when it is bound to the key.
        bound: bool,
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
