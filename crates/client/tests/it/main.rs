//! The client against played servers on loopback, and key stores against their contract.

mod call;
mod canary;
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
