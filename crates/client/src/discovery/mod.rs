//! Finding out how to talk to a server, from its own documents.

mod error;
mod issuer;
mod resource;

pub use self::error::DiscoveryError;
pub(crate) use self::issuer::{IssuerMetadata, discover_issuer};
pub use self::resource::ResourceMetadata;
pub(crate) use self::resource::discover_resource;
