//! The client against played servers on loopback, and key stores against their contract.

mod call;
mod canary;
mod discovery;
mod key_store;
mod open;
mod played;
mod sealed_file;
mod token;
mod transport;
