//! One streaming HTTP forwarder: takes a request as a server received it, sends it to the upstream, and hands back
//! the answer. Bodies stream both ways and are never buffered; trailers and server-sent events pass through; of
//! upgrades only `websocket` is tunnelled, after the upstream agreed to it.
//!
//! What a proxy must take off a message (RFC 9110 §7.6.1) is taken off both ways. Who may send what is not decided
//! here.
#![forbid(unsafe_code)]

mod answer;
mod connect;
mod connections;
mod dormant;
mod error;
mod fields;
mod forwarder;
mod framing;
mod limits;
mod patience;
mod pool;
mod request_body;
mod spare;
mod tls;
mod tunnel;
mod upstream;
mod x_forwarded;

pub use self::answer::{AnswerBody, AnswerBodyError};
pub use self::dormant::Dormant;
pub use self::error::{BoxError, ForwardError};
pub use self::fields::remove_all;
pub use self::forwarder::{Forwarder, Handover, UpstreamHost};
pub use self::limits::ForwardLimits;
pub use self::patience::{OutOfPatience, Patience, PatienceLimits, TimeAccount};
pub use self::tls::{TlsError, UpstreamTls, UpstreamTlsError, client_tls};
pub use self::upstream::{Upstream, UpstreamError};
pub use self::x_forwarded::{Arrival, ForwardedFields, peer_field};
