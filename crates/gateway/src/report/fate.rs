//! What would become of a request at another stage, by its decision alone: neither token nor proof is needed again.

use countersign_resource::Stage;

use super::row::{Outcome, Row, Scheme};

/// What would become of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate<'a> {
    /// It would be served.
    Served,
    /// It would be asked for a nonce, and a client that handles that would be served at its second try.
    Challenged,
    /// It would be refused, with this code.
    Refused(&'a str),
    /// Issuer or store were in trouble, which says nothing of the client.
    Undecided,
}

/// The fate of a request at `stage`, exceptions for single clients left aside.
pub fn fate<'r>(row: &'r Row<'_>, stage: Stage) -> Fate<'r> {
    if row.status.is_some_and(|status| status >= 500) {
        return Fate::Undecided;
    }
    match (row.outcome, &*row.code) {
        (Outcome::Granted, _) => match (row.scheme, row.bound) {
            (Scheme::Dpop, _) => Fate::Served,
            _ if stage == Stage::Observe => Fate::Served,
            (Scheme::Bearer, Some(true)) => Fate::Refused("bound_as_bearer"),
            _ if stage.takes_bearer() => Fate::Served,
            _ => Fate::Refused("bearer_not_accepted"),
        },
        (Outcome::Observed | Outcome::Refused, _) if stage == Stage::Observe => Fate::Served,
        (Outcome::Observed | Outcome::Refused, "bearer_not_accepted") if stage.takes_bearer() => Fate::Served,
        (Outcome::Observed | Outcome::Refused, code) if is_nonce_challenge(code) => Fate::Challenged,
        (Outcome::Observed | Outcome::Refused, code) => Fate::Refused(code),
    }
}

fn is_nonce_challenge(code: &str) -> bool {
    ["nonce_missing", "nonce_unknown", "nonce_expired", "nonce_demanded"].contains(&code)
}
