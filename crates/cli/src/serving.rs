//! What every serving command does alike: the ready line, and the signals that end it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use countersign_gateway::{Missing, Reloader};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::interval;

use crate::error::CommandError;
use crate::{notify, render};

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
        notify::stopping();
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

/// Raises the number of files that this process may have open to what it may ask for: a connection takes one, a
/// forwarded request two. Where that is refused, fewer connections fit and nothing else changes.
pub(crate) fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(fault) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%fault, "the limit of open files stays as it is");
    }
}

/// Waits until requests can be served; says once what is missing when that takes its time.
pub(crate) async fn until_ready(gateway: &Reloader) {
    let mut ticks = interval(Duration::from_millis(50));
    let mut waited = 0_u32;
    loop {
        ticks.tick().await;
        let missing = gateway.missing().await;
        if missing.is_empty() {
            return;
        }
        waited = waited.saturating_add(1);
        if waited == 20 {
            for Missing { what, name, reason } in missing {
                render::error_line("waiting", &format!("for the {what} {name}: {reason}"));
            }
        }
    }
}

/// Prints the line that says where the program can be reached.
pub(crate) fn ready(address: SocketAddr, admin: Option<SocketAddr>) {
    ready_at("http", address, admin);
}

/// The same for a program that may speak TLS; its admin address never does.
pub(crate) fn ready_at(scheme: &str, address: SocketAddr, admin: Option<SocketAddr>) {
    notify::ready();
    match admin {
        Some(admin) => render::status(format_args!("ready {scheme}://{address} admin http://{admin}")),
        None => render::status(format_args!("ready {scheme}://{address}")),
    }
}

/// What to say when an address cannot be bound.
pub(crate) fn cannot_listen(address: SocketAddr, fault: &io::Error) -> CommandError {
    let error = CommandError::configuration(format!("cannot listen on {address}: {fault}"));
    match fault.kind() {
        io::ErrorKind::AddrInUse => error.with_hint("another program has this port; choose another one, or port 0"),
        io::ErrorKind::PermissionDenied => error.with_hint("ports below 1024 need a privilege; choose a higher one"),
        _ => error,
    }
}
