//! An MCP server behind the gateway: what of it is let through, whose its sessions are, when its streams end.

mod conformance;
mod operations;
mod sessions;
mod streams;

use countersign_gateway::Settings;
use countersign_gateway::config::{McpName, McpSettings};

use crate::routes::route;
use crate::wire::Message;
use crate::world::{HOST, ORIGIN, World};

const ANSWER: &str =
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
const JSON: &str = "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";

/// A gateway with an MCP server at `/mcp` that has a reading and a writing tool. The token has `read` and `write`.
async fn world(change: impl FnOnce(&mut McpSettings)) -> World {
    World::start_with(|settings| guard(settings, change)).await
}

fn guard(settings: &mut Settings, change: impl FnOnce(&mut McpSettings)) {
    let name = |name: &str, scopes: &[&str]| {
        let scopes = scopes.iter().map(ToString::to_string).collect();
        McpName { name: name.to_owned(), is_prefix: false, scopes }
    };
    let mut mcp = McpSettings {
        tools: Some(vec![
            name("read_ledger", &["read"]),
            name("write_ledger", &["write"]),
            name("audit", &["write", "audit"]),
            name("zo\u{eb}", &[]),
        ]),
        ..McpSettings::default()
    };
    change(&mut mcp);
    let mut route = route(settings, "/mcp");
    route.scopes = vec!["read".to_owned()];
    route.mcp = Some(mcp);
    settings.routes = vec![route];
}

fn call(tool: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{tool}","arguments":{{"n":1}}}}}}"#)
}

/// A good request with these fields and this body.
async fn post(world: &World, fields: &str, body: &str) -> String {
    let credentials = world.fields("POST", "/mcp").await;
    format!("POST /mcp HTTP/1.1\r\n{credentials}{fields}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// The answer to a request that does not reach the server.
async fn refused(world: &World, request: &str) -> Message {
    let mut client = world.connect().await;
    client.send(request).await;
    client.read_message().await
}

/// What the server gets of a request, and the answer to `answer`.
async fn passed(world: &World, request: &str, answer: &str) -> (Message, Message) {
    let mut client = world.connect().await;
    client.send(request).await;
    let mut upstream = world.accept().await;
    let received = upstream.read_message().await;
    upstream.send(answer).await;
    (received, client.read_message().await)
}

/// The last code of the decision log.
fn code(world: &World) -> &'static str {
    world.decisions.codes().last().copied().unwrap_or("nothing")
}
