//! Judging one request: target, credentials, proof (pure), token, confirmation, policy, and the replay record last.
//! What is cheap and leaves no trace comes first, so a refused request has spent nothing.

use std::sync::Arc;

use countersign_dpop::error::{
    ConfirmationError, CredentialsError, MalformedProof, NonceError, PolicyError, ProofError, TokenError,
};
use countersign_dpop::headers::{Credentials, ProofText, read_credentials_by};
use countersign_dpop::jose::Jkt;
use countersign_dpop::replay::Epoch;
use countersign_dpop::time::Timestamp;
use countersign_dpop::{
    CheckedProof, ErrorCode, ExpectedAth, ExpectedRequest, Htu, NonceAge, NoncePolicy, PublicOrigin, Rejection,
    Verifier,
};
use http::{HeaderMap, StatusCode, header};
use memchr::memchr;

use crate::access::Access;
use crate::decision::{Check, Checks, Decision, DecisionOutcome, PresentedScheme};
use crate::issuer::{Presented, SentToken};
use crate::policy::{Caller, Policy};
use crate::refusal::Refusal;
use crate::server::config::{http_date, structured_date};
use crate::server::headers::Found;
use crate::server::{Inner, RequestFacts, Route, scratch};
use crate::stage::{BearerAllowance, Stage};
use crate::token::{AccessToken, shorten};
use crate::verdict::{BearerSunset, Outcome, Verdict};

pub(super) async fn judge<P: Policy>(
    server: &Inner,
    request: &RequestFacts<'_>,
    route: &Route,
    policy: &mut P,
) -> Verdict {
    let now = server.clock.now();
    // Asked for with the fresh reading: by the end of a slow request, its reading would look like a clock set back.
    let epoch = server.replay.epoch(now);
    let stage = route.stage_at(now);
    let mut trial = Trial { server, route, stage, now, epoch, seen: Seen::default() };
    let result = trial.run(request, policy).await;
    trial.conclude(result)
}

/// One request on its way through the checks.
struct Trial<'a> {
    server: &'a Inner,
    route: &'a Route,
    stage: Stage,
    now: Timestamp,
    epoch: Epoch,
    seen: Seen,
}

/// What became known on the way.
#[derive(Default)]
struct Seen {
    scheme: PresentedScheme,
    checks: Checks,
    known_header: Option<Found>,
    offset: Option<i64>,
    jkt: Option<Jkt>,
    nonce_age: Option<NonceAge>,
    token: Option<Arc<AccessToken>>,
    /// When the client may no longer send what it sent, by a rule of its own.
    until: Option<Timestamp>,
}

impl Trial<'_> {
    async fn run<P: Policy>(&mut self, request: &RequestFacts<'_>, policy: &mut P) -> Result<Access, Rejection> {
        let room = scratch::take_text();
        let htu = self.origin(request)?.htu_in(request.path_and_query, room).map_err(|_| PolicyError::BadTarget)?;
        self.seen.checks.pass(Check::Target);
        let credentials = self.credentials(request.headers)?;
        if has_token_in_query(request.path_and_query) {
            if let Credentials::Dpop { proof, .. } = credentials {
                proof.read()?;
            }
            return Err(CredentialsError::TokenOutsideHeader.into());
        }
        match &credentials {
            Credentials::None => Err(CredentialsError::Missing.into()),
            Credentials::Dpop { token, proof } => self.by_proof(request.method, htu, token, *proof, policy).await,
            Credentials::Bearer { token, proof: _ } => self.by_bearer(&token.alone(), policy).await,
        }
    }

    fn credentials<'r>(
        &mut self,
        headers: &'r HeaderMap,
    ) -> Result<Credentials<'r, SentToken<'r>, ProofText<'r>>, CredentialsError> {
        let issuers = &self.server.config.issuers;
        let credentials = read_credentials_by(headers, |token| issuers.recognise(token));
        self.seen.scheme = match &credentials {
            Ok(Credentials::Dpop { .. }) => PresentedScheme::Dpop,
            Ok(Credentials::Bearer { .. }) => PresentedScheme::Bearer,
            Ok(Credentials::None) | Err(_) => presented_scheme(headers),
        };
        credentials
    }

    /// The origin that the request was made to.
    fn origin(&self, request: &RequestFacts<'_>) -> Result<&PublicOrigin, Rejection> {
        let origins = &self.server.config.origins;
        let Some(authority) = request.authority else {
            return Ok(&origins[0]);
        };
        origins.iter().find(|origin| origin.is_authority(authority)).ok_or_else(|| {
            let expected = origins[0].authority().to_owned();
            PolicyError::ForeignAuthority { expected, found: shorten(authority) }.into()
        })
    }

    async fn by_proof<P: Policy>(
        &mut self,
        method: &str,
        htu: Htu,
        token: &SentToken<'_>,
        proof: ProofText<'_>,
        policy: &mut P,
    ) -> Result<Access, Rejection> {
        let checked = self.check(method, &htu, token.expected_ath(), proof);
        scratch::put_text(htu.into_string());
        if let Err(Rejection::Malformed(MalformedProof::Jws(_))) = checked {
            // What is three parts of base64url needs no look at its characters; of anything else they are the first fault.
            proof.read()?;
        }
        self.seen.checks.pass(Check::Credentials);
        let checked = match checked {
            Ok(checked) => checked,
            Err(fault) => {
                self.name_client(token);
                return Err(fault);
            }
        };
        let token = self.read(token).await?;
        let bound = checked.confirm(token.confirmation())?;
        self.seen.checks.pass(Check::Confirmation);
        self.permit(&token, Some(bound.proof().jkt()), policy).await?;
        let confirmed = bound.record(self.server.replay.as_ref(), Some(token.quota()), self.now).await?;
        self.seen.checks.pass(Check::Replay);
        let (headers, accepted) = (self.server.keys.headers(), self.verifier().algorithms());
        match &self.seen.known_header {
            Some(found) => headers.used(proof.as_bytes(), found, accepted),
            None => headers.remember(proof.as_bytes(), confirmed.jkt(), accepted),
        }
        Ok(Access::by_proof(token, confirmed))
    }

    fn check(
        &mut self,
        method: &str,
        htu: &Htu,
        ath: &ExpectedAth<'_>,
        proof: ProofText<'_>,
    ) -> Result<CheckedProof, Rejection> {
        let expected = ExpectedRequest { method, htu, ath: Some(ath) };
        let known = self.server.keys.headers().look_up(self.verifier().algorithms());
        let checked = scratch::with_jws_buffer(|buffer| {
            self.verifier().check_among(proof.as_bytes(), &expected, &self.epoch, self.now, buffer, &known)
        });
        self.seen.known_header = known.into_found();
        match &checked {
            Ok(proof) => {
                self.seen.checks.pass(Check::Proof);
                let facts = proof.facts();
                self.seen.offset = Some(facts.iat().floor().since(self.now));
                self.seen.jkt = Some(*facts.jkt());
                self.seen.nonce_age = facts.nonce_age();
            }
            Err(Rejection::Proof(ProofError::Stale { age, .. })) => self.seen.offset = Some(age.saturating_neg()),
            Err(Rejection::Proof(ProofError::FromFuture { ahead, .. })) => self.seen.offset = Some(*ahead),
            Err(_) => (),
        }
        checked
    }

    async fn by_bearer<P: Policy>(&mut self, token: &SentToken<'_>, policy: &mut P) -> Result<Access, Rejection> {
        self.seen.checks.pass(Check::Credentials);
        let token = match self.read(token).await {
            // Where Bearer is refused anyway, an issuer that is away changes nothing.
            Err(TokenError::IssuerUnavailable { .. }) if !self.stage.takes_bearer() => {
                return Err(ConfirmationError::BearerNotAccepted.into());
            }
            read => read?,
        };
        let rule = self.server.config.exceptions.rule(token.issuer(), token.client_id(), self.now);
        let allowance = rule.map(|rule| rule.allowance);
        if token.confirmation().is_bound() && allowance < Some(BearerAllowance::BoundToo) {
            return Err(ConfirmationError::BoundAsBearer.into());
        }
        let takes_bearer = allowance.map_or(self.stage.takes_bearer(), |allowance| allowance > BearerAllowance::Never);
        if !takes_bearer {
            return Err(ConfirmationError::BearerNotAccepted.into());
        }
        self.seen.checks.pass(Check::Confirmation);
        self.permit(&token, None, policy).await?;
        self.seen.until = rule.map(|rule| rule.until);
        Ok(Access::by_bearer(token))
    }

    async fn read(&mut self, token: &SentToken<'_>) -> Result<Arc<AccessToken>, TokenError> {
        let token = self.server.config.issuers.read(self.presented(token)).await?;
        self.seen.checks.pass(Check::Token);
        self.seen.token = Some(Arc::clone(&token));
        Ok(token)
    }

    fn presented<'t>(&'t self, token: &'t SentToken<'_>) -> Presented<'t> {
        let (audience, tables) = (&*self.server.config.identifier, self.server.keys.headers().tables());
        Presented { token, audience, tables, now: self.now }
    }

    /// Finds out for the log whose request fails; without a good proof nobody is asked for that. In `observe`, where
    /// the log is what it is all for, the token is read by keys that are at hand; elsewhere a refused request costs no
    /// more than a look at what is remembered.
    fn name_client(&mut self, token: &SentToken<'_>) {
        self.seen.token = if self.stage == Stage::Observe {
            self.server.config.issuers.read_at_hand(self.presented(token))
        } else {
            token.remembered()
        };
        if self.stage == Stage::Observe && self.seen.token.is_some() {
            self.seen.checks.pass(Check::Token);
        }
    }

    async fn permit<P: Policy>(
        &mut self,
        token: &AccessToken,
        jkt: Option<&Jkt>,
        policy: &mut P,
    ) -> Result<(), Rejection> {
        let more = match self.stage {
            Stage::Observe => Vec::new(),
            Stage::Accept | Stage::Prefer | Stage::Require => policy.needs(Caller::new(token, jkt)).await?,
        };
        let needed = || self.route.scopes.iter().chain(&more);
        if needed().any(|scope| !token.has_scope(scope)) {
            // All of them at once: the client asks for a token once.
            let mut required: Vec<&str> = Vec::new();
            for scope in needed() {
                if !required.contains(&scope.as_str()) {
                    required.push(scope);
                }
            }
            return Err(PolicyError::InsufficientScope { required: required.join(" ") }.into());
        }
        self.seen.checks.pass(Check::Policy);
        Ok(())
    }

    fn verifier(&self) -> &Verifier {
        match self.stage {
            Stage::Observe => &self.server.observing_verifier,
            Stage::Accept | Stage::Prefer | Stage::Require => &self.server.verifier,
        }
    }

    fn conclude(&self, result: Result<Access, Rejection>) -> Verdict {
        let decision = self.decision(&result);
        let nonce = self.nonce(&result);
        let sunset = self.sunset(&result).map(Box::new);
        let outcome = match result {
            Ok(access) => Outcome::Granted(access),
            Err(rejection) if self.stage == Stage::Observe => Outcome::Observed(rejection),
            Err(rejection) => {
                let challenger = Arc::clone(&self.server.challenger);
                let (stage, scheme, nonce) = (self.stage, self.seen.scheme, nonce.clone());
                Outcome::Refused(Refusal { rejection, challenger, stage, scheme, nonce })
            }
        };
        Verdict { outcome, decision, nonce, sunset }
    }

    fn nonce(&self, result: &Result<Access, Rejection>) -> Option<String> {
        let policy = self.server.verifier.nonce_policy();
        if self.stage == Stage::Observe || policy == NoncePolicy::Never {
            return None;
        }
        let wanted = match result {
            Err(Rejection::Nonce(_)) => true,
            Err(rejection)
                if policy == NoncePolicy::Required && rejection.resource_status() == StatusCode::UNAUTHORIZED =>
            {
                true
            }
            Ok(_) | Err(_) => self.seen.nonce_age == Some(NonceAge::Ageing),
        };
        wanted.then(|| self.server.verifier.issue_nonce(&self.epoch_for_nonce(result).id, self.now))
    }

    /// The epoch that the next proof will be judged in. It is asked for again only where the store has said that
    /// another has begun since, and with a fresh reading of the clock.
    fn epoch_for_nonce(&self, result: &Result<Access, Rejection>) -> Epoch {
        match result {
            Err(Rejection::Nonce(NonceError::EpochDemandsNonce)) => self.server.replay.epoch(self.server.clock.now()),
            Ok(_) | Err(_) => self.epoch,
        }
    }

    fn sunset(&self, result: &Result<Access, Rejection>) -> Option<BearerSunset> {
        let bearer = result.as_ref().is_ok_and(|access| access.proof().is_none());
        let ends = self.seen.until.or_else(|| self.route.bearer_ends(self.now));
        let deprecation = || structured_date(self.server.started);
        match (bearer, self.stage) {
            (true, Stage::Prefer) => Some(
                self.server
                    .config
                    .sunset
                    .clone()
                    .unwrap_or_else(|| BearerSunset { deprecation: deprecation(), sunset: ends.and_then(http_date) }),
            ),
            // By a rule of its own where others are refused already.
            (true, Stage::Require) => {
                Some(BearerSunset { deprecation: deprecation(), sunset: ends.and_then(http_date) })
            }
            (true, Stage::Observe | Stage::Accept) | (false, _) => None,
        }
    }

    fn decision(&self, result: &Result<Access, Rejection>) -> Decision {
        let outcome = match (result, self.stage) {
            (Ok(_), _) => DecisionOutcome::Granted,
            (Err(_), Stage::Observe) => DecisionOutcome::Observed,
            (Err(_), Stage::Accept | Stage::Prefer | Stage::Require) => DecisionOutcome::Refused,
        };
        let fault = result.as_ref().err();
        let token = self.seen.token.as_deref();
        Decision {
            version: Decision::VERSION,
            time: self.now.seconds(),
            request: None,
            outcome,
            code: fault.map_or("ok", Rejection::name),
            diagnosis: fault.map(Rejection::diagnosis_code),
            error: fault.and_then(Rejection::code).map(ErrorCode::as_str),
            status: fault.map(|fault| fault.resource_status().as_u16()),
            reason: fault.map(ToString::to_string),
            checks: self.seen.checks,
            offset: self.seen.offset,
            jkt: self.seen.jkt,
            route: self.route.label.clone(),
            client: token.and_then(AccessToken::shared_client_id),
            issuer: token.map(AccessToken::shared_issuer),
            stage: self.stage,
            scheme: self.seen.scheme,
            bound: token.map(|token| token.confirmation().is_bound()),
        }
    }
}

/// The scheme of the one `Authorization` field, also of one whose token cannot be read: the challenge answers it.
fn presented_scheme(headers: &HeaderMap) -> PresentedScheme {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return PresentedScheme::None;
    };
    let scheme = field.as_bytes().split(|byte| *byte == b' ').next().unwrap_or_default();
    match scheme {
        scheme if scheme.eq_ignore_ascii_case(b"DPoP") => PresentedScheme::Dpop,
        scheme if scheme.eq_ignore_ascii_case(b"Bearer") => PresentedScheme::Bearer,
        _ => PresentedScheme::None,
    }
}

/// True when the query has a parameter `access_token` (RFC 6750 §2.3), however its name is encoded.
fn has_token_in_query(path_and_query: &str) -> bool {
    let text = path_and_query.as_bytes();
    let Some(mark) = memchr(b'?', text) else {
        return false;
    };
    let name_of = |parameter: &'_ [u8]| parameter.iter().position(|byte| *byte == b'=').unwrap_or(parameter.len());
    text[mark + 1..].split(|byte| *byte == b'&').any(|parameter| is_access_token(&parameter[..name_of(parameter)]))
}

fn is_access_token(name: &[u8]) -> bool {
    const NAME: &[u8] = b"access_token";
    let mut rest = name;
    for expected in NAME {
        let (byte, after) = match rest {
            [b'%', high, low, after @ ..] => (hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low), after),
            [byte, after @ ..] => (Some(*byte), after),
            [] => return false,
        };
        if byte != Some(*expected) {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
