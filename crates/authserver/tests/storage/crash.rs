//! A process that writes to a storage and is killed again and again, with SIGKILL, in the middle of it: nothing that
//! it was told is written is lost, nothing is accepted twice, and the next process begins by itself.
//!
//! `COUNTERSIGN_KILLS=200` kills so often; a few times by default, for the wait.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use countersign_authserver::storage::{
    AssertionEntry, AssertionKey, Change, Entry, EntryContent, EntryId, EntryKind, PostgresAddress, SingleUse,
    SqlStorage, Storage, Verdict,
};
use countersign_dpop::jose::Jkt;
use countersign_dpop::replay::{RealmId, ReplayEntry, ReplayKey};
use countersign_dpop::time::{NumericDate, Timestamp, Window};
use countersign_testkit::service::postgres::{Durability, Postgres};
use countersign_testkit::storage_contract::{NOW, at};
use libtest_mimic::Failed;

/// The first argument of a process that is to be killed; then follows where it writes.
pub(crate) const VICTIM: &str = "--victim";
/// How many chains a victim writes to at a time: as many are committed together.
const CHAINS: u64 = 24;

fn kills() -> usize {
    let wanted = std::env::var_os("COUNTERSIGN_KILLS").and_then(|kills| kills.into_string().ok()?.parse().ok());
    wanted.unwrap_or(6)
}

pub(crate) fn on_sqlite() -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    kill_again_and_again(&directory.path().display().to_string(), |_| Ok(()))
}

/// The server itself crashes now and then, too.
pub(crate) fn on_postgres() -> Result<(), Failed> {
    let mut postgres = Postgres::start(Durability::Memory)?;
    let url = postgres.make_database()?;
    kill_again_and_again(&url, |life| {
        if life % 5 == 4 {
            postgres.crash();
            postgres.resume()?;
        }
        Ok(())
    })
}

/// Chains are rotated one step after the other; each step also records a proof and an assertion of its own.
fn kill_again_and_again(place: &str, mut meanwhile: impl FnMut(usize) -> Result<(), Failed>) -> Result<(), Failed> {
    let mut acknowledged: BTreeMap<u64, u64> = BTreeMap::new();
    for life in 0..kills() {
        let mut victim = Victim::start(place)?;
        // Sooner, later, in the middle of whatever it is doing.
        let until = 1 + (life * 37) % 150;
        let mut steps = 0;
        while steps < until {
            steps += usize::from(victim.hear(&mut acknowledged)?);
        }
        victim.process.kill()?;
        victim.process.wait()?;
        // What it had said before it died was said.
        while victim.hear(&mut acknowledged).unwrap_or(false) {}
        meanwhile(life)?;
    }
    let mut last = Victim::start(place)?;
    for _ in 0..CHAINS {
        last.hear(&mut acknowledged)?;
    }
    last.process.kill()?;
    last.process.wait()?;
    Ok(())
}

struct Victim {
    process: Child,
    says: BufReader<ChildStdout>,
}

impl Victim {
    fn start(place: &str) -> Result<Self, Failed> {
        let program = std::env::current_exe()?;
        let mut process = Command::new(program).args([VICTIM, place]).stdout(Stdio::piped()).spawn()?;
        let says = process.stdout.take().ok_or("a victim says nothing")?;
        Ok(Self { process, says: BufReader::new(says) })
    }

    /// Takes one line to heart; true when it says that a step was written.
    fn hear(&mut self, acknowledged: &mut BTreeMap<u64, u64>) -> Result<bool, Failed> {
        let mut line = String::new();
        self.says.read_line(&mut line)?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let [what, chain, step] = words.as_slice() else { return Err(format!("the victim said {line:?}").into()) };
        let (chain, step): (u64, u64) = (chain.parse()?, step.parse()?);
        let known = acknowledged.get(&chain).copied().unwrap_or_default();
        match *what {
            // One step may have been written whose answer nobody heard.
            "found" if step == known || step == known + 1 => {}
            "wrote" if step > known => {}
            _ => return Err(format!("{line:?}, but step {known} of the chain was acknowledged").into()),
        }
        acknowledged.insert(chain, step);
        Ok(*what == "wrote")
    }
}

/// What the process that is killed does.
pub(crate) fn be_victim(place: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let storage: Arc<dyn Storage> = if place.starts_with("postgres://") {
            let address = PostgresAddress::parse(&place.to_owned().into()).unwrap();
            Arc::new(SqlStorage::open_postgres(&address, Window::RFC, at(NOW)).await.unwrap())
        } else {
            Arc::new(SqlStorage::open_sqlite(place.as_ref(), Window::RFC, at(NOW)).await.unwrap())
        };
        let chains: Vec<_> = (0..CHAINS).map(|chain| tokio::spawn(write_chain(storage.clone(), chain))).collect();
        for chain in chains {
            chain.await.unwrap();
        }
    });
}

async fn write_chain(storage: Arc<dyn Storage>, chain: u64) {
    let id = EntryId::of(&format!("chain {chain}"));
    let mut head = storage.find(EntryKind::Code, id).await.unwrap();
    let found = head.as_ref().map_or(0, step_of);
    if found > 0 {
        // What was accepted in an earlier life is never accepted again, in whatever company.
        let once = once(chain, found);
        for (once, verdict) in [
            (SingleUse { assertion: None, ..once }, Verdict::ProofReplayed),
            (SingleUse { proof: None, ..once }, Verdict::AssertionReplayed),
        ] {
            assert_eq!(storage.commit(&once, &[], at(NOW)).await.unwrap(), verdict, "chain {chain}, step {found}");
        }
    }
    say("found", chain, found);
    for step in found + 1.. {
        let content = EntryContent { owner: None, not_after: Timestamp::MAX, body: step.to_string() };
        let change = match &head {
            None => Change::Add(EntryKind::Code, id, content),
            Some(head) => Change::Replace(head.at, content),
        };
        assert_eq!(storage.commit(&once(chain, step), &[change], at(NOW)).await.unwrap(), Verdict::First);
        say("wrote", chain, step);
        head = storage.find(EntryKind::Code, id).await.unwrap();
        assert_eq!(head.as_ref().map(step_of), Some(step));
    }
}

fn step_of(entry: &Entry) -> u64 {
    entry.content.body.parse().unwrap()
}

fn once(chain: u64, step: u64) -> SingleUse {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&chain.to_be_bytes());
    bytes[8..16].copy_from_slice(&step.to_be_bytes());
    SingleUse {
        proof: Some(ReplayEntry {
            key: ReplayKey::new(&RealmId::of("https://issuer.example"), &Jkt::from_bytes(bytes), "jti"),
            // Past the floor of the first epoch.
            iat: NumericDate::from_seconds(NOW + 100),
            not_after: at(NOW + 160),
            nonce_epoch: None,
            quota: None,
        }),
        assertion: Some(AssertionEntry { key: AssertionKey::from_bytes(bytes), not_after: at(NOW + 160) }),
    }
}

/// In one write, so that a line is said whole or not at all.
fn say(what: &str, chain: u64, step: u64) {
    let line = format!("{what} {chain} {step}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
    std::io::stdout().lock().flush().unwrap();
}
