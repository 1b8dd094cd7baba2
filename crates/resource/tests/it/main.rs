//! The resource server in process: tokens and proofs made with software keys, a fake clock, no sockets.
#![expect(clippy::unwrap_used, reason = "what a test relies on")]

mod allocations;
mod answers;
mod carrying;
mod credentials;
mod discovery;
mod fetching;
mod hostile;
mod introspection;
mod keys;
mod layer;
mod memory;
mod metadata;
mod nonce;
mod policy;
mod replay;
mod secrets;
mod stages;
mod tables;
mod tokens;
mod web;
mod world;
