//! Protected resources that tokens are issued for (RFC 8707).

use serde::Deserialize;

use crate::scope::Scope;

/// One registered resource: an audience and the scopes it knows.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    /// The resource identifier, compared as text; it becomes `aud`.
    pub(crate) identifier: String,
    pub(crate) scopes: Scope,
    pub(crate) token_format: TokenFormat,
    /// Who may introspect tokens for it; every confidential client when absent.
    pub(crate) introspected_by: Option<Vec<String>>,
}

impl Resource {
    /// Whether the client may ask about tokens for this resource.
    pub(crate) fn may_be_introspected_by(&self, client_id: &str) -> bool {
        self.introspected_by.as_ref().is_none_or(|clients| clients.iter().any(|id| id == client_id))
    }
}

/// `token_format`: what access tokens for a resource look like.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum TokenFormat {
    /// RFC 9068: the resource reads the token by itself.
    #[default]
    Jwt,
    /// Nothing to read: the resource asks by introspection (RFC 7662).
    Opaque,
}
