//! Metadata of an authorization server (RFC 8414; OpenID Connect Discovery 1.0 for those that publish only that).

use bytes::Bytes;
use countersign_dpop::jose::{Algorithm, JsonLimits, from_strict_json};
use http::{Method, StatusCode, header};
use serde::Deserialize;

use crate::discovery::DiscoveryError;
use crate::http::{Answer, Endpoint, Http};
use crate::shown::shown;

/// What of an issuer's metadata the client goes by.
#[derive(Debug)]
pub(crate) struct IssuerMetadata {
    /// Where it was read.
    pub(crate) url: String,
    issuer: String,
    pub(crate) token_endpoint: Endpoint,
    authorization_endpoint: Option<Endpoint>,
    /// RFC 9126.
    pub(crate) pushed_authorization_request_endpoint: Option<Endpoint>,
    /// RFC 8628.
    device_authorization_endpoint: Option<Endpoint>,
    /// RFC 7009.
    pub(crate) revocation_endpoint: Option<Endpoint>,
    /// RFC 7591.
    pub(crate) registration_endpoint: Option<Endpoint>,
    /// Authorization answers name the issuer (RFC 9207 §3).
    pub(crate) answers_name_issuer: bool,
    /// A client may be known by the URL of its metadata document.
    pub(crate) takes_metadata_documents: bool,
    code_challenge_methods: Option<Vec<String>>,
    dpop_algorithms: Option<Vec<String>>,
    authentication_methods: Option<Vec<String>>,
}

/// Reads the metadata of `issuer`.
pub(crate) async fn discover_issuer(http: &Http, issuer: &str) -> Result<IssuerMetadata, DiscoveryError> {
    let endpoint = Endpoint::parse(issuer).map_err(DiscoveryError::Issuer)?;
    let mut not_there = None;
    for url in well_known_urls(&endpoint) {
        let at = Endpoint::parse(&url).map_err(DiscoveryError::Issuer)?;
        let answer = read(http, &at).await.map_err(|fault| DiscoveryError::Transport { url: url.clone(), fault })?;
        match answer.status {
            StatusCode::OK => return IssuerMetadata::from_document(issuer, &endpoint, url, &answer.body),
            StatusCode::NOT_FOUND => not_there = not_there.or(Some(DiscoveryError::Status { url, status: 404 })),
            status => return Err(DiscoveryError::Status { url, status: status.as_u16() }),
        }
    }
    Err(not_there.unwrap_or_else(|| DiscoveryError::TokenEndpointMissing { issuer: issuer.to_owned() }))
}

/// Reads a document.
pub(super) async fn read(http: &Http, endpoint: &Endpoint) -> Result<Answer, crate::http::TransportError> {
    let mut request = http::Request::new(Bytes::new());
    *request.method_mut() = Method::GET;
    request.headers_mut().insert(header::ACCEPT, http::HeaderValue::from_static("application/json"));
    http.fetch(endpoint, request).await
}

/// The well-known path before the issuer's own (RFC 8414 §3.1), then the two forms of OpenID Connect.
fn well_known_urls(issuer: &Endpoint) -> Vec<String> {
    let (origin, path) = (issuer.origin(), issuer.path().trim_end_matches('/'));
    let mut urls = vec![
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{origin}{path}/.well-known/openid-configuration"),
    ];
    if !path.is_empty() {
        urls.push(format!("{origin}/.well-known/openid-configuration{path}"));
    }
    urls
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    token_endpoint: Option<String>,
    authorization_endpoint: Option<String>,
    pushed_authorization_request_endpoint: Option<String>,
    device_authorization_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    registration_endpoint: Option<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    client_id_metadata_document_supported: bool,
    code_challenge_methods_supported: Option<Vec<String>>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    dpop_signing_alg_values_supported: Option<Vec<String>>,
}

impl IssuerMetadata {
    fn from_document(issuer: &str, at: &Endpoint, url: String, json: &[u8]) -> Result<Self, DiscoveryError> {
        let document: Document = from_strict_json(json, JsonLimits::DOCUMENT)
            .map_err(|fault| DiscoveryError::Json { url: url.clone(), fault })?;
        if document.issuer != issuer {
            let (expected, found) = (issuer.to_owned(), shown(&document.issuer));
            return Err(DiscoveryError::IssuerMismatch { url, expected, found });
        }
        let optional = |member, url: &Option<String>| url.as_ref().map(|url| endpoint(at, member, url)).transpose();
        let token_endpoint = optional("token_endpoint", &document.token_endpoint)?;
        Ok(Self {
            url,
            issuer: document.issuer,
            token_endpoint: token_endpoint
                .ok_or_else(|| DiscoveryError::TokenEndpointMissing { issuer: issuer.to_owned() })?,
            authorization_endpoint: optional("authorization_endpoint", &document.authorization_endpoint)?,
            pushed_authorization_request_endpoint: optional(
                "pushed_authorization_request_endpoint",
                &document.pushed_authorization_request_endpoint,
            )?,
            device_authorization_endpoint: optional(
                "device_authorization_endpoint",
                &document.device_authorization_endpoint,
            )?,
            revocation_endpoint: optional("revocation_endpoint", &document.revocation_endpoint)?,
            registration_endpoint: optional("registration_endpoint", &document.registration_endpoint)?,
            answers_name_issuer: document.authorization_response_iss_parameter_supported,
            takes_metadata_documents: document.client_id_metadata_document_supported,
            code_challenge_methods: document.code_challenge_methods_supported,
            dpop_algorithms: document.dpop_signing_alg_values_supported,
            authentication_methods: document.token_endpoint_auth_methods_supported,
        })
    }

    /// The algorithms announced for proofs, fit to be shown.
    pub(crate) fn dpop_algorithms(&self) -> Vec<String> {
        self.dpop_algorithms.iter().flatten().take(32).map(|name| shown(name)).collect()
    }

    /// Makes sure that the issuer announces DPoP with `algorithm` (RFC 9449 §5.1).
    pub(crate) fn require_dpop(&self, issuer: &str, algorithm: Algorithm) -> Result<(), DiscoveryError> {
        match self.dpop_algorithms.as_deref() {
            None | Some([]) => Err(DiscoveryError::DpopNotAnnounced { issuer: issuer.to_owned() }),
            Some(names) if names.iter().any(|name| name == algorithm.name()) => Ok(()),
            Some(_) => {
                let announced = self.dpop_algorithms().join(", ");
                Err(DiscoveryError::AlgorithmNotAnnounced { algorithm, announced })
            }
        }
    }

    /// Where people authorize, of an issuer that takes PKCE with `S256` (RFC 7636): without it a stolen code is as good
    /// as a token request.
    pub(crate) fn require_authorization_endpoint(&self) -> Result<&Endpoint, DiscoveryError> {
        let takes_s256 = self.code_challenge_methods.iter().flatten().any(|method| method == "S256");
        match &self.authorization_endpoint {
            None => Err(self.missing("authorization_endpoint")),
            Some(_) if !takes_s256 => Err(DiscoveryError::PkceNotAnnounced { issuer: self.issuer.clone() }),
            Some(endpoint) => Ok(endpoint),
        }
    }

    /// Where device codes are given out (RFC 8628 §3.1).
    pub(crate) fn require_device_endpoint(&self) -> Result<&Endpoint, DiscoveryError> {
        self.device_authorization_endpoint.as_ref().ok_or_else(|| self.missing("device_authorization_endpoint"))
    }

    /// Where clients are registered (RFC 7591 §3).
    pub(crate) fn require_registration_endpoint(&self) -> Result<&Endpoint, DiscoveryError> {
        self.registration_endpoint.as_ref().ok_or_else(|| self.missing("registration_endpoint"))
    }

    fn missing(&self, member: &'static str) -> DiscoveryError {
        DiscoveryError::EndpointMissing { issuer: self.issuer.clone(), member }
    }

    /// Makes sure that the issuer does not rule out the client's way to authenticate. One that announces no list is
    /// asked all the same.
    pub(crate) fn require_method(&self, method: &'static str) -> Result<(), DiscoveryError> {
        match self.authentication_methods.as_deref() {
            Some(names) if !names.iter().any(|name| name == method) => {
                let announced = shown(&names.join(", "));
                Err(DiscoveryError::MethodNotAnnounced { method, announced })
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// An endpoint on this machine is believed only of an issuer on this machine: a server elsewhere has no business
/// with what listens here.
fn endpoint(issuer: &Endpoint, member: &'static str, url: &str) -> Result<Endpoint, DiscoveryError> {
    let endpoint = Endpoint::parse(url).map_err(|fault| DiscoveryError::Endpoint { member, fault })?;
    if endpoint.is_loopback() && !issuer.is_loopback() {
        return Err(DiscoveryError::EndpointOnLoopback { member });
    }
    Ok(endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(issuer: &str) -> Vec<String> {
        well_known_urls(&Endpoint::parse(issuer).expect("an issuer"))
    }

    #[test]
    fn looks_at_the_well_known_places_of_an_issuer() {
        let root = ["oauth-authorization-server", "openid-configuration"]
            .map(|name| format!("https://idp.example.com/.well-known/{name}"));
        assert_eq!(urls("https://idp.example.com"), root);
        assert_eq!(urls("https://idp.example.com/"), root);
        let deep = [
            "https://idp.example.com:8443/.well-known/oauth-authorization-server/realms/a",
            "https://idp.example.com:8443/realms/a/.well-known/openid-configuration",
            "https://idp.example.com:8443/.well-known/openid-configuration/realms/a",
        ];
        assert_eq!(urls("https://idp.example.com:8443/realms/a"), deep);
        assert_eq!(urls("https://idp.example.com:8443/realms/a/"), deep);
    }

    #[test]
    fn an_issuer_elsewhere_cannot_name_an_endpoint_on_this_machine() {
        let issuer = Endpoint::parse("https://idp.example.com").expect("an issuer");
        for url in ["http://127.0.0.1:8080/token", "https://localhost/token", "https://[::1]/token", "http://127.9:1/"]
        {
            let expected = DiscoveryError::EndpointOnLoopback { member: "token_endpoint" };
            assert_eq!(endpoint(&issuer, "token_endpoint", url), Err(expected), "{url}");
        }
        assert!(endpoint(&issuer, "token_endpoint", "https://tokens.example.net/t").is_ok());
    }
}
