//! What each stage lets pass, and in what shape.

use countersign_resource::Stage;

use crate::wire::Message;
use crate::world::{HOST, ORIGIN, World};

/// Sends `request` and lets the upstream answer with `answer`: what it received, and what came back.
async fn exchange(world: &World, request: &str, answer: &str) -> (Message, Message) {
    let mut client = world.connect().await;
    client.send(request).await;
    let mut upstream = world.accept().await;
    let received = upstream.read_message().await;
    upstream.send(answer).await;
    (received, client.read_message().await)
}

const ANSWER: &str =
    "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nDPoP-Nonce: inner\r\nContent-Length: 2\r\n\r\nok";

async fn at(stage: Stage) -> World {
    World::start_with(|settings| settings.stage = stage).await
}

#[tokio::test]
async fn observe_refuses_nothing_and_touches_neither_credentials_nor_answer() {
    let world = at(Stage::Observe).await;
    let token = world.token().await;
    let proof = world.proof("GET", ORIGIN, &token, None).await;
    for (credentials, code) in [
        (String::new(), "no_credentials"),
        ("Authorization: Basic YTpi\r\n".to_owned(), "no_credentials"),
        (format!("Authorization: Bearer {token}\r\n"), "bound_as_bearer"),
        (format!("Authorization: DPoP {token}\r\nDPoP: garbage\r\n"), "proof_malformed"),
        (format!("Authorization: DPoP {token}\r\nDPoP: {proof}\r\nDPoP: {proof}\r\n"), "proof_repeated"),
        (format!("Authorization: DPoP {token}\r\nDPoP: {proof}\r\n"), "ok"),
        (format!("Authorization: DPoP {token}\r\nDPoP: {proof}\r\n"), "replayed"),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{credentials}Countersign-Subject: root\r\n\r\n");
        let (received, answer) = exchange(&world, &request, ANSWER).await;
        for name in ["authorization", "dpop"] {
            let sent: Vec<_> = credentials
                .split("\r\n")
                .filter_map(|line| line.split_once(": "))
                .filter(|(found, _)| found.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
                .collect();
            assert_eq!(received.values(name).collect::<Vec<_>>(), sent, "{code}");
        }
        let named = received.values("countersign-subject").collect::<Vec<_>>();
        assert!(named.is_empty(), "{code}: neither the client's claim nor one of the gateway's");
        assert_eq!(answer.status(), 200, "{code}");
        assert_eq!(answer.fields, ["Date: Thu, 01 Jan 1970 00:00:00 GMT", "DPoP-Nonce: inner", "Content-Length: 2"]);
        assert_eq!(*world.decisions.codes().last().unwrap(), code);
    }
    let foreign = "GET / HTTP/1.1\r\nHost: other.example\r\n\r\n";
    assert_eq!(exchange(&world, foreign, ANSWER).await.1.status(), 200);
    assert_eq!(*world.decisions.codes().last().unwrap(), "foreign_authority");
}

#[tokio::test]
async fn observe_passes_request_and_answer_on_byte_for_byte() {
    let world = at(Stage::Observe).await;
    let token = world.token().await;
    let proof = world.proof("POST", &format!("{ORIGIN}/a/%7Eb"), &token, None).await;
    let requests = [
        "GET /?q=%20&a=1 HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: x\r\nACCEPT: */*\r\nx-Odd_Name: 1\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nX-Forwarded-For: 10.0.0.1\r\nForwarded: for=10.0.0.2\r\nVia: 1.1 cdn\r\nhost: elsewhere.example\r\n\
         Connection: keep-alive\r\nCookie: a=b\r\n\r\n"
            .to_owned(),
        "DELETE /.well-known/oauth-protected-resource HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "GET /.well-known/oauth-protected-resource HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: Basic YTpi\r\n\r\n"
            .to_owned(),
        format!(
            "POST /a/%7Eb HTTP/1.1\r\nHost: api.example.com\r\ncontent-type: text/plain\r\nAUTHORIZATION: DPoP {token}\r\n\
             dPoP: {proof}\r\nContent-Length: 5\r\nTE: trailers\r\nX-Last: 1\r\n\r\nhello"
        ),
        "POST /up HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\nX-Last: 1\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_owned(),
    ];
    let answers = [
        "HTTP/1.1 200 OK\r\nServer: old\r\nX-ODD: 1\r\nDPoP-Nonce: inner\r\nWWW-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 401 Go Away\r\nKeep-Alive: timeout=5\r\nSet-Cookie: a\r\nset-cookie: b\r\nContent-Length: 0\r\n\r\n",
    ];
    for (request, answer) in requests.iter().zip(answers.iter().cycle()) {
        let (mut client, asked) = (world.connect().await, request.as_str());
        client.send(asked).await;
        let mut upstream = world.accept().await;
        let mut received = String::new();
        while received.len() < asked.len() {
            received.push_str(&upstream.read_to(&asked[asked.len() - 1..]).await);
        }
        assert_eq!(received, asked);
        upstream.send(answer).await;
        let mut came = String::new();
        while came.len() < answer.len() {
            came.push_str(&client.read_to(&answer[answer.len() - 1..]).await);
        }
        assert_eq!(came, *answer);
    }
    assert_eq!(world.decisions.codes()[4], "ok", "and yet it was judged");
}

#[tokio::test]
async fn accept_takes_unbound_bearer_tokens_and_names_no_key_then() {
    let world = at(Stage::Accept).await;
    let unbound = world.token_with(|claims| drop(claims.as_object_mut().unwrap().remove("cnf"))).await;
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {unbound}\r\n\r\n");
    let (received, answer) = exchange(&world, &request, ANSWER).await;
    assert_eq!(answer.status(), 200);
    assert!(answer.values("deprecation").next().is_none());
    assert_eq!(received.field("countersign-subject"), Some("al%C3%AFce"));
    for absent in ["authorization", "countersign-jkt"] {
        assert!(received.values(absent).next().is_none(), "{received:?}");
    }
    let (received, _) = exchange(&world, &world.request("GET", "/").await, ANSWER).await;
    assert_eq!(received.field("countersign-jkt"), Some(world.jkt().to_string().as_str()));
    // Bound tokens are not for Bearer, in any stage that refuses at all.
    let bound = world.token().await;
    let mut client = world.connect().await;
    client.send(&format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {bound}\r\n\r\n")).await;
    let refused = client.read_message().await;
    assert_eq!(refused.status(), 401);
    // Row 450.
    client.send(&format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    let challenges = client.read_message().await;
    let schemes: Vec<_> = challenges.values("www-authenticate").map(|value| value.split(' ').next().unwrap()).collect();
    assert_eq!(schemes, ["DPoP", "Bearer"], "row 450");
}

#[tokio::test]
async fn prefer_tells_bearer_clients_that_this_will_end() {
    let world = at(Stage::Prefer).await;
    let unbound = world.token_with(|claims| drop(claims.as_object_mut().unwrap().remove("cnf"))).await;
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {unbound}\r\n\r\n");
    let (_, answer) = exchange(&world, &request, ANSWER).await;
    assert!(answer.field("deprecation").unwrap().starts_with('@'));
    let (_, answer) = exchange(&world, &world.request("GET", "/").await, ANSWER).await;
    assert!(answer.values("deprecation").next().is_none());
}

#[tokio::test]
async fn require_takes_no_bearer_token() {
    let world = at(Stage::Require).await;
    let unbound = world.token_with(|claims| drop(claims.as_object_mut().unwrap().remove("cnf"))).await;
    let mut client = world.connect().await;
    client.send(&format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {unbound}\r\n\r\n")).await;
    let answer = client.read_message().await;
    assert_eq!((answer.status(), answer.code()), (401, "invalid_token"));
}
