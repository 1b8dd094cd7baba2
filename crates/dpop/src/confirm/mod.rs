//! What a token is bound to (RFC 7800 §3, RFC 9449 §6.1).

#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::error::{ConfirmationError, shorten};
use crate::jose::Jkt;

/// A token's `cnf` claim.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Confirmation {
    jkt: Option<Jkt>,
    other: Vec<String>,
}

impl Confirmation {
    /// No `cnf` at all: a Bearer token.
    pub const fn unbound() -> Self {
        Self { jkt: None, other: Vec::new() }
    }

    /// Bound to one key.
    pub const fn bound_to(jkt: Jkt) -> Self {
        Self { jkt: Some(jkt), other: Vec::new() }
    }

    /// Reads the value of `cnf`.
    ///
    /// # Errors
    /// [`ConfirmationError::Malformed`] when it is not an object (null and arrays included), is empty, or `jkt` is
    /// not 43 characters of canonical base64url.
    pub fn parse(cnf: &Value) -> Result<Self, ConfirmationError> {
        let members = cnf.as_object().filter(|members| !members.is_empty()).ok_or(ConfirmationError::Malformed)?;
        let jkt = match members.get("jkt") {
            Some(Value::String(text)) => Some(text.parse().map_err(|_| ConfirmationError::Malformed)?),
            Some(_) => return Err(ConfirmationError::Malformed),
            None => None,
        };
        let other = members.keys().filter(|name| *name != "jkt").map(|name| shorten(name)).collect();
        Ok(Self { jkt, other })
    }

    /// The key it is bound to, if it is bound by `jkt`.
    pub const fn jkt(&self) -> Option<&Jkt> {
        self.jkt.as_ref()
    }

    /// The names of the methods other than `jkt` by which it is bound, shortened.
    pub fn other_methods(&self) -> &[String] {
        &self.other
    }

    /// True when any method binds the token, known or not: it must never pass as a Bearer token.
    pub fn is_bound(&self) -> bool {
        self.jkt.is_some() || !self.other.is_empty()
    }

    /// Confirms that the token is bound to `proof` and by nothing else that cannot be confirmed here: with several
    /// methods, all must hold.
    ///
    /// # Errors
    /// `NotBound`, `MethodNotSupported` or `JktMismatch` of [`ConfirmationError`].
    pub fn confirm(&self, proof: &Jkt) -> Result<(), ConfirmationError> {
        let token = match (&self.jkt, self.other.first()) {
            (Some(token), _) => *token,
            (None, Some(method)) => return Err(ConfirmationError::MethodNotSupported { method: method.clone() }),
            (None, None) => return Err(ConfirmationError::NotBound),
        };
        if token != *proof {
            return Err(ConfirmationError::JktMismatch { token, proof: *proof });
        }
        match self.other.first() {
            Some(method) => Err(ConfirmationError::MethodNotSupported { method: method.clone() }),
            None => Ok(()),
        }
    }
}
