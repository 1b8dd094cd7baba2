//! What the server says of itself.

use countersign_dpop::jose::{Algorithm, Algorithms};
use serde_json::json;

use crate::support::{API, ISSUER, World};

#[tokio::test]
async fn metadata_says_what_is_true_and_no_more() {
    let world = World::new().await;
    let answer = world.get("/.well-known/oauth-authorization-server").await;
    assert_eq!(answer.status, 200);
    // A build with ML-DSA has two more.
    let proofs: Vec<&str> = Algorithms::all().iter().map(Algorithm::name).collect();
    assert_eq!(proofs[..7], ["ES256", "Ed25519", "EdDSA", "ES384", "ES512", "PS256", "RS256"]);
    assert_eq!(answer.field("content-type"), Some("application/json"));
    assert_eq!(
        answer.json,
        json!({
            "issuer": ISSUER,
            "token_endpoint": "https://as.example/token",
            "device_authorization_endpoint": "https://as.example/device_authorization",
            "introspection_endpoint": "https://as.example/introspect",
            "introspection_endpoint_auth_methods_supported":
                ["private_key_jwt", "client_secret_basic", "client_secret_post"],
            "introspection_endpoint_auth_signing_alg_values_supported": ["ES256", "PS256", "Ed25519", "EdDSA"],
            "revocation_endpoint": "https://as.example/revoke",
            "revocation_endpoint_auth_methods_supported":
                ["private_key_jwt", "client_secret_basic", "client_secret_post", "none"],
            "revocation_endpoint_auth_signing_alg_values_supported": ["ES256", "PS256", "Ed25519", "EdDSA"],
            "jwks_uri": "https://as.example/jwks",
            "authorization_endpoint": "https://as.example/authorize",
            "pushed_authorization_request_endpoint": "https://as.example/par",
            "require_pushed_authorization_requests": false,
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
            "request_object_signing_alg_values_supported": ["ES256", "PS256", "Ed25519", "EdDSA"],
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange",
                "urn:ietf:params:oauth:grant-type:device_code"],
            "scopes_supported": ["read", "write", "admin"],
            "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic", "client_secret_post", "none"],
            "token_endpoint_auth_signing_alg_values_supported": ["ES256", "PS256", "Ed25519", "EdDSA"],
            "dpop_signing_alg_values_supported": proofs,
            "protected_resources": [API],
        })
    );
    assert_eq!(world.get("/.well-known/openid-configuration").await.json, answer.json);
}

#[tokio::test]
async fn every_proof_algorithm_announced_is_taken_and_no_other_row_128() {
    use countersign_dpop::jose::SoftwareKey;
    for profile in ["oauth21", "fapi2", "mcp"] {
        let config = |config: String| {
            let config = config[..config.find("[[client]]\nclient_id = \"basic\"").unwrap()].to_owned();
            format!("profile = \"{profile}\"\n{config}")
        };
        let mut world = World::with(config).await;
        let metadata = world.get("/.well-known/oauth-authorization-server").await.json;
        let announced: Vec<&str> = metadata["dpop_signing_alg_values_supported"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_str().unwrap())
            .collect();
        for algorithm in Algorithm::ALL {
            world.key = SoftwareKey::generate(*algorithm).unwrap();
            let answer = world.send(&world.bound_request()).await;
            assert_eq!(
                answer.is_granted(),
                announced.contains(&algorithm.name()),
                "{profile} {algorithm}: {}",
                answer.text
            );
        }
    }
}

#[tokio::test]
async fn an_issuer_below_a_path_has_its_documents_at_every_place_where_they_are_looked_for() {
    let issuer = "https://as.example/tenant/one";
    let world = World::with(|config| config.replacen(ISSUER, issuer, 1)).await;
    for path in [
        "/.well-known/oauth-authorization-server/tenant/one",
        "/.well-known/openid-configuration/tenant/one",
        "/tenant/one/.well-known/openid-configuration",
    ] {
        let answer = world.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.json["issuer"].as_str()), (200, Some(issuer)), "{path}");
        assert_eq!(answer.json["token_endpoint"], "https://as.example/tenant/one/token");
    }
    assert_eq!(world.get("/tenant/one/jwks").await.status, 200);
    for path in ["/.well-known/oauth-authorization-server", "/jwks", "/token"] {
        assert_eq!(world.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_key_set_is_public() {
    let world = World::new().await;
    let answer = world.get("/jwks").await;
    assert_eq!(answer.status, 200);
    let keys = answer.json["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 1);
    let mut members: Vec<&str> = keys[0].as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
    assert_eq!((keys[0]["alg"].as_str(), keys[0]["use"].as_str()), (Some("ES256"), Some("sig")));
}

#[tokio::test]
async fn says_over_the_admin_router_how_it_is() {
    use tower::ServiceExt;
    let world = World::new().await;
    for path in ["/healthz", "/readyz"] {
        let request = http::Request::get(path).body(axum::body::Body::empty()).unwrap();
        assert_eq!(world.server.admin_router().oneshot(request).await.unwrap().status(), 200, "{path}");
        assert_eq!(world.get(path).await.status, 404, "not to the world");
    }
}
