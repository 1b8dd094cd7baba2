//! The authorization server through its router, on real databases in temporary directories, by a clock of the tests.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "what the tests build themselves is right, or the test fails")]

mod assertion;
mod authorization_requests;
mod basic;
mod canaries;
mod client_credentials;
mod code_flow;
mod code_grant;
mod cors;
mod device;
mod documents;
mod exchange;
mod fetching;
mod introspection;
mod nonce;
mod operation;
mod people;
mod post;
mod proof;
mod published_keys;
mod refresh_grant;
mod registration;
mod replay;
mod requests;
mod restart;
mod rotation;
mod rows;
mod signed_requests;
mod suite;
mod support;
mod trouble;
mod vectors;
mod wire;
