//! What the issuer said, for a while: one question at a time for one token, refusals apart from answers, and a pause
//! between tries at an issuer that is away.

use std::collections::HashMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countersign_dpop::Ath;
use countersign_dpop::time::Timestamp;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use secrecy::SecretString;

use super::Introspection;
use super::exchange::{Answer, ask};
use crate::fetch::Fetch;
use crate::issuer::counters::Counters;
use crate::issuer::discovery::{KeysError, introspection_endpoint};
use crate::issuer::keys::{RENEW_KEYS_AFTER, STALE_KEYS_FOR, apart};
use crate::token::TokenCache;

/// The most seconds for which an answer is believed.
pub const INTROSPECTION_CACHE: i64 = 30;
/// Questions under way at a time, for one issuer. Who comes then is told to come again: made-up tokens must not
/// become a load on the issuer.
pub const MAX_INTROSPECTIONS: usize = 256;
/// How many answers are remembered, and how many refusals beside them.
const ANSWERS: usize = 16_384;
const REFUSALS: usize = 4_096;
/// The most seconds between two tries at an issuer that is away: every token waits for it.
const MAX_PAUSE: i64 = 5;
/// What is asked about when only the issuer's answer counts.
const NOBODYS_TOKEN: &str = "countersign-asks-whether-you-answer";

type Flight = Shared<BoxFuture<'static, Result<Answer, KeysError>>>;
type WeakFlight = WeakShared<BoxFuture<'static, Result<Answer, KeysError>>>;

/// Asks one issuer about tokens. Cheap to clone; clones share everything.
#[derive(Clone)]
pub(crate) struct Introspector {
    inner: Arc<Inner>,
}

struct Inner {
    issuer: Arc<str>,
    asking: Introspection,
    fetch: Arc<dyn Fetch>,
    counters: Arc<Counters>,
    answers: TokenCache<Known>,
    refusals: TokenCache<Known>,
    state: Mutex<State>,
}

/// An answer and when its question was asked.
#[derive(Clone)]
struct Known {
    answer: Answer,
    asked: Timestamp,
}

#[derive(Default)]
struct State {
    flights: HashMap<Ath, WeakFlight>,
    /// From the metadata, with the time when it was read.
    endpoint: Option<(Arc<str>, Timestamp)>,
    failures: u32,
    not_before: Option<Timestamp>,
    /// Why the issuer was of no use when it was asked last; `None` when it was.
    fault: Option<KeysError>,
    answered: bool,
}

impl Introspector {
    pub(in crate::issuer) fn new(
        issuer: Arc<str>,
        asking: Introspection,
        fetch: Arc<dyn Fetch>,
        counters: Arc<Counters>,
    ) -> Self {
        let (answers, refusals) = (TokenCache::new(ANSWERS), TokenCache::new(REFUSALS));
        Self { inner: Arc::new(Inner { issuer, asking, fetch, counters, answers, refusals, state: Mutex::default() }) }
    }

    /// What the issuer says of `token`: by an answer that is young enough, else by asking.
    pub(in crate::issuer) async fn answer(&self, token: &str, ath: &Ath, now: Timestamp) -> Result<Answer, KeysError> {
        if let Some(answer) = self.inner.known(ath, now) {
            self.inner.counters.introspection.hit();
            return Ok(answer);
        }
        self.inner.counters.introspection.miss();
        self.flight(token, ath, now)?.await
    }

    /// What the issuer said of the token with this hash, if that is young enough. Nobody is asked.
    pub(in crate::issuer) fn remembered(&self, ath: &Ath, now: Timestamp) -> Option<Answer> {
        self.inner.known(ath, now)
    }

    /// Makes sure that the issuer answers, for readiness, and heals what a failure left behind.
    pub(crate) async fn renew(&self, now: Timestamp) {
        let due = {
            let state = self.inner.lock();
            (!state.answered || state.fault.is_some()) && state.may_try(now)
        };
        if due && let Ok(flight) = self.flight(NOBODYS_TOKEN, &Ath::of(NOBODYS_TOKEN), now) {
            let _ = flight.await;
        }
    }

    /// Why tokens cannot be judged; `None` when they can, as far as is known.
    pub(crate) fn missing(&self) -> Option<KeysError> {
        let state = self.inner.lock();
        if state.answered { state.fault.clone() } else { Some(state.fault.clone().unwrap_or(KeysError::Pending)) }
    }

    /// The question about this token that is under way, or a new one.
    fn flight(&self, token: &str, ath: &Ath, now: Timestamp) -> Result<Flight, KeysError> {
        let mut state = self.inner.lock();
        if let Some(flight) = state.flights.get(ath).and_then(WeakShared::upgrade) {
            return Ok(flight);
        }
        if !state.may_try(now) {
            return Err(state.fault.clone().unwrap_or(KeysError::Pending));
        }
        if state.flights.len() >= MAX_INTROSPECTIONS {
            // Questions that nobody waits for any more are over.
            state.flights.retain(|_, flight| flight.upgrade().is_some());
        }
        if state.flights.len() >= MAX_INTROSPECTIONS {
            return Err(KeysError::TooMany);
        }
        let flight = fly(Arc::clone(&self.inner), SecretString::from(token), *ath, now).boxed().shared();
        if let Some(weak) = flight.downgrade() {
            state.flights.insert(*ath, weak);
        }
        Ok(flight)
    }
}

async fn fly(inner: Arc<Inner>, token: SecretString, ath: Ath, now: Timestamp) -> Result<Answer, KeysError> {
    let asked = AssertUnwindSafe(inner.ask(&token, now)).catch_unwind().await;
    let result = asked.unwrap_or(Err(KeysError::Broken));
    inner.counters.questions.ended(&result);
    inner.land(&ath, &result, now);
    result
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements, so a panic elsewhere has not spoilt it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, ath: &Ath, now: Timestamp) -> Option<Answer> {
        let young = |known: &Known| apart(known.asked, now) < self.asking.cache;
        let known = self.answers.get(ath).filter(young).or_else(|| self.refusals.get(ath).filter(young))?;
        Some(known.answer)
    }

    async fn ask(&self, token: &SecretString, now: Timestamp) -> Result<Answer, KeysError> {
        let endpoint = self.endpoint(now).await?;
        ask(&self.issuer, &self.asking, &endpoint, token, self.fetch.as_ref(), now).await
    }

    /// Where to ask: as configured, or as the metadata said not too long ago.
    async fn endpoint(&self, now: Timestamp) -> Result<Arc<str>, KeysError> {
        if let Some(endpoint) = &self.asking.endpoint {
            return Ok(endpoint.as_str().into());
        }
        let known = self.lock().endpoint.clone();
        match known {
            Some((endpoint, read)) if apart(read, now) < RENEW_KEYS_AFTER => return Ok(endpoint),
            Some(_) | None => (),
        }
        match (introspection_endpoint(&self.issuer, &self.fetch).await, known) {
            (Ok(endpoint), _) => {
                let endpoint: Arc<str> = endpoint.into();
                self.lock().endpoint = Some((Arc::clone(&endpoint), now));
                Ok(endpoint)
            }
            (Err(_), Some((endpoint, read))) if apart(read, now) < STALE_KEYS_FOR => Ok(endpoint),
            (Err(fault), _) => Err(fault),
        }
    }

    fn land(&self, ath: &Ath, result: &Result<Answer, KeysError>, now: Timestamp) {
        match result {
            Ok(answer) => {
                let known = Known { answer: answer.clone(), asked: now };
                // Apart, so that refusals, which anybody can cause, push out no answer.
                match answer {
                    Answer::Active(_) => self.answers.insert(*ath, known),
                    Answer::Refused(_) => {
                        self.answers.remove(ath);
                        self.refusals.insert(*ath, known);
                    }
                }
            }
            // An answer that could not be had again is not believed any longer.
            Err(_) => drop(self.answers.remove(ath)),
        }
        let mut state = self.lock();
        state.flights.remove(ath);
        match result {
            Ok(_) => (state.failures, state.not_before, state.fault, state.answered) = (0, None, None, true),
            // About this one answer; whether others come is not known.
            Err(fault) if !fault.is_away() && state.answered => (),
            Err(fault) => {
                let pause = 1_i64.checked_shl(state.failures).map_or(MAX_PAUSE, |pause| pause.min(MAX_PAUSE));
                state.failures = state.failures.saturating_add(1).min(16);
                state.not_before = Some(now.plus(pause));
                state.fault = Some(fault.clone());
            }
        }
    }
}

impl State {
    /// A clock that was set back must not stop the tries for longer than the longest pause.
    fn may_try(&self, now: Timestamp) -> bool {
        self.not_before.is_none_or(|not_before| now >= not_before || not_before.since(now) > MAX_PAUSE)
    }
}

impl fmt::Debug for Introspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspector").field("issuer", &self.inner.issuer).finish_non_exhaustive()
    }
}
