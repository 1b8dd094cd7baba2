//! What a program sends reaches the resource signed, and what comes back holds nothing of the agent's.

use std::time::Duration;

use countersign_agent::journal::Event;
use countersign_agent::{AgentSettings, Listen, Policy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::http::{get, post, tcp, unix};
use crate::world::World;

#[tokio::test]
async fn a_program_without_any_credential_reaches_the_api() {
    let world = World::start().await;
    let agent = world.agent(AgentSettings::default());
    let (running, socket) = world.socket(&agent, "", Policy::default()).await;
    // The first request meets a gateway that has just started and asks for a nonce: the program sees none of that.
    let said = unix(&socket, &get("/orders?x=%20y", "")).await;
    assert_eq!(said.status, 200, "{said:?}");
    let body = said.json();
    assert_eq!((body["method"].as_str(), body["target"].as_str()), (Some("GET"), Some("/orders?x=%20y")));
    for field in ["dpop-nonce", "www-authenticate", "authorization", "dpop"] {
        assert_eq!(said.field(field), None, "{field} in {said:?}");
    }
    assert_eq!(running.url.as_deref(), Some("http://localhost"));
    agent.head();
    assert_eq!((world.count(Event::Signed), world.count(Event::Answered)), (1, 1));
    agent.stop().await;
    assert!(!socket.exists(), "the socket is taken away");
}

#[tokio::test]
async fn a_body_is_sent_again_after_a_nonce_as_long_as_it_is_short() {
    let world = World::start().await;
    let agent = world.agent(AgentSettings::default());
    let (_running, socket) = world.socket(&agent, "", Policy::default()).await;
    let said = unix(&socket, &post("/short", "", &"x".repeat(60_000))).await;
    assert_eq!((said.status, said.json()["length"].as_u64()), (200, Some(60_000)), "{said:?}");
    let said = unix(&socket, &post("/long", "", &"x".repeat(3_000_000))).await;
    assert_eq!((said.status, said.json()["length"].as_u64()), (200, Some(3_000_000)), "the nonce is known by then");
}

#[tokio::test]
async fn a_long_body_that_meets_the_first_nonce_is_refused_once() {
    let world = World::start().await;
    let agent = world.agent(AgentSettings::default());
    let (_running, socket) = world.socket(&agent, "", Policy::default()).await;
    let body = "x".repeat(3_000_000);
    let said = unix(&socket, &post("/long", "", &body)).await;
    // A short answer may overtake the body; then nothing of it had gone and it is simply sent.
    if said.status != 200 {
        assert_eq!((said.status, said.code().as_str()), (502, "A08"), "{said:?}");
    }
    assert_eq!(unix(&socket, &post("/long", "", &body)).await.status, 200);
}

#[tokio::test]
async fn the_port_stands_for_the_resource_with_its_path() {
    let world = World::start().await;
    let agent = world.agent(AgentSettings::default());
    let mut settings = world.settings("port", &format!("{}/v1/mcp", world.gateway), Policy::default());
    settings.listen = Listen::Port("127.0.0.1:0".parse().expect("an address"));
    let running = agent.open(settings).await.expect("a binding");
    let url = running.url.clone().expect("a URL");
    let (address, secret) = url.strip_prefix("http://").and_then(|url| url.split_once('/')).expect("a path");
    assert!(secret.len() >= 32, "{secret}");
    let ask = |path: String, host: &str, fields: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{fields}\r\n")
    };
    for (path, target) in [("", "/v1/mcp"), ("?a=b", "/v1/mcp?a=b"), ("/x", "/v1/mcp/x")] {
        let said = tcp(address, &ask(format!("/{secret}{path}"), address, "")).await;
        assert_eq!((said.status, said.json()["target"].as_str()), (200, Some(target)), "{said:?}");
    }
    let port = address.rsplit(':').next().expect("a port");
    for (path, host, fields, status) in [
        (format!("/{secret}"), "evil.example".to_owned(), "", 421),
        (format!("/{secret}"), "127.0.0.1".to_owned(), "", 421),
        (format!("/{secret}"), address.to_owned(), "Origin: https://evil.example\r\n", 403),
        (format!("/{secret}"), address.to_owned(), "Origin: null\r\n", 403),
        (format!("/{secret}"), address.to_owned(), "Sec-Fetch-Site: cross-site\r\n", 403),
        (format!("/{secret}"), address.to_owned(), "Host: evil.example\r\n", 421),
        ("/".to_owned(), address.to_owned(), "", 404),
        (format!("/{secret}x"), address.to_owned(), "", 404),
        (format!("/{}", &secret[1..]), address.to_owned(), "", 404),
        (format!("/x/{secret}"), format!("localhost:{port}"), "", 404),
    ] {
        let said = tcp(address, &ask(path.clone(), &host, fields)).await;
        assert!(said.status == status || said.status == 400, "{path} {host} {fields}: {said:?}");
    }
    assert_eq!(world.count(Event::Signed), 3);
}

#[tokio::test]
async fn what_belongs_to_the_agent_is_taken_off() {
    let world = World::start().await;
    let agent = world.agent(AgentSettings::default());
    let (_running, socket) = world.socket(&agent, "", Policy::default()).await;
    let said = unix(&socket, &get("/cookie", "")).await;
    assert_eq!(said.status, 200);
    for field in ["set-cookie", "www-authenticate", "alt-svc", "dpop-nonce"] {
        assert_eq!(said.field(field), None, "{field}: {said:?}");
    }
    let fields = "Cookie: a=b\r\nAuthorization: Bearer canary\r\nDPoP: canary\r\nX-Forwarded-For: 10.0.0.1\r\n\
                  Countersign-Reason: test\r\nProxy-Authorization: Basic x\r\n";
    let said = unix(&socket, &get("/x", fields)).await;
    let body = said.json();
    assert!(body["cookie"].is_null());
    let names: Vec<&str> = body["fields"].as_array().expect("fields").iter().filter_map(|name| name.as_str()).collect();
    for field in ["authorization", "dpop", "cookie", "proxy-authorization", "countersign-reason"] {
        assert!(!names.contains(&field), "{field}: {names:?}");
    }
}

#[tokio::test]
async fn cookies_go_through_where_the_policy_says_so() {
    let world = World::start().await;
    let agent = world.agent(AgentSettings::default());
    let (_running, socket) = world.socket(&agent, "", Policy { cookies: true, ..Policy::default() }).await;
    assert_eq!(unix(&socket, &get("/cookie", "")).await.field("set-cookie"), Some("a=b"));
    assert_eq!(unix(&socket, &get("/x", "Cookie: a=b\r\n")).await.json()["cookie"], "a=b");
}

#[tokio::test]
async fn a_redirect_below_the_resource_is_signed_anew_and_others_lead_away() {
    let world = World::start().await;
    let agent = world.agent(AgentSettings::default());
    let (_running, socket) = world.socket(&agent, "", Policy::default()).await;
    assert_eq!(unix(&socket, &get("/redirect", "")).await.field("location"), Some("/v1/there?x=1"));
    assert_eq!(unix(&socket, &get("/elsewhere", "")).await.field("location"), Some("http://other.example/x"));
}

#[tokio::test]
async fn events_arrive_as_they_are_sent_and_end_with_the_lock() {
    let world = World::start().await;
    let agent = world.agent(AgentSettings::default());
    let (_running, socket) = world.socket(&agent, "", Policy::default()).await;
    let mut stream = UnixStream::connect(&socket).await.expect("the socket");
    stream.write_all(get("/events", "").as_bytes()).await.expect("written");
    let mut text = String::new();
    let mut buffer = [0; 4_096];
    while !text.contains("data: one") {
        let read = tokio::time::timeout(Duration::from_mins(2), stream.read(&mut buffer)).await;
        let read = read.expect("in time").expect("read");
        assert!(read > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    agent.lock(None).expect("locks");
    let ended = tokio::time::timeout(Duration::from_mins(2), stream.read_to_end(&mut Vec::new())).await;
    assert!(ended.is_ok(), "the stream ends with the lock");
    let said = unix(&socket, &get("/x", "")).await;
    assert_eq!((said.status, said.code().as_str()), (423, "A06"));
    agent.unlock(None).expect("unlocks");
    assert_eq!(unix(&socket, &get("/x", "")).await.status, 200);
}

#[tokio::test]
async fn a_server_that_repeats_what_it_gets_tells_the_program_nothing() {
    let world = World::start().await;
    let agent = world.agent(AgentSettings::default());
    let settings = world.settings("mirror", &world.mirror, Policy::default());
    let client = settings.client.clone();
    let running = agent.open(settings).await.expect("a binding");
    let socket = running.socket.clone().expect("a socket");
    let said = unix(&socket, &get("/x", "")).await;
    let seen = world.last_seen();
    let text = |name: &str| seen.headers[name].to_str().expect("text").to_owned();
    let (token, proof) = (text("authorization"), text("dpop"));
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/x"));
    assert!(token.starts_with("DPoP ey") && proof.starts_with("ey"), "the mirror got both");
    let held = client.token().await.expect("a token");
    assert_eq!(token.strip_prefix("DPoP "), Some(held.expose_secret()));
    assert!(said.body.contains("authorization: DPoP ****"), "{said:?}");
    for secret in [held.expose_secret(), &proof, "canary-nonce-0123456789abcdef"] {
        assert!(!said.head.contains(secret) && !said.body.contains(secret), "{said:?}");
    }
    assert_eq!(said.field("x-repeated"), None);
    // The nonce it gave is in the next proof, and repeated it is masked too.
    unix(&socket, &get("/x", "")).await;
    assert_ne!(world.last_seen().headers["dpop"], proof, "every request has a proof of its own");
}

#[tokio::test]
async fn two_bindings_never_share_a_key() {
    let world = World::start().await;
    let agent = world.agent(AgentSettings::default());
    let one = world.settings("one", &world.gateway, Policy::default());
    let mut other = world.settings("other", &world.gateway, Policy::default());
    other.client = one.client.clone();
    agent.open(one).await.expect("a binding");
    let fault = agent.open(other).await.expect_err("the same key");
    assert!(fault.to_string().contains("the bindings one and other have the same key"), "{fault}");
    let again = world.settings("one", &world.gateway, Policy::default());
    assert!(agent.open(again).await.expect_err("the same name").to_string().contains("two bindings named one"));
}
