//! `bench authserver`: what a token costs, beside its cryptography and beside the durable write.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use clap::Args;
use countersign_authserver::config::{AuthSetting, ClientConfig, ResourceConfig};
use countersign_authserver::storage::{
    AssertionEntry, AssertionKey, PostgresAddress, SingleUse, SqlStorage, Storage, Verdict,
};
use countersign_authserver::{AuthServer, AuthServerConfig, BulkApprovals};
use countersign_dpop::jose::{Algorithm, Algorithms, CompactJws, JwsBuffer, SoftwareKey, sign_compact};
use countersign_dpop::replay::{ReplayEntry, ReplayKey};
use countersign_dpop::time::{Clock, NumericDate, Timestamp, Window};
use countersign_dpop::{ProofMaker, ProofRequest};
use futures_util::StreamExt;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use indicatif::ProgressBar;
use secrecy::SecretString;
use tower::ServiceExt;

use super::fixture::at_once;
use super::measure::{Samples, all_right, alone};
use super::output::progress;
use super::row::{Column, Group, PER_SECOND, Row, Section, US_CPU_MEDIAN, US_WALL_MEDIAN};
use crate::error::CommandError;

/// Flags of `bench authserver`.
#[derive(Debug, Args)]
pub(crate) struct AuthServerBench {
    /// Rounds to measure; more rounds, steadier medians
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// How many grants the large database holds; the small one holds a thousand
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    grants: u32,
}

static RATIO_TO_CRYPTOGRAPHY: Column = Column::new("ratio_to_cryptography", "ratio", 3);
/// The same without what the durable write costs.
static RATIO_WITHOUT_WRITE: Column = Column::new("ratio_without_durable_write", "without the write", 3);
/// CPU time as a ratio to the same among a thousand grants.
static RATIO_TO_FEW_GRANTS: Column = Column::new("ratio_to_few_grants", "to few grants", 3);
/// What the project wants of a token without its durable write.
const GOAL: f64 = 1.5;

/// Operations a round; as many are in flight at a time as `TOGETHER`.
const CALLS: usize = 100;
const TOGETHER: usize = 50;
const FEW_GRANTS: usize = 1_000;
const ISSUER: &str = "https://issuer.example";
const TOKEN_URL: &str = "https://issuer.example/token";
const RESOURCE: &str = "https://api.example";
const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

#[derive(Debug)]
struct StandingClock(Timestamp);

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

impl AuthServerBench {
    /// As without flags.
    pub(super) fn with_defaults(quick: bool) -> Self {
        if quick { Self { rounds: 3, grants: 10_000 } } else { Self { rounds: 9, grants: 1_000_000 } }
    }

    /// Measures every row.
    pub(super) fn measure(&self) -> Result<Section, CommandError> {
        let mut notes = vec![format!(
            "{TOGETHER} requests at a time; ratio to the cryptography of one token, in this process: a verification of an \
             assertion, one of a proof, and a signature"
        )];
        if database().is_none() {
            notes.push("Postgres was not measured: COUNTERSIGN_DATABASE names no empty database".to_owned());
        }
        let groups = alone(async || self.groups().await)?;
        Ok(Section { name: "authserver", title: "Tokens of the authorization server", notes, groups })
    }

    async fn groups(&self) -> Result<Vec<Group>, CommandError> {
        let keys = Keys::new()?;
        let database = database();
        let steps = 2 * u64::from(self.grants) + 2 * FEW_GRANTS as u64;
        let bar = progress(if database.is_some() { steps } else { steps / 2 });
        let cryptography = self.cryptography(&keys)?;
        let unit = cpu(&cryptography);
        let mut groups = vec![group("The cryptography of one token", &RATIO_TO_CRYPTOGRAPHY, vec![cryptography])];
        for database in [None].into_iter().chain(database.map(Some)) {
            groups.extend(self.measure_on(database.map(SecretString::from), &keys, &bar, unit).await?);
        }
        bar.finish_and_clear();
        for row in groups.iter_mut().flat_map(|group| &mut group.rows) {
            let ratio = cpu(row) / unit;
            row.set(&RATIO_TO_CRYPTOGRAPHY, ratio);
        }
        Ok(groups)
    }

    /// One verification of an assertion, one of a proof, one signature, and nothing else.
    fn cryptography(&self, keys: &Keys) -> Result<Row, CommandError> {
        let algorithms = Algorithms::all();
        let text = keys.assertion()?;
        let mut buffer = JwsBuffer::new();
        let jws = CompactJws::split(text.as_bytes(), &mut buffer, 8_192).map_err(CommandError::internal)?;
        let (input, signature, key) = (jws.signing_input(), jws.signature(), keys.client.public_jwk());
        let mut samples = Samples::of_this_process();
        for _ in 0..=self.rounds {
            samples.begin();
            for _ in 0..CALLS {
                for _ in 0..2 {
                    algorithms.verify(Algorithm::Es256, key, input, signature).map_err(CommandError::internal)?;
                }
                keys.client.sign_now(input).map_err(CommandError::internal)?;
            }
            samples.end(CALLS);
        }
        Ok(row("cryptography-of-a-token".to_owned(), &samples))
    }

    async fn measure_on(
        &self,
        database: Option<SecretString>,
        keys: &Keys,
        bar: &ProgressBar,
        unit: f64,
    ) -> Result<Vec<Group>, CommandError> {
        let name = if database.is_some() { "postgres" } else { "sqlite" };
        let directory = tempfile::tempdir().map_err(CommandError::internal)?;
        let server = keys.server(directory.path(), database.clone()).await?;
        bar.set_message(format!("tokens on {name}"));
        let write = self.durable_writes(name, directory.path(), database).await?;
        let mut token = self.tokens(name, &server, keys).await?;
        token.set(&RATIO_WITHOUT_WRITE, (cpu(&token) - cpu(&write)) / unit);
        let mut refreshes: Vec<Row> = Vec::new();
        let mut made = 0;
        for wanted in [FEW_GRANTS, self.grants as usize] {
            bar.set_message(format!("grants on {name}"));
            let count = wanted.saturating_sub(made);
            let before = made;
            let bulk = keys.bulk(count, (self.rounds as usize + 1) * CALLS);
            let progress = |done: usize| bar.set_position((before + done) as u64);
            let tokens = server.approve_in_bulk(&bulk, progress).await.map_err(CommandError::internal)?;
            made += count;
            let tokens: Vec<String> = tokens.iter().map(|token| token.to_string()).collect();
            if !tokens.is_empty() {
                let row = self.refreshes(&format!("refresh-{name}-{made}-grants"), &server, keys, &tokens).await?;
                refreshes.push(row);
            }
        }
        let few = refreshes.first().map(cpu).unwrap_or_default();
        for row in &mut refreshes {
            let ratio = cpu(row) / few;
            row.set(&RATIO_TO_FEW_GRANTS, ratio);
        }
        Ok(vec![
            group(&format!("The durable write alone on {name}"), &RATIO_TO_CRYPTOGRAPHY, vec![write]),
            group(
                &format!("A token on {name}, its durable write left out"),
                &RATIO_WITHOUT_WRITE,
                vec![token.with_goal(Some(GOAL))],
            ),
            group(&format!("A refresh on {name}, among few grants and among many"), &RATIO_TO_FEW_GRANTS, refreshes),
        ])
    }

    /// What the storage takes for one proof and one assertion, and nothing else.
    async fn durable_writes(
        &self,
        name: &str,
        directory: &Path,
        database: Option<SecretString>,
    ) -> Result<Row, CommandError> {
        let begun = NOW.plus(-3_600);
        let storage = match database {
            None => SqlStorage::open_sqlite(directory, Window::RFC, begun).await,
            Some(url) => {
                let address = PostgresAddress::parse(&url).map_err(CommandError::configuration)?;
                SqlStorage::open_postgres(&address, Window::RFC, begun).await
            }
        };
        let storage = storage.map_err(CommandError::configuration)?;
        let mut samples = Samples::of_this_process();
        for _ in 0..=self.rounds {
            let once: Vec<SingleUse> = (0..CALLS).map(|_| single_use()).collect::<Result<_, _>>()?;
            samples.begin();
            let recorded = futures_util::stream::iter(&once).map(|once| storage.record(once, NOW));
            let first = recorded.buffer_unordered(TOGETHER).filter(|verdict| {
                let is_first = matches!(verdict, Ok(Verdict::First));
                async move { is_first }
            });
            let first = first.count().await;
            samples.end(CALLS);
            all_right(first, CALLS)?;
        }
        Ok(row(format!("durable-write-{name}"), &samples))
    }

    /// Client credentials with an assertion and a proof.
    async fn tokens(&self, name: &str, server: &AuthServer, keys: &Keys) -> Result<Row, CommandError> {
        let mut samples = Samples::of_this_process();
        for _ in 0..=self.rounds {
            let requests: Vec<_> = (0..CALLS).map(|_| keys.client_credentials()).collect::<Result<_, _>>()?;
            grant(&mut samples, server, requests).await?;
        }
        Ok(row(format!("token-{name}"), &samples))
    }

    /// A public client's refresh tokens, which rotate; each is used once.
    async fn refreshes(
        &self,
        name: &str,
        server: &AuthServer,
        keys: &Keys,
        tokens: &[String],
    ) -> Result<Row, CommandError> {
        let mut samples = Samples::of_this_process();
        for tokens in tokens.chunks_exact(CALLS) {
            let requests: Vec<_> = tokens.iter().map(|token| keys.refresh(token)).collect::<Result<_, _>>()?;
            grant(&mut samples, server, requests).await?;
        }
        Ok(row(name.to_owned(), &samples))
    }
}

/// `postgres://…` of an empty database, if one is to be measured too.
fn database() -> Option<String> {
    std::env::var_os("COUNTERSIGN_DATABASE").map(|url| url.to_string_lossy().into_owned())
}

fn cpu(row: &Row) -> f64 {
    row.figure(&US_CPU_MEDIAN).unwrap_or_default()
}

fn group(title: &str, plotted: &'static Column, rows: Vec<Row>) -> Group {
    Group { title: title.to_owned(), plotted, rows }
}

/// Sends the requests, up to `TOGETHER` at a time; each has to be granted.
async fn grant(
    samples: &mut Samples,
    server: &AuthServer,
    requests: Vec<Request<Full<Bytes>>>,
) -> Result<(), CommandError> {
    let router = server.router();
    let count = requests.len();
    samples.begin();
    let answers = futures_util::stream::iter(requests).map(|request| router.clone().oneshot(request));
    let granted = answers.buffer_unordered(TOGETHER).filter_map(|answer| async move {
        let answer = answer.ok()?;
        let is_granted = answer.status() == StatusCode::OK;
        // The body is made before it is asked for; taking it costs nothing.
        answer.into_body().collect().await.ok().filter(|_| is_granted)
    });
    let granted = granted.count().await;
    samples.end(count);
    all_right(granted, count)
}

fn row(name: String, samples: &Samples) -> Row {
    let cpu = samples.cpu().median;
    let per_second_one_core = if cpu > 0.0 { 1_000_000_000.0 / cpu } else { 0.0 };
    Row::new(name, "")
        .with(&US_CPU_MEDIAN, cpu / 1_000.0)
        .with(&RATIO_TO_CRYPTOGRAPHY, 0.0)
        .with(&PER_SECOND, per_second_one_core)
        .with(&US_WALL_MEDIAN, samples.wall().median / 1_000.0)
}

fn single_use() -> Result<SingleUse, CommandError> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| CommandError::internal("no random bytes"))?;
    let proof = ReplayEntry {
        key: ReplayKey::from_bytes(bytes),
        iat: NumericDate::from_seconds(NOW.seconds()),
        not_after: NOW.plus(60),
        nonce_epoch: None,
        quota: None,
    };
    let assertion = AssertionEntry { key: AssertionKey::from_bytes(bytes), not_after: NOW.plus(60) };
    Ok(SingleUse { proof: Some(proof), assertion: Some(assertion) })
}

/// The keys of the clients.
struct Keys {
    client: SoftwareKey,
    maker: ProofMaker,
}

impl Keys {
    fn new() -> Result<Self, CommandError> {
        let client = SoftwareKey::generate(Algorithm::Es256).map_err(CommandError::internal)?;
        let proof = SoftwareKey::generate(Algorithm::Es256).map_err(CommandError::internal)?;
        Ok(Self { client, maker: ProofMaker::new(Arc::new(proof)) })
    }

    /// A server that began an hour ago, so that it asks for no nonces, and limits nobody.
    async fn server(&self, directory: &Path, database: Option<SecretString>) -> Result<AuthServer, CommandError> {
        let mut config = AuthServerConfig::new(ISSUER, directory);
        config.database = database;
        config.limits.requests_per_client = Some(0);
        config.resources.push(ResourceConfig::new(RESOURCE, ["read"]));
        let mut confidential = ClientConfig::new("bench", AuthSetting::PrivateKeyJwt);
        let jwk: serde_json::Value =
            serde_json::from_str(&self.client.public_jwk().to_json()).map_err(CommandError::internal)?;
        confidential.jwks = Some(serde_json::json!({ "keys": [jwk] }));
        confidential.grants = vec!["client_credentials".into()];
        confidential.scopes = vec!["read".into()];
        let mut public = ClientConfig::new("bench-public", AuthSetting::None);
        public.grants = vec!["authorization_code".into(), "refresh_token".into()];
        public.redirect_uris = vec!["http://127.0.0.1/callback".into()];
        public.scopes = vec!["read".into()];
        config.clients.extend([confidential, public]);
        let settings = config.resolve(directory).map_err(CommandError::internal)?;
        let open = |settings, clock| AuthServer::open(settings, Arc::new(StandingClock(clock)));
        let settings = Arc::new(settings);
        drop(open(settings.clone(), NOW.plus(-3_600)).await.map_err(CommandError::configuration)?);
        open(settings, NOW).await.map_err(CommandError::configuration)
    }

    fn bulk(&self, count: usize, tokens: usize) -> BulkApprovals {
        let (client_id, resource) = ("bench-public".to_owned(), RESOURCE.to_owned());
        BulkApprovals { client_id, resource, jkt: *self.maker.jkt(), count, tokens }
    }

    fn assertion(&self) -> Result<String, CommandError> {
        let mut jti = [0; 16];
        aws_lc_rs::rand::fill(&mut jti).map_err(|_| CommandError::internal("no random bytes"))?;
        let claims = serde_json::json!({
            "iss": "bench", "sub": "bench", "aud": ISSUER, "jti": format!("{:032x}", u128::from_be_bytes(jti)),
            "iat": NOW.seconds(), "exp": NOW.plus(60).seconds(),
        });
        let claims = claims.to_string();
        let text = sign_compact(&self.client, r#"{"typ":"JWT","alg":"ES256"}"#, &claims);
        at_once(text)?.map_err(CommandError::internal)
    }

    fn client_credentials(&self) -> Result<Request<Full<Bytes>>, CommandError> {
        let assertion = self.assertion()?;
        self.request(format!(
            "grant_type=client_credentials&scope=read&client_assertion={assertion}&client_assertion_type=\
             urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
        ))
    }

    fn refresh(&self, token: &str) -> Result<Request<Full<Bytes>>, CommandError> {
        self.request(format!("grant_type=refresh_token&client_id=bench-public&refresh_token={token}"))
    }

    fn request(&self, form: String) -> Result<Request<Full<Bytes>>, CommandError> {
        let request = ProofRequest { method: "POST", url: TOKEN_URL, token: None, nonce: None };
        let proof = at_once(self.maker.make(&request, NOW))?.map_err(CommandError::internal)?;
        Request::post("/token")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(countersign_dpop::headers::DPOP, proof)
            .body(Full::new(Bytes::from(form)))
            .map_err(CommandError::internal)
    }
}
