//! One token, fetched by one caller for all.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};

use countersign_dpop::time::Timestamp;
use tokio::sync::Mutex;

use crate::flows::TokenError;
use crate::token::AccessToken;

/// Keeps the newest token. Of callers that need a new one at the same time, one asks for it and the others wait for
/// what it gets, a failure included.
#[derive(Default)]
pub(crate) struct TokenCache {
    /// Looked at by every call, and changed only by who has the fetching too.
    held: std::sync::Mutex<Option<Arc<AccessToken>>>,
    fetching: Mutex<Fetching>,
    /// How many fetches have ended.
    fetches: AtomicU64,
}

/// What the last fetches came to. Locked for as long as one is under way.
#[derive(Default)]
struct Fetching {
    /// The last one that a server refused.
    refused: Option<Arc<AccessToken>>,
    failure: Option<TokenError>,
}

/// Where a token came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    Kept,
    Fetched,
}

impl TokenCache {
    /// The kept token if it is usable at `now`, else what `fetch` gets. It is told which token was refused last.
    pub(crate) async fn get<F, R>(&self, now: Timestamp, fetch: F) -> Result<(Arc<AccessToken>, Source), TokenError>
    where
        F: FnOnce(Option<Arc<AccessToken>>) -> R + Send,
        R: Future<Output = Result<(AccessToken, Source), TokenError>> + Send,
    {
        let seen = self.fetches.load(Ordering::Acquire);
        match self.usable(now) {
            Some(held) => Ok((held, Source::Kept)),
            // Rare and large: every call would carry the room for it along.
            None => Box::pin(self.wait(seen, now, fetch)).await,
        }
    }

    /// `seen` fetches had ended when it was asked for.
    async fn wait<F, R>(&self, seen: u64, now: Timestamp, fetch: F) -> Result<(Arc<AccessToken>, Source), TokenError>
    where
        F: FnOnce(Option<Arc<AccessToken>>) -> R + Send,
        R: Future<Output = Result<(AccessToken, Source), TokenError>> + Send,
    {
        let mut fetching = self.fetching.lock().await;
        if let Some(held) = self.usable(now) {
            return Ok((held, Source::Kept));
        }
        if self.fetches.load(Ordering::Acquire) != seen
            && let Some(failure) = &fetching.failure
        {
            return Err(failure.clone());
        }
        let fetched = fetch(fetching.refused.clone()).await.map(|(token, source)| (Arc::new(token), source));
        *self.held() = fetched.as_ref().ok().map(|(token, _)| token.clone());
        fetching.failure = fetched.as_ref().err().cloned();
        self.fetches.fetch_add(1, Ordering::Release);
        fetched
    }

    /// Forgets `token`, unless another has taken its place already.
    pub(crate) async fn discard(&self, token: &Arc<AccessToken>) {
        let mut fetching = self.fetching.lock().await;
        let refused = self.held().take_if(|held| Arc::ptr_eq(held, token));
        if refused.is_some() {
            fetching.refused = refused;
        }
    }

    /// Takes the token that is held, and forgets it.
    pub(crate) async fn take(&self) -> Option<Arc<AccessToken>> {
        *self.fetching.lock().await = Fetching::default();
        self.held().take()
    }

    /// Forgets whatever is kept.
    pub(crate) async fn clear(&self) {
        drop(self.take().await);
    }

    fn usable(&self, now: Timestamp) -> Option<Arc<AccessToken>> {
        self.held().as_ref().filter(|token| token.is_usable(now)).cloned()
    }

    fn held(&self) -> MutexGuard<'_, Option<Arc<AccessToken>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").finish_non_exhaustive()
    }
}
