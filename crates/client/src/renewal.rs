//! Where a client's tokens come from: asked for anew each time, or a session that is renewed.

use std::sync::Arc;

use countersign_dpop::ErrorCode;

use crate::enrolment::Enrolment;
use crate::flows::{TokenError, client_credentials, refresh};
use crate::sessions::{GrantKind, Session, SessionError, SessionId, SessionStore};
use crate::token::{AccessToken, Source, TokenWatch, Tokens};

/// Where tokens come from.
#[derive(Clone, Debug)]
pub(crate) enum TokenSource {
    /// The client itself; nothing is kept.
    ClientCredentials,
    /// A session that was kept.
    Session(KeptSession),
}

/// A session in its store.
#[derive(Clone, Debug)]
pub(crate) struct KeptSession {
    pub(crate) store: SessionStore,
    pub(crate) id: SessionId,
}

impl TokenSource {
    /// Gets a token other than `refused`.
    pub(crate) async fn fetch(
        &self,
        enrolment: &Enrolment,
        refused: Option<Arc<AccessToken>>,
        watch: &TokenWatch,
    ) -> Result<(AccessToken, Source), TokenError> {
        match self {
            Self::ClientCredentials => {
                let metadata = enrolment.metadata().await?;
                let tokens = client_credentials(enrolment, &metadata).await?;
                watch.tell(&tokens);
                Ok((tokens.access, Source::Fetched))
            }
            Self::Session(kept) => kept.fetch(enrolment, refused, watch).await,
        }
    }
}

impl KeptSession {
    async fn fetch(
        &self,
        enrolment: &Enrolment,
        refused: Option<Arc<AccessToken>>,
        watch: &TokenWatch,
    ) -> Result<(AccessToken, Source), TokenError> {
        let session = self.load().await?;
        watch.tell(&session.tokens);
        if let Some(token) = session.usable(enrolment, refused.as_deref()) {
            return Ok((token, Source::Kept));
        }
        // In a task of its own: a caller who goes away while the server rotates the refresh token would lose it.
        let (kept, enrolment, watch) = (self.clone(), enrolment.clone(), watch.clone());
        let renewal = tokio::spawn(async move { kept.renew(&enrolment, refused.as_deref(), &watch).await });
        renewal.await.unwrap_or(Err(TokenError::Interrupted))
    }

    /// Renews the session, alone among all processes: the second who comes finds what the first has got.
    async fn renew(
        &self,
        enrolment: &Enrolment,
        refused: Option<&AccessToken>,
        watch: &TokenWatch,
    ) -> Result<(AccessToken, Source), TokenError> {
        let lock = self.store.lock(&self.id).await?;
        let mut session = self.load().await?;
        watch.tell(&session.tokens);
        if let Some(token) = session.usable(enrolment, refused) {
            return Ok((token, Source::Kept));
        }
        // What cannot be written now could not be written after the server has rotated the refresh token either.
        session = self.save(session).await?;
        session.tokens = self.new_tokens(enrolment, &mut session).await?;
        watch.tell(&session.tokens);
        let session = self.save(session).await?;
        drop(lock);
        Ok((session.tokens.access, Source::Fetched))
    }

    async fn new_tokens(&self, enrolment: &Enrolment, session: &mut Session) -> Result<Tokens, TokenError> {
        let metadata = enrolment.metadata().await?;
        let ended = |reason| TokenError::LoginNeeded { issuer: enrolment.registration.issuer.clone(), reason };
        let Some(token) = session.tokens.refresh.clone() else {
            return match session.grant {
                GrantKind::ClientCredentials => client_credentials(enrolment, &metadata).await,
                _ => Err(ended("its access token is used up, and there is no refresh token")),
            };
        };
        let renewed = refresh(enrolment, &metadata, &token).await;
        match renewed {
            Err(TokenError::Refused { error: Some(ErrorCode::InvalidGrant), .. }) => {
                Err(ended("the issuer does not take its refresh token any more (invalid_grant)"))
            }
            renewed => renewed,
        }
    }

    async fn load(&self) -> Result<Session, SessionError> {
        let (store, id) = (self.store.clone(), self.id);
        blocking(move || store.load(&id)).await
    }

    async fn save(&self, session: Session) -> Result<Session, SessionError> {
        let store = self.store.clone();
        blocking(move || store.save(&session).map(|()| session)).await
    }
}

impl Session {
    /// The access token, if it is good for a request now and not the one that was refused.
    fn usable(&self, enrolment: &Enrolment, refused: Option<&AccessToken>) -> Option<AccessToken> {
        let access = &self.tokens.access;
        let was_refused = refused.is_some_and(|refused| refused.expose_secret() == access.expose_secret());
        (access.is_usable(enrolment.prover.clock.now()) && !was_refused).then(|| access.clone())
    }
}

/// Runs what waits for the disk where waiting harms nobody.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SessionError> + Send + 'static,
) -> Result<T, SessionError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(SessionError::Interrupted))
}
