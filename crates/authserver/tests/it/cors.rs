//! Pages of other origins.

use axum::body::Body;
use http::{HeaderName, Method, Request, header};

use crate::support::{Answer, TokenRequest, World};

const PAGE: &str = "https://app.example";

async fn world() -> World {
    World::with(|config| format!("cors_origins = [\"{PAGE}\", \"http://localhost:3000\"]\n{config}")).await
}

async fn preflight(world: &World, path: &str, origin: &str) -> Answer {
    let request = Request::builder()
        .method(Method::OPTIONS)
        .uri(path)
        .header(header::ORIGIN, origin)
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
        .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "dpop")
        .body(Body::empty())
        .unwrap();
    world.send_raw(request).await
}

#[tokio::test]
async fn a_preflight_is_answered_without_credentials_row_451() {
    let world = world().await;
    for path in ["/token", "/jwks", "/.well-known/oauth-authorization-server"] {
        let answer = preflight(&world, path, PAGE).await;
        assert_eq!(answer.status, 204, "{path}");
        assert_eq!(answer.field("access-control-allow-origin"), Some(PAGE));
        assert_eq!(answer.field("access-control-allow-methods"), Some("POST"));
        assert_eq!(answer.field("access-control-allow-headers"), Some("Authorization, DPoP, Content-Type"));
        assert_eq!(answer.field("vary"), Some("Origin"));
        assert_eq!(answer.field("access-control-allow-credentials"), None);
    }
}

#[tokio::test]
async fn pages_can_read_nonce_and_challenge_of_every_answer_row_452() {
    let world = world().await;
    let from_page = |request: TokenRequest| request.field(header::ORIGIN, "http://localhost:3000");
    let granted = world.send(&from_page(world.bound_request())).await;
    let refused = world.send(&from_page(TokenRequest::plain().basic("basic", "wrong"))).await;
    refused.refused(401, "invalid_client");
    for answer in [granted, refused] {
        assert_eq!(answer.field("access-control-allow-origin"), Some("http://localhost:3000"));
        assert_eq!(answer.field("access-control-expose-headers"), Some("DPoP-Nonce, WWW-Authenticate"));
    }
}

#[tokio::test]
async fn other_pages_are_not_let_in() {
    let world = world().await;
    for origin in ["https://evil.example", "https://app.example.evil.example", "https://app.example:444", "null", ""] {
        assert_eq!(preflight(&world, "/token", origin).await.status, 405, "{origin}");
        let request = world.bound_request().field(header::ORIGIN, origin);
        let answer = world.send(&request).await;
        answer.granted("DPoP");
        assert_eq!(answer.field("access-control-allow-origin"), None, "{origin}");
        assert_eq!(answer.field("vary"), Some("Origin"));
    }
    let twice = world.request().field(header::ORIGIN, PAGE).field(header::ORIGIN, PAGE);
    assert_eq!(world.send(&twice).await.field("access-control-allow-origin"), None);
}

#[tokio::test]
async fn without_configured_origins_nothing_is_said() {
    let world = World::new().await;
    assert_eq!(preflight(&world, "/token", PAGE).await.status, 405);
    let answer = world.send(&world.request().field(header::ORIGIN, PAGE)).await;
    for name in ["access-control-allow-origin", "access-control-expose-headers", "vary"] {
        assert!(!answer.headers.contains_key(HeaderName::from_static(name)), "{name}");
    }
}
