//! An OAuth authorization server that binds every token to the client's key (RFC 9449).
//!
//! [`AuthServerConfig`] is the configuration as it is written, [`AuthServerConfig::resolve`] turns it into
//! [`Settings`], [`AuthServer::open`] opens the storage and [`AuthServer::router`] or [`AuthServer::bind`] serves it.
//!
//! A request to the token endpoint is judged in one order: form, proof (pure), client authentication, what the grant
//! asks for, and last one storage transaction that records the proof and the client assertion. A refused request
//! spends nothing.
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use countersign_authserver::config::{AuthSetting, ClientConfig, ResourceConfig};
//! use countersign_authserver::{AuthServer, AuthServerConfig};
//! use countersign_dpop::time::SystemClock;
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let mut config = AuthServerConfig::new("https://as.example.com", "authserver-data");
//! config.resources.push(ResourceConfig::new("https://api.example.com", ["read"]));
//! let mut client = ClientConfig::new("reports", AuthSetting::PrivateKeyJwt);
//! client.jwks_file = Some("reports.jwks.json".into());
//! client.grants = vec!["client_credentials".into()];
//! client.scopes = vec!["read".into()];
//! config.clients.push(client);
//!
//! let settings = config.resolve(Path::new("/etc/authserver"))?;
//! let server = AuthServer::open(settings, Arc::new(SystemClock)).await?;
//! let bound = server.bind("127.0.0.1:8090".parse()?).await?;
//! bound.serve(std::future::pending()).await;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod access_token;
mod approval;
mod authentication;
mod authorization;
mod client;
pub mod config;
mod consent;
mod cors;
mod decision;
mod device;
mod endpoint;
mod error;
pub mod fetch;
mod foreign_token;
mod form;
mod grant;
mod issuer;
mod keys;
mod operation;
mod people;
mod plain;
mod random;
mod redirect_uri;
mod registered;
mod resource;
mod scope;
mod seal;
mod serve;
mod server;
mod share;
mod signed_jwt;
mod signing;
pub mod storage;
mod trusted_issuer;

pub use self::approval::{ApprovalState, Approvals};
pub use self::config::{AuthServerConfig, ConfigError, ConfigErrors, Settings};
pub use self::cors::OriginError;
pub use self::issuer::{Issuer, IssuerError};
#[doc(hidden)]
pub use self::operation::BulkApprovals;
pub use self::operation::{NetworkError, TlsError};
pub use self::people::{PasswordError, UserError, UserState, Users, hash_password};
pub use self::redirect_uri::RedirectUriError;
pub use self::registered::{AddClientError, AddedClient, ClientKeeper, ClientListing, Registrar};
pub use self::resource::TokenFormat;
pub use self::serve::{BindError, BoundAuthServer};
pub use self::server::{AuthServer, OpenError};
pub use self::signing::{KeyError, KeyKeeper, KeyListing, PUBLISHED_BEFORE, RetireRefusal};
