//! Protected resources that tokens are issued for (RFC 8707).

use crate::scope::Scope;

/// One registered resource: an audience and the scopes it knows.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    /// The resource identifier, compared as text; it becomes `aud`.
    pub(crate) identifier: String,
    pub(crate) scopes: Scope,
}
