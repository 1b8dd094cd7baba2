//! MCP messages as far as a policy has to know them: method, and the name of the tool, prompt or resource.
//!
//! Whoever judges a message is not the one who runs it. A server may read what the judge passed over, so
//! [`Messages::parse`] takes only what every reader reads alike, and [`Mirror`] is what the header fields claim of the
//! body (MCP 2026-07-28): worth something only where somebody compares them, as [`Messages::agree_with`] does.
#![forbid(unsafe_code)]

mod message;
mod mirror;

pub use self::message::{Id, MAX_BATCH, Message, MessageError, Messages};
pub use self::mirror::{
    MCP_METHOD, MCP_NAME, MCP_PROTOCOL_VERSION, Mirror, MirrorError, STATELESS_VERSION, is_spelled_otherwise,
};
