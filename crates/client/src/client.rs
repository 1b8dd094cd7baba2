//! A client, opened from its configuration.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_dpop::ProofMaker;
use countersign_dpop::jose::{Jkt, KeyFormatError, ProofSigner, SoftwareKey};
use countersign_dpop::time::{Clock, Timestamp};
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::config::{AssertionKey, Authentication, ClientConfig, ClientSecret};
use crate::enrolment::{Enrolment, Registration};
use crate::flows::{Authenticator, TokenError, revoke};
use crate::http::{Http, TimeLimits, TransportError};
use crate::keys::{KeyName, KeyStore, KeyStoreError};
use crate::nonce::NonceJar;
use crate::observe::{Observer, Step};
use crate::prover::Prover;
use crate::renewal::{KeptSession, TokenSource, blocking};
use crate::sessions::{Session, SessionStore};
use crate::token::{AccessToken, Source, TokenCache, TokenWatch, Tokens};

/// One client at one issuer, with its key, its token and what it has learned of the servers. Clones share all that.
///
/// Tokens are fetched when they are needed, by one caller for all, and kept in memory only.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) enrolment: Enrolment,
    pub(crate) tokens: Arc<TokenCache>,
    source: TokenSource,
    watch: TokenWatch,
    /// How many redirects are followed.
    pub(crate) redirects: u8,
}

/// Why a client could not be opened. Carries nothing secret.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OpenError {
    /// A file that the configuration names.
    #[error("{}: {kind}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        kind: io::ErrorKind,
    },
    /// A file of the wrong size.
    #[error("{} is empty or longer than {limit} bytes", path.display())]
    FileSize {
        /// Which.
        path: PathBuf,
        /// The most bytes that are read.
        limit: u64,
    },
    /// The HTTP client could not be set up.
    #[error("the HTTP client could not be set up: {0}")]
    Http(#[from] TransportError),
    /// The key for `private_key_jwt` cannot be read from its file.
    #[error("{}: {fault}", path.display())]
    KeyFile {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        fault: KeyFormatError,
    },
    /// A key of the store.
    #[error(transparent)]
    KeyStore(#[from] KeyStoreError),
    /// The key of that name is another than the one that the session's tokens are bound to.
    #[error("key '{name}' is not the one that the session is bound to ({expected}); log in again")]
    KeyChanged {
        /// The key.
        name: KeyName,
        /// The thumbprint that the tokens are bound to.
        expected: Jkt,
    },
    /// Proofs and assertions by one key: who gets the one could use it as the other.
    #[error("the key for private_key_jwt is the key for proofs too ({jkt}); use two keys")]
    OneKeyForBoth {
        /// The thumbprint of the key.
        jkt: Jkt,
    },
    /// The secret's file is not text.
    #[error("{} is not UTF-8 text", path.display())]
    SecretNotText {
        /// Which.
        path: PathBuf,
    },
}

/// The longest secret or key file that is read, in bytes.
const MAX_FILE: u64 = 65_536;

impl Client {
    /// Opens the client that `config` describes, with its keys from `keys`. Blocks while keys are unsealed; no
    /// request is made yet.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(config: &ClientConfig, keys: &dyn KeyStore, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        Self::with_source(config, keys, clock, "", TokenSource::ClientCredentials)
    }

    /// Opens a session that is kept in `sessions`, with its key from `keys`. Its token is renewed when that is needed,
    /// by one process for all. Blocks while keys are unsealed; no request is made yet.
    ///
    /// # Errors
    /// See [`OpenError`]; [`OpenError::KeyChanged`] when the key is not the one that the tokens are bound to.
    pub fn of_session(
        session: &Session,
        sessions: SessionStore,
        keys: &dyn KeyStore,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let source = TokenSource::Session(KeptSession { store: sessions, id: session.id() });
        let client = Self::with_source(&session.config, keys, clock, &session.label, source)?;
        if *client.jkt() == session.jkt {
            Ok(client)
        } else {
            Err(OpenError::KeyChanged { name: session.config.keys.dpop.clone(), expected: session.jkt })
        }
    }

    fn with_source(
        config: &ClientConfig,
        keys: &dyn KeyStore,
        clock: Arc<dyn Clock>,
        label: &str,
        source: TokenSource,
    ) -> Result<Self, OpenError> {
        let maker = ProofMaker::new(keys.open(&config.keys.dpop)?);
        let authenticator = authenticator(config, keys, maker.jkt())?;
        let prover = Prover::new(maker, clock, Arc::new(NonceJar::default()), config.binding(label));
        let http = Http::new(TimeLimits::default())?;
        let enrolment = Enrolment::new(Registration::of(config), authenticator, prover, http);
        Ok(Self { enrolment, tokens: Arc::default(), source, watch: TokenWatch::default(), redirects: 0 })
    }

    /// Follows up to `limit` redirects of one call, on the same origin and within the resource, each with a proof of
    /// its own. Other redirects are given back.
    #[must_use]
    pub const fn following_redirects(mut self, limit: u8) -> Self {
        self.redirects = limit;
        self
    }

    /// Tells every step of this client, and of clones made from it from now on, to `observe`.
    #[must_use]
    pub fn with_observer(mut self, observe: impl Fn(&Step) + Send + Sync + 'static) -> Self {
        self.enrolment.observer = Observer::new(observe);
        self
    }

    /// Waits for other times than the default ones.
    ///
    /// # Errors
    /// [`OpenError::Http`].
    pub fn with_time_limits(mut self, limits: TimeLimits) -> Result<Self, OpenError> {
        self.enrolment.http = Http::new(limits)?;
        Ok(self)
    }

    /// Tells `watch` every access and refresh token that this client and its clones get from now on, before it is
    /// used: for filters, which have to know what nobody may see. The first who watches is told, no other.
    pub fn watch_tokens(&self, watch: impl Fn(&str) + Send + Sync + 'static) {
        self.watch.set(watch);
    }

    /// The thumbprint of the key that proofs are made with.
    pub fn jkt(&self) -> &Jkt {
        self.enrolment.prover.maker.jkt()
    }

    /// What makes this client's proofs.
    pub fn proof_maker(&self) -> &ProofMaker {
        &self.enrolment.prover.maker
    }

    /// A token that is good for a request now: the kept one, or a new one.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub async fn token(&self) -> Result<Arc<AccessToken>, TokenError> {
        Ok(self.token_and_source(self.enrolment.prover.clock.now()).await?.0)
    }

    pub(crate) async fn token_and_source(&self, now: Timestamp) -> Result<(Arc<AccessToken>, Source), TokenError> {
        let fetch = |refused| self.source.fetch(&self.enrolment, refused, &self.watch);
        self.tokens.get(now, fetch).await
    }

    /// Revokes the client's tokens at the issuer (RFC 7009) and forgets them, and its session if it has one, also when
    /// the issuer could not be told. False when the issuer takes no revocations.
    ///
    /// # Errors
    /// [`TokenError::Session`] when the session cannot be forgotten; otherwise why the issuer could not be told.
    pub async fn log_out(&self) -> Result<bool, TokenError> {
        let TokenSource::Session(kept) = &self.source else { return self.revoke_held().await };
        let _lock = kept.store.lock(&kept.id).await?;
        let revoked = self.revoke(kept).await;
        let (store, id) = (kept.store.clone(), kept.id);
        blocking(move || store.remove(&id)).await?;
        self.tokens.clear().await;
        revoked
    }

    /// Of a client that keeps nothing, the token that it holds is all there is to revoke.
    async fn revoke_held(&self) -> Result<bool, TokenError> {
        let Some(held) = self.tokens.take().await else { return Ok(true) };
        let metadata = self.enrolment.metadata().await?;
        let tokens = Tokens { access: AccessToken::clone(&held), refresh: None };
        revoke(&self.enrolment, &metadata, &tokens).await
    }

    async fn revoke(&self, kept: &KeptSession) -> Result<bool, TokenError> {
        let (store, id) = (kept.store.clone(), kept.id);
        let session = blocking(move || store.load(&id)).await?;
        let metadata = self.enrolment.metadata().await?;
        revoke(&self.enrolment, &metadata, &session.tokens).await
    }
}

pub(crate) fn authenticator(
    config: &ClientConfig,
    keys: &dyn KeyStore,
    dpop: &Jkt,
) -> Result<Authenticator, OpenError> {
    match &config.authentication {
        Authentication::PrivateKeyJwt { key, kid } => {
            let signer = assertion_key(key, keys)?;
            let jkt = signer.public_jwk().jkt();
            if jkt == *dpop {
                return Err(OpenError::OneKeyForBoth { jkt });
            }
            Ok(Authenticator::PrivateKeyJwt { signer, kid: kid.clone() })
        }
        Authentication::ClientSecretBasic { secret } => {
            Ok(Authenticator::ClientSecretBasic { secret: client_secret(secret)? })
        }
        Authentication::None => Ok(Authenticator::None),
    }
}

fn assertion_key(key: &AssertionKey, keys: &dyn KeyStore) -> Result<Arc<dyn ProofSigner>, OpenError> {
    match key {
        AssertionKey::Stored(name) => Ok(keys.open(name)?),
        AssertionKey::File(path) => {
            let text = read_file(path)?;
            let key = SoftwareKey::from_text(&text, None);
            Ok(Arc::new(key.map_err(|fault| OpenError::KeyFile { path: path.clone(), fault })?))
        }
    }
}

fn client_secret(secret: &ClientSecret) -> Result<SecretString, OpenError> {
    match secret {
        ClientSecret::Inline(secret) => Ok(secret.clone()),
        ClientSecret::File(path) => {
            let bytes = read_file(path)?;
            let text = str::from_utf8(&bytes).map_err(|_| OpenError::SecretNotText { path: path.clone() })?;
            // One line end at the end is the editor's, not the secret's.
            let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
            match line {
                "" => Err(OpenError::FileSize { path: path.clone(), limit: MAX_FILE }),
                secret => Ok(secret.into()),
            }
        }
    }
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let failed = |fault: io::Error| OpenError::File { path: path.to_owned(), kind: fault.kind() };
    let mut bytes = Zeroizing::new(Vec::new());
    let longest = MAX_FILE.saturating_add(1);
    let read = File::open(path).and_then(|file| file.take(longest).read_to_end(&mut bytes)).map_err(failed)?;
    if read == 0 || bytes.len() as u64 > MAX_FILE {
        return Err(OpenError::FileSize { path: path.to_owned(), limit: MAX_FILE });
    }
    Ok(bytes)
}
