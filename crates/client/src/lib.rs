//! The client side of OAuth DPoP (RFC 9449): keys and where they live.
#![forbid(unsafe_code)]

pub mod keys;
