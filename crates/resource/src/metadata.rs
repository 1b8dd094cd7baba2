//! The resource's own metadata (RFC 9728; RFC 9449 §5.1 adds the two members about DPoP).

use bytes::Bytes;
use countersign_dpop::PublicOrigin;
use http::{HeaderValue, Response, header};
use serde::Serialize;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The protected resource metadata document (RFC 9728 §2).
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ResourceMetadata {
    /// The resource identifier.
    pub resource: String,
    /// The issuers whose tokens are taken.
    pub authorization_servers: Vec<String>,
    /// How a token may be sent: in the header only.
    pub bearer_methods_supported: Vec<String>,
    /// The scopes that the resource knows; left out when none are configured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes_supported: Vec<String>,
    /// The algorithms that a proof may be signed with.
    pub dpop_signing_alg_values_supported: Vec<String>,
    /// True when no unbound token is taken anywhere at this resource.
    pub dpop_bound_access_tokens_required: bool,
    /// A name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<String>,
}

impl ResourceMetadata {
    /// The answer to a request for the document.
    pub fn to_response(&self) -> Response<Bytes> {
        // Strings, lists of strings and a truth value always have a JSON form.
        let body = serde_json::to_vec(self).unwrap_or_default();
        let mut response = Response::new(Bytes::from(body));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        response
    }
}

/// Where the document is found.
#[derive(Clone, Debug)]
pub(crate) struct MetadataPlace {
    url: String,
    inserted: String,
}

impl MetadataPlace {
    /// The place for `resource`: its path goes behind the well-known one (RFC 9728 §3.1). It is always served at
    /// the public origin's host, whatever host the identifier names; at `path` below the well-known one then.
    pub(crate) fn new(resource: &PublicOrigin, origin: &PublicOrigin, path: Option<&str>) -> Self {
        let same_host = split(resource.as_str()).0 == split(origin.as_str()).0;
        let (host, origin_path) = split(origin.as_str());
        let path = if same_host { split(resource.as_str()).1 } else { path.unwrap_or(origin_path) };
        let inserted = format!("{WELL_KNOWN}{path}");
        Self { url: format!("{host}{inserted}"), inserted }
    }

    /// The address that challenges name.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// True when `path` is one of the two well-known forms.
    pub(crate) fn is_at(&self, path: &str) -> bool {
        path == WELL_KNOWN || path == self.inserted
    }
}

/// Splits an origin without a slash at its end into `scheme://authority` and path.
fn split(url: &str) -> (&str, &str) {
    let host = url.find("://").map_or(0, |at| at + 3);
    let path = url[host..].find('/').map_or(url.len(), |at| host + at);
    url.split_at(path)
}
