//! Parts of the API that ask for something else, and another configuration while requests are under way.

use countersign_dpop::NoncePolicy;
use countersign_dpop::time::{Clock, Window};
use countersign_gateway::Settings;
use countersign_gateway::config::RouteSettings;
use countersign_resource::Stage;
use http::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::wire::{Message, Wire};
use crate::world::{HOST, ORIGIN, World};

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A route as the default one, at `path`.
pub(crate) fn route(settings: &Settings, path: &str) -> RouteSettings {
    RouteSettings {
        name: path.into(),
        path: path.to_owned(),
        methods: Vec::new(),
        audience: settings.audience.clone(),
        scopes: Vec::new(),
        stage: settings.stage,
        stages: Vec::new(),
        nonce: settings.nonce,
        window: settings.window,
        upstream: settings.upstream.clone(),
        upstream_host: settings.upstream_host,
        mcp: None,
    }
}

/// A request that is refused, or answered without the upstream.
async fn ask(world: &World, request: &str) -> Message {
    let mut client = world.connect().await;
    client.send(request).await;
    client.read_message().await
}

/// A request that reaches the upstream.
async fn pass(world: &World, request: &str) -> Message {
    let mut client = world.connect().await;
    client.send(request).await;
    let mut upstream = world.accept().await;
    let received = upstream.read_message().await;
    upstream.send(ANSWER).await;
    assert_eq!(client.read_message().await.status(), 200);
    received
}

fn bare(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
}

/// `/open` observes, `/write` asks for a scope that the token lacks when it is posted to, `/nonce` for a nonce,
/// `/old` takes Bearer.
async fn world() -> World {
    World::start_with(|settings| {
        let at = |path| route(settings, path);
        let routes = vec![
            RouteSettings { stage: Stage::Observe, ..at("/open") },
            RouteSettings {
                methods: vec![Method::POST],
                scopes: vec!["admin".to_owned()],
                name: "writing".into(),
                ..at("/write")
            },
            RouteSettings { nonce: NoncePolicy::Required, ..at("/nonce") },
            RouteSettings { stage: Stage::Accept, ..at("/old/") },
            RouteSettings { stage: Stage::Require, ..at("/old/new") },
        ];
        settings.routes = routes;
    })
    .await
}

#[tokio::test]
async fn every_route_asks_for_its_own() {
    let world = world().await;
    pass(&world, &bare("GET", "/open/door")).await;
    assert_eq!(ask(&world, &bare("GET", "/opened")).await.status(), 401);
    pass(&world, &world.request("GET", "/write").await).await;
    let refused = ask(&world, &world.request("POST", "/write/1").await).await;
    assert_eq!((refused.status(), refused.code()), (403, "insufficient_scope"));
    let refused = ask(&world, &world.request("GET", "/nonce").await).await;
    assert_eq!((refused.status(), refused.code()), (401, "use_dpop_nonce"));
    let unbound = world.token_with(|claims| drop(claims.as_object_mut().unwrap().remove("cnf"))).await;
    let bearer = |path| format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {unbound}\r\n\r\n");
    pass(&world, &bearer("/old/1")).await;
    assert_eq!(ask(&world, &bearer("/old/new/1")).await.code(), "invalid_token");
    let routes: Vec<_> =
        world.decisions.all().into_iter().map(|decision| decision.route.unwrap().to_string()).collect();
    assert_eq!(routes, ["/open", "default", "default", "writing", "/nonce", "/old/", "/old/new"]);
    let mut admin = world.connect_admin().await;
    admin.send("GET /metrics HTTP/1.1\r\nHost: admin\r\n\r\n").await;
    let metrics = admin.read_message().await.body;
    let line = "countersign_decisions_total{route=\"writing\",outcome=\"refused\",code=\"insufficient_scope\",\
                stage=\"require\",scheme=\"dpop\",bound=\"true\"} 1\n";
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn no_spelling_of_a_path_evades_its_route() {
    let world = world().await;
    // By RFC 3986 the same path.
    for path in ["/%6fld/new", "/old/x/../new", "/open/../old/new", "/open/%2e%2e/old/new"] {
        let answer = ask(&world, &bare("GET", path)).await;
        assert_eq!(answer.status(), 401, "{path}");
        assert_eq!(&**world.decisions.all().last().unwrap().route.as_ref().unwrap(), "/old/new", "{path}");
    }
    // The same path only to some.
    for path in ["/open/..%2fwrite", "/open/..;/x", "/OPEN/1", "//open/1", "/open;v=1/x", "/open/%252e%252e/x"] {
        let answer = ask(&world, &bare("GET", path)).await;
        assert_eq!(answer.status(), 400, "{path}");
    }
    // What is odd but is the same route either way passes.
    pass(&world, &bare("GET", "/open/a%2Fb;c//d")).await;
}

#[tokio::test]
async fn a_route_may_be_a_resource_of_its_own_behind_another_upstream() {
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("http://{}", other.local_addr().unwrap());
    let world = World::start_with(|settings| {
        settings.routes = vec![RouteSettings {
            audience: "https://api.example.com/orders".to_owned(),
            scopes: vec!["read".to_owned()],
            upstream: upstream.parse().unwrap(),
            stage: Stage::Accept,
            ..route(settings, "/orders")
        }];
    })
    .await;
    let refused = ask(&world, &world.request("GET", "/orders").await).await;
    assert_eq!((refused.status(), refused.code()), (401, "invalid_token"), "for another audience");
    let place = "https://api.example.com/.well-known/oauth-protected-resource/orders";
    assert!(refused.values("www-authenticate").all(|value| value.contains(place)), "{refused:?}");
    let token = world.token_with(|claims| claims["aud"] = json!("https://api.example.com/orders")).await;
    let proof = world.proof("GET", &format!("{ORIGIN}/orders"), &token, None).await;
    let mut client = world.connect().await;
    let request =
        format!("GET /orders HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: DPoP {token}\r\nDPoP: {proof}\r\n\r\n");
    client.send(&request).await;
    let mut upstream = Wire::new(other.accept().await.unwrap().0);
    assert_eq!(upstream.read_message().await.field("countersign-subject"), Some("al%C3%AFce"));
    for (path, resource, required) in [
        ("/.well-known/oauth-protected-resource", ORIGIN, true),
        ("/.well-known/oauth-protected-resource/orders", "https://api.example.com/orders", false),
    ] {
        let document: Value = serde_json::from_str(&ask(&world, &bare("GET", path)).await.body).unwrap();
        assert_eq!(
            (&document["resource"], &document["dpop_bound_access_tokens_required"]),
            (&json!(resource), &json!(required))
        );
    }
}

#[tokio::test]
async fn a_route_that_only_observes_makes_the_metadata_promise_less() {
    let world = world().await;
    let document = ask(&world, &bare("GET", "/.well-known/oauth-protected-resource")).await;
    let document: Value = serde_json::from_str(&document.body).unwrap();
    assert_eq!(document["dpop_bound_access_tokens_required"], false);
    assert_eq!(document["scopes_supported"], json!(["admin"]));
}

#[tokio::test]
async fn a_new_configuration_takes_over_without_losing_a_request_or_a_used_proof() {
    let world = World::start().await;
    let request = world.request("GET", "/kept").await;
    let (mut client, mut idle) = (world.connect().await, world.connect().await);
    idle.send(&world.request("GET", "/first").await).await;
    let mut upstream = world.accept().await;
    upstream.read_message().await;
    upstream.send(ANSWER).await;
    assert_eq!(idle.read_message().await.status(), 200);
    // Under way while the configuration changes.
    client.send(&request).await;
    upstream.read_message().await;
    let mut settings = world.settings.clone();
    settings.stage = Stage::Accept;
    settings.limits.connections += 1;
    settings.keys.cache += 1;
    assert_eq!(world.reloader.reload(settings).await.unwrap(), ["key_cache", "limits"]);
    upstream.send(ANSWER).await;
    assert_eq!(client.read_message().await.status(), 200);
    // The connection is still good, and so is the upstream's; the new stage holds; used proofs are known.
    let unbound = world.token_with(|claims| drop(claims.as_object_mut().unwrap().remove("cnf"))).await;
    idle.send(&format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {unbound}\r\n\r\n")).await;
    upstream.read_message().await;
    upstream.send(ANSWER).await;
    assert_eq!(idle.read_message().await.status(), 200);
    client.send(&request).await;
    assert_eq!(client.read_message().await.code(), "invalid_dpop_proof");
    assert_eq!(world.decisions.codes().last(), Some(&"replayed"));
}

#[tokio::test]
async fn a_wider_window_begins_a_new_epoch() {
    let world = World::start().await;
    let mut settings = world.settings.clone();
    settings.window = Window::MCP;
    world.reloader.reload(settings).await.unwrap();
    let refused = ask(&world, &world.request("GET", "/").await).await;
    assert_eq!((refused.status(), refused.code()), (401, "use_dpop_nonce"), "records may have been dropped already");
    assert!(world.clock.now().seconds() > 0);
}

#[tokio::test]
async fn settings_that_cannot_be_leave_the_old_ones_in_force_and_are_counted() {
    let world = World::start().await;
    let settings = Settings { issuers: Vec::new(), ..world.settings.clone() };
    assert!(world.reloader.reload(settings).await.is_err());
    pass(&world, &world.request("GET", "/").await).await;
    let metrics = async || {
        let mut admin = world.connect_admin().await;
        admin.send("GET /metrics HTTP/1.1\r\nHost: admin\r\n\r\n").await;
        admin.read_message().await.body
    };
    let text = metrics().await;
    assert!(text.contains("countersign_config_reloads_total{outcome=\"refused\"} 1\n"), "{text}");
    assert!(text.contains("countersign_config_stale 1\n"), "{text}");
    world.reloader.reload(world.settings.clone()).await.unwrap();
    let text = metrics().await;
    assert!(text.contains("countersign_config_reloads_total{outcome=\"taken\"} 1\n"), "{text}");
    assert!(text.contains("countersign_config_stale 0\n"), "{text}");
}
