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
    /// An endpoint that the flow needs and the issuer does not have.
    #[error("the issuer {issuer} has no {member}, so this way to log in is not open")]
    EndpointMissing {
        /// The issuer.
        issuer: String,
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
    /// The resource does not say who issues its tokens.
    #[error(
        "{url} does not say who issues its tokens: there is no protected resource metadata (RFC 9728) at {}; if you \
         know the issuer, name it (--issuer)",
        tried.join(" and ")
    )]
    NoResourceMetadata {
        /// The URL that was asked for.
        url: String,
        /// Where it was looked for.
        tried: Vec<String>,
    },
    /// The resource's metadata names no issuer.
    #[error("the protected resource metadata at {url} names no authorization server; name one (--issuer)")]
    NoIssuer {
        /// Where it was read.
        url: String,
    },
    /// The issuer that was asked for is not one of the resource's.
    #[error("the resource takes tokens of {announced}, not of '{issuer}'")]
    IssuerNotAnnounced {
        /// The issuer that was asked for.
        issuer: String,
        /// What the resource announces.
        announced: String,
    },
    /// The issuer does not announce PKCE with S256.
    #[error(
        "the issuer {issuer} does not announce PKCE with S256 (code_challenge_methods_supported); codes are not safe"
    )]
    PkceNotAnnounced {
        /// The issuer.
        issuer: String,
    },
    /// The challenge points to metadata at another origin.
    #[error("the resource's challenge points to metadata at {origin}, which is not the resource's own origin")]
    ResourceMetadataElsewhere {
        /// The origin that it points to.
        origin: String,
    },
    /// The metadata is of a resource that the URL does not belong to (RFC 9728 §3.3).
    #[error("the metadata at {url} is of the resource '{found}', to which {asked} does not belong")]
    ResourceMismatch {
        /// Where it was read.
        url: String,
        /// The URL that was asked for.
        asked: String,
        /// The resource that it names.
        found: String,
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
