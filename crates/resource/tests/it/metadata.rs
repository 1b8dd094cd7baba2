//! The resource's metadata (RFC 9728).

use std::sync::Arc;

use countersign_dpop::PublicOrigin;
use countersign_resource::fetch::{Fetch, Offline};
use countersign_resource::{DpopLayer, Issuers, ResourceConfig};
use serde_json::{Value, json};
use tower::Layer;

use crate::world::{Backend, Guarded, World, request};

fn below(world: &World, resource: &str, origin: &str) -> Guarded {
    let fetch: Arc<dyn Fetch> = Arc::new(Offline);
    let issuers = Issuers::new(vec![world.issuer()], &fetch).unwrap();
    let config = ResourceConfig::new(resource, PublicOrigin::parse(origin).unwrap(), issuers).unwrap();
    world.guarded(config)
}

#[tokio::test]
async fn serves_the_document_without_credentials() {
    let world = World::new();
    let config = world.config().with_scopes_supported(vec!["read".into()]).with_name("Things");
    let answer = world.guarded(config).send(request("GET", "/.well-known/oauth-protected-resource", &[])).await;
    assert_eq!((answer.status.as_u16(), &answer.headers["content-type"]), (200, &"application/json".parse().unwrap()));
    let document: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(
        document,
        json!({
            "resource": "https://rs.example",
            "authorization_servers": ["https://issuer.example"],
            "bearer_methods_supported": ["header"],
            "scopes_supported": ["read"],
            "dpop_signing_alg_values_supported": ["ES256", "Ed25519", "EdDSA", "ES384", "ES512", "PS256", "RS256"],
            "dpop_bound_access_tokens_required": true,
            "resource_name": "Things",
        })
    );
}

#[tokio::test]
async fn serves_it_at_both_well_known_places() {
    let world = World::new();
    let guarded = below(&world, "https://rs.example/v1/things", "https://rs.example");
    for path in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/v1/things"] {
        for method in ["GET", "HEAD"] {
            assert_eq!(guarded.send(request(method, path, &[])).await.status, 200, "{method} {path}");
        }
        assert_eq!(guarded.send(request("GET", &format!("{path}?x=1"), &[])).await.status, 200);
        guarded.send(request("POST", path, &[])).await.refused(401, None, "no_credentials");
    }
    for path in ["/.well-known/oauth-protected-resource/v1", "/.well-known/oauth-protected-resource/", "/v1/things"] {
        let answer = guarded.send(request("GET", path, &[])).await;
        answer.refused(401, None, "no_credentials");
        let place = "resource_metadata=\"https://rs.example/.well-known/oauth-protected-resource/v1/things\"";
        assert!(answer.challenges()[0].contains(place), "{:?}", answer.challenges());
    }
}

#[tokio::test]
async fn names_a_place_at_the_public_origin_for_a_resource_of_another_name() {
    let world = World::new();
    let guarded = below(&world, "https://name.example/api", "https://rs.example:8443/base");
    let answer = guarded.get(&[]).await;
    let place = "resource_metadata=\"https://rs.example:8443/.well-known/oauth-protected-resource/base\"";
    assert!(answer.challenges()[0].contains(place), "{:?}", answer.challenges());
}

#[tokio::test]
async fn leaves_it_to_the_service_when_told_so() {
    let world = World::new();
    let layer = DpopLayer::new(world.server(world.config())).without_metadata();
    let answer = Guarded(layer.layer(Backend)).send(request("GET", "/.well-known/oauth-protected-resource", &[])).await;
    answer.refused(401, None, "no_credentials");
}

#[test]
fn takes_only_https_resources_and_issuers() {
    let world = World::new();
    let origin = PublicOrigin::parse("https://rs.example").unwrap();
    let fetch: Arc<dyn Fetch> = Arc::new(Offline);
    let issuers = Issuers::new(vec![world.issuer()], &fetch).unwrap();
    for bad in ["rs.example", "", "http://rs.example", "https://rs.example?x", "https://rs.example#x", "ftp://x"] {
        assert!(ResourceConfig::new(bad, origin.clone(), issuers.clone()).is_err(), "{bad}");
    }
    assert!(ResourceConfig::new("http://127.0.0.1:8080", origin, issuers).is_ok());
}
