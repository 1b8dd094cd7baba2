//! The resource server in process: tokens and proofs made with software keys, a fake clock, no sockets.

mod credentials;
mod world;
