//! Finding out how to talk to a server, from its own documents.

mod error;
mod issuer;

pub use self::error::DiscoveryError;
pub(crate) use self::issuer::{IssuerMetadata, discover_issuer};
