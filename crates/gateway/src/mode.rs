//! What becomes of requests that may pass.

use ipnet::IpNet;

use crate::forward_auth::FrontProxy;

/// What a gateway does with a request that may pass.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// Forwards it to the upstream.
    #[default]
    Proxy,
    /// Says so to the proxy that asked.
    ForwardAuth {
        /// The kind of proxy.
        proxy: FrontProxy,
        /// Who may ask.
        trusted: Vec<IpNet>,
    },
    /// Says so to Envoy, which asks over gRPC.
    ExtAuthz {
        /// Who may ask.
        trusted: Vec<IpNet>,
        /// Whether token and proof go on to the upstream, for one that checks proofs itself.
        keep_credentials: bool,
    },
}
