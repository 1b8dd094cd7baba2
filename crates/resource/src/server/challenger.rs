//! Challenges of refusals (RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1).

use countersign_dpop::error::{ConfirmationError, PolicyError};
use countersign_dpop::jose::Algorithms;
use countersign_dpop::{Challenge, Rejection, Scheme};
use http::StatusCode;

use crate::decision::PresentedScheme;
use crate::stage::Stage;

/// What a server's challenges say whatever is wrong.
#[derive(Debug)]
pub(crate) struct Challenger {
    dpop: Challenge,
    bearer: Challenge,
}

impl Challenger {
    pub(super) fn new(algorithms: &Algorithms, metadata_url: &str) -> Self {
        let challenge = |scheme| {
            let mut challenge = Challenge::new(scheme);
            challenge.resource_metadata = Some(metadata_url.to_owned());
            challenge
        };
        let mut dpop = challenge(Scheme::Dpop);
        dpop.algs = algorithms.iter().map(|algorithm| algorithm.name().into()).collect();
        Self { dpop, bearer: challenge(Scheme::Bearer) }
    }

    /// The challenges of a refusal: DPoP always, Bearer beside it where Bearer is taken. The scheme that was tried
    /// carries the error. Where no other token and no proof would help there are none: a client would log in again.
    pub(crate) fn challenges(&self, rejection: &Rejection, stage: Stage, tried: PresentedScheme) -> Vec<Challenge> {
        let challenged = [StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
        let status = rejection.resource_status();
        if !challenged.contains(&status) || (status != StatusCode::UNAUTHORIZED && rejection.code().is_none()) {
            return Vec::new();
        }
        let bearer_tried = tried == PresentedScheme::Bearer && stage.takes_bearer();
        let (mut dpop, mut bearer) = (self.dpop.clone(), self.bearer.clone());
        if bearer_tried {
            explain(&mut bearer, rejection);
        }
        // A bound token under Bearer is told on both: the way on is DPoP.
        let bound_as_bearer = matches!(rejection, Rejection::Confirmation(ConfirmationError::BoundAsBearer));
        if !bearer_tried || bound_as_bearer {
            explain(&mut dpop, rejection);
        }
        if stage.takes_bearer() { vec![dpop, bearer] } else { vec![dpop] }
    }
}

fn explain(challenge: &mut Challenge, rejection: &Rejection) {
    let Some(error) = rejection.code() else { return };
    challenge.error = Some(error);
    challenge.error_description = Some(rejection.public_description().into());
    if let Rejection::Policy(PolicyError::InsufficientScope { required }) = rejection {
        challenge.scope = Some(required.clone());
    }
}
