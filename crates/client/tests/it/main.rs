//! The client against played servers on loopback, and key stores against their contract.

mod call;
mod canary;
mod corpus;
mod discovery;
mod key_store;
mod login;
mod open;
mod played;
mod reach;
mod sealed_file;
mod session;
mod token;
mod transport;
#[cfg(all(feature = "reqwest-middleware", feature = "tower"))]
mod transports;
