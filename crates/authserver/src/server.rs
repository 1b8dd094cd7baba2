//! The server: settings, storage, keys and verifier put together once.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use countersign_dpop::error::{NonceError, ProofError, ReplayError};
use countersign_dpop::jose::Algorithms;
use countersign_dpop::replay::{QuotaKey, Recorded};
use countersign_dpop::time::{Clock, Timestamp};
use countersign_dpop::{
    CheckedProof, Htu, HtuError, NoRandomness, NonceKey, NoncePolicy, Rejection, VerifiedProof, Verifier,
};
use zeroize::Zeroizing;

use crate::authentication::{AssertionError, AuthenticatedClient, ClientError, MAX_LIFE};
use crate::client::{AuthMethod, Client};
use crate::config::{FAPI2_ALGORITHMS, Settings};
use crate::endpoint::{self, Endpoint};
use crate::error::Refusal;
use crate::fetch::{Fetch, GuardedFetch, Offline, ResolveHost, SystemResolver};
use crate::issuer::Issuer;
use crate::operation::{Limits, Metrics};
use crate::people::{Costs, People};
use crate::registered::{Documents, Registered};
use crate::seal::{Seal, SealError, SealFileError};
use crate::share::{Reserved, Shares};
use crate::signing::{KeyError, KeyRing, SigningKeys};
use crate::storage::{Change, SingleUse, SqlStorage, Storage, StorageError, StorageOpenError, Verdict};

/// An authorization server, ready to serve.
#[derive(Clone, Debug)]
pub struct AuthServer {
    pub(crate) shared: Arc<Shared>,
}

/// Why a server cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data directory or its database.
    #[error(transparent)]
    Storage(#[from] StorageOpenError),
    /// The storage, once opened, does not answer.
    #[error(transparent)]
    StorageAway(#[from] StorageError),
    /// The sealing key.
    #[error(transparent)]
    SealFile(#[from] SealFileError),
    /// A secret that the storage holds.
    #[error("a key that the storage holds cannot be opened: {0}")]
    Secret(SealError),
    /// The signing keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// No random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The issuer's endpoints cannot be expressed as `htu`.
    #[error("the issuer is too long: {0}")]
    Htu(#[from] HtuError),
    /// An algorithm that the profile asks for is not in this build.
    #[error("this build lacks an algorithm that the profile needs")]
    Algorithms,
}

impl AuthServer {
    /// Opens the storage that `settings` name, making what is not there: data directory, tables, sealing key, signing
    /// key.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(settings: impl Into<Arc<Settings>>, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let settings = settings.into();
        let window = settings.profile.rules().window;
        let storage = match &settings.database {
            Some(address) => SqlStorage::open_postgres(address, window, clock.now()).await?,
            None => SqlStorage::open_sqlite(&settings.data, window, clock.now()).await?,
        };
        Self::open_with(settings, Arc::new(storage), clock).await
    }

    /// Opens the server on a storage that is already there. The sealing key stays in the data directory.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open_with(
        settings: impl Into<Arc<Settings>>,
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        Self::open_fetching(settings, storage, clock, fetcher()).await
    }

    /// [`AuthServer::open_with`] with another way to get keys and documents of others.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open_fetching(
        settings: impl Into<Arc<Settings>>,
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
        fetch: Arc<dyn Fetch>,
    ) -> Result<Self, OpenError> {
        let settings = settings.into();
        let now = clock.now();
        let seal = open_seal(&settings, storage.as_ref()).await?;
        let nonce_key = NonceKey::from_bytes(*find_or_make_secret(storage.as_ref(), &seal, NONCE_KEY).await?);
        let session_key = find_or_make_secret(storage.as_ref(), &seal, SESSION_KEY).await?;
        let people = People::new(&session_key[..], costs_of_signing_in(&settings));
        let keys = SigningKeys::load_or_make(storage.as_ref(), &seal, now).await?;
        storage.sweep(now).await?;
        let shares = Shares::new(CAPACITY, storage.count_recorded().await?, now.plus(MAX_LIFE));
        let shared = Shared {
            verifier: verifier(&settings, nonce_key)?,
            assertion_algorithms: Algorithms::all().narrowed_to(FAPI2_ALGORITHMS).ok_or(OpenError::Algorithms)?,
            htus: htus(&settings.issuer)?,
            clock,
            storage,
            fetch,
            keys: KeyRing::new(keys, now),
            seal,
            people,
            registered: Registered::default(),
            documents: Documents::default(),
            shares,
            metrics: Arc::default(),
            limits: Limits::new(settings.limits),
            settings,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Metadata, keys and the endpoints, at the paths that the issuer implies.
    pub fn router(&self) -> Router {
        endpoint::router(&self.shared)
    }

    /// `/healthz`, `/readyz` and `/metrics`, for an address of their own.
    pub fn admin_router(&self) -> Router {
        endpoint::admin_router(&self.shared)
    }

    /// The settings it was opened with.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }
}

/// The most single-use entries that are live at a time.
const CAPACITY: u64 = 1_000_000;

/// How often a decision is made anew because somebody else was faster.
pub(crate) const MAX_ATTEMPTS: usize = 64;

/// What every request needs.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Arc<Settings>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) fetch: Arc<dyn Fetch>,
    pub(crate) keys: KeyRing,
    pub(crate) verifier: Verifier,
    pub(crate) assertion_algorithms: Algorithms,
    htus: Vec<Htu>,
    pub(crate) seal: Seal,
    pub(crate) shares: Shares,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: Limits,
    pub(crate) people: People,
    registered: Registered,
    documents: Documents,
}

impl Shared {
    /// A fresh nonce of the current epoch.
    pub(crate) fn issue_nonce(&self, now: Timestamp) -> String {
        self.verifier.issue_nonce(&self.storage.epoch().id, now)
    }

    /// What `htu` has to be in proofs for `endpoint`.
    pub(crate) fn htu(&self, endpoint: Endpoint) -> &Htu {
        &self.htus[endpoint as usize]
    }

    /// The client of this identifier.
    pub(crate) async fn client(&self, id: &str) -> Result<Option<Arc<Client>>, Refusal> {
        if let Some(client) = self.settings.clients.get(id) {
            return Ok(Some(client.clone()));
        }
        match &self.settings.client_documents {
            Some(strangers) if id.starts_with("https://") => {
                Ok(self.documents.find(self, strangers, id, self.clock.now()).await)
            }
            Some(_) | None => self.registered.find(self, id).await,
        }
    }

    /// Whose share the entries of `client` count against.
    pub(crate) fn quota_key(&self, client: &Client) -> QuotaKey {
        QuotaKey::new(&[self.settings.issuer.as_str(), &client.id])
    }

    /// Refuses a client that has made too many requests.
    pub(crate) fn admit(&self, client: &AuthenticatedClient, now: Timestamp) -> Result<(), Refusal> {
        // Anybody can name a public client: its requests count by where they come from only.
        if client.assertion.is_none() && matches!(client.client.credential.method(), AuthMethod::None) {
            return Ok(());
        }
        self.limits.admit_client(self.quota_key(&client.client), now).map_err(|limited| {
            self.metrics.limited(limited);
            limited.into()
        })
    }

    /// Records what a request may be accepted with only once and makes `changes`, in one transaction; whatever it
    /// refuses, nothing is left of the request. A request that has nothing of either costs nothing.
    pub(crate) async fn commit(
        &self,
        client: &AuthenticatedClient,
        proof: Option<CheckedProof>,
        changes: &[Change],
        now: Timestamp,
    ) -> Result<Option<VerifiedProof>, Refusal> {
        let verdict = self.try_commit(client, proof.as_ref(), changes, now).await?;
        let recorded = self.judge(verdict)?;
        Ok(proof.map(|proof| proof.accept(recorded)).transpose()?)
    }

    /// [`Shared::commit`] for changes that are decided anew when somebody else was faster: up to [`MAX_ATTEMPTS`]
    /// times, as long as it says [`Verdict::Conflict`].
    pub(crate) async fn try_commit(
        &self,
        client: &AuthenticatedClient,
        proof: Option<&CheckedProof>,
        changes: &[Change],
        now: Timestamp,
    ) -> Result<Verdict, Refusal> {
        let once = SingleUse {
            proof: proof.map(|proof| proof.replay_entry(Some(self.quota_key(&client.client)))),
            assertion: client.assertion,
        };
        if once.is_empty() && changes.is_empty() {
            return Ok(Verdict::First);
        }
        let share = self.reserve_share(&client.client, &once, now)?;
        let began = Instant::now();
        let verdict = self.storage.commit(&once, changes, now).await;
        self.metrics.commit(began.elapsed(), verdict.is_ok());
        let verdict = verdict?;
        if verdict == Verdict::First {
            share.keep();
        }
        Ok(verdict)
    }

    /// Makes room for what is about to be recorded.
    fn reserve_share(&self, client: &Client, once: &SingleUse, now: Timestamp) -> Result<Reserved<'_>, Refusal> {
        let reserved = self.shares.reserve(self.quota_key(client), once.entries(), now);
        reserved.map_err(|full| Refusal::Proof(ReplayError::from(full).into()))
    }

    /// What the storage's verdict means for the proof; one about the assertion is a refusal of its own.
    pub(crate) fn judge(&self, verdict: Verdict) -> Result<Recorded, Refusal> {
        match verdict {
            Verdict::First => Ok(Recorded::First),
            Verdict::ProofReplayed => Ok(Recorded::Replayed),
            // Where nonces are never asked for there is no way out but a new proof.
            Verdict::NonceDemanded if self.verifier.nonce_policy() == NoncePolicy::Never => {
                Err(Rejection::from(ProofError::BeforeEpoch).into())
            }
            Verdict::NonceDemanded => Err(Rejection::from(NonceError::EpochDemandsNonce).into()),
            Verdict::AssertionReplayed => Err(ClientError::Assertion(AssertionError::Replayed).into()),
            Verdict::AssertionForgotten => Err(ClientError::Assertion(AssertionError::Forgotten).into()),
            Verdict::Conflict => {
                Err(StorageError::Unavailable { reason: "an entry was changed by too many at once".to_owned() }.into())
            }
        }
    }
}

/// By the number of the endpoint.
fn htus(issuer: &Issuer) -> Result<Vec<Htu>, HtuError> {
    let mut endpoints = Endpoint::ALL.to_vec();
    endpoints.sort_by_key(|endpoint| *endpoint as usize);
    endpoints.into_iter().map(|endpoint| issuer.htu(endpoint.path())).collect()
}

/// What the hashes of passwords cost, with a word to whoever has several costs: each try pays them all.
fn costs_of_signing_in(settings: &Settings) -> Costs {
    let costs = Costs::of(settings.users.values().map(|hash| hash.as_str()));
    if costs.count() > 1 {
        tracing::warn!(
            costs = costs.count(),
            "password hashes differ in cost, so every sign-in does the work of each; hashes as of `authserver user` have one"
        );
    }
    costs
}

/// A machine without root certificates serves, and fetches nothing.
fn fetcher() -> Arc<dyn Fetch> {
    let system: Arc<dyn ResolveHost> = Arc::new(SystemResolver);
    match GuardedFetch::new(&system) {
        Ok(fetch) => Arc::new(fetch),
        Err(fault) => {
            tracing::warn!(%fault, "keys and documents of others cannot be fetched");
            Arc::new(Offline)
        }
    }
}

fn verifier(settings: &Settings, nonce_key: NonceKey) -> Result<Verifier, OpenError> {
    let rules = settings.profile.rules();
    let algorithms = Algorithms::all().narrowed_to(rules.proof_algorithms).ok_or(OpenError::Algorithms)?;
    Ok(Verifier::new(settings.issuer.as_str(), nonce_key)
        .with_algorithms(algorithms)
        .with_window(rules.window)
        .with_nonce_policy(settings.nonce.into()))
}

/// Makes a sealing key for a storage that holds nothing sealed yet only: another one would be of no use.
async fn open_seal(settings: &Settings, storage: &dyn Storage) -> Result<Seal, OpenError> {
    let path = settings.data.join("sealing.key");
    let is_new = storage.signing_keys().await?.is_empty();
    Ok(if is_new { Seal::open_or_make(&path)? } else { Seal::open_file(&path)? })
}

const NONCE_KEY: &str = "nonce key";
const SESSION_KEY: &str = "session key";

async fn find_or_make_secret(storage: &dyn Storage, seal: &Seal, name: &str) -> Result<Zeroizing<[u8; 32]>, OpenError> {
    let mut fresh = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(&mut fresh[..]).map_err(|_| NoRandomness)?;
    let sealed = seal.seal(name, &fresh[..]).map_err(OpenError::Secret)?;
    let kept = storage.keep_secret(name, sealed).await?;
    let opened = seal.open(name, &kept).map_err(OpenError::Secret)?;
    fresh.copy_from_slice(opened.get(..32).ok_or(OpenError::Secret(SealError::NotOurs))?);
    Ok(fresh)
}
