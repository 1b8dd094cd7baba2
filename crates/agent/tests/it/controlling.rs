//! The control socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use countersign_agent::approval::Decision;
use countersign_agent::control::{ControlClient, ControlError, Leak};
use countersign_agent::journal::{self, Event, Journal};
use countersign_agent::policy::ApprovalMode;
use countersign_agent::{Agent, AgentSettings, Policy};
use countersign_testkit::FakeClock;
use zeroize::Zeroizing;

use crate::http::{get, unix};
use crate::world::World;

async fn controlled(world: &World, policy: Policy) -> (Agent, ControlClient, std::path::PathBuf) {
    let agent = world.agent(AgentSettings::default());
    let (_, socket) = world.socket(&agent, "", policy).await;
    let control = world.path("run/control.sock");
    agent.open_control(&control).await.expect("a control socket");
    (agent, ControlClient::new(&control), socket)
}

#[tokio::test]
async fn status_shows_bindings_and_nothing_secret() {
    let world = World::start().await;
    let (agent, control, socket) = controlled(&world, Policy::default()).await;
    assert_eq!(unix(&socket, &get("/x", "")).await.status, 200);
    let status = control.status().await.expect("a status");
    let [binding] = status.bindings.as_slice() else { panic!("{status:?}") };
    assert_eq!((binding.name.as_str(), binding.approval.as_str()), ("reader", "never"));
    assert_eq!((binding.socket.as_deref(), status.locked), (Some(socket.as_path()), false));
    assert_eq!(status.journal_head, agent.head().hash);
    let journal = std::fs::File::open(world.path("journal.jsonl")).expect("a journal");
    let head = journal::verify(std::io::BufReader::new(journal), Some(&status.journal_head)).expect("whole");
    assert_eq!(head.lines, status.journal_lines);
}

#[tokio::test]
async fn the_asking_process_cannot_approve_itself() {
    let world = World::start().await;
    let (agent, control, socket) =
        controlled(&world, Policy { approval: ApprovalMode::PerCall, ..Policy::default() }).await;
    let asking = tokio::spawn(async move { unix(&socket, &get("/x", "")).await });
    let mut seen = control.waiting(None).await.expect("a list");
    while seen.waiting.is_empty() {
        seen = control.waiting(Some(seen.version)).await.expect("a list");
    }
    let id = seen.waiting[0].id;
    // Request and approval both come from this process.
    let fault = control.decide(id, Decision::Once).await.expect_err("its own");
    assert!(matches!(&fault, ControlError::Refused { status: 403, error } if error.contains("cannot approve itself")));
    control.decide(id, Decision::Deny).await.expect("to say no is its right");
    assert_eq!(asking.await.expect("answered").status, 403);
    let unknown = control.decide(id, Decision::Once).await.expect_err("gone");
    assert!(matches!(unknown, ControlError::Refused { status: 404, .. }));
    assert_eq!((world.count(Event::Denied), world.count(Event::Approved), world.count(Event::Signed)), (1, 0, 0));
    agent.stop().await;
    assert!(matches!(control.status().await, Err(ControlError::NoAgent { .. })));
}

#[tokio::test]
async fn lock_and_unlock_by_password() {
    let world = World::start().await;
    let (_agent, control, socket) = controlled(&world, Policy::default()).await;
    let password = |text: &str| Some(Zeroizing::new(text.to_owned()));
    control.lock(password("canary-password")).await.expect("locks");
    assert_eq!(unix(&socket, &get("/x", "")).await.status, 423);
    assert!(control.status().await.expect("a status").locked);
    assert!(matches!(control.unlock(None).await, Err(ControlError::Refused { status: 403, .. })));
    assert!(matches!(control.unlock(password("wrong")).await, Err(ControlError::Refused { status: 403, .. })));
    assert!(matches!(control.unlock(password("wrong")).await, Err(ControlError::Refused { status: 429, .. })));
    assert_eq!(world.count(Event::Unlocked), 0);
    let journal = std::fs::read_to_string(world.path("journal.jsonl")).expect("a journal");
    assert!(!journal.contains("canary"));
}

#[tokio::test]
async fn revoked_is_over_for_good() {
    let world = World::start().await;
    let (agent, control, socket) = controlled(&world, Policy::default()).await;
    let revoked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&revoked);
    agent.on_revoke(Box::new(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(Err("the issuer does not answer".to_owned())))
    }));
    assert_eq!(unix(&socket, &get("/x", "")).await.status, 200);
    let told = control.revoke(None).await.expect("revokes");
    assert_eq!(told[0].fault.as_deref(), Some("the issuer does not answer"));
    assert_eq!(revoked.load(Ordering::SeqCst), 1);
    let said = unix(&socket, &get("/x", "")).await;
    assert_eq!((said.status, said.code().as_str()), (410, "A06"), "{said:?}");
    assert!(control.status().await.expect("a status").bindings[0].revoked);
    let unknown = control.revoke(Some("nobody".to_owned())).await;
    assert!(matches!(unknown, Err(ControlError::Refused { status: 404, .. })));
    assert_eq!(world.count(Event::Revoked), 1);
}

#[tokio::test]
async fn a_leak_is_written_down() {
    let world = World::start().await;
    let (_agent, control, _socket) = controlled(&world, Policy::default()).await;
    let leak = Leak { binding: "reader".to_owned(), note: "a token in the output of\u{1b}[2J cat".to_owned() };
    control.leaked(&leak).await.expect("written");
    let line = world.journal().into_iter().find(|entry| entry.event == Event::Leaked).expect("a line");
    assert_eq!(line.note.as_deref(), Some("a token in the output of?[2J cat"));
}

#[tokio::test]
async fn an_idle_agent_locks_itself_and_a_binding_ends_in_time() {
    let (world, clock) = (World::start().await, FakeClock::default());
    let journal = Journal::open(&world.path("journal.jsonl"), clock.shared()).expect("a journal");
    let settings = AgentSettings { idle_lock: Some(60), ..AgentSettings::default() };
    let agent = Agent::new(settings, journal, clock.shared()).expect("an agent");
    let mut settings = world.settings("reader", &world.gateway, Policy::default());
    settings.lifetime = Some(300);
    let socket = agent.open(settings).await.expect("a binding").socket.expect("a socket");
    let ask = async || unix(&socket, &get("/x", "")).await.status;
    assert_eq!(ask().await, 200);
    clock.advance(60);
    assert_eq!(ask().await, 200, "not idle yet");
    clock.advance(61);
    assert_eq!((ask().await, agent.is_locked(), world.count(Event::Locked)), (423, true, 1));
    agent.unlock(None).expect("unlocks");
    let mut statuses = Vec::new();
    for _ in 0..6 {
        clock.advance(30);
        statuses.push(ask().await);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 200, 410], "299 s are in time, 301 s are not");
}
