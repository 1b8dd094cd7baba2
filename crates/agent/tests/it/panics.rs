//! A panic in the middle of a request, while key, token, proof and nonce are at hand: it prints none of them, and the
//! agent goes on.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use countersign_agent::journal::{self, Journal};
use countersign_agent::{Agent, AgentSettings, Policy};
use countersign_client::Step;
use countersign_client::keys::{KeyName, KeyStore, MemoryKeyStore};
use countersign_dpop::jose::{Algorithm, SoftwareKey, encode_base64url};
use countersign_dpop::time::{Clock, SystemClock, Timestamp};

use crate::http::{get, unix};
use crate::world::{CLIENT_SECRET, World};

/// The variable that tells the inner process where to write what nobody may find.
const TOLD: &str = "COUNTERSIGN_TEST_SECRETS";

/// Panics where somebody asks for the time, when it is told to.
#[derive(Debug)]
struct PanickyClock(AtomicI64);

impl Clock for PanickyClock {
    fn now(&self) -> Timestamp {
        // Counts down; what is below zero already goes on doing so and hits nothing.
        assert!(self.0.fetch_sub(1, Ordering::SeqCst) != 1, "a clock that broke");
        SystemClock.now()
    }
}

#[test]
fn a_panic_prints_nothing_secret_and_the_agent_goes_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let told = directory.path().join("secrets");
    let inner = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "panics::inside_a_process_of_its_own", "--ignored", "--nocapture"])
        .env(TOLD, &told)
        .env("RUST_BACKTRACE", "full")
        .output()
        .expect("it runs");
    let printed = format!("{}{}", String::from_utf8_lossy(&inner.stdout), String::from_utf8_lossy(&inner.stderr));
    assert!(inner.status.success(), "{printed}");
    // As often as one request asks for the time.
    assert!(printed.matches("a clock that broke").count() >= 4, "{printed}");
    assert!(printed.matches("an observer that broke").count() >= 2, "{printed}");
    assert!(printed.contains("stack backtrace:") && printed.contains("::door::Door"), "{printed}");
    let secrets = std::fs::read_to_string(&told).expect("they were told");
    assert!(secrets.lines().count() > 8, "{}", secrets.lines().count());
    for secret in secrets.lines() {
        let parts = [secret, &secret[..secret.len().min(24)], &secret[secret.len().saturating_sub(20)..]];
        // All proofs begin alike, so that their beginning says nothing.
        let searched = if secret.starts_with("eyJ0eXAiOiJkcG9wK2p3dC") { &parts[2..] } else { &parts[..] };
        assert!(!searched.iter().any(|part| printed.contains(part)), "a secret was printed");
    }
}

#[ignore = "the test beside it runs this in a process of its own and looks at all that it prints"]
#[tokio::test]
async fn inside_a_process_of_its_own() {
    let Some(told) = std::env::var_os(TOLD).map(PathBuf::from) else { panic!("run the test beside it") };
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(std::io::stderr).init();
    let world = World::start().await;
    let clock = Arc::new(PanickyClock(AtomicI64::new(-1)));
    let breaks = Arc::new(AtomicBool::new(false));
    let key = SoftwareKey::generate(Algorithm::Es256).expect("a key");
    let mut secrets = secrets_of(&key);
    let client = {
        let keys = MemoryKeyStore::new(clock.clone());
        keys.import(&KeyName::parse("dpop").expect("a name"), key).expect("imported");
        let breaks = Arc::clone(&breaks);
        world.client_at(&world.mirror, &keys, clock.clone()).with_observer(move |step| {
            let breaks = matches!(step, Step::Sent { .. } | Step::Answered { .. }) && breaks.load(Ordering::SeqCst);
            assert!(!breaks, "an observer that broke");
        })
    };
    let journal = Journal::open(&world.path("journal.jsonl"), clock.clone()).expect("a journal");
    let agent = Agent::new(AgentSettings::default(), journal, clock.clone()).expect("an agent");
    let mut settings = world.settings("mirror", &world.mirror, Policy::default());
    settings.client = client.clone();
    let running = agent.open(settings).await.expect("a binding");
    let socket = running.socket.clone().expect("a socket");
    let ask = async || unix(&socket, &get("/x", "")).await.status;
    // From the second on there is a nonce of the resource's in the proof.
    assert_eq!((ask().await, ask().await), (200, 200));

    for call in 1..100 {
        clock.0.store(call, Ordering::SeqCst);
        let status = ask().await;
        clock.0.store(-1, Ordering::SeqCst);
        assert_eq!(ask().await, 200, "it goes on after a panic at call {call}");
        if status == 200 {
            break;
        }
        assert_eq!(status, 0, "the connection ends at call {call}");
    }
    for _ in 0..2 {
        breaks.store(true, Ordering::SeqCst);
        assert_eq!(ask().await, 0, "the connection ends");
        breaks.store(false, Ordering::SeqCst);
        assert_eq!(ask().await, 200);
    }
    agent.stop().await;
    let text = std::fs::read(world.path("journal.jsonl")).expect("a journal");
    assert_eq!(journal::verify(text.as_slice(), None).expect("whole"), agent.head());

    secrets.push(client.token().await.expect("a token").expose_secret().to_owned());
    secrets.extend([CLIENT_SECRET.to_owned(), "canary-nonce-0123456789abcdef".to_owned()]);
    for seen in world.seen.lock().expect("not poisoned").iter() {
        secrets.push(seen.headers["dpop"].to_str().expect("text").to_owned());
    }
    std::fs::write(told, secrets.join("\n")).expect("told");
}

/// The private key in the forms in which it could be printed.
fn secrets_of(key: &SoftwareKey) -> Vec<String> {
    let der = key.to_pkcs8().expect("a form that can be kept");
    // RFC 5915: the number is an OCTET STRING of 32 bytes.
    let at = der.windows(2).position(|two| two == [0x04, 0x20]).expect("a number") + 2;
    let number = &der[at..at + 32];
    let bytes: Vec<String> = number.iter().map(u8::to_string).collect();
    let hex: Vec<String> = number.iter().map(|byte| format!("{byte:02x}")).collect();
    vec![encode_base64url(number), hex.concat(), bytes.join(", "), encode_base64url(der.as_slice())]
}
