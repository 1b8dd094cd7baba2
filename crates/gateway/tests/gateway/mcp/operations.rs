use std::time::Duration;

use countersign_gateway::config::JudgedBy;
use countersign_resource::Stage;
use serde_json::{Value, json};

use super::{ANSWER, HOST, JSON, ORIGIN, call, code, guard, passed, post, refused, world};
use crate::world::World;

#[tokio::test]
async fn an_allowed_tool_is_called_and_its_body_arrives_byte_for_byte() {
    let world = world(|_| ()).await;
    // Blanks, escapes and the order of members stay as they were.
    let body = "{ \"params\":{\"arguments\":{ },\"name\":\"read_\\u006cedger\"},\n\"method\":\"tools/call\",\"id\":1e0,\"jsonrpc\":\"2.0\" }\n";
    let (received, answer) = passed(&world, &post(&world, JSON, body).await, ANSWER).await;
    assert_eq!((received.line.as_str(), received.body.as_str()), ("POST /mcp HTTP/1.1", body));
    assert_eq!(received.field("countersign-client"), Some("client-1"));
    assert!(received.field("authorization").is_none() && received.field("dpop").is_none());
    assert_eq!((answer.status(), code(&world)), (200, "ok"));
}

#[tokio::test]
async fn a_chunked_body_arrives_whole() {
    let world = world(|_| ()).await;
    let (credentials, body) = (world.fields("POST", "/mcp").await, call("read_ledger"));
    let (one, two) = body.split_at(20);
    let request = format!(
        "POST /mcp HTTP/1.1\r\n{credentials}{JSON}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n",
        one.len(),
        two.len()
    );
    let (received, _) = passed(&world, &request, ANSWER).await;
    assert_eq!(received.body, body);
}

#[tokio::test]
async fn a_tool_that_the_route_does_not_have_is_refused_and_nothing_is_spent() {
    let world = world(|_| ()).await;
    let body = call("drop_ledger");
    let request = post(&world, JSON, &body).await;
    for _ in 0..2 {
        let answer = refused(&world, &request).await;
        assert_eq!(
            (answer.status(), code(&world)),
            (403, "mcp_not_allowed"),
            "the second time too: no proof was spent"
        );
        assert_eq!(answer.code(), "-", "no challenge: another token would not help");
        let error: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(error["id"], 7);
        assert_eq!(error["error"]["code"], -32_000);
    }
    // The same proof with a body that is allowed: it is for the URL, not for the body.
    let allowed = request.replace("drop_ledger", "read_ledger");
    passed(&world, &allowed, ANSWER).await;
    assert_eq!(refused(&world, &allowed).await.code(), "invalid_dpop_proof", "now it is spent");
}

#[tokio::test]
async fn a_scope_that_is_missing_is_told_with_all_that_the_operation_takes() {
    let world = world(|_| ()).await;
    let answer = refused(&world, &post(&world, JSON, &call("audit")).await).await;
    assert_eq!((answer.status(), answer.code(), code(&world)), (403, "insufficient_scope", "insufficient_scope"));
    let challenge = answer.field("www-authenticate").unwrap();
    assert!(challenge.starts_with("DPoP "), "{challenge}");
    assert!(challenge.contains("scope=\"read write audit\""), "route's and tool's, each once: {challenge}");
    let place = format!("resource_metadata=\"{ORIGIN}/.well-known/oauth-protected-resource\"");
    assert!(challenge.contains(&place), "{challenge}");
}

#[tokio::test]
async fn in_mixed_mode_one_challenge_of_each_scheme_names_all_scopes_and_the_metadata() {
    let world = World::start_with(|settings| {
        guard(settings, |_| ());
        settings.routes[0].stage = Stage::Accept;
    })
    .await;
    let token = world.token_with(|claims| drop(claims.as_object_mut().unwrap().remove("cnf"))).await;
    let body = call("audit");
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n{JSON}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = refused(&world, &request).await;
    assert_eq!(answer.status(), 403);
    let challenges: Vec<_> = answer.values("www-authenticate").collect();
    assert_eq!(challenges.len(), 2);
    assert!(challenges.iter().all(|challenge| challenge.contains("resource_metadata=")), "{challenges:?}");
    let told = challenges.iter().filter(|challenge| challenge.contains("scope=\"read write audit\"")).count();
    assert_eq!(told, 1, "under the scheme that was tried: {challenges:?}");
}

#[tokio::test]
async fn a_field_that_names_another_operation_than_the_body_is_refused() {
    let world = world(|_| ()).await;
    for fields in [
        "Mcp-Method: tools/list\r\n",
        "Mcp-Method: tools/call\r\nMcp-Name: read_ledger\r\n",
        "Mcp-Name: read_ledger\r\n",
        "Mcp-Name: =?base64?cmVhZF9sZWRnZXI=?=\r\n",
        "Mcp-Name: =?base64?%%%?=\r\n",
        "Mcp-Method: tools/call\r\nMcp-Method: tools/call\r\n",
        "Mcp-Name: write_ledger\r\nMcp-Name: read_ledger\r\n",
        "Mcp-Name: write_ledger\r\nMcp_Name: read_ledger\r\n",
    ] {
        let answer = refused(&world, &post(&world, &format!("{JSON}{fields}"), &call("write_ledger")).await).await;
        assert_eq!((answer.status(), code(&world)), (400, "mcp_field_mismatch"), "{fields:?}");
        let error: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((&error["error"]["code"], &error["jsonrpc"]), (&json!(-32_020), &json!("2.0")), "{fields:?}");
    }
    for fields in [
        "Mcp-Method: tools/call\r\nMcp-Name: write_ledger\r\nMCP-Protocol-Version: 2026-07-28\r\n",
        "Mcp-Name: =?base64?d3JpdGVfbGVkZ2Vy?=\r\n",
        "MCP-Protocol-Version: 2025-06-18\r\n",
    ] {
        let request = post(&world, &format!("{JSON}{fields}"), &call("write_ledger")).await;
        let (received, _) = passed(&world, &request, ANSWER).await;
        let sent = fields.lines().next().and_then(|line| line.split_once(": ")).unwrap();
        assert_eq!(received.field(sent.0), Some(sent.1), "fields go on as they came");
    }
    let named = post(&world, &format!("{JSON}Mcp-Name: =?base64?em/Dqw==?=\r\n"), &call("zo\u{eb}")).await;
    passed(&world, &named, ANSWER).await;
}

#[tokio::test]
async fn a_body_that_two_readers_could_read_differently_is_refused() {
    let world = world(|_| ()).await;
    let twice = call("read_ledger").replace(r#""arguments""#, r#""name":"write_ledger","arguments""#);
    let cased = call("read_ledger").replace(r#""arguments""#, r#""Name":"drop_ledger","arguments""#);
    let batch = format!("[{}]", call("read_ledger"));
    let bom = format!("\u{feff}{}", call("read_ledger"));
    for body in
        [&twice, &cased, &batch, &bom, "", "{}", "tools/call", "{\"jsonrpc\":\"2.0\",\"method\":\"tools/call\"}"]
    {
        let answer = refused(&world, &post(&world, JSON, body).await).await;
        assert_eq!((answer.status(), code(&world)), (400, "mcp_unreadable"), "{body}");
        assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap()["error"]["code"], -32_700, "{body}");
    }
    for content_type in ["", "Content-Type: text/plain\r\n", "Content-Type: application/json; charset=utf-7\r\n"] {
        let answer = refused(&world, &post(&world, content_type, &call("read_ledger")).await).await;
        assert_eq!((answer.status(), code(&world)), (415, "mcp_content_type"), "{content_type}");
    }
    // To a server that decodes it this is another text.
    let encoded = post(&world, &format!("{JSON}Content-Encoding: br\r\n"), &call("read_ledger")).await;
    assert_eq!(refused(&world, &encoded).await.status(), 415);
}

#[tokio::test]
async fn every_message_of_a_batch_is_judged_where_batches_are_allowed() {
    let world = world(|mcp| mcp.batches = true).await;
    let good = format!("[{},{}]", call("read_ledger"), r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    passed(&world, &post(&world, JSON, &good).await, ANSWER).await;
    let hidden = format!("[{},{}]", call("read_ledger"), call("drop_ledger"));
    assert_eq!(refused(&world, &post(&world, JSON, &hidden).await).await.status(), 403);
    assert_eq!(code(&world), "mcp_not_allowed");
    let costly = format!("[{},{}]", call("read_ledger"), call("audit"));
    assert_eq!(refused(&world, &post(&world, JSON, &costly).await).await.code(), "insufficient_scope");
    let named = post(&world, &format!("{JSON}Mcp-Name: read_ledger\r\n"), &good).await;
    assert_eq!(refused(&world, &named).await.status(), 400, "a field stands beside one message");
}

#[tokio::test]
async fn methods_outside_the_list_are_refused_and_those_that_keep_a_conversation_are_not() {
    let world = world(|mcp| mcp.methods = Some(vec!["tools/*".to_owned()])).await;
    let message = |method: &str| format!(r#"{{"jsonrpc":"2.0","id":"a","method":"{method}"}}"#);
    for method in ["initialize", "ping", "server/discover", "notifications/initialized", "tools/list"] {
        passed(&world, &post(&world, JSON, &message(method)).await, ANSWER).await;
    }
    for method in ["resources/list", "logging/setLevel", "tools", "Tools/list"] {
        let answer = refused(&world, &post(&world, JSON, &message(method)).await).await;
        assert_eq!((answer.status(), code(&world)), (403, "mcp_not_allowed"), "{method}");
        assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap()["id"], "a");
    }
}

#[tokio::test]
async fn a_body_beyond_the_bound_is_413_whether_or_not_it_is_announced() {
    let world = world(|mcp| mcp.max_body = 2_048).await;
    let padded = |bytes: usize| {
        let body = call("read_ledger");
        format!("{body}{}", " ".repeat(bytes - body.len()))
    };
    passed(&world, &post(&world, JSON, &padded(2_048)).await, ANSWER).await;
    let answer = refused(&world, &post(&world, JSON, &padded(2_049)).await).await;
    assert_eq!((answer.status(), code(&world)), (413, "mcp_too_large"));
    let credentials = world.fields("POST", "/mcp").await;
    let chunked = format!(
        "POST /mcp HTTP/1.1\r\n{credentials}{JSON}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        2_049,
        padded(2_049)
    );
    let answer = refused(&world, &chunked).await;
    assert_eq!(
        (answer.status(), answer.field("connection")),
        (413, Some("close")),
        "what is left of the body is not read"
    );
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let world = World::start_with(|settings| {
        guard(settings, |_| ());
        settings.limits.forward.request_body_idle = Duration::from_millis(300);
    })
    .await;
    let credentials = world.fields("POST", "/mcp").await;
    let half = format!("POST /mcp HTTP/1.1\r\n{credentials}{JSON}Content-Length: 100\r\n\r\n{{");
    let answer = refused(&world, &half).await;
    assert_eq!((answer.status(), code(&world)), (408, "mcp_body_slow"));
}

/// The credentials of another client.
async fn another(world: &World, subject: &str) -> String {
    world.fields_by_another_key("POST", "/mcp", json!({ "sub": subject })).await
}

#[tokio::test]
async fn a_client_that_holds_bodies_open_is_told_to_slow_down_and_takes_nothing_from_others() {
    let world = world(|_| ()).await;
    // Its share is 8 MiB: eight of these fit, and none of them comes whole.
    let held = "x".repeat(1_024 * 1_024 - 1);
    let (told, mut answers) = tokio::sync::mpsc::channel(9);
    for _ in 0..9 {
        // Another key and token each time make no other client.
        let credentials = world.fields_by_another_key("POST", "/mcp", json!({})).await;
        let request =
            format!("POST /mcp HTTP/1.1\r\n{credentials}{JSON}Content-Length: {}\r\n\r\n{held}", held.len() + 1);
        let (mut client, told) = (world.connect().await, told.clone());
        tokio::spawn(async move {
            client.send(&request).await;
            let _ = told.send(client.read_message().await).await;
        });
    }
    let answer = answers.recv().await.unwrap();
    assert_eq!((answer.status(), code(&world)), (429, "mcp_share_exhausted"));
    assert_eq!(answer.field("retry-after"), Some("5"));
    assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap()["error"]["code"], -32_000);

    let (credentials, body) = (another(&world, "bob").await, call("read_ledger"));
    let length = body.len();
    let other = format!("POST /mcp HTTP/1.1\r\n{credentials}{JSON}Content-Length: {length}\r\n\r\n{body}");
    assert_eq!(passed(&world, &other, ANSWER).await.1.status(), 200);
    assert!(answers.try_recv().is_err(), "eight are still being read");
}

#[tokio::test]
async fn when_there_is_no_room_for_anybody_it_is_503() {
    let world = world(|mcp| mcp.max_body = 16 * 1_024 * 1_024).await;
    // Each within the share that one such body has; four take all the room but a few bytes.
    let held = std::sync::Arc::new("x".repeat(16 * 1_024 * 1_024 - 1));
    let (told, mut answers) = tokio::sync::mpsc::channel(5);
    for subject in ["a", "b", "c", "d", "e"] {
        let (credentials, held) = (another(&world, subject).await, std::sync::Arc::clone(&held));
        let head = format!("POST /mcp HTTP/1.1\r\n{credentials}{JSON}Content-Length: {}\r\n\r\n", held.len() + 1);
        let (mut client, told) = (world.connect().await, told.clone());
        tokio::spawn(async move {
            client.send(&head).await;
            client.send(&held).await;
            let _ = told.send(client.read_message().await).await;
        });
    }
    let answer = answers.recv().await.unwrap();
    assert_eq!((answer.status(), code(&world)), (503, "mcp_busy"));
    assert_eq!(answer.field("retry-after"), Some("5"));
    assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap()["error"]["code"], -32_000);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_400_and_spends_nothing() {
    let world = world(|_| ()).await;
    let (credentials, body) = (world.fields("POST", "/mcp").await, call("read_ledger"));
    let odd =
        format!("POST /mcp HTTP/1.1\r\n{credentials}{JSON}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n5\nhello");
    let answer = refused(&world, &odd).await;
    assert_eq!((answer.status(), code(&world)), (400, "mcp_body_broken"));
    assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap()["error"]["code"], -32_700);
    let length = body.len();
    let whole = format!("POST /mcp HTTP/1.1\r\n{credentials}{JSON}Content-Length: {length}\r\n\r\n{body}");
    assert_eq!(passed(&world, &whole, ANSWER).await.1.status(), 200, "by the same proof");
}

#[tokio::test]
async fn no_body_is_read_before_token_and_proof_are_right() {
    let world = world(|_| ()).await;
    // Without the body: whoever waited for it would not answer.
    let head = |credentials: &str| {
        format!("POST /mcp HTTP/1.1\r\nHost: {HOST}\r\n{credentials}{JSON}Content-Length: 1000000\r\n\r\n")
    };
    assert_eq!(refused(&world, &head("")).await.status(), 401);
    let token = world.token().await;
    let other = world.proof("POST", &format!("{ORIGIN}/other"), &token, None).await;
    let answer = refused(&world, &head(&format!("Authorization: DPoP {token}\r\nDPoP: {other}\r\n"))).await;
    assert_eq!((answer.status(), answer.code()), (401, "invalid_dpop_proof"));
    // A body that is held back is asked for once they are.
    let credentials = world.fields("POST", "/mcp").await;
    let body = call("read_ledger");
    let mut client = world.connect().await;
    let length = body.len();
    client
        .send(&format!(
            "POST /mcp HTTP/1.1\r\n{credentials}{JSON}Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        ))
        .await;
    assert_eq!(client.read_head().await.status(), 100);
    client.send(&body).await;
    let mut upstream = world.accept().await;
    assert_eq!(upstream.read_message().await.body, body);
    upstream.send(ANSWER).await;
    assert_eq!(client.read_message().await.status(), 200);
}

#[tokio::test]
async fn judged_by_fields_no_body_is_read_and_the_version_has_to_be_one_whose_servers_compare() {
    let world = world(|mcp| mcp.judged_by = JudgedBy::Fields).await;
    let new = "MCP-Protocol-Version: 2026-07-28\r\n";
    let fields = format!("{JSON}{new}Mcp-Method: tools/call\r\nMcp-Name: write_ledger\r\n");
    let credentials = world.fields("POST", "/mcp").await;
    let mut client = world.connect().await;
    client.send(&format!("POST /mcp HTTP/1.1\r\n{credentials}{fields}Content-Length: 5\r\n\r\n")).await;
    let mut upstream = world.accept().await;
    upstream.read_head().await;
    client.send("first").await;
    assert_eq!(upstream.read_to("first").await, "first", "the head was there before the body");
    upstream.send(ANSWER).await;
    assert_eq!(client.read_message().await.status(), 200);
    for (fields, status, expected) in [
        ("Mcp-Method: tools/call\r\nMcp-Name: write_ledger\r\n".to_owned(), 400, "mcp_version_too_old"),
        (
            "MCP-Protocol-Version: 2025-11-25\r\nMcp-Method: tools/call\r\nMcp-Name: write_ledger\r\n".to_owned(),
            400,
            "mcp_version_too_old",
        ),
        (new.to_owned(), 400, "mcp_field_mismatch"),
        (format!("{new}Mcp-Method: tools/call\r\n"), 400, "mcp_field_mismatch"),
        (format!("{new}Mcp-Method: tools/list\r\nMcp-Name: x\r\n"), 400, "mcp_field_mismatch"),
        (format!("{new}Mcp-Method: tools/call\r\nMcp-Name: drop_ledger\r\n"), 403, "mcp_not_allowed"),
        (format!("{new}Mcp-Method: tools/call\r\nMcp-Name: audit\r\n"), 403, "insufficient_scope"),
    ] {
        let answer = refused(&world, &post(&world, &format!("{JSON}{fields}"), &call("write_ledger")).await).await;
        assert_eq!((answer.status(), code(&world)), (status, expected), "{fields:?}");
    }
}

#[tokio::test]
async fn other_methods_of_http_are_not_part_of_the_endpoint() {
    let world = world(|_| ()).await;
    for method in ["GET", "DELETE", "PUT", "OPTIONS"] {
        let answer = refused(&world, &world.request(method, "/mcp").await).await;
        assert_eq!((answer.status(), code(&world)), (405, "mcp_http_method"), "{method}");
        assert_eq!(answer.field("allow"), Some("POST"));
    }
}

#[tokio::test]
async fn at_observe_nothing_is_read_or_refused() {
    let world = World::start_with(|settings| {
        guard(settings, |_| ());
        settings.routes[0].stage = Stage::Observe;
    })
    .await;
    let (received, answer) = passed(&world, &post(&world, JSON, "no message").await, ANSWER).await;
    assert_eq!((received.body.as_str(), answer.status()), ("no message", 200));
    assert!(received.field("authorization").is_some());
}

#[tokio::test]
async fn pages_of_configured_origins_may_speak_the_protocol() {
    let world = World::start_with(|settings| {
        guard(settings, |mcp| mcp.sessions = true);
        settings.cors = Some(countersign_resource::Cors::new(["https://app.example.com"]).unwrap());
    })
    .await;
    let preflight = format!(
        "OPTIONS /mcp HTTP/1.1\r\nHost: {HOST}\r\nOrigin: https://app.example.com\r\nAccess-Control-Request-Method: POST\r\n\r\n"
    );
    let allowed = refused(&world, &preflight).await;
    let fields =
        "Authorization, DPoP, Content-Type, mcp-protocol-version, mcp-method, mcp-name, mcp-session-id, last-event-id";
    assert_eq!((allowed.status(), allowed.field("access-control-allow-headers")), (204, Some(fields)));
    let request = post(&world, &format!("{JSON}Origin: https://app.example.com\r\n"), &call("read_ledger")).await;
    let (_, answer) = passed(&world, &request, ANSWER).await;
    assert_eq!(answer.field("access-control-expose-headers"), Some("DPoP-Nonce, WWW-Authenticate, mcp-session-id"));
}

#[tokio::test]
async fn the_metadata_names_the_scopes_of_tools() {
    let world = world(|_| ()).await;
    let request = format!("GET /.well-known/oauth-protected-resource HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let document: Value = serde_json::from_str(&refused(&world, &request).await.body).unwrap();
    assert_eq!(document["scopes_supported"], json!(["audit", "read", "write"]));
}

#[tokio::test]
async fn nothing_of_a_body_is_in_the_decision_log() {
    let world = world(|_| ()).await;
    for body in
        [call("canary_tool"), call("read_ledger").replace("\"n\"", "\"canary\"").replace("tools/call", "canary/x")]
    {
        refused(&world, &post(&world, &format!("{JSON}Mcp-Name: canary_name\r\n"), &body).await).await;
    }
    let lines = world.decisions.lines();
    assert!(lines.contains("mcp_field_mismatch") && !lines.contains("canary"), "{lines}");
}
