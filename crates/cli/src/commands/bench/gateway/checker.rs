//! The checker that nginx asks in the comparison: what a service does that verifies token and proof of every request
//! with a cryptographic library, and keeps nothing of them but the used proofs.

use std::convert::Infallible;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use clap::Args;
use countersign_dpop::jose::{Algorithm, Algorithms, CompactJws, JwkSet, JwsBuffer, PublicJwk};
use countersign_dpop::time::{Clock, SystemClock};
use countersign_dpop::{NonceKey, PublicOrigin};
use countersign_replay::{MemoryReplayConfig, MemoryReplayStore};
use countersign_resource::es256::{Engine, Verifier};
use countersign_resource::fetch::{Fetch, Offline};
use countersign_resource::{
    IssuerConfig, Issuers, KeyCache, MAX_TOKEN_LENGTH, Outcome, RequestFacts, ResourceConfig, ResourceServer,
};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::traffic::{ISSUER, RESOURCE};
use crate::error::CommandError;
use crate::{input, serving};

/// Answers nginx: 204 for a right request, 401 for any other, never with a body, which would cost nginx its connection.
#[derive(Debug, Args)]
pub(crate) struct CheckerCommand {
    /// The issuer's keys
    #[arg(long)]
    keys: PathBuf,
}

struct Checker {
    server: ResourceServer,
    algorithms: Algorithms,
    issuer: PublicJwk,
}

impl CheckerCommand {
    /// Serves until it is killed, on one thread.
    pub(crate) fn run(&self) -> Result<ExitCode, CommandError> {
        let ended = std::thread::scope(|scope| scope.spawn(|| self.run_alone()).join());
        ended.map_err(|_| CommandError::internal("the checker ended early"))?
    }

    fn run_alone(&self) -> Result<ExitCode, CommandError> {
        let checker = Arc::new(Checker::new(&input::read_text(&self.keys, "the issuer's keys")?)?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(CommandError::internal)?.block_on(checker.serve())
    }
}

impl Checker {
    fn new(keys: &str) -> Result<Self, CommandError> {
        let keys = JwkSet::parse(keys.as_bytes()).map_err(CommandError::configuration)?;
        let issuer = keys.keys().first().map(|key| key.key.clone());
        let issuer = issuer.ok_or_else(|| CommandError::configuration("no key of the issuer"))?;
        let config = IssuerConfig::with_key_set(ISSUER, keys).map_err(CommandError::internal)?;
        let fetch: Arc<dyn Fetch> = Arc::new(Offline);
        let issuers = Issuers::new(vec![config], &fetch).map_err(CommandError::internal)?;
        let origin = PublicOrigin::parse(RESOURCE).map_err(CommandError::internal)?;
        let config = ResourceConfig::new(RESOURCE, origin, issuers).map_err(CommandError::internal)?;
        let config = config.with_key_cache(KeyCache::new(0, Verifier::new(Engine::Library)));
        // As if it had begun long ago, and so asked for no nonces any more.
        let begun = SystemClock.now().plus(-3_600);
        let replay = MemoryReplayStore::new(MemoryReplayConfig::default(), begun).map_err(CommandError::internal)?;
        let nonces = NonceKey::generate().map_err(CommandError::internal)?;
        let server = ResourceServer::new(config, Arc::new(replay), Arc::new(SystemClock), nonces);
        Ok(Self { server, algorithms: Algorithms::all(), issuer })
    }

    async fn serve(self: Arc<Self>) -> Result<ExitCode, CommandError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(CommandError::internal)?;
        serving::ready(listener.local_addr().map_err(CommandError::internal)?, None);
        loop {
            let (stream, _) = listener.accept().await.map_err(CommandError::internal)?;
            let checker = Arc::clone(&self);
            let answer = move |request| {
                let checker = Arc::clone(&checker);
                async move { checker.answer(request).await }
            };
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
        let right = self.is_right(request.headers()).await;
        let mut response = Response::new(Empty::new());
        *response.status_mut() = if right { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED };
        Ok(response)
    }

    async fn is_right(&self, fields: &HeaderMap) -> bool {
        let text = |name: &str| fields.get(name).and_then(|value| value.to_str().ok());
        let (Some(method), Some(target)) = (text("x-original-method"), text("x-original-uri")) else { return false };
        // The server remembers tokens that it has seen; this one verifies each again.
        if !fields.get(AUTHORIZATION).is_some_and(|credentials| self.token_is_signed(credentials)) {
            return false;
        }
        let facts = RequestFacts { method, path_and_query: target, headers: fields, authority: None };
        matches!(self.server.judge(&facts).await.outcome, Outcome::Granted(_))
    }

    fn token_is_signed(&self, credentials: &HeaderValue) -> bool {
        let Some(token) = credentials.to_str().ok().and_then(|text| text.split_once(' ')).map(|(_, token)| token)
        else {
            return false;
        };
        let mut buffer = JwsBuffer::new();
        let Ok(jws) = CompactJws::split(token.as_bytes(), &mut buffer, MAX_TOKEN_LENGTH) else { return false };
        self.algorithms.verify(Algorithm::Es256, &self.issuer, jws.signing_input(), jws.signature()).is_ok()
    }
}
