//! The same engine under other people's clients: reqwest with middleware, and tower services.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use countersign_client::{CallError, DpopClientLayer, DpopMiddleware, NonceError, Once};
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use tower_layer::Layer;
use tower_service::Service;

use crate::played::*;

#[expect(dead_code, reason = "its main is for the command line")]
#[path = "../../examples/reqwest.rs"]
mod reqwest_example;
#[expect(dead_code, reason = "its main is for the command line")]
#[path = "../../examples/tower.rs"]
mod tower_example;

#[tokio::test]
async fn the_examples_reach_an_api() {
    let server = resource(|seen| match seen.proof().get("nonce") {
        Some(_) => reply(200, &[], "orders"),
        None => nonce_challenge("n1"),
    })
    .await;
    let url = format!("{}/orders", server.origin());
    assert_eq!(reqwest_example::orders(client(&server), &url).await.expect("an answer"), "orders");
    assert_eq!(tower_example::orders(client(&server), &url).await.expect("an answer"), "orders");
}

async fn demanding() -> Played {
    resource(|seen| match (seen.path.as_str(), seen.proof().get("nonce").is_some()) {
        (_, false) => nonce_challenge("n1"),
        ("/moved", true) => reply(307, &[("location", "/new")], ""),
        ("/see", true) => reply(303, &[("location", "/new")], ""),
        ("/away", true) => reply(307, &[("location", "http://127.0.0.1:1/")], ""),
        _ => reply(200, &[], seen.body.clone()),
    })
    .await
}

#[tokio::test]
async fn reqwest_with_the_middleware_signs_every_attempt() {
    let server = demanding().await;
    let http = DpopMiddleware::new(client(&server).following_redirects(3)).into_client().expect("a client");
    let url = |path: &str| format!("{}{path}", server.origin());
    let answer = http.post(url("/x")).body("body").send().await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.text().await.expect("text").as_str()), (200, "body"));
    let seen = server.seen_at("/x");
    assert_eq!(seen.len(), 2);
    assert_ne!(seen[0].proof()["jti"], seen[1].proof()["jti"]);
    assert_eq!(seen[1].field("authorization"), format!("DPoP {TOKEN}"));

    let moved = http.post(url("/moved")).body("body").send().await.expect("an answer");
    assert_eq!(moved.text().await.expect("text"), "body");
    assert_eq!(server.seen_at("/new").pop().expect("a request").proof()["htu"], url("/new"));
    http.post(url("/see")).body("body").header("content-type", "a/b").send().await.expect("an answer");
    let seen = server.seen_at("/new").pop().expect("a request");
    assert_eq!((seen.method.as_str(), seen.body.len(), seen.field("content-type")), ("GET", 0, ""));
    assert_eq!(http.get(url("/away")).send().await.expect("an answer").status(), 307);
    let outside = http.get("http://127.0.0.1:1/").send().await.expect_err("no token for that");
    assert!(format!("{outside:?}").contains("it gets no token"), "{outside:?}");
}

#[tokio::test]
async fn reqwest_does_not_send_a_stream_again() {
    let server = demanding().await;
    let http = DpopMiddleware::new(client(&server)).into_client().expect("a client");
    let stream =
        || reqwest::Body::wrap_stream(futures_util::stream::iter([Ok::<_, Infallible>(Bytes::from("streamed"))]));
    let refused = http.post(format!("{}/x", server.origin())).body(stream()).send().await.expect_err("no answer");
    assert!(format!("{refused:?}").contains("the body cannot be sent again"), "{refused:?}");
    assert_eq!(server.seen_at("/x").len(), 1);
    let answer = http.post(format!("{}/x", server.origin())).body(stream()).send().await.expect("an answer");
    assert_eq!(answer.text().await.expect("text"), "streamed", "the nonce was kept");
}

/// A tower service over HTTP/1.1 that is ready for one request at a time.
#[derive(Clone)]
struct Plain {
    ready: bool,
    sent: Arc<AtomicUsize>,
}

impl<B> Service<Request<B>> for Plain
where
    B: http_body::Body<Data = Bytes, Error = Infallible> + Send + Sync + 'static,
{
    type Response = Response<reqwest::Body>;
    type Error = reqwest::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, reqwest::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), reqwest::Error>> {
        self.ready = true;
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without being ready");
        self.sent.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let bytes = body.collect().await.unwrap_or_else(|never| match never {}).to_bytes();
            let client = reqwest::Client::builder().no_proxy().build()?;
            let request = client.request(head.method, head.uri.to_string()).headers(head.headers).body(bytes);
            Ok(request.send().await?.into())
        })
    }
}

fn plain() -> Plain {
    Plain { ready: false, sent: Arc::default() }
}

#[tokio::test]
async fn a_tower_service_signs_every_attempt() {
    let server = demanding().await;
    let inner = plain();
    let sent = inner.sent.clone();
    let mut service = DpopClientLayer::new(client(&server)).layer(inner);
    let post = |path: &str| {
        Request::post(format!("{}{path}", server.origin())).body(Full::new(Bytes::from("body"))).expect("a request")
    };
    std::future::poll_fn(|context| Service::<Request<Full<Bytes>>>::poll_ready(&mut service, context))
        .await
        .expect("ready");
    let answer = service.call(post("/x?q=1")).await.expect("an answer");
    assert_eq!((answer.status().as_u16(), sent.load(Ordering::SeqCst)), (200, 2));
    let seen = server.seen_at("/x");
    assert_eq!((seen[1].body.as_ref(), seen[1].query.as_deref()), (&b"body"[..], Some("q=1")));
    assert_ne!(seen[0].proof()["jti"], seen[1].proof()["jti"]);

    let given = post("/x");
    let (mut head, body) = given.into_parts();
    head.headers.insert(header::AUTHORIZATION, "Bearer mine".parse().expect("a value"));
    std::future::poll_fn(|context| Service::<Request<Full<Bytes>>>::poll_ready(&mut service, context))
        .await
        .expect("ready");
    let refused = service.call(Request::from_parts(head, body)).await.expect_err("credentials");
    assert!(matches!(refused.downcast_ref::<CallError>(), Some(CallError::CredentialsGiven { .. })), "{refused}");
}

#[tokio::test]
async fn a_tower_service_does_not_send_a_stream_again() {
    let server = demanding().await;
    let mut service = DpopClientLayer::new(client(&server)).layer(plain());
    let once = Once(Full::new(Bytes::from("streamed")));
    let request = Request::post(format!("{}/x", server.origin())).body(once).expect("a request");
    std::future::poll_fn(|context| Service::<Request<Once<Full<Bytes>>>>::poll_ready(&mut service, context))
        .await
        .expect("ready");
    let refused = service.call(request).await.expect_err("no answer");
    let fault = refused.downcast_ref::<CallError>();
    assert!(matches!(fault, Some(CallError::Nonce(NonceError::BodyNotRepeatable))), "{refused}");
}
