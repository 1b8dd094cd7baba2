//! The forge of good and bad DPoP proofs (RFC 9449), and the battery of attacks that runs them against any server.
//!
//! The [`forge`] builds proofs and tokens member by member and byte by byte, so that one thing can be wrong while
//! everything else, the signature included, is right. The [`battery`] does to a resource server what a thief with a
//! stolen token would do. The [`corpus`] plays cases that are kept as data.
#![forbid(unsafe_code)]

pub mod battery;
pub mod corpus;
pub mod forge;
