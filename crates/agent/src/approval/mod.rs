//! Approvals: a request waits until a person has said yes or no, or the time is up.

mod ask;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_dpop::time::{Clock, Timestamp};
use tokio::sync::{oneshot, watch};

use self::ask::Lasting;
pub use self::ask::{Ask, Decision, Subject};

/// The requests that wait, and what was approved for a while.
#[derive(Debug)]
pub struct Approvals {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    clock: Arc<dyn Clock>,
    wait: Duration,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
    grants: Vec<Grant>,
}

#[derive(Debug)]
struct Waiting {
    ask: Ask,
    answer: oneshot::Sender<Answer>,
}

/// What was approved beyond one request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Grant {
    /// The approval.
    pub id: u64,
    /// What for.
    pub subject: Subject,
    /// Until when; `None` until the agent ends or is locked.
    pub until: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Answer {
    Yes,
    No,
}

/// How a request may go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Approved {
    /// The approval's number.
    pub id: u64,
}

/// Why a request may not go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotApproved {
    /// A person said no.
    #[error("a person said no")]
    Denied,
    /// Nobody answered.
    #[error("nobody answered in time")]
    Lapsed,
    /// Too many requests wait already.
    #[error("too many requests wait for a person already")]
    TooMany,
}

/// Why a decision is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecisionError {
    /// Nothing waits under this number, or not any more.
    #[error("no request waits under this number, or not any more")]
    Unknown,
    /// The one who approves is the one who asks, or was started by it.
    #[error("the program that asks cannot approve itself")]
    OwnRequest,
}

/// The most requests that wait at a time.
const MAX_WAITING: usize = 64;
/// The most approvals that are kept.
const MAX_GRANTS: usize = 1_024;

impl Approvals {
    /// Requests wait for `wait` at most.
    pub fn new(wait: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { state: Mutex::default(), changed: watch::Sender::new(0), clock, wait }
    }

    /// The approval that `subject` has already, if it has one.
    pub(crate) fn covering(&self, subject: &Subject) -> Option<Approved> {
        let now = self.clock.now();
        let mut state = self.lock();
        state.grants.retain(|grant| grant.until.is_none_or(|until| now < until));
        state.grants.iter().find(|grant| grant.subject == *subject).map(|grant| Approved { id: grant.id })
    }

    /// Puts a request before a person. The number is known at once; the answer takes its time.
    pub(crate) fn put(
        self: &Arc<Self>,
        mut ask: Ask,
    ) -> Result<(Ask, impl Future<Output = Result<Approved, NotApproved>> + use<>), NotApproved> {
        let (sender, receiver) = oneshot::channel();
        let now = self.clock.now();
        let mut state = self.lock();
        if state.waiting.len() >= MAX_WAITING {
            return Err(NotApproved::TooMany);
        }
        state.next = state.next.saturating_add(1);
        let id = state.next;
        ask.id = id;
        ask.asked_at = now.seconds();
        ask.lapses_at = now.plus(i64::try_from(self.wait.as_secs()).unwrap_or(i64::MAX)).seconds();
        state.waiting.insert(id, Waiting { ask: ask.clone(), answer: sender });
        drop(state);
        self.tell();
        let place = InPlace { approvals: Arc::clone(self), id };
        let answer = async move {
            let wait = place.approvals.wait;
            // Whoever stops waiting, for whatever reason, leaves nothing behind.
            match tokio::time::timeout(wait, receiver).await {
                Ok(Ok(Answer::Yes)) => Ok(Approved { id }),
                Ok(Ok(Answer::No)) => Err(NotApproved::Denied),
                Ok(Err(_)) | Err(_) => Err(NotApproved::Lapsed),
            }
        };
        Ok((ask, answer))
    }

    /// The requests that wait.
    pub fn waiting(&self) -> Vec<Ask> {
        self.lock().waiting.values().map(|waiting| waiting.ask.clone()).collect()
    }

    /// The request that waits under a number.
    pub fn ask(&self, id: u64) -> Option<Ask> {
        self.lock().waiting.get(&id).map(|waiting| waiting.ask.clone())
    }

    /// What was approved beyond one request, and is good still.
    pub fn grants(&self) -> Vec<Grant> {
        let now = self.clock.now();
        let state = self.lock();
        state.grants.iter().filter(|grant| grant.until.is_none_or(|until| now < until)).cloned().collect()
    }

    /// Counts up whenever something begins or ends to wait.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Takes a person's decision about the request `id`. `by` are the processes of the one who decides.
    ///
    /// # Errors
    /// See [`DecisionError`].
    pub fn decide(&self, id: u64, decision: Decision, by: &[i32]) -> Result<Ask, DecisionError> {
        let mut state = self.lock();
        let asked_by = state.waiting.get(&id).ok_or(DecisionError::Unknown)?.ask.process.first();
        if decision != Decision::Deny && asked_by.is_some_and(|process| by.contains(&process.pid)) {
            return Err(DecisionError::OwnRequest);
        }
        let Some(waiting) = state.waiting.remove(&id) else { return Err(DecisionError::Unknown) };
        let answer = if decision == Decision::Deny { Answer::No } else { Answer::Yes };
        let until = match decision.lasting(waiting.ask.subject.lasts(), self.clock.now()) {
            Lasting::NotAtAll => None,
            Lasting::Until(until) => Some(Some(until)),
            Lasting::ForGood => Some(None),
        };
        if let Some(until) = until {
            state.grant(Grant { id, subject: waiting.ask.subject.clone(), until });
            state.release(&waiting.ask.subject);
        }
        drop(state);
        let _ = waiting.answer.send(answer);
        self.tell();
        Ok(waiting.ask)
    }

    /// Forgets every approval and refuses what waits.
    pub(crate) fn forget(&self) {
        let mut state = self.lock();
        state.grants.clear();
        for (_, waiting) in std::mem::take(&mut state.waiting) {
            let _ = waiting.answer.send(Answer::No);
        }
        drop(state);
        self.tell();
    }

    fn tell(&self) {
        self.changed.send_modify(|version| *version = version.wrapping_add(1));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn grant(&mut self, grant: Grant) {
        self.grants.retain(|held| held.subject != grant.subject);
        if self.grants.len() >= MAX_GRANTS {
            self.grants.remove(0);
        }
        self.grants.push(grant);
    }

    /// Lets the others go on that wait for the same.
    fn release(&mut self, subject: &Subject) {
        let same: Vec<u64> =
            self.waiting.iter().filter(|(_, waiting)| waiting.ask.subject == *subject).map(|(id, _)| *id).collect();
        for id in same {
            if let Some(waiting) = self.waiting.remove(&id) {
                let _ = waiting.answer.send(Answer::Yes);
            }
        }
    }
}

/// Takes a request out of the list when nobody waits for it any more.
struct InPlace {
    approvals: Arc<Approvals>,
    id: u64,
}

impl Drop for InPlace {
    fn drop(&mut self) {
        if self.approvals.lock().waiting.remove(&self.id).is_some() {
            self.approvals.tell();
        }
    }
}
