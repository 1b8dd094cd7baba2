//! Requests that are no token requests.

use axum::body::Body;
use http::{Method, Request, header};

use crate::support::World;

const FORM: &str = "application/x-www-form-urlencoded";

fn post(content_type: Option<&str>, body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::post("/token");
    if let Some(content_type) = content_type {
        request = request.header(header::CONTENT_TYPE, content_type);
    }
    request.body(body.into()).unwrap()
}

#[tokio::test]
async fn takes_post_only_row_421() {
    let world = World::new().await;
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::PATCH] {
        let request = Request::builder().method(method).uri("/token").body(Body::empty()).unwrap();
        let answer = world.send_raw(request).await;
        assert_eq!((answer.status.as_u16(), answer.field("allow")), (405, Some("POST")));
    }
}

#[tokio::test]
async fn takes_forms_only() {
    let world = World::new().await;
    let body = "grant_type=client_credentials";
    for content_type in [None, Some("application/json"), Some("multipart/form-data; boundary=x"), Some("text/plain")] {
        world.send_raw(post(content_type, body)).await.refused(400, "invalid_request");
    }
    world.send_raw(post(Some(FORM), body)).await.refused(401, "invalid_client");
}

#[tokio::test]
async fn refuses_repeated_parameters_row_422() {
    let world = World::new().await;
    for name in ["grant_type", "scope", "client_assertion", "client_id", "unknown"] {
        let request = world.request().set(name, "x").add(name, "x");
        world.send(&request).await.refused(400, "invalid_request");
    }
    // The refusals have spent nothing.
    let request = world.bound_request();
    world.send(&request.clone().add("scope", "read").add("scope", "read")).await.refused(400, "invalid_request");
    world.send(&request).await.granted("DPoP");
}

#[tokio::test]
async fn refuses_bodies_that_are_too_long_said_or_not() {
    let world = World::new().await;
    let long = "a=".to_owned() + &"x".repeat(64 * 1_024);
    world.send_raw(post(Some(FORM), long.clone())).await.refused(400, "invalid_request");
    let unannounced = Body::from_stream(futures_util::stream::iter(
        long.into_bytes().chunks(1_000).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect::<Vec<_>>(),
    ));
    world.send_raw(post(Some(FORM), unannounced)).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn refuses_a_body_that_breaks_off() {
    let world = World::new().await;
    let broken = Body::from_stream(futures_util::stream::iter([
        Ok("grant_type=client".to_owned()),
        Err(std::io::Error::other("gone")),
    ]));
    world.send_raw(post(Some(FORM), broken)).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn refuses_odd_forms() {
    let world = World::new().await;
    for body in ["", "&&&", "grant_type", "grant_type=%", "grant_type=%ff", "=", "grant_type=client_credentials&%zz=1"]
    {
        world.send_raw(post(Some(FORM), body)).await.refused(400, "invalid_request");
    }
    let many = (0..65).map(|n| format!("p{n}=1")).collect::<Vec<_>>().join("&");
    world.send_raw(post(Some(FORM), many)).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn reads_no_parameter_from_the_query() {
    let world = World::new().await;
    let mut request = world.request().without("grant_type").to_http();
    *request.uri_mut() = "/token?grant_type=client_credentials".parse().unwrap();
    world.send_raw(request).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn echoes_nothing_row_457() {
    let world = World::new().await;
    let canary = "echo-canary\r\nX-Split: 1\"\\";
    for name in ["grant_type", "scope", "resource", "client_id", "client_assertion", "client_assertion_type"] {
        let answer = world.send(&world.request().set(name, canary)).await;
        assert!(!answer.is_granted());
        let everything = format!("{} {:?}", answer.text, answer.headers);
        assert!(!everything.contains("echo-canary") && !everything.contains("x-split"), "{everything}");
    }
}
