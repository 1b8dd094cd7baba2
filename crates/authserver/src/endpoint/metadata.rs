//! Authorization server metadata (RFC 8414): says what is true of this server and nothing else.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use countersign_dpop::jose::Algorithms;
use serde_json::{Value, json};

use super::{AUTHORIZE_PATH, Endpoint, JWKS_PATH, REGISTRATION_PATH, document};
use crate::client::AuthMethod;
use crate::grant::GrantType;
use crate::scope::Scope;
use crate::server::Shared;

pub(super) async fn metadata(State(server): State<Arc<Shared>>) -> Response {
    document(describe(&server))
}

/// Where the document stands for an issuer with this path: with the well-known name put before the path (RFC 8414
/// §3.1), and at the names of OpenID Connect Discovery, before and after it.
pub(super) fn paths(issuer_path: &str) -> Vec<String> {
    let mut paths = vec![
        format!("/.well-known/oauth-authorization-server{issuer_path}"),
        format!("/.well-known/openid-configuration{issuer_path}"),
    ];
    if !issuer_path.is_empty() {
        paths.push(format!("{issuer_path}/.well-known/openid-configuration"));
    }
    paths
}

fn describe(server: &Shared) -> Value {
    let settings = &server.settings;
    let methods: Vec<&str> = settings.profile.rules().auth_methods.iter().copied().map(AuthMethod::as_str).collect();
    let confidential: Vec<&str> = methods.iter().copied().filter(|method| *method != "none").collect();
    let at = |endpoint: Endpoint| settings.issuer.endpoint(endpoint.path());
    let mut document = json!({
        "issuer": settings.issuer.as_str(),
        "token_endpoint": at(Endpoint::Token),
        "device_authorization_endpoint": at(Endpoint::DeviceAuthorization),
        "introspection_endpoint": at(Endpoint::Introspection),
        "introspection_endpoint_auth_methods_supported": confidential,
        "introspection_endpoint_auth_signing_alg_values_supported": names(&server.assertion_algorithms),
        "revocation_endpoint": at(Endpoint::Revocation),
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": names(&server.assertion_algorithms),
        "jwks_uri": settings.issuer.endpoint(JWKS_PATH),
        "authorization_endpoint": settings.issuer.endpoint(AUTHORIZE_PATH),
        "pushed_authorization_request_endpoint": at(Endpoint::PushedRequest),
        "require_pushed_authorization_requests": settings.profile.rules().push_demanded,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "request_object_signing_alg_values_supported": names(&server.assertion_algorithms),
        "grant_types_supported": grants(server),
        "scopes_supported": scopes(server).iter().collect::<Vec<_>>(),
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": names(&server.assertion_algorithms),
        "dpop_signing_alg_values_supported": names(server.verifier.algorithms()),
        "protected_resources": settings.resources.iter().map(|resource| &resource.identifier).collect::<Vec<_>>(),
    });
    if settings.registration.is_some() {
        document["registration_endpoint"] = json!(settings.issuer.endpoint(REGISTRATION_PATH));
    }
    if settings.client_documents.is_some() {
        document["client_id_metadata_document_supported"] = json!(true);
    }
    document
}

/// Those that can be used: for assertions there has to be an issuer of them.
fn grants(server: &Shared) -> Vec<&'static str> {
    let offered = |grant: &&GrantType| **grant != GrantType::JwtBearer || !server.settings.trusted_issuers.is_empty();
    GrantType::ALL.iter().filter(offered).map(|grant| grant.name()).collect()
}

fn scopes(server: &Shared) -> Scope {
    let tokens = server.settings.resources.iter().flat_map(|resource| resource.scopes.iter());
    Scope::from_tokens(tokens).unwrap_or_default()
}

fn names(algorithms: &Algorithms) -> Vec<&'static str> {
    algorithms.iter().map(countersign_dpop::jose::Algorithm::name).collect()
}
