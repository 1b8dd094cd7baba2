//! What a request needs beyond the scopes of its route, where that depends on more than its path.

use std::future::{Future, ready};

use countersign_dpop::error::PolicyError;
use countersign_dpop::jose::Jkt;

use crate::token::AccessToken;

/// Asked once token and proof are confirmed and before the proof is recorded, so that what it refuses has spent
/// nothing. At the stage `observe` it is not asked.
///
/// It may take its time, for instance to read the request's body: a proof that has grown too old meanwhile is not
/// recorded, and the client is asked for another one.
pub trait Policy: Send {
    /// The scopes that the request needs beside those of its route.
    ///
    /// # Errors
    /// The request is not allowed to this caller, or to anybody.
    fn needs(&mut self, caller: Caller<'_>) -> impl Future<Output = Result<Vec<String>, PolicyError>> + Send;
}

/// A policy that asks for nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPolicy;

impl Policy for NoPolicy {
    fn needs(&mut self, _caller: Caller<'_>) -> impl Future<Output = Result<Vec<String>, PolicyError>> + Send {
        ready(Ok(Vec::new()))
    }
}

/// Who is calling, as far as token and proof say so.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    token: &'a AccessToken,
    jkt: Option<&'a Jkt>,
}

impl<'a> Caller<'a> {
    pub(crate) const fn new(token: &'a AccessToken, jkt: Option<&'a Jkt>) -> Self {
        Self { token, jkt }
    }

    /// The issuer of the token.
    pub fn issuer(&self) -> &'a str {
        self.token.issuer()
    }

    /// On whose behalf (`sub`).
    pub fn subject(&self) -> Option<&'a str> {
        self.token.subject()
    }

    /// The client.
    pub fn client_id(&self) -> Option<&'a str> {
        self.token.client_id()
    }

    /// The key that signed the request; `None` for a Bearer request.
    pub const fn jkt(&self) -> Option<&'a Jkt> {
        self.jkt
    }
}
