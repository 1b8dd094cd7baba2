//! Nothing that a program could read holds a secret.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use countersign_agent::journal::Event;
use countersign_agent::{AgentSettings, Policy};

use crate::http::{get, unix};
use crate::world::{CLIENT_SECRET, World};

/// Everything that is logged, at the most talkative level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn logs_journal_answers_and_debug_texts_hold_no_secret() {
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone());
    let _ = lines.try_init();
    let world = World::start().await;
    let agent = world.agent(AgentSettings::default());
    let settings = world.settings("mirror", &world.mirror, Policy::default());
    let client = settings.client.clone();
    let shown = format!("{settings:?}");
    let running = agent.open(settings).await.expect("a binding");
    let socket = running.socket.clone().expect("a socket");
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(unix(&socket, &get("/x", "")).await);
    }
    let answers = format!("{answers:?}");
    let token = client.token().await.expect("a token").expose_secret().to_owned();
    let mut secrets = vec![token, CLIENT_SECRET.to_owned(), "canary-nonce-0123456789abcdef".to_owned()];
    for seen in world.seen.lock().expect("not poisoned").iter() {
        secrets.push(seen.headers["dpop"].to_str().expect("text").to_owned());
    }
    assert_eq!(secrets.len(), 6);
    agent.head();
    let journal = std::fs::read_to_string(world.path("journal.jsonl")).expect("a journal");
    let debug = format!("{shown}{running:?}{agent:?}{client:?}");
    let log = String::from_utf8_lossy(&log.0.lock().expect("not poisoned")).into_owned();
    assert!(!log.is_empty(), "the log is searched");
    for (place, text) in [("journal", &journal), ("answers", &answers), ("debug", &debug), ("log", &log)] {
        for secret in &secrets {
            let parts = [secret.as_str(), &secret[secret.len() - 20..]];
            assert!(!parts.iter().any(|part| text.contains(part)), "a secret in the {place}");
        }
    }
}

#[tokio::test]
async fn sockets_are_for_their_owner_only() {
    let world = World::start().await;
    let agent = world.agent(AgentSettings::default());
    let (_running, socket) = world.socket(&agent, "", Policy::default()).await;
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(socket.parent().expect("a directory")), mode(&socket)), (0o700, 0o600));
    let open = world.path("open");
    std::fs::create_dir(&open).expect("made");
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o755)).expect("set");
    let mut settings = world.settings("other", &world.gateway, Policy::default());
    settings.listen = countersign_agent::Listen::Socket(open.join("x.sock"));
    let fault = agent.open(settings).await.expect_err("others could reach it");
    assert!(fault.to_string().contains("is not for its owner only"), "{fault}");
}

/// Only root can become somebody else: for others the directory's mode is all there is to see.
#[tokio::test]
async fn another_user_is_refused() {
    if rustix::process::getuid().as_raw() != 0 {
        return;
    }
    let world = World::start().await;
    let agent = world.agent(AgentSettings::default());
    let (_running, socket) = world.socket(&agent, "", Policy::default()).await;
    // As if somebody had opened directory and socket afterwards.
    for path in [world.directory.path(), socket.parent().expect("a directory"), &socket] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).expect("set");
    }
    let asked = tokio::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "curl", "-sS", "--max-time", "10", "--unix-socket"])
        .arg(&socket)
        .arg("http://localhost/x")
        .output()
        .await
        .expect("setpriv");
    assert!(!asked.status.success() && asked.stdout.is_empty(), "{asked:?}");
    let refused = world.journal().into_iter().find(|entry| entry.event == Event::Refused).expect("a line");
    assert_eq!((refused.uid, refused.code.as_deref()), (Some(65_534), Some("A01")));
    assert_eq!(world.count(Event::Signed), 0);
}
