//! A token goes to the resource that it is for, and nowhere else.

use countersign_client::{CallError, Client, RequestBody};
use http::Method;

use crate::played::*;

async fn two() -> (Played, Played, Client) {
    let server = resource(|seen| match seen.path.as_str() {
        "/api/moved" => reply(307, &[("location", "/api/new?q=1")], ""),
        "/api/see" => reply(303, &[("location", "new")], ""),
        "/api/found" => reply(302, &[("location", "/api/new")], ""),
        "/api/out" => reply(307, &[("location", "/secret")], ""),
        "/api/round" => reply(307, &[("location", "/api/round")], ""),
        "/api/away" => reply(307, &[("location", seen.field("x-away"))], ""),
        _ => reply(200, &[], "hello"),
    })
    .await;
    let other = resource(|_| reply(200, &[], "hello")).await;
    let clock = set_clock();
    let config = config(server.origin(), by_secret()).with_base_url(&format!("{}/api", server.origin()));
    let client = Client::open(&config.expect("a configuration"), &keys(clock.clone()), clock).expect("a client");
    (server, other, client)
}

#[tokio::test]
async fn a_url_outside_the_resource_gets_no_token_and_no_request() {
    let (server, other, client) = two().await;
    for url in [
        format!("{}/api", other.origin()),
        format!("{}/secret", server.origin()),
        format!("{}/apis", server.origin()),
        format!("{}/api/../secret", server.origin()),
        format!("{}/api/..%2fsecret", server.origin()),
    ] {
        let refused = client.call(get(&url)).await.expect_err(&url);
        assert!(matches!(refused, CallError::OutsideResource { .. }), "{url}: {refused}");
    }
    assert_eq!((server.seen().len(), other.seen().len()), (0, 0), "nobody was asked anything, not even for a token");
}

#[tokio::test]
async fn a_client_of_no_resource_calls_nothing() {
    let places =
        countersign_client::config::KeyPlaces { store: countersign_client::keys::KeyPlace::Memory, dpop: name("dpop") };
    let config = countersign_client::ClientConfig::new("https://idp.example", "robot", by_secret(), places);
    let clock = set_clock();
    let client = Client::open(&config.expect("a configuration"), &keys(clock.clone()), clock).expect("a client");
    let refused = client.signing(&Method::GET, "https://api.example/").expect_err("no resource");
    assert!(matches!(refused, CallError::NoResource), "{refused}");
}

#[tokio::test]
async fn redirects_are_given_back() {
    let (server, _, client) = two().await;
    let answer = client.call(get(&format!("{}/api/moved", server.origin()))).await.expect("an answer");
    assert_eq!((answer.status().as_u16(), server.seen_at("/api/new").len()), (307, 0));
}

#[tokio::test]
async fn redirects_on_the_same_origin_are_signed_anew_where_that_is_wanted() {
    let (server, _, client) = two().await;
    let client = client.following_redirects(3);
    let origin = server.origin();
    let post = |path: &str| {
        let request = http::Request::post(format!("{origin}{path}")).header("content-type", "text/plain");
        request.body(RequestBody::from("body".to_owned())).expect("a request")
    };
    let answer = client.call(post("/api/moved")).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let seen = server.seen_at("/api/new").pop().expect("a request");
    assert_eq!((seen.method.as_str(), seen.body.as_ref(), seen.query.as_deref()), ("POST", &b"body"[..], Some("q=1")));
    assert_eq!(seen.proof()["htu"], format!("{origin}/api/new"));
    assert_ne!(seen.proof()["jti"], server.seen_at("/api/moved")[0].proof()["jti"]);

    for path in ["/api/see", "/api/found"] {
        assert_eq!(client.call(post(path)).await.expect("an answer").status(), 200);
        let seen = server.seen_at("/api/new").pop().expect("a request");
        assert_eq!((seen.method.as_str(), seen.body.len(), seen.field("content-type")), ("GET", 0, ""), "{path}");
        assert_eq!(seen.proof()["htm"], "GET");
    }
}

#[tokio::test]
async fn redirects_elsewhere_outside_and_round_are_not_followed() {
    let (server, other, client) = two().await;
    let client = client.following_redirects(3);
    let origin = server.origin();
    let away = http::Request::get(format!("{origin}/api/away")).header("x-away", format!("{}/api", other.origin()));
    let away = away.body(RequestBody::empty()).expect("a request");
    assert_eq!(client.call(away).await.expect("an answer").status(), 307);
    assert_eq!(client.call(get(&format!("{origin}/api/out"))).await.expect("an answer").status(), 307);
    assert_eq!((other.seen().len(), server.seen_at("/secret").len()), (0, 0));
    assert_eq!(client.call(get(&format!("{origin}/api/round"))).await.expect("an answer").status(), 307);
    assert_eq!(server.seen_at("/api/round").len(), 4, "the first request and three redirects");
}
