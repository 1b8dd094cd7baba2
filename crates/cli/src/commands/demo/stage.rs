//! The stage: every server of the chain on a port of its own, and what the story needs besides.

use std::sync::{Arc, Mutex, PoisonError};

use countersign_client::keys::KeyStore;
use countersign_client::{Client, ClientConfig, RequestBody, Step};
use countersign_dpop::time::{Clock, SystemClock, Timestamp};
use countersign_probe::battery::{AttackRow, Session};
use http::{Method, Request};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::story::Story;
use super::verdicts::LastVerdicts;
use super::{attacks, upstream};
use crate::chain::{self, DataDirectory, Place};
use crate::engine::EngineFlag;
use crate::error::CommandError;

/// The longest answer of the small API that is shown.
const MAX_ANSWER: usize = 16 * 1024;
/// How long ago the token was issued that has expired: longer than it lives.
const LONG_AGO: i64 = 3_600;

/// The running chain.
pub(super) struct Stage {
    pub(super) gateway: String,
    pub(super) issuer: String,
    pub(super) upstream: String,
    pub(super) verdicts: Arc<LastVerdicts>,
    pub(super) data: DataDirectory,
    pub(super) client: Client,
    steps: Arc<Mutex<Vec<Step>>>,
    pub(super) foreign_audience: Session,
    pub(super) expired: Session,
    pub(super) other_issuer: Session,
    servers: Servers,
    /// Thrown away when the story is over.
    _directory: tempfile::TempDir,
}

impl Stage {
    /// Starts everything; the gateway verifies by `engine`.
    pub(super) async fn set(story: &mut Story, engine: &EngineFlag) -> Result<Self, CommandError> {
        let directory = tempfile::Builder::new().prefix("countersign-demo-").tempdir();
        let directory =
            directory.map_err(|fault| CommandError::internal(format!("no temporary directory: {fault}")))?;
        let data = DataDirectory::open(directory.path())?;
        let mut servers = Servers::default();
        let upstream = upstream::start().await?;
        let (front, back) = (free_place().await?, free_place().await?);
        let (origin, issuer, address) = (front.url(), back.url(), back.address());
        let elsewhere = format!("{origin}/elsewhere");
        let resources = [origin.as_str(), elsewhere.as_str()];

        let config = chain::client(&data, &issuer, &origin)?;
        let expired = token_of_long_ago(&data, back, &resources, &config).await?;
        let back = Place::bind(address).await?;
        servers.authserver(chain::authserver(back, &data, &resources, Arc::new(SystemClock)).await?);
        let foreign = session(&chain::client(&data, &issuer, &elsewhere)?, &data, Arc::new(SystemClock)).await?;
        let other_issuer = token_of_other_issuer(&directory, &origin, &mut servers).await?;

        let verdicts = Arc::new(LastVerdicts::default());
        let gateway = chain::gateway(front, &upstream, &issuer, Arc::clone(&verdicts) as _, engine.said()).await?;
        servers.gateway(gateway);
        data.write_client(&config)?;
        story.cast(&issuer, &origin, &upstream);

        let steps = Arc::new(Mutex::new(Vec::new()));
        let client = observed(&config, &data, &steps)?;
        Ok(Self {
            gateway: origin,
            issuer,
            upstream,
            verdicts,
            data,
            client,
            steps,
            foreign_audience: foreign,
            expired,
            other_issuer,
            servers,
            _directory: directory,
        })
    }

    /// The honest client: key, token, call.
    pub(super) async fn honest_client(&self, story: &mut Story) -> Result<(), CommandError> {
        story.chapter("The honest client");
        story.step("makes a key, once; the private half never leaves the client");
        story.detail(&format!("ES256, thumbprint (jkt) {}", self.client.jkt()));
        story.step("asks for an access token and proves that it has the key");
        self.client.token().await.map_err(|fault| CommandError::internal(format!("no token: {fault}")))?;
        story.happened(&self.take_steps());
        story.step("calls the API: the token, and a proof for this one request");
        self.call(story, "/orders").await?;
        story.step("asks the API who it thinks is calling; the gateway told it, and kept token and proof back");
        self.call(story, "/whoami").await
    }

    /// The thief.
    pub(super) async fn thief(&self, story: &mut Story) -> Result<Vec<AttackRow>, CommandError> {
        story.chapter("The thief has stolen the token and reads every request on the wire");
        let rows = attacks::play(self, story).await;
        // What the battery did through the honest key was its own, not the client's.
        self.take_steps();
        rows
    }

    /// The honest client after all that.
    pub(super) async fn honest_client_again(&self, story: &mut Story) -> Result<(), CommandError> {
        story.chapter("The honest client works on");
        story.step("calls the API with the same token, the one that was stolen");
        self.call(story, "/orders").await
    }

    /// The client's token with its key, as the battery wants it.
    pub(super) async fn honest_session(&self) -> Result<Session, CommandError> {
        let token = self.client.token().await.map_err(CommandError::internal)?;
        let key = self.data.keys().open(&chain::dpop_key()?).map_err(CommandError::internal)?;
        Ok(Session { token: token.expose_secret().to_owned(), key })
    }

    /// Stops every server, requests under way first.
    pub(super) async fn strike(self) {
        self.servers.stop().await;
    }

    async fn call(&self, story: &mut Story, path: &str) -> Result<(), CommandError> {
        let mut request = Request::new(RequestBody::empty());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = format!("{}{path}", self.gateway).parse().map_err(CommandError::internal)?;
        let answer = self.client.call(request).await.map_err(CommandError::internal)?;
        story.happened(&self.take_steps());
        let status = answer.status().as_u16();
        let body = answer.into_body().read_at_most(MAX_ANSWER).await.map_err(CommandError::internal)?;
        story.answer(status, String::from_utf8_lossy(&body).trim());
        Ok(())
    }

    fn take_steps(&self) -> Vec<Step> {
        std::mem::take(&mut *self.steps.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn observed(
    config: &ClientConfig,
    data: &DataDirectory,
    steps: &Arc<Mutex<Vec<Step>>>,
) -> Result<Client, CommandError> {
    let client = Client::open(config, &data.keys(), Arc::new(SystemClock)).map_err(CommandError::internal)?;
    let steps = Arc::clone(steps);
    Ok(client.with_observer(move |step| steps.lock().unwrap_or_else(PoisonError::into_inner).push(step.clone())))
}

/// A token that the authorization server issued an hour ago: it is run with a clock that is an hour behind, before
/// it is run with the right one.
async fn token_of_long_ago(
    data: &DataDirectory,
    place: Place,
    resources: &[&str],
    config: &ClientConfig,
) -> Result<Session, CommandError> {
    let clock: Arc<dyn Clock> = Arc::new(ClockBehind);
    let mut servers = Servers::default();
    servers.authserver(chain::authserver(place, data, resources, Arc::clone(&clock)).await?);
    let session = session(config, data, clock).await;
    servers.stop().await;
    session
}

/// A token by an authorization server that the gateway does not trust, with everything else right.
async fn token_of_other_issuer(
    directory: &tempfile::TempDir,
    origin: &str,
    servers: &mut Servers,
) -> Result<Session, CommandError> {
    let data = DataDirectory::open(&directory.path().join("other"))?;
    let place = free_place().await?;
    let config = chain::client(&data, &place.url(), origin)?;
    servers.authserver(chain::authserver(place, &data, &[origin], Arc::new(SystemClock)).await?);
    session(&config, &data, Arc::new(SystemClock)).await
}

async fn session(config: &ClientConfig, data: &DataDirectory, clock: Arc<dyn Clock>) -> Result<Session, CommandError> {
    let client = Client::open(config, &data.keys(), clock).map_err(CommandError::internal)?;
    let token = client.token().await.map_err(|fault| CommandError::internal(format!("no token: {fault}")))?;
    let key = data.keys().open(&chain::dpop_key()?).map_err(CommandError::internal)?;
    Ok(Session { token: token.expose_secret().to_owned(), key })
}

async fn free_place() -> Result<Place, CommandError> {
    Place::bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0))).await
}

/// A clock that is behind by [`LONG_AGO`].
#[derive(Debug)]
struct ClockBehind;

impl Clock for ClockBehind {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(-LONG_AGO)
    }
}

/// The running servers.
#[derive(Default)]
struct Servers {
    ended: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Servers {
    fn authserver(&mut self, server: countersign_authserver::BoundAuthServer) {
        let ended = self.ended.clone();
        self.tasks.push(tokio::spawn(async move { server.serve(ended.cancelled()).await }));
    }

    fn gateway(&mut self, gateway: countersign_gateway::Gateway) {
        let ended = self.ended.clone();
        self.tasks.push(tokio::spawn(async move { gateway.serve(ended.cancelled()).await }));
    }

    async fn stop(self) {
        self.ended.cancel();
        for task in self.tasks {
            // A server that failed has said so; the story is over either way.
            let _ = task.await;
        }
    }
}
