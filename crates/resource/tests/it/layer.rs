//! The layer around a service, and the extractor.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use countersign_resource::{Access, DpopLayer, Refusal, RequestFacts, Stage};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::world::World;

async fn who(access: Access) -> String {
    format!("{} {} {}", access.subject().unwrap(), access.scope(), access.jkt().unwrap())
}

async fn perhaps(access: Option<Access>) -> &'static str {
    if access.is_some() { "somebody" } else { "nobody" }
}

async fn ask(app: &Router, request: Request<Body>) -> (StatusCode, String) {
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn signed(target: &str, token: &str, proof: &str) -> Request<Body> {
    let request = Request::get(target).header("authorization", format!("DPoP {token}")).header("dpop", proof);
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn the_extractor_knows_who_calls() {
    let world = World::new();
    let app = Router::new().route("/a/b", get(who)).layer(DpopLayer::new(world.server(world.config())));
    let token = world.token().await;
    let answer = ask(&app, signed("/a/b", &token, &world.proof(&token).await)).await;
    assert_eq!(answer, (StatusCode::OK, format!("alice read write {}", world.client.jkt())));
    let refused = ask(&app, Request::get("/a/b").body(Body::empty()).unwrap()).await;
    assert_eq!(
        refused,
        (StatusCode::UNAUTHORIZED, "{\"error_description\":\"no access token was presented\"}".to_owned())
    );
}

#[tokio::test]
async fn the_extractor_fails_closed_on_a_route_that_is_not_guarded() {
    let app = Router::new().route("/a/b", get(who)).route("/c", get(perhaps));
    let (status, body) = ask(&app, Request::get("/a/b").body(Body::empty()).unwrap()).await;
    assert_eq!((status, &*body), (StatusCode::INTERNAL_SERVER_ERROR, "this route is not guarded"));
}

#[tokio::test]
async fn in_observe_a_handler_may_go_without() {
    let world = World::new();
    let layer = DpopLayer::new(world.server(world.config().with_stage(Stage::Observe)));
    let app = Router::new().route("/a/b", get(who)).route("/c", get(perhaps)).layer(layer);
    let (status, _) = ask(&app, Request::get("/a/b").body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let answer = ask(&app, Request::get("/c").body(Body::empty()).unwrap()).await;
    assert_eq!(answer, (StatusCode::OK, "nobody".to_owned()));
}

#[tokio::test]
async fn a_nested_router_judges_by_the_whole_path() {
    let world = World::new();
    let inner = Router::new().route("/b", get(who)).layer(DpopLayer::new(world.server(world.config())));
    let app = Router::new().nest("/a", inner);
    let token = world.token().await;
    let (status, body) = ask(&app, signed("/a/b", &token, &world.proof(&token).await)).await;
    assert_eq!(status, StatusCode::OK, "{body}");
}

#[tokio::test]
async fn an_inner_guard_does_not_believe_an_outer_one() {
    let world = World::new();
    let token = world.token().await;
    // The outer guard grants, the inner one sees the same proof again and only observes.
    let inner = DpopLayer::new(world.server(world.config().with_stage(Stage::Observe)));
    let outer = DpopLayer::new(world.server(world.config()));
    let app = Router::new().route("/a/b", get(perhaps)).layer(inner).layer(outer);
    let answer = ask(&app, signed("/a/b", &token, &world.proof(&token).await)).await;
    assert_eq!(answer, (StatusCode::OK, "nobody".to_owned()));
}

#[tokio::test]
async fn an_answer_carries_refusal_and_decision_for_layers_around() {
    let world = World::new();
    let answer = world.guarded(world.config()).get(&[]).await;
    let refusal: &Refusal = answer.refusal.as_ref().unwrap();
    assert_eq!(refusal.status(), 401);
    assert_eq!(answer.decision.unwrap().code, "no_credentials");
}

#[tokio::test]
async fn refuses_requests_for_another_authority_where_that_is_asked() {
    let world = World::new();
    let alias = countersign_dpop::PublicOrigin::parse("https://alias.example").unwrap();
    let server = world.server(world.config().with_alias(alias));
    let token = world.token().await;
    let proof = world.proof(&token).await;
    let alias_proof = world.proof_claiming(&token, serde_json::json!({ "htu": "https://alias.example/a/b" })).await;
    let cases = [
        (Some("rs.example"), &proof, "ok"),
        (Some("RS.example:443"), &proof, "replayed"),
        (Some("evil.example"), &proof, "foreign_authority"),
        (Some("rs.example:8443"), &proof, "foreign_authority"),
        (Some(""), &proof, "foreign_authority"),
        (Some("alias.example"), &proof, "htu_mismatch"),
        (Some("alias.example"), &alias_proof, "ok"),
        (Some("rs.example"), &alias_proof, "htu_mismatch"),
    ];
    for (authority, proof, code) in cases {
        let request = crate::world::get(&[("authorization", &format!("DPoP {token}")), ("dpop", proof)]);
        let facts = RequestFacts { method: "GET", path_and_query: "/a/b", headers: request.headers(), authority };
        let verdict = server.judge(&facts).await;
        assert_eq!(verdict.decision.code, code, "{authority:?}");
        if code == "foreign_authority" {
            assert_eq!(verdict.decision.status, Some(421));
        }
    }
}

#[tokio::test]
async fn refuses_targets_that_are_no_path() {
    let world = World::new();
    let server = world.server(world.config());
    let headers = http::HeaderMap::new();
    for target in ["", "*", "a/b", "/a b", "/%zz", "/\\", "/\u{e9}", &format!("/{}", "x".repeat(10_000))] {
        let facts = RequestFacts { method: "GET", path_and_query: target, headers: &headers, authority: None };
        let decision = server.judge(&facts).await.decision;
        assert_eq!((decision.code, decision.status), ("bad_target", Some(400)), "{target}");
    }
}
