//! A person decides; until then nothing is signed.

use std::sync::Arc;
use std::time::Duration;

use countersign_agent::approval::{Approvals, Ask, Decision, Subject};
use countersign_agent::journal::Event;
use countersign_agent::policy::ApprovalMode;
use countersign_agent::{AgentSettings, Policy};

use crate::http::{Said, get, post, unix};
use crate::world::World;

fn policy(approval: ApprovalMode) -> Policy {
    Policy { approval, read_only_tools: vec!["read_ledger".to_owned()], ..Policy::default() }
}

fn call(tool: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{{"to":"canary-argument"}}}}}}"#
    )
}

/// Waits until something waits, and decides.
async fn decide(approvals: &Arc<Approvals>, decision: Decision) -> Ask {
    let mut watch = approvals.watch();
    loop {
        if let Some(ask) = approvals.waiting().into_iter().next() {
            return approvals.decide(ask.id, decision, &[]).expect("it waits");
        }
        tokio::time::timeout(Duration::from_mins(2), watch.changed()).await.expect("in time").expect("a change");
    }
}

#[tokio::test]
async fn a_write_waits_for_a_person_who_sees_what_he_decides() {
    let world = World::start().await;
    let agent = world.agent(AgentSettings::default());
    let (_running, socket) = world.socket(&agent, "/mcp", policy(ApprovalMode::PerWrite)).await;
    let read = unix(&socket, &post("/", "", &call("read_ledger"))).await;
    assert_eq!(read.status, 200, "a read waits for nobody: {read:?}");

    let body = post("/", "Countersign-Reason: month end \u{1b}[2J\r\n", &call("write_ledger"));
    let body = body.replace('\u{1b}', "");
    let asking = tokio::spawn(async move { unix(&socket, &body).await });
    let ask = decide(agent.approvals(), Decision::Once).await;
    let said: Said = asking.await.expect("answered");
    assert_eq!(said.status, 200, "{said:?}");

    assert_eq!((ask.binding.as_str(), ask.tool.as_deref()), ("reader", Some("write_ledger")));
    assert_eq!((ask.method.as_str(), ask.path.as_str()), ("POST", "/mcp"));
    assert_eq!((ask.scope.as_deref(), ask.reason.as_deref()), (Some("read write"), Some("month end [2J")));
    assert_eq!(ask.resource, format!("{}/mcp", world.gateway));
    assert_eq!(ask.lapses_at - ask.asked_at, 60);
    let own = i32::try_from(std::process::id()).expect("a pid");
    assert_eq!(ask.process.first().map(|process| process.pid), Some(own), "{ask:?}");
    assert!(ask.arguments.is_some() && !format!("{ask:?}").contains("canary"), "a digest, no value");
    let journal = std::fs::read_to_string(world.path("journal.jsonl")).expect("a journal");
    assert!(!journal.contains("canary"), "{journal}");
    assert_eq!((world.count(Event::Asked), world.count(Event::Signed)), (1, 2));
}

#[tokio::test]
async fn silence_refuses() {
    let world = World::start().await;
    let settings = AgentSettings { approval_wait: Duration::from_millis(300), ..AgentSettings::default() };
    let agent = world.agent(settings);
    let (_running, socket) = world.socket(&agent, "/mcp", policy(ApprovalMode::PerCall)).await;
    let said = unix(&socket, &get("/", "")).await;
    assert_eq!((said.status, said.code().as_str()), (403, "A03"), "{said:?}");
    assert!(said.body.contains("nobody answered in time"), "{said:?}");
    assert_eq!((world.count(Event::Signed), world.count(Event::Lapsed)), (0, 1));
    assert!(agent.approvals().waiting().is_empty());
}

#[tokio::test]
async fn no_refuses() {
    let world = World::start().await;
    let agent = world.agent(AgentSettings::default());
    let (_running, socket) = world.socket(&agent, "/mcp", policy(ApprovalMode::PerCall)).await;
    let asking = tokio::spawn(async move { unix(&socket, &get("/", "")).await });
    decide(agent.approvals(), Decision::Deny).await;
    let said = asking.await.expect("answered");
    assert_eq!((said.status, said.code().as_str()), (403, "A03"), "{said:?}");
    assert!(said.body.contains("a person said no"), "{said:?}");
    assert_eq!(world.count(Event::Signed), 0);
    assert!(agent.approvals().waiting().is_empty());
}

#[tokio::test]
async fn once_for_a_tool_is_good_for_that_tool() {
    let world = World::start().await;
    let agent = world.agent(AgentSettings::default());
    let (_running, socket) = world.socket(&agent, "/mcp", policy(ApprovalMode::PerTool)).await;
    let path = socket.clone();
    let asking = tokio::spawn(async move { unix(&path, &post("/", "", &call("read_ledger"))).await });
    let ask = decide(agent.approvals(), Decision::Once).await;
    assert_eq!(ask.subject, Subject::Tool { binding: "reader".to_owned(), tool: "read_ledger".to_owned() });
    assert_eq!(asking.await.expect("answered").status, 200);
    assert_eq!(unix(&socket, &post("/", "", &call("read_ledger"))).await.status, 200, "asked once");
    let listing = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(unix(&socket, &post("/", "", listing)).await.status, 200, "no tool, no question");
    let path = socket.clone();
    let asking = tokio::spawn(async move { unix(&path, &post("/", "", &call("write_ledger"))).await });
    decide(agent.approvals(), Decision::Deny).await;
    assert_eq!(asking.await.expect("answered").status, 403);
    // The lock forgets.
    agent.lock(None).expect("locks");
    agent.unlock(None).expect("unlocks");
    let asking = tokio::spawn(async move { unix(&socket, &post("/", "", &call("read_ledger"))).await });
    decide(agent.approvals(), Decision::Deny).await;
    assert_eq!(asking.await.expect("answered").status, 403);
}

#[tokio::test]
async fn a_program_that_goes_away_asks_nobody_any_more() {
    let world = World::start().await;
    let agent = world.agent(AgentSettings::default());
    let (_running, socket) = world.socket(&agent, "/mcp", policy(ApprovalMode::FirstUse)).await;
    let asking = tokio::spawn(async move { unix(&socket, &get("/", "")).await });
    let mut watch = agent.approvals().watch();
    while agent.approvals().waiting().is_empty() {
        watch.changed().await.expect("a change");
    }
    asking.abort();
    while !agent.approvals().waiting().is_empty() {
        tokio::time::timeout(Duration::from_mins(2), watch.changed()).await.expect("in time").expect("a change");
    }
    assert_eq!(world.count(Event::Signed), 0);
}

#[tokio::test]
async fn a_command_tells_the_person_what_waits() {
    let world = World::start().await;
    let told = world.path("told");
    assert!(std::process::Command::new("mkfifo").arg(&told).status().expect("mkfifo").success());
    let tell = format!("printf %s \"$0\" > '{}'", told.display());
    let notify = ["sh", "-c", &tell, "{text}"].map(str::to_owned).to_vec();
    let agent = world.agent(AgentSettings { notify, ..AgentSettings::default() });
    let (_running, socket) = world.socket(&agent, "/mcp", policy(ApprovalMode::PerWrite)).await;
    let body = post("/", "Countersign-Reason: $(touch owned); month end\r\n", &call("write_ledger"));
    let asking = tokio::spawn(async move { unix(&socket, &body).await });
    let reading = tokio::task::spawn_blocking(move || std::fs::read_to_string(told));
    let text = reading.await.expect("read").expect("told");
    let resource = format!("{}/mcp", world.gateway);
    assert_eq!(text, format!("reader asks for write_ledger at {resource} (countersign agent approve 1)"));
    decide(agent.approvals(), Decision::Deny).await;
    assert_eq!(asking.await.expect("answered").status, 403);
}
