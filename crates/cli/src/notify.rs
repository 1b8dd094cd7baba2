//! What a service tells systemd (sd_notify(3)), where it is started by it.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Ready to serve.
pub(crate) fn ready() {
    send("READY=1");
}

/// The configuration is being read again; [`ready`] says when that is over.
pub(crate) fn reloading() {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let microseconds = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
    send(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
}

/// No new requests are taken.
pub(crate) fn stopping() {
    send("STOPPING=1");
}

/// Nobody who is not there, or does not listen, is told; that stops nothing.
fn send(state: &str) {
    let Some(place) = std::env::var_os("NOTIFY_SOCKET").and_then(|place| place.into_string().ok()) else { return };
    let address = match place.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&place),
    };
    let sent = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address));
    if let Err(fault) = sent {
        tracing::debug!(%fault, "systemd was not told");
    }
}
