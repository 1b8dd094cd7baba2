//! Another configuration while serving: by SIGHUP, or because a file has changed.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use countersign_gateway::Reloader;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::ServeFlags;
use crate::error::CommandError;
use crate::logging;
use crate::notify;

/// How often files are looked at. A change counts once it has stood for as long, so that no half is read.
const LOOK: Duration = Duration::from_secs(1);

/// What a file looks like from outside; `None` when it is not there.
type Look = Option<(SystemTime, u64, u64)>;

/// Watches over the configuration of a serving gateway.
pub(super) struct Watch {
    flags: ServeFlags,
    files: Vec<PathBuf>,
    gateway: Reloader,
    hangup: Signal,
    ticks: Interval,
}

impl Watch {
    /// Watches `files`, of which the configuration was made.
    pub(super) fn new(flags: ServeFlags, files: Vec<PathBuf>, gateway: Reloader) -> Result<Self, CommandError> {
        let failed = |fault| CommandError::internal(format!("cannot listen for signals: {fault}"));
        let hangup = signal(SignalKind::hangup()).map_err(failed)?;
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { flags, files, gateway, hangup, ticks })
    }

    /// Reads the configuration again whenever it should, for ever.
    pub(super) async fn run(mut self) {
        let mut taken = self.look();
        let mut seen = taken.clone();
        loop {
            tokio::select! {
                told = self.hangup.recv() => {
                    if told.is_none() {
                        return;
                    }
                }
                _ = self.ticks.tick() => {
                    let now = self.look();
                    let is_settled = now == std::mem::replace(&mut seen, now.clone());
                    if now == taken || !is_settled {
                        continue;
                    }
                }
            }
            // Looked at before it is read: what changes meanwhile is read again.
            taken = self.look();
            seen.clone_from(&taken);
            self.reload().await;
        }
    }

    async fn reload(&mut self) {
        notify::reloading();
        match self.flags.settings() {
            Ok((settings, files)) => {
                let level = self.flags.level(&settings);
                match self.gateway.reload(settings).await {
                    Ok(waiting) => {
                        logging::set_level(level);
                        tracing::info!("the new configuration is in force");
                        for key in waiting {
                            tracing::warn!(key, "a change of this key comes into force at the next start only");
                        }
                        self.files = files;
                    }
                    Err(fault) => tracing::error!(%fault, "the new configuration was refused; the old one is in force"),
                }
            }
            Err(fault) => {
                self.gateway.count_failure();
                tracing::error!(fault = fault.message(), "the new configuration was refused; the old one is in force");
            }
        }
        notify::ready();
    }

    fn look(&self) -> Vec<Look> {
        use std::os::unix::fs::MetadataExt;
        let look = |file: &PathBuf| {
            let metadata = std::fs::metadata(file).ok()?;
            Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
        };
        self.files.iter().map(look).collect()
    }
}
