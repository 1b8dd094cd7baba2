//! What is not recorded is not signed.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use countersign_agent::journal::{Event, Journal, Medium, verify};
use countersign_agent::{Agent, AgentSettings, Policy};
use countersign_dpop::time::SystemClock;

use crate::http::{get, unix};
use crate::world::World;

/// A disk that can be full.
struct Disk(Arc<AtomicBool>);

impl Medium for Disk {
    fn append(&mut self, _: &[u8]) -> io::Result<()> {
        if self.0.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn cut(&mut self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn nothing_is_signed_while_the_disk_is_full() {
    let world = World::start().await;
    let full = Arc::new(AtomicBool::new(false));
    let journal = Journal::new(Box::new(Disk(Arc::clone(&full))), Arc::new(SystemClock));
    let agent = Agent::new(AgentSettings::default(), journal, Arc::new(SystemClock)).expect("an agent");
    let settings = world.settings("mirror", &world.mirror, Policy::default());
    let socket = agent.open(settings).await.expect("a binding").socket.expect("a socket");
    assert_eq!(unix(&socket, &get("/x", "")).await.status, 200);
    full.store(true, Ordering::SeqCst);
    let said = unix(&socket, &get("/x", "")).await;
    assert_eq!((said.status, said.code().as_str()), (503, "A07"), "{said:?}");
    assert_eq!(world.seen.lock().expect("not poisoned").len(), 1, "the resource saw nothing of it");
    full.store(false, Ordering::SeqCst);
    assert_eq!(unix(&socket, &get("/x", "")).await.status, 200, "and it heals by itself");
}

#[tokio::test]
async fn a_journal_goes_on_where_the_last_run_ended() {
    let world = World::start().await;
    for run in 1..=2 {
        let agent = world.agent(AgentSettings::default());
        let (_running, socket) = world.socket(&agent, "", Policy::default()).await;
        assert_eq!(unix(&socket, &get("/x", "")).await.status, 200);
        agent.stop().await;
        assert_eq!(world.count(Event::Signed), run);
        drop(agent);
    }
    let text = std::fs::read(world.path("journal.jsonl")).expect("a journal");
    verify(text.as_slice(), None).expect("whole");
}
