//! Profiles: which rules apply, as a table.

use countersign_dpop::jose::Algorithm;
use countersign_dpop::time::Window;
use serde::Deserialize;

use crate::client::AuthMethod;

/// Which rules apply.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// OAuth 2.1.
    #[default]
    Oauth21,
    /// The FAPI 2.0 Security Profile with DPoP.
    Fapi2,
    /// The authorization extension of the Model Context Protocol.
    Mcp,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// How long before and after its `iat` a proof is taken.
    pub(crate) window: Window,
    /// Whether every token is bound to a key.
    pub(crate) bound_tokens_only: bool,
    /// How clients may authenticate.
    pub(crate) auth_methods: &'static [AuthMethod],
    /// The algorithms that a proof may be signed with.
    pub(crate) proof_algorithms: &'static [Algorithm],
    /// Whether authorization requests must be pushed.
    pub(crate) push_demanded: bool,
    /// Whether authorization and token request must name the redirect URI, though there is only one.
    pub(crate) redirect_uri_demanded: bool,
    /// Seconds that a code is good for.
    pub(crate) code_life: i64,
    /// Whose refresh tokens are replaced at each use.
    pub(crate) rotation: Rotation,
}

/// Whose refresh tokens are replaced at each use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rotation {
    /// Nobody's: all are bound to a client or a key (FAPI 2.0 §5.3.2.1).
    Never,
    /// Those of clients that cannot authenticate (OAuth 2.1 §4.3.1, the authorization extension of MCP).
    PublicClients,
}

impl Rules {
    /// Seconds that an approval lasts, with refresh tokens or without.
    pub(crate) const fn approval_life(&self, refreshes: bool) -> i64 {
        if refreshes { crate::grant::refresh::WHOLE_LIFE } else { self.code_life }
    }
}

impl Profile {
    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Oauth21 => "oauth21",
            Self::Fapi2 => "fapi2",
            Self::Mcp => "mcp",
        }
    }

    /// The profile's row of the table.
    pub(crate) const fn rules(self) -> Rules {
        match self {
            Self::Oauth21 => Rules {
                window: Window::RFC,
                bound_tokens_only: false,
                auth_methods: AuthMethod::SUPPORTED,
                proof_algorithms: Algorithm::ALL,
                push_demanded: false,
                redirect_uri_demanded: false,
                code_life: 120,
                rotation: Rotation::PublicClients,
            },
            Self::Fapi2 => Rules {
                window: Window::FAPI2,
                bound_tokens_only: true,
                auth_methods: &[AuthMethod::PrivateKeyJwt],
                proof_algorithms: FAPI2_ALGORITHMS,
                push_demanded: true,
                redirect_uri_demanded: true,
                code_life: 60,
                rotation: Rotation::Never,
            },
            Self::Mcp => Rules {
                window: Window::MCP,
                bound_tokens_only: false,
                auth_methods: AuthMethod::SUPPORTED,
                proof_algorithms: Algorithm::ALL,
                push_demanded: false,
                redirect_uri_demanded: false,
                code_life: 120,
                rotation: Rotation::PublicClients,
            },
        }
    }
}

/// What the FAPI 2.0 Security Profile (§5.4.1) allows anything to be signed with; client assertions under every
/// profile.
pub(crate) const FAPI2_ALGORITHMS: &[Algorithm] =
    &[Algorithm::Es256, Algorithm::Ps256, Algorithm::Ed25519, Algorithm::EdDsa];
