use std::sync::Arc;

use countersign_dpop::ProofMaker;
use countersign_dpop::ProofRequest;
use countersign_dpop::jose::{Algorithm, SoftwareKey};
use countersign_dpop::time::Clock;
use countersign_gateway::SessionKey;
use serde_json::{Value, json};

use super::{ANSWER, HOST, JSON, ORIGIN, call, code, guard, passed, post, refused, world};
use crate::world::World;

const BEGUN: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\nMcp-Session-Id: 5f2a-77.b\r\nContent-Length: 2\r\n\r\n{}";

fn initialize() -> String {
    r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#.to_owned()
}

/// Begins a session and gives the client's name for it.
async fn begin(world: &World) -> String {
    let (_, answer) = passed(world, &post(world, JSON, &initialize()).await, BEGUN).await;
    let id = answer.field("mcp-session-id").unwrap().to_owned();
    assert!(id.starts_with("5f2a-77.b.") && id.len() > 50, "the server's own with something behind it: {id}");
    id
}

async fn in_session(world: &World, id: &str) -> String {
    post(world, &format!("{JSON}Mcp-Session-Id: {id}\r\n"), &call("read_ledger")).await
}

#[tokio::test]
async fn a_session_works_for_the_one_who_began_it() {
    let world = world(|mcp| mcp.sessions = true).await;
    let id = begin(&world).await;
    let (received, answer) = passed(&world, &in_session(&world, &id).await, BEGUN).await;
    assert_eq!(received.field("mcp-session-id"), Some("5f2a-77.b"), "the server knows it by its own name");
    assert_eq!(answer.field("mcp-session-id"), Some(id.as_str()), "and the client by his");
    for method in ["GET", "DELETE"] {
        let credentials = world.fields(method, "/mcp").await;
        let request = format!("{method} /mcp HTTP/1.1\r\n{credentials}Mcp-Session-Id: {id}\r\n\r\n");
        let (received, _) = passed(&world, &request, ANSWER).await;
        assert_eq!((received.field("mcp-session-id"), code(&world)), (Some("5f2a-77.b"), "ok"), "{method}");
    }
    let answer = refused(&world, &world.request("PUT", "/mcp").await).await;
    assert_eq!((answer.status(), answer.field("allow")), (405, Some("POST, GET, DELETE")));
}

#[tokio::test]
async fn another_key_user_or_client_gets_404_for_it() {
    let world = world(|mcp| mcp.sessions = true).await;
    let id = begin(&world).await;
    let thief = ProofMaker::new(Arc::new(SoftwareKey::generate(Algorithm::Es256).unwrap()));
    let body = call("read_ledger");
    let tokens = [
        world.token_with(|claims| claims["cnf"] = json!({ "jkt": thief.jkt().to_string() })).await,
        world.token_with(|claims| claims["sub"] = json!("mallory")).await,
        world.token_with(|claims| claims["client_id"] = json!("client-2")).await,
    ];
    for (place, token) in tokens.iter().enumerate() {
        let proof = if place == 0 {
            let request =
                ProofRequest { method: "POST", url: &format!("{ORIGIN}/mcp"), token: Some(token), nonce: None };
            thief.make(&request, world.clock.now()).await.unwrap()
        } else {
            world.proof("POST", &format!("{ORIGIN}/mcp"), token, None).await
        };
        let request = format!(
            "POST /mcp HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: DPoP {token}\r\nDPoP: {proof}\r\n{JSON}\
             Mcp-Session-Id: {id}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = refused(&world, &request).await;
        assert_eq!((answer.status(), code(&world)), (404, "mcp_session_unknown"), "{place}");
        assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap()["error"]["code"], -32_001);
    }
}

#[tokio::test]
async fn a_session_that_was_never_given_out_is_unknown() {
    let world = world(|mcp| mcp.sessions = true).await;
    let id = begin(&world).await;
    let other = id.replace("5f2a", "5f2b");
    for forged in [
        "5f2a-77.b",
        "5f2a-77.b.",
        &other,
        &id[..id.len() - 1],
        &format!("{id}\r\nMcp-Session-Id: {id}"),
        &format!("{id}\r\nMcp_Session_Id: 5f2a-77.b"),
    ] {
        let answer = refused(&world, &in_session(&world, forged).await).await;
        assert_eq!((answer.status(), code(&world)), (404, "mcp_session_unknown"), "{forged}");
    }
}

#[tokio::test]
async fn without_sessions_none_gets_through_either_way() {
    let world = world(|_| ()).await;
    let (received, answer) = passed(&world, &in_session(&world, "5f2a-77.b").await, BEGUN).await;
    assert_eq!((received.field("mcp-session-id"), answer.field("mcp-session-id")), (None, None));
}

#[tokio::test]
async fn gateways_that_share_a_key_share_sessions_and_others_do_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("session.key");
    std::fs::write(&path, "0123456789abcdef0123456789abcdef\n").unwrap();
    let keys = || vec![SessionKey::read(&path).unwrap()];
    let world = World::start_with(|settings| {
        guard(settings, |mcp| mcp.sessions = true);
        settings.session_keys = keys();
    })
    .await;
    let id = begin(&world).await;
    let mut other = world.settings.clone();
    other.session_keys = vec![SessionKey::generate().unwrap()];
    world.reloader.reload(other.clone()).await.unwrap();
    assert_eq!(refused(&world, &in_session(&world, &id).await).await.status(), 404, "another key");
    other.session_keys.extend(keys());
    world.reloader.reload(other).await.unwrap();
    passed(&world, &in_session(&world, &id).await, ANSWER).await;
}

#[tokio::test]
async fn a_reload_ends_no_session() {
    let world = world(|mcp| mcp.sessions = true).await;
    let id = begin(&world).await;
    world.reloader.reload(world.settings.clone()).await.unwrap();
    passed(&world, &in_session(&world, &id).await, ANSWER).await;
}

#[tokio::test]
async fn an_identifier_that_no_client_could_repeat_is_left_out() {
    let world = world(|mcp| mcp.sessions = true).await;
    let long = "a".repeat(1_025);
    for odd in [long.as_str(), "a b", "a\r\nMcp-Session-Id: b"] {
        let answer = BEGUN.replace("5f2a-77.b", odd);
        let (_, answer) = passed(&world, &post(&world, JSON, &initialize()).await, &answer).await;
        assert_eq!((answer.status(), answer.field("mcp-session-id")), (200, None), "{odd:.20}");
    }
}
