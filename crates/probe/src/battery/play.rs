use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use countersign_dpop::headers::DPOP;
use countersign_dpop::jose::{Algorithm, KeyFormatError, SoftwareKey};
use futures_util::future::join;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method, Request};

use super::answer::Answer;
use super::attack::Attack;
use super::carrier::{Carrier, CarryError};
use super::input::{BatteryInput, Session};
use super::plan::Plan;
use super::report::AttackRow;
use crate::forge::ForgeError;

const HONEST_REFUSED: &str = "an honest request was refused";
const NO_HONEST_SESSION: &str = "needs an honest session: a token with its key";

/// Plays attacks against one server and remembers the nonces that it hands out.
#[derive(Debug)]
pub struct Battery<'a> {
    input: &'a BatteryInput,
    carrier: &'a dyn Carrier,
    /// The stolen token with the thief's own key.
    thief: Session,
    nonce: Mutex<Option<String>>,
}

impl<'a> Battery<'a> {
    /// A battery with a new key of the thief's own.
    ///
    /// # Errors
    /// [`KeyFormatError`] when no key can be made.
    pub fn new(input: &'a BatteryInput, carrier: &'a dyn Carrier) -> Result<Self, KeyFormatError> {
        let key = Arc::new(SoftwareKey::generate(Algorithm::Es256)?);
        let thief = Session { token: input.loot.token.clone(), key };
        Ok(Self { input, carrier, thief, nonce: Mutex::new(None) })
    }

    /// Plays every attack, in order.
    pub async fn run(&self) -> Vec<AttackRow> {
        let mut rows = Vec::with_capacity(Attack::ALL.len());
        for attack in Attack::ALL {
            rows.push(self.play(attack).await);
        }
        rows
    }

    /// Plays one attack.
    pub async fn play(&self, attack: Attack) -> AttackRow {
        let played = match attack {
            Attack::CapturedProof => self.captured_proof().await,
            Attack::TwiceAtOnce => self.twice_at_once().await,
            Attack::RefusedSpendsNothing => self.refused_spends_nothing().await,
            Attack::ForeignAudience => self.with_token(attack, self.input.foreign_audience.as_ref()).await,
            Attack::ExpiredToken => self.with_token(attack, self.input.expired.as_ref()).await,
            Attack::OtherIssuer => self.with_token(attack, self.input.other_issuer.as_ref()).await,
            Attack::TokenAsBearer | Attack::NoProof | Attack::OwnKey => self.once(attack, &self.thief).await,
            Attack::OtherMethod
            | Attack::OtherPath
            | Attack::OtherHost
            | Attack::OtherAth
            | Attack::NoAth
            | Attack::Stale
            | Attack::Future
            | Attack::IatLowest
            | Attack::IatHuge
            | Attack::IatWraps
            | Attack::AlgNone
            | Attack::AlgHs256
            | Attack::PrivateKey
            | Attack::TwoFields
            | Attack::TamperedSignature => self.once(attack, self.best_session()).await,
            Attack::InventedNonce => self.invented_nonce().await,
        };
        played.unwrap_or_else(|error| AttackRow::inconclusive(attack, error.to_string()))
    }

    /// The honest session where there is one, so that the fault is the only one.
    fn best_session(&self) -> &Session {
        self.input.honest.as_ref().unwrap_or(&self.thief)
    }

    async fn once(&self, attack: Attack, session: &Session) -> Result<AttackRow, PlayError> {
        let plan = Plan::faulty(attack, session, self.input.clock.now())?;
        Ok(AttackRow::judged(attack, &self.send(&plan).await?.1))
    }

    async fn with_token(&self, attack: Attack, session: Option<&Session>) -> Result<AttackRow, PlayError> {
        match session {
            Some(session) => self.once(attack, session).await,
            None => Ok(AttackRow::not_tried(attack, "needs such a token, with its key")),
        }
    }

    /// A server that has never handed out a nonce need not look at one.
    async fn invented_nonce(&self) -> Result<AttackRow, PlayError> {
        let attack = Attack::InventedNonce;
        let row = self.once(attack, self.best_session()).await?;
        if row.stopped || self.nonce().is_some() {
            return Ok(row);
        }
        Ok(AttackRow::not_tried(attack, "the server hands out no nonces"))
    }

    async fn captured_proof(&self) -> Result<AttackRow, PlayError> {
        let attack = Attack::CapturedProof;
        if let Some(captured) = &self.input.loot.captured {
            let authorization = format!("DPoP {}", self.input.loot.token);
            let proofs = [captured.proof.clone()];
            let answer = self.carry(&captured.method, &captured.url, &authorization, &proofs).await?;
            return Ok(AttackRow::judged(attack, &answer));
        }
        let Some(honest) = &self.input.honest else {
            return Ok(AttackRow::not_tried(attack, "needs a captured request or an honest session"));
        };
        let plan = Plan::right(honest, self.input.clock.now())?;
        let (proofs, first) = self.send(&plan).await?;
        if !is_served(&first) {
            return Ok(AttackRow::inconclusive(attack, HONEST_REFUSED).with_answer(&first));
        }
        Ok(AttackRow::judged(attack, &self.carry_plan(&plan, &proofs).await?))
    }

    async fn twice_at_once(&self) -> Result<AttackRow, PlayError> {
        let attack = Attack::TwiceAtOnce;
        let Some(honest) = &self.input.honest else {
            return Ok(AttackRow::not_tried(attack, NO_HONEST_SESSION));
        };
        let plan = Plan::right(honest, self.input.clock.now())?;
        let (mut one, mut two) = self.send_both(&plan).await?;
        if one.demanded_nonce().is_some() && two.demanded_nonce().is_some() {
            (one, two) = self.send_both(&plan).await?;
        }
        Ok(match (is_served(&one), is_served(&two)) {
            (true, true) => AttackRow::got_through(attack, "both copies were served").with_answer(&two),
            (true, false) => AttackRow::judged(attack, &two),
            (false, true) => AttackRow::judged(attack, &one),
            (false, false) => AttackRow::inconclusive(attack, "neither copy was served").with_answer(&one),
        })
    }

    async fn refused_spends_nothing(&self) -> Result<AttackRow, PlayError> {
        let attack = Attack::RefusedSpendsNothing;
        let Some(honest) = &self.input.honest else {
            return Ok(AttackRow::not_tried(attack, NO_HONEST_SESSION));
        };
        let mut plan = Plan::right(honest, self.input.clock.now())?;
        let mut refused = None;
        for fault in [Attack::OtherMethod, Attack::NoAth, Attack::TamperedSignature] {
            plan.attack = Some(fault);
            let answer = self.send(&plan).await?.1;
            if is_served(&answer) {
                return Ok(AttackRow::got_through(attack, "the request to be refused was served").with_answer(&answer));
            }
            refused = Some(answer);
        }
        plan.attack = None;
        let right = self.send(&plan).await?.1;
        if let Some(refused) = refused.filter(|_| is_served(&right)) {
            return Ok(AttackRow::judged(attack, &refused));
        }
        let fresh = self.send(&Plan::right(honest, self.input.clock.now())?).await?.1;
        if !is_served(&fresh) {
            return Ok(AttackRow::inconclusive(attack, HONEST_REFUSED).with_answer(&fresh));
        }
        let note = "the right request was refused afterwards, so anyone can spend another's jti";
        Ok(AttackRow::got_through(attack, note).with_answer(&right))
    }

    /// Sends the planned request, and once more with the nonce if one is asked for. Gives the proofs sent last too.
    async fn send(&self, plan: &Plan<'_>) -> Result<(Vec<String>, Answer), PlayError> {
        let proofs = plan.proofs(self.input, self.nonce().as_deref()).await?;
        let answer = self.carry_plan(plan, &proofs).await?;
        let Some(nonce) = answer.demanded_nonce().filter(|_| plan.attack != Some(Attack::InventedNonce)) else {
            return Ok((proofs, answer));
        };
        let proofs = plan.proofs(self.input, Some(nonce)).await?;
        let answer = self.carry_plan(plan, &proofs).await?;
        Ok((proofs, answer))
    }

    async fn send_both(&self, plan: &Plan<'_>) -> Result<(Answer, Answer), PlayError> {
        let proofs = plan.proofs(self.input, self.nonce().as_deref()).await?;
        let (one, two) = join(self.carry_plan(plan, &proofs), self.carry_plan(plan, &proofs)).await;
        Ok((one?, two?))
    }

    async fn carry_plan(&self, plan: &Plan<'_>, proofs: &[String]) -> Result<Answer, PlayError> {
        self.carry(&self.input.method, &self.input.url, &plan.authorization(), proofs).await
    }

    async fn carry(
        &self,
        method: &Method,
        url: &str,
        authorization: &str,
        proofs: &[String],
    ) -> Result<Answer, PlayError> {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = method.clone();
        *request.uri_mut() = url.parse().map_err(|_| PlayError::Unsendable)?;
        request.headers_mut().insert(AUTHORIZATION, field(authorization)?);
        for proof in proofs {
            request.headers_mut().append(DPOP, field(proof)?);
        }
        let answer = Answer::read(&self.carrier.carry(request).await?);
        if let Some(nonce) = &answer.nonce {
            *self.nonce.lock().unwrap_or_else(PoisonError::into_inner) = Some(nonce.clone());
        }
        Ok(answer)
    }

    fn nonce(&self) -> Option<String> {
        self.nonce.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[derive(Debug, thiserror::Error)]
enum PlayError {
    #[error(transparent)]
    Carry(#[from] CarryError),
    #[error(transparent)]
    Forge(#[from] ForgeError),
    #[error("the request cannot be written as HTTP")]
    Unsendable,
}

fn field(text: &str) -> Result<HeaderValue, PlayError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| PlayError::Unsendable)?;
    value.set_sensitive(true);
    Ok(value)
}

fn is_served(answer: &Answer) -> bool {
    answer.status.as_u16() < 400
}
