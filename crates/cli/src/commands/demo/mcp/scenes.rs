//! The story in scenes, each with rows of what was tried and what came of it.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use countersign_agent::Policy;
use countersign_agent::approval::{Approvals, Decision};
use countersign_agent::journal::{Event, verify};
use countersign_client::{Client, Next, Step};
use countersign_dpop::ProofRequest;
use countersign_dpop::headers::{DPOP, DPOP_NONCE};
use countersign_dpop::time::{Clock, SystemClock};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use rmcp::ServiceExt;
use rmcp::model::{CallToolRequestParams, ClientConfig as McpClient};
use rmcp::transport::StreamableHttpClientTransport;
use zeroize::Zeroizing;

use super::Table;
use super::attacker::{Attacker, Got, PING, Said};
use super::cast::{self, Bound, CLOCK_OFF, Cast};
use crate::error::CommandError;

/// How long a person in the story takes at most.
const PATIENCE: Duration = Duration::from_secs(20);
const WRITE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write_ledger"}}"#;
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"demo","version":"1"}}}"#;

/// Plays everything.
pub(super) async fn play(mut cast: Cast, table: &mut Table) -> Result<(), CommandError> {
    let attacker = Attacker::new();
    without_agent(&cast, &attacker, table).await?;
    let reader = cast.bind("reader", "read", cast::reader()).await?;
    let writer = cast.bind("writer", "read write", cast::writer()).await?;
    with_agent(&cast, &reader, &writer, table).await?;
    let (token, captured) = theft(&cast, &attacker, &reader, table).await?;
    limits(&mut cast, &attacker, &reader, table).await?;
    clock(&mut cast, table).await?;
    ending(&mut cast, &attacker, &reader, captured.clone(), table).await?;
    let mut secrets = std::mem::take(&mut cast.canaries);
    secrets.push(token);
    secrets
        .extend(captured.values().filter_map(|value| value.to_str().ok()).map(|text| Zeroizing::new(text.to_owned())));
    for client in [&reader.client, &writer.client] {
        if let Ok(token) = client.token().await {
            secrets.push(Zeroizing::new(token.expose_secret().to_owned()));
        }
    }
    search(&cast, &secrets, table)?;
    cast.leave().await;
    Ok(())
}

async fn without_agent(cast: &Cast, attacker: &Attacker, table: &mut Table) -> Result<(), CommandError> {
    table.scene("A client without the agent");
    let refused = attacker.post(&format!("{}/mcp", cast.gateway), HeaderMap::new()).await?;
    table.row("without", "POST /mcp without credentials", "401 with a DPoP challenge", &refused.challenge());
    let metadata = attacker.get(&format!("{}/.well-known/oauth-protected-resource", cast.gateway)).await?;
    let found: serde_json::Value = serde_json::from_str(&metadata.body).unwrap_or_default();
    let bound = found["dpop_bound_access_tokens_required"].as_bool().unwrap_or_default();
    table.row("without", "the resource's metadata says that tokens have to be bound", "true", &bound.to_string());
    Ok(())
}

async fn with_agent(cast: &Cast, reader: &Bound, writer: &Bound, table: &mut Table) -> Result<(), CommandError> {
    table.scene("An unmodified MCP client, by the agent's socket");
    table.tell(&format!("its address is {}", reader.socket.display()));
    let listed = tools(&reader.socket).await;
    table.row("agent", "lists the tools", "read_ledger write_ledger", &listed);
    let read = call(&reader.socket, "read_ledger").await;
    table.row("agent", "calls read_ledger", "line 1", &read);
    let person = tokio::spawn(approve(Arc::clone(cast.agent.approvals())));
    let written = call(&writer.socket, "write_ledger").await;
    let shown = person.await.map_err(CommandError::internal)?;
    table.tell(&format!("a person was asked: {shown}"));
    table.row("agent", "calls write_ledger; a person approves", "line 2", &written);
    Ok(())
}

/// A person who says yes to what he is asked.
async fn approve(approvals: Arc<Approvals>) -> String {
    let mut watch = approvals.watch();
    loop {
        if let Some(ask) = approvals.waiting().into_iter().next() {
            let shown =
                format!("{} for {}, {} {}", ask.tool.clone().unwrap_or_default(), ask.binding, ask.method, ask.path);
            return match approvals.decide(ask.id, Decision::Once, &[]) {
                Ok(_) => shown,
                Err(fault) => fault.to_string(),
            };
        }
        if !matches!(tokio::time::timeout(PATIENCE, watch.changed()).await, Ok(Ok(()))) {
            return "nobody was asked".to_owned();
        }
    }
}

/// Token and a captured request come out of a debug log that should not have been written.
async fn theft(
    cast: &Cast,
    attacker: &Attacker,
    reader: &Bound,
    table: &mut Table,
) -> Result<(Zeroizing<String>, HeaderMap), CommandError> {
    table.scene("An attacker has the token and a captured request, everything but the key");
    let url = format!("{}/mcp", cast.gateway);
    let captured = signed(&reader.client, &url).await?;
    let token = reader.client.token().await.map_err(CommandError::internal)?;
    let token = Zeroizing::new(token.expose_secret().to_owned());
    let first = attacker.post(&url, captured.clone()).await?;
    table.row("theft", "the captured request, first use: the owner's own", "not refused", first.passed());
    let replayed = attacker.post(&url, captured.clone()).await?;
    table.row("theft", "the captured request once more", "401 invalid_dpop_proof", &replayed.verdict());
    let bearer = attacker.post(&url, one(AUTHORIZATION, &format!("Bearer {}", token.as_str()))?).await?;
    table.row("theft", "the stolen token as Bearer", "401 invalid_token", &bearer.verdict());
    let bare = attacker.post(&url, one(AUTHORIZATION, &format!("DPoP {}", token.as_str()))?).await?;
    table.row("theft", "the stolen token without a proof", "401 invalid_dpop_proof", &bare.verdict());
    let forged = forged(cast, attacker, &url, &token).await?;
    table.row(
        "theft",
        "the stolen token with a right proof by the attacker's key",
        "401 invalid_token",
        &forged.verdict(),
    );
    let elsewhere = signed(&reader.client, &format!("{url}/elsewhere")).await?;
    let moved = attacker.post(&url, elsewhere).await?;
    table.row("theft", "a proof for another path", "401 invalid_dpop_proof", &moved.verdict());
    Ok((token, captured))
}

/// A right proof for the stolen token by another key, with the nonce that the gateway asks for.
async fn forged(cast: &Cast, attacker: &Attacker, url: &str, token: &str) -> Result<Got, CommandError> {
    let maker = cast.stranger()?.proof_maker().clone();
    let mut nonce: Option<String> = None;
    loop {
        let request = ProofRequest { method: "POST", url, token: Some(token), nonce: nonce.as_deref() };
        let proof = maker.make(&request, SystemClock.now()).await.map_err(CommandError::internal)?;
        let mut headers = one(AUTHORIZATION, &format!("DPoP {token}"))?;
        headers.insert(DPOP, value(&proof)?);
        let got = attacker.post(url, headers).await?;
        let given = got.headers.get(DPOP_NONCE).and_then(|nonce| nonce.to_str().ok());
        match given {
            Some(given) if nonce.is_none() && got.verdict().contains("use_dpop_nonce") => {
                nonce = Some(given.to_owned());
            }
            _ => return Ok(got),
        }
    }
}

/// The reader's limits hold at the agent, and without it at the gateway.
async fn limits(cast: &mut Cast, attacker: &Attacker, reader: &Bound, table: &mut Table) -> Result<(), CommandError> {
    table.scene("The program with the reader's socket wants to write");
    let before = signatures(cast)?;
    let refused = call(&reader.socket, "write_ledger").await;
    table.row("limits", "calls write_ledger: the agent refuses", "A02", code_in(&refused));
    let signed_then = signatures_of_tool(cast, "write_ledger", "reader")?;
    table.row("limits", "and has signed nothing for it", "0", &signed_then.to_string());
    table.tell(&format!("{before} requests were signed so far, all of them written down"));
    let open = cast.bind("open", "read", Policy::default()).await?;
    let url = format!("{}/mcp", cast.gateway);
    let forced = honest(attacker, &open.client, &url, &Said::plainly(WRITE)).await?;
    table.row(
        "limits",
        "with the agent's policy off the gateway refuses the tool by scope",
        "403 insufficient_scope",
        &forced.verdict(),
    );
    let renamed = Said { field: Some(("mcp-name", "read_ledger".to_owned())), body: WRITE };
    let renamed = honest(attacker, &open.client, &url, &renamed).await?;
    table.row("limits", "and when Mcp-Name says read_ledger", "400", &renamed.verdict());
    let begun = honest(attacker, &reader.client, &url, &Said::plainly(INITIALIZE)).await?;
    let session = begun.headers.get("mcp-session-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    let taken = Said { field: Some(("mcp-session-id", session.to_owned())), body: PING };
    let taken = honest(attacker, &open.client, &url, &taken).await?;
    table.row("limits", "the reader's MCP session, with another key", "404", &taken.verdict());
    Ok(())
}

async fn clock(cast: &mut Cast, table: &mut Table) -> Result<(), CommandError> {
    table.scene("A machine whose clock is ten minutes ahead");
    let late = cast.bind("late", "read", cast::reader()).await?;
    let read = call(&late.socket, "read_ledger").await;
    table.row("clock", "calls read_ledger", "line 1, line 2", &read);
    let steps = late.steps.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let offset = steps.iter().find_map(|step| match step {
        Step::ClockCorrected { seconds, .. } => Some(*seconds),
        _ => None,
    });
    let near = offset.is_some_and(|offset| (offset + CLOCK_OFF).abs() <= 2);
    table.tell(&format!("the servers' clocks are {} s from its own", offset.unwrap_or_default()));
    table.row("clock", "it was refused, learned the difference, and dates proofs by it", "true", &near.to_string());
    Ok(())
}

async fn ending(
    cast: &mut Cast,
    attacker: &Attacker,
    reader: &Bound,
    captured: HeaderMap,
    table: &mut Table,
) -> Result<(), CommandError> {
    table.scene("The end");
    let began = Instant::now();
    let name = reader.running.binding.name().clone();
    cast.agent.revoke(&name).await.map_err(CommandError::internal)?;
    let refused = call(&reader.socket, "read_ledger").await;
    table.row("end", "after the revocation the reader is refused", "A06", code_in(&refused));
    let soon = began.elapsed() < Duration::from_secs(1);
    table.row("end", "within a second", "true", &soon.to_string());
    cast.restart_gateway().await?;
    let old = attacker.post(&format!("{}/mcp", cast.gateway), captured).await?;
    table.row("end", "the captured request after a restart of the gateway", "401 use_dpop_nonce", &old.verdict());
    Ok(())
}

fn search(cast: &Cast, secrets: &[Zeroizing<String>], table: &mut Table) -> Result<(), CommandError> {
    table.scene("Secrets in what was shown, written or answered");
    let journal = cast::text_of(&cast.journal)?;
    let head = verify(journal.as_bytes(), Some(&cast.agent.head().hash));
    table.row("search", "the journal is whole", "true", &head.is_ok().to_string());
    let decisions = cast.decisions.all();
    let places = [
        ("journal", journal),
        ("gateway's decisions", decisions),
        ("answers and transcript", table.transcript.clone()),
    ];
    let environment: Vec<String> = std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
    for (place, text) in places.into_iter().chain([("environment", environment.join("\n"))]) {
        let hits = secrets.iter().filter(|secret| text.contains(secret.as_str())).count();
        let what = format!("{} secrets in the {place}, {} bytes", secrets.len(), text.len());
        table.row("search", &what, "0", &hits.to_string());
    }
    Ok(())
}

/// What an MCP client sees when it lists the tools.
async fn tools(socket: &Path) -> String {
    let transport = StreamableHttpClientTransport::from_unix_socket(&socket.display().to_string(), "http://localhost/");
    let client = match McpClient::default().serve(transport).await {
        Ok(client) => client,
        Err(fault) => return format!("{fault:?}"),
    };
    let listed = client.list_all_tools().await;
    let _ = client.cancel().await;
    match listed {
        Ok(tools) => {
            let mut names: Vec<String> = tools.into_iter().map(|tool| tool.name.into_owned()).collect();
            names.sort();
            names.join(" ")
        }
        Err(fault) => format!("{fault:?}"),
    }
}

/// What an MCP client gets from a tool.
async fn call(socket: &Path, tool: &'static str) -> String {
    let transport = StreamableHttpClientTransport::from_unix_socket(&socket.display().to_string(), "http://localhost/");
    let client = match McpClient::default().serve(transport).await {
        Ok(client) => client,
        Err(fault) => return format!("{fault:?}"),
    };
    let called = tokio::time::timeout(PATIENCE, client.call_tool(CallToolRequestParams::new(tool))).await;
    let _ = client.cancel().await;
    match called {
        Ok(Ok(result)) => {
            let value = serde_json::to_value(&result).unwrap_or_default();
            value["content"][0]["text"].as_str().unwrap_or("no text").to_owned()
        }
        Ok(Err(fault)) => format!("{fault:?}"),
        Err(_) => "no answer".to_owned(),
    }
}

/// The code of the agent in what a client shows.
fn code_in(shown: &str) -> &str {
    ["A01", "A02", "A03", "A06", "C02"].into_iter().find(|code| shown.contains(code)).unwrap_or(shown)
}

/// Token and proof as the honest client would send them.
async fn signed(client: &Client, url: &str) -> Result<HeaderMap, CommandError> {
    let mut signing = client.signing(&Method::POST, url).map_err(CommandError::internal)?;
    let mut headers = HeaderMap::new();
    signing.attach(&mut headers).await.map_err(CommandError::internal)?;
    Ok(headers)
}

/// A request by a client as it should be: what is asked for it does, once.
async fn honest(attacker: &Attacker, client: &Client, url: &str, said: &Said) -> Result<Got, CommandError> {
    let mut signing = client.signing(&Method::POST, url).map_err(CommandError::internal)?;
    loop {
        let mut headers = HeaderMap::new();
        signing.attach(&mut headers).await.map_err(CommandError::internal)?;
        if let Some((name, text)) = &said.field {
            headers.insert(*name, value(text)?);
        }
        let got = attacker.say(url, headers, said.body).await?;
        let next = signing.learn(got.status, &got.headers, true).await.map_err(CommandError::internal)?;
        if next != Next::Again {
            return Ok(got);
        }
    }
}

fn signatures(cast: &Cast) -> Result<usize, CommandError> {
    let journal = cast::text_of(&cast.journal)?;
    Ok(journal.lines().filter(|line| line.contains(r#""event":"signed""#)).count())
}

fn signatures_of_tool(cast: &Cast, tool: &str, binding: &str) -> Result<usize, CommandError> {
    use countersign_agent::journal::Entry;
    let journal = cast::text_of(&cast.journal)?;
    let entries = journal.lines().filter_map(|line| serde_json::from_str::<Entry<'_>>(line).ok());
    let of_tool = |entry: &Entry<'_>| {
        entry.event == Event::Signed && entry.tool.as_deref() == Some(tool) && entry.binding.as_deref() == Some(binding)
    };
    Ok(entries.filter(of_tool).count())
}

fn one(name: HeaderName, text: &str) -> Result<HeaderMap, CommandError> {
    Ok(HeaderMap::from_iter([(name, value(text)?)]))
}

fn value(text: &str) -> Result<HeaderValue, CommandError> {
    HeaderValue::from_str(text).map_err(CommandError::internal)
}
