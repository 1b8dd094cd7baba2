//! What a service tells systemd (sd_notify(3)), where it is started by it.

use std::io;
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
    if let Err(fault) = send_to(&place, state) {
        tracing::debug!(%fault, "systemd was not told");
    }
}

fn send_to(place: &str, state: &str) -> io::Result<()> {
    let address = match place.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(place),
    }?;
    let socket = UnixDatagram::unbound()?;
    // A queue that nobody empties would hold up whoever serves.
    socket.set_nonblocking(true)?;
    socket.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_nobody_empties_holds_up_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("notify");
        let place = place.to_str().unwrap();
        assert_eq!(send_to(place, "READY=1").unwrap_err().kind(), io::ErrorKind::NotFound);
        let systemd = UnixDatagram::bind(place).unwrap();
        let fault = loop {
            if let Err(fault) = send_to(place, "READY=1") {
                break fault;
            }
        };
        assert_eq!(fault.kind(), io::ErrorKind::WouldBlock);
        let mut text = [0; 16];
        assert_eq!(systemd.recv(&mut text).unwrap(), 7);
        send_to(place, "STOPPING=1").unwrap();
    }
}
