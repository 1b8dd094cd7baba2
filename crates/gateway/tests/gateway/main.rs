//! The gateway over loopback sockets, between a client and an upstream that the tests play byte by byte.
#![expect(clippy::unwrap_used, reason = "what a test relies on")]

mod assertion;
mod carrying;
mod ext_authz;
mod framing;
mod http2;
mod lifecycle;
mod logs;
mod mcp;
mod metrics;
mod refusals;
mod routes;
mod stages;
mod streaming;
mod tls;
mod upstream;
mod wire;
mod world;
