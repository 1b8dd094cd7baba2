//! What can be wrong with an issuer's metadata.

use countersign_dpop::jose::{Algorithm, JsonError};

use crate::http::{EndpointError, TransportError};

/// Why the issuer's metadata (RFC 8414) could not be used. Texts of the document are shown bounded and printable.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DiscoveryError {
    /// The key's algorithm is not among those that the issuer announces.
    #[error("the issuer takes proofs by {announced}, not by {algorithm}; make a key for one of those")]
    AlgorithmNotAnnounced {
        /// The algorithm of the key.
        algorithm: Algorithm,
        /// What the issuer announces.
        announced: String,
    },
    /// The metadata has no `dpop_signing_alg_values_supported`.
    #[error(
        "the issuer {issuer} does not announce DPoP (its metadata has no dpop_signing_alg_values_supported); if it \
         binds tokens all the same, set `assume_dpop = true`"
    )]
    DpopNotAnnounced {
        /// The issuer.
        issuer: String,
    },
    /// An endpoint that may not be called.
    #[error("the issuer's {member}: {fault}")]
    Endpoint {
        /// Which.
        member: &'static str,
        /// What is wrong with it.
        fault: EndpointError,
    },
    /// An endpoint on this machine, announced by an issuer elsewhere.
    #[error("the issuer's {member} is a loopback address, and the issuer is not")]
    EndpointOnLoopback {
        /// Which.
        member: &'static str,
    },
    /// The issuer itself is not a URL that may be called.
    #[error("the issuer: {0}")]
    Issuer(EndpointError),
    /// The document is another issuer's (RFC 8414 §3.3).
    #[error(
        "the metadata at {url} is of the issuer '{found}', not of '{expected}'; both must be the same letter by letter"
    )]
    IssuerMismatch {
        /// Where it was read.
        url: String,
        /// The issuer that was asked for.
        expected: String,
        /// The one that it names.
        found: String,
    },
    /// The document is not the JSON that it should be.
    #[error("the metadata at {url}: {fault}")]
    Json {
        /// Where it was read.
        url: String,
        /// What is wrong with it.
        fault: JsonError,
    },
    /// The issuer does not take the client's way to authenticate.
    #[error("the issuer takes clients by {announced}, not by {method}")]
    MethodNotAnnounced {
        /// The client's way.
        method: &'static str,
        /// What the issuer announces.
        announced: String,
    },
    /// Another status than 200.
    #[error("no metadata at {url}: status {status}")]
    Status {
        /// Where it was looked for.
        url: String,
        /// The status.
        status: u16,
    },
    /// The metadata has no `token_endpoint`.
    #[error("the issuer {issuer} has no token endpoint")]
    TokenEndpointMissing {
        /// The issuer.
        issuer: String,
    },
    /// No answer could be had.
    #[error("{url}: {fault}")]
    Transport {
        /// Where it was looked for.
        url: String,
        /// What happened.
        fault: TransportError,
    },
}
