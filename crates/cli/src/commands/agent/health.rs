//! What `countersign doctor` says of agents: who can reach them, whether their journals are whole, whether they answer.

use std::fs::File;
use std::io::BufReader;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use countersign_agent::control::ControlClient;
use countersign_agent::journal::{self, ChainFault};
use rustix::process::getuid;

use super::home::{CONTROL, JOURNAL, base_directory};
use super::steer::directories;

/// The part of a mode that is about everybody but the owner.
const OTHERS: u32 = 0o077;

/// One agent.
pub(crate) struct Health {
    pub(crate) directory: PathBuf,
    /// How it is; or what is wrong with it, and what to do.
    pub(crate) found: Result<String, (String, String)>,
}

/// All agents of this user that have a directory in the usual place.
pub(crate) async fn agents() -> Vec<Health> {
    let mut agents = Vec::new();
    for directory in base_directory().map(|base| directories(&base)).unwrap_or_default() {
        if directory.join(JOURNAL).exists() {
            agents.push(Health { found: look(&directory).await, directory });
        }
    }
    agents
}

async fn look(directory: &Path) -> Result<String, (String, String)> {
    require_private(directory)?;
    let journal = whole(directory)?;
    let status = ControlClient::new(&directory.join(CONTROL)).status().await;
    Ok(match status {
        Err(_) => format!("does not run; its journal is whole, {journal} lines"),
        Ok(status) => {
            let locked = if status.locked { "locked" } else { "not locked" };
            format!("runs, {locked}, bindings: {}; its journal is whole, {journal} lines", status.bindings.len())
        }
    })
}

/// Nobody else may reach what is in it.
fn require_private(directory: &Path) -> Result<(), (String, String)> {
    let facts =
        std::fs::metadata(directory).map_err(|fault| (fault.to_string(), "see who it belongs to".to_owned()))?;
    if facts.permissions().mode() & OTHERS == 0 && facts.uid() == getuid().as_raw() {
        return Ok(());
    }
    let todo = format!("chmod 700 {}", directory.display());
    Err(("its directory is not for its owner only".to_owned(), todo))
}

fn whole(directory: &Path) -> Result<u64, (String, String)> {
    let todo = "keep it for whoever looks into this, and start with another --directory";
    let file = File::open(directory.join(JOURNAL));
    let file = file.map_err(|fault| (format!("its journal: {fault}"), "see who it belongs to".to_owned()))?;
    match journal::verify(BufReader::new(file), None) {
        Ok(head) => Ok(head.lines),
        // It was killed in the middle of one, and cuts that off at its next start; or it is writing just now.
        Err(broken) if matches!(broken.fault, ChainFault::Torn) => Ok(broken.line.saturating_sub(1)),
        Err(broken) => Err((format!("its journal is broken: {broken}"), todo.to_owned())),
    }
}
