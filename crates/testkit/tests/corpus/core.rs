//! The core alone: fields, checks, `cnf`, replay record. The token is taken at its word.

use std::sync::Arc;

use countersign_dpop::error::{ConfirmationError, CredentialsError};
use countersign_dpop::headers::{Credentials, DPOP, read_credentials};
use countersign_dpop::jose::{CompactJws, JsonLimits, JwsBuffer, from_strict_json};
use countersign_dpop::replay::ReplayStore;
use countersign_dpop::time::Timestamp;
use countersign_dpop::{Confirmation, ExpectedAth, ExpectedRequest, NonceKey, Rejection, Verifier};
use countersign_probe::corpus::{Answer, Case, ForgedRequest, NOW, Server, Site, SiteSettings};
use countersign_testkit::corpus::settings;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Map, Value};

use crate::setup;

pub(crate) fn site(case: &Case) -> Box<dyn Site> {
    Box::new(CoreSite::new(case.site.clone()))
}

struct CoreSite {
    case: SiteSettings,
    store: Arc<dyn ReplayStore>,
    now: Timestamp,
    starts: u8,
}

impl CoreSite {
    fn new(case: SiteSettings) -> Self {
        let store = setup::store(&case, settings::AN_HOUR_AGO);
        let _ = store.epoch(NOW);
        Self { case, store, now: NOW, starts: 0 }
    }

    fn verifier(&self, server: Server) -> Verifier {
        let mut key = setup::NONCE_KEY;
        key[0] ^= self.starts;
        Verifier::new(self.origin(server), NonceKey::from_bytes(key))
            .with_algorithms(settings::algorithms(&self.case))
            .with_window(settings::window(&self.case))
            .with_nonce_policy(settings::nonce_policy(&self.case))
    }

    fn judge(&self, server: Server, request: &ForgedRequest) -> Result<(), Rejection> {
        let headers = headers(request)?;
        match read_credentials(&headers)? {
            Credentials::None => Err(CredentialsError::Missing.into()),
            Credentials::Bearer { token, .. } if confirmation(token)?.is_bound() => {
                Err(ConfirmationError::BoundAsBearer.into())
            }
            Credentials::Bearer { .. } => Err(ConfirmationError::BearerNotAccepted.into()),
            Credentials::Dpop { token, proof } => self.judge_proof(server, request, token, proof),
        }
    }

    fn judge_proof(&self, server: Server, request: &ForgedRequest, token: &str, proof: &str) -> Result<(), Rejection> {
        let htu = settings::public_origin(&self.case, server).htu(&request.target).unwrap();
        let ath = ExpectedAth::of(token);
        let expected = ExpectedRequest { method: &request.method, htu: &htu, ath: Some(&ath) };
        let checked = self.verifier(server).check(proof, &expected, &self.store.epoch(self.now), self.now)?;
        // A token that is no JWT would be introspected; the core cannot know what it is bound to.
        let confirmation =
            if token.starts_with("ey") { confirmation(token)? } else { Confirmation::bound_to(*checked.jkt()) };
        let bound = checked.confirm(&confirmation)?;
        bound.record(self.store.as_ref(), None, self.now).now_or_never().unwrap().map(|_| ())
    }
}

impl Site for CoreSite {
    fn origin(&self, server: Server) -> String {
        settings::origin(&self.case, server)
    }

    fn send(&mut self, server: Server, requests: &[ForgedRequest]) -> Vec<Answer> {
        let judged = requests.iter().map(|request| self.judge(server, request));
        judged.map(|result| answer(result, &self.verifier(server), self.store.as_ref(), self.now)).collect()
    }

    fn wait(&mut self, seconds: i64) {
        self.now = self.now.plus(seconds);
    }

    fn restart(&mut self) {
        self.starts += 1;
        self.store = setup::store(&self.case, self.now);
    }
}

fn answer(result: Result<(), Rejection>, verifier: &Verifier, store: &dyn ReplayStore, now: Timestamp) -> Answer {
    let (status, code) = match &result {
        Ok(()) => (StatusCode::OK, None),
        Err(rejection) => (rejection.resource_status(), rejection.code()),
    };
    let nonce = Some(verifier.issue_nonce(&store.epoch(now).id, now));
    let diagnosis = result.err().map(|rejection| rejection.diagnosis_code());
    Answer { status, code, nonce, fields: HeaderMap::new(), diagnosis, upstream: HeaderMap::new() }
}

/// A value that no field can hold reaches the core only from other carriers; it is no proof either way.
fn headers(request: &ForgedRequest) -> Result<HeaderMap, Rejection> {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.fields {
        let name: HeaderName = name.parse().unwrap();
        match HeaderValue::from_bytes(value.as_bytes()) {
            Ok(value) => drop(headers.append(name, value)),
            Err(_) if name == DPOP => return Err(CredentialsError::ProofNotText.into()),
            Err(_) => return Err(CredentialsError::TokenMalformed.into()),
        }
    }
    Ok(headers)
}

fn confirmation(token: &str) -> Result<Confirmation, Rejection> {
    let mut buffer = JwsBuffer::new();
    let malformed = || Rejection::from(ConfirmationError::Malformed);
    let jws = CompactJws::split(token.as_bytes(), &mut buffer, 1 << 20).map_err(|_| malformed())?;
    let claims: Map<String, Value> = from_strict_json(jws.payload(), JsonLimits::DOCUMENT).map_err(|_| malformed())?;
    Ok(claims.get("cnf").map_or(Ok(Confirmation::unbound()), Confirmation::parse)?)
}
