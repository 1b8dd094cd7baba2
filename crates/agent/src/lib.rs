//! The local signing proxy: it holds key and token, and programs get an address of this machine that stands for the
//! resource. What they send there is signed (RFC 9449) and forwarded, streaming, if policy and approval say yes; what
//! comes back is stripped of everything that belongs to the agent. No interface gives out a key, a token, a proof or
//! a nonce.
//!
//! A [`Binding`] is one user session at one resource for one tool: its own listener, key, token, nonces and policy.
//! An [`Agent`] serves any number of them and keeps the [`journal`]: what is not recorded is not signed.
#![forbid(unsafe_code)]

mod agent;
pub mod approval;
mod binding;
pub mod config;
pub mod control;
mod door;
mod filter;
pub mod journal;
mod listener;
mod lock;
mod peer;
mod place;
pub mod policy;
mod port;
mod refusal;
mod visit;

pub use self::agent::{Agent, AgentError, AgentSettings, Revoke, Revoking, Running};
pub use self::binding::{Binding, BindingName, BindingSettings, Listen};
pub use self::door::{Content, DoorBody};
pub use self::filter::{LaterSecrets, OutputFilter};
pub use self::listener::ListenError;
pub use self::lock::LockError;
pub use self::peer::{Peer, ProcessInfo};
pub use self::policy::Policy;
pub use self::refusal::{Code, Refusal};
