//! What every serving command does alike: the ready line, and the signals that end it.

use std::fmt::Display;

use tokio::signal::unix::{SignalKind, signal};

use crate::error::CommandError;
use crate::render;

/// Completes on SIGTERM or SIGINT. A second signal ends the process at once.
///
/// # Errors
/// When the handlers cannot be installed.
pub(crate) fn shutdown_signal() -> Result<impl Future<Output = ()> + Send + 'static, CommandError> {
    let failed = |fault| CommandError::internal(format!("cannot listen for signals: {fault}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        render::status("stopping: no new requests are taken; running ones are finished");
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(1);
        });
    })
}

/// Prints the line that says where the program can be reached.
pub(crate) fn ready(address: impl Display, admin: Option<impl Display>) {
    match admin {
        Some(admin) => render::status(format_args!("ready {address} admin {admin}")),
        None => render::status(format_args!("ready {address}")),
    }
}
