//! Hostile programs: each with what it must come to.

use std::time::Duration;

use countersign_agent::journal::Event;
use countersign_agent::{AgentSettings, Policy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::http::{get, post, unix};
use crate::world::World;

/// What is sent, the status, the code; nothing of it is signed.
const REFUSED: [(&str, &str, u16, &str); 21] = [
    ("an absolute-form target elsewhere", "GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n", 421, "A02"),
    ("an absolute-form target with a port", "GET http://localhost:80/v1/x HTTP/1.1\r\nHost: localhost\r\n", 421, "A02"),
    ("CONNECT", "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n", 405, "A02"),
    ("the asterisk form", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n", 403, "A02"),
    ("TRACE", "TRACE /v1/x HTTP/1.1\r\nHost: localhost\r\n", 403, "A02"),
    ("a method that is not allowed", "DELETE /v1/x HTTP/1.1\r\nHost: localhost\r\n", 403, "A02"),
    ("a method in lower case", "get /v1/x HTTP/1.1\r\nHost: localhost\r\n", 403, "A02"),
    ("a path that is not allowed", "GET /v2/x HTTP/1.1\r\nHost: localhost\r\n", 403, "A02"),
    ("a path that begins like one", "GET /v1x HTTP/1.1\r\nHost: localhost\r\n", 403, "A02"),
    ("a path in upper case", "GET /V1/x HTTP/1.1\r\nHost: localhost\r\n", 403, "A02"),
    ("dots", "GET /v1/../admin HTTP/1.1\r\nHost: localhost\r\n", 403, "A02"),
    ("encoded dots", "GET /v1/%2e%2e/admin HTTP/1.1\r\nHost: localhost\r\n", 403, "A02"),
    ("an encoded slash after dots", "GET /v1/..%2fadmin HTTP/1.1\r\nHost: localhost\r\n", 403, "A02"),
    ("dots encoded twice", "GET /v1/%252e%252e%252fadmin HTTP/1.1\r\nHost: localhost\r\n", 403, "A02"),
    ("dots with a parameter", "GET /v1/..;a=b/admin HTTP/1.1\r\nHost: localhost\r\n", 403, "A02"),
    ("one dot", "GET /v1/./x HTTP/1.1\r\nHost: localhost\r\n", 403, "A02"),
    ("a back-slash", "GET /v1/..\\admin HTTP/1.1\r\nHost: localhost\r\n", 403, "A02"),
    ("a path with a host", "GET //evil.example/x HTTP/1.1\r\nHost: localhost\r\n", 403, "A02"),
    (
        "metadata of the resource",
        "GET /.well-known/oauth-protected-resource HTTP/1.1\r\nHost: localhost\r\n",
        404,
        "C01",
    ),
    ("metadata below a path", "GET /v1/.well-known/openid-configuration HTTP/1.1\r\nHost: localhost\r\n", 404, "C01"),
    (
        "metadata of an authorization server",
        "GET /.well-known/oauth-authorization-server/v1 HTTP/1.1\r\nHost: localhost\r\n",
        404,
        "C01",
    ),
];

fn policy() -> Policy {
    Policy {
        methods: ["GET", "POST", "OPTIONS"].map(|method| method.parse().expect("a method")).to_vec(),
        paths: vec!["/v1".to_owned()],
        ..Policy::default()
    }
}

#[tokio::test]
async fn what_the_policy_does_not_say_is_never_signed() {
    let world = World::start().await;
    let agent = world.agent(AgentSettings::default());
    let (_running, socket) = world.socket(&agent, "", policy()).await;
    for (what, head, status, code) in REFUSED {
        let said = unix(&socket, &format!("{head}Connection: close\r\n\r\n")).await;
        // Some of it the HTTP library refuses by itself, before any of this is asked.
        let by_library = said.status == 400 && said.body.is_empty();
        assert!(by_library || (said.status, said.code().as_str()) == (status, code), "{what}: {said:?}");
    }
    assert_eq!(world.count(Event::Signed), 0);
    assert!(world.count(Event::Refused) >= REFUSED.len() - 2, "and it is written down");
    for good in [get("/v1/x", ""), get("http://localhost/v1/x", "")] {
        assert_eq!(unix(&socket, &good).await.status, 200, "{good}");
    }
}

#[tokio::test]
async fn smuggled_credentials_do_not_stand_beside_the_agents() {
    let world = World::start().await;
    let agent = world.agent(AgentSettings::default());
    let running = agent.open(world.settings("mirror", &world.mirror, Policy::default())).await.expect("a binding");
    let socket = running.socket.clone().expect("a socket");
    for fields in [
        "Authorization: Bearer stolen\r\n",
        "Authorization: DPoP stolen\r\nAuthorization: Bearer stolen\r\n",
        "authorization : Bearer stolen\r\n",
        "DPoP: stolen\r\nDPoP: stolen\r\n",
        "Connection: Authorization, DPoP\r\nAuthorization: Bearer stolen\r\n",
        "Connection: DPoP\r\n",
        "TE: trailers\r\nTrailer: Authorization\r\n",
    ] {
        let before = world.seen.lock().expect("not poisoned").len();
        let said = unix(&socket, &get("/x", fields)).await;
        if said.status == 400 {
            assert_eq!(world.seen.lock().expect("not poisoned").len(), before, "{fields}");
            continue;
        }
        assert_eq!(said.status, 200, "{fields}: {said:?}");
        let seen = world.last_seen();
        for name in ["authorization", "dpop"] {
            let values: Vec<_> = seen.headers.get_all(name).iter().collect();
            assert_eq!(values.len(), 1, "{fields}: {values:?}");
            assert!(!values[0].to_str().expect("text").contains("stolen"), "{fields}");
        }
    }
    // As a trailer it is taken off too.
    let chunked = "POST /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\
                   Trailer: Authorization\r\n\r\n2\r\nhi\r\n0\r\nAuthorization: Bearer stolen\r\n\r\n";
    assert_eq!(unix(&socket, chunked).await.status, 200);
}

#[tokio::test]
async fn messages_are_judged_by_their_body_and_not_by_a_field() {
    let world = World::start().await;
    let agent = world.agent(AgentSettings::default());
    let policy = Policy {
        tools: Some(vec!["read_ledger".to_owned()]),
        mcp_methods: Some(["initialize", "tools/list", "tools/call"].map(str::to_owned).to_vec()),
        ..Policy::default()
    };
    let (_running, socket) = world.socket(&agent, "/mcp", policy).await;
    let call = |tool: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{{}}}}}}"#)
    };
    let (read, write) = (call("read_ledger"), call("write_ledger"));
    let twice = read.replace(r#""name":"read_ledger""#, r#""name":"read_ledger","name":"write_ledger""#);
    let other = r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"file:///etc/passwd"}}"#;
    let refused = [
        ("", write.clone(), 403, "A02"),
        ("", other.to_owned(), 403, "A02"),
        ("Mcp-Method: tools/call\r\nMcp-Name: read_ledger\r\n", write.clone(), 403, "A02"),
        ("Mcp-Name: write_ledger\r\n", read.clone(), 400, "C02"),
        ("Mcp-Method: tools/list\r\n", read.clone(), 400, "C02"),
        ("", format!("[{read},{write}]"), 403, "A02"),
        ("", twice, 400, "C02"),
        ("", "not JSON".to_owned(), 400, "C02"),
        ("Content-Encoding: gzip\r\n", read.clone(), 400, "C02"),
        ("", format!("{}{}", " ".repeat(1_100_000), read), 413, "A02"),
    ];
    for (fields, body, status, code) in refused {
        let said = unix(&socket, &post("/", fields, &body)).await;
        assert_eq!((said.status, said.code().as_str()), (status, code), "{fields}{body:.80}");
    }
    assert_eq!(world.count(Event::Signed), 0);
    let said = unix(&socket, &post("/", "Mcp-Name: read_ledger\r\n", &read)).await;
    assert_eq!((said.status, said.json()["body"].as_str()), (200, Some(read.as_str())), "{said:?}");
    let signed = world.journal().into_iter().find(|entry| entry.event == Event::Signed).expect("a line");
    assert_eq!((signed.tool.as_deref(), signed.mcp.as_deref()), (Some("read_ledger"), Some("tools/call")));
    assert!(signed.arguments.is_some());
}

#[tokio::test]
async fn thousands_of_connections_and_half_requests_do_not_stop_another_binding() {
    let world = World::start().await;
    let agent = world.agent(AgentSettings { head_wait: Duration::from_millis(500), ..AgentSettings::default() });
    let (_running, socket) = world.socket(&agent, "", Policy::default()).await;
    let other = agent.open(world.settings("other", &world.gateway, Policy::default())).await.expect("a binding");
    let mut held = Vec::new();
    for number in 0..1_000_usize {
        // What the queue of the socket does not take any more, it refuses.
        let Ok(mut stream) = UnixStream::connect(&socket).await else { break };
        let half =
            ["GET /x HT", "GET /x HTTP/1.1\r\nHost: localhost\r\n", "", "POST /x HTTP/1.1\r\nContent-Length: 9\r\n"];
        let _ = stream.write_all(half[number % half.len()].as_bytes()).await;
        held.push(stream);
    }
    assert!(held.len() >= 200, "{}", held.len());
    let socket_of_other = other.socket.clone().expect("a socket");
    let said = unix(&socket_of_other, &get("/x", "")).await;
    assert_eq!(said.status, 200, "another binding is served meanwhile: {said:?}");
    // Half requests give their places up in time, so that this binding is served again.
    let said = unix(&socket, &get("/x", "")).await;
    assert_eq!(said.status, 200, "{said:?}");
    drop(held);
}

#[tokio::test]
async fn oversized_and_broken_heads_are_refused() {
    let world = World::start().await;
    let agent = world.agent(AgentSettings::default());
    let (_running, socket) = world.socket(&agent, "", Policy::default()).await;
    let long = format!("X: {}\r\n", "y".repeat(100_000));
    let many = "X: y\r\n".repeat(500);
    for (what, head) in [
        ("a field that is too long", get("/x", &long)),
        ("too many fields", get("/x", &many)),
        ("two lengths", post("/x", "Content-Length: 7\r\n", "abc")),
        ("a target that is too long", get(&format!("/{}", "x".repeat(100_000)), "")),
        ("no HTTP", "\u{16}\u{3}\u{1}\r\n\r\n".to_owned()),
    ] {
        let mut stream = UnixStream::connect(&socket).await.expect("the socket");
        let _ = stream.write_all(head.as_bytes()).await;
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(Duration::from_mins(2), stream.read_to_end(&mut bytes)).await;
        assert!(read.is_ok(), "{what}: it ends");
        let said = crate::http::parse(&bytes);
        assert!(matches!(said.status, 0 | 400 | 413 | 414 | 431), "{what}: {said:?}");
        assert_eq!(world.count(Event::Signed), 0, "{what}: {said:?}");
    }
}

#[tokio::test]
async fn a_rate_is_kept() {
    let world = World::start().await;
    let agent = world.agent(AgentSettings::default());
    let (_running, socket) = world.socket(&agent, "", Policy { per_minute: Some(2), ..Policy::default() }).await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let said = unix(&socket, &get("/x", "")).await;
        statuses.push((said.status, said.code()));
    }
    // The minute of the clock may turn once in between.
    assert!(statuses.contains(&(429, "A02".to_owned())), "{statuses:?}");
    assert!(world.count(Event::Signed) <= 4);
}
