//! Between a client's connection and the server: strict framing, time limits, and an end that the client can hear.

mod detect;
mod framing;
mod guard;
mod head;
mod linger;
#[cfg(test)]
mod tests;

pub(crate) use self::detect::{Protocol, detect};
pub(crate) use self::guard::{Busy, Notes, WireGuard, WireLimits};
pub(crate) use self::linger::Linger;
