//! The directory of an agent: its journal, its control socket; and what ends with a binding.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use countersign_agent::journal::{Journal, JournalError};
use countersign_agent::{Agent, AgentSettings, Running};
use countersign_client::Client;
use countersign_dpop::time::SystemClock;

use super::identity::Identity;
use crate::error::CommandError;
use crate::keys;

/// How many agents of one name may run at a time.
const MAX_INSTANCES: u32 = 64;

/// An agent and the directory that is its own.
pub(crate) struct Home {
    pub(crate) agent: Agent,
    pub(crate) directory: PathBuf,
    identities: OnceLock<Arc<Vec<Identity>>>,
}

impl Home {
    /// Opens an agent in `given`, or in the first directory of its name that no other agent uses, with its control
    /// socket.
    pub(crate) async fn open(given: Option<&Path>, name: &str, settings: AgentSettings) -> Result<Self, CommandError> {
        if let Some(directory) = given {
            let journal = journal(directory)?.map_err(CommandError::configuration)?;
            return Self::with(journal, directory, settings).await;
        }
        let base = base_directory()?;
        for number in 1..=MAX_INSTANCES {
            let directory = base.join(if number == 1 { name.to_owned() } else { format!("{name}-{number}") });
            match journal(&directory)? {
                Ok(journal) => return Self::with(journal, &directory, settings).await,
                Err(JournalError::InUse) => {}
                Err(fault) => return Err(broken(&directory, &fault)),
            }
        }
        Err(CommandError::configuration(format!("{MAX_INSTANCES} agents of this name run already")))
    }

    async fn with(journal: Journal, directory: &Path, settings: AgentSettings) -> Result<Self, CommandError> {
        let agent = Agent::new(settings, journal, Arc::new(SystemClock)).map_err(CommandError::configuration)?;
        agent.open_control(&directory.join(CONTROL)).await.map_err(CommandError::configuration)?;
        Ok(Self { agent, directory: directory.to_owned(), identities: OnceLock::new() })
    }

    /// What is dropped with a binding: its session at the issuer, and its key.
    pub(crate) fn revoke_with(&self, identities: Vec<Identity>) {
        let identities = Arc::new(identities);
        let _ = self.identities.set(Arc::clone(&identities));
        self.agent.on_revoke(Box::new(move |binding| {
            let identities = Arc::clone(&identities);
            Box::pin(async move {
                let own = identities.iter().find(|identity| identity.client.jkt() == binding.jkt());
                let own = own.ok_or_else(|| "nobody knows its key".to_owned())?;
                let told = own.client.log_out().await.map_err(|fault| fault.to_string());
                own.keys.delete(&own.key).map_err(|fault| fault.to_string())?;
                let refused = || "the issuer takes no revocations: its tokens are good until they end".to_owned();
                told?.then_some(()).ok_or_else(refused)
            })
        }));
    }

    /// The client of a binding.
    pub(crate) fn client(&self, running: &Running) -> Option<&Client> {
        let identities = self.identities.get()?.iter();
        identities.map(|identity| &identity.client).find(|client| client.jkt() == running.binding.jkt())
    }
}

/// The name of the control socket.
pub(crate) const CONTROL: &str = "control.sock";
/// The name of the journal.
pub(crate) const JOURNAL: &str = "journal.jsonl";

fn journal(directory: &Path) -> Result<Result<Journal, JournalError>, CommandError> {
    use std::os::unix::fs::DirBuilderExt;
    let refused = |fault| CommandError::configuration(format!("cannot make {}: {fault}", directory.display()));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(refused)?;
    Ok(Journal::open(&directory.join(JOURNAL), Arc::new(SystemClock)))
}

fn broken(directory: &Path, fault: &JournalError) -> CommandError {
    CommandError::configuration(format!("{}: {fault}", directory.join(JOURNAL).display()))
        .with_hint("keep it for whoever looks into this, under another name, and start again")
}

/// Where agents have their directories.
pub(crate) fn base_directory() -> Result<PathBuf, CommandError> {
    keys::data_directory("agent", "--directory DIR")
}
