//! Running the server: what is counted, who is slowed down, whether it is ready, and how it begins and ends.

mod bulk;
mod limits;
mod metrics;
mod opening;
mod source;
mod tls;
mod watch;

#[doc(hidden)]
pub use self::bulk::BulkApprovals;
pub(crate) use self::limits::{LimitSettings, Limited, Limits};
pub(crate) use self::metrics::{InFlight, Metrics};
pub(crate) use self::opening::Opening;
pub use self::source::NetworkError;
pub(crate) use self::source::{Network, Peer, Source};
pub use self::tls::TlsError;
pub(crate) use self::tls::{Tls, TlsSettings};
pub(crate) use self::watch::watch;
