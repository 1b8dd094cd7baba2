//! `bench authserver`: what a token costs, beside its cryptography and beside the durable write.

mod keys;
mod refresh;
mod traffic;

use std::path::Path;

use clap::Args;
use countersign_authserver::AuthServer;
use countersign_authserver::storage::{
    AssertionEntry, AssertionKey, PostgresAddress, SingleUse, SqlStorage, Storage, StorageError, Verdict,
};
use countersign_dpop::jose::{Algorithm, Algorithms, CompactJws, JwsBuffer};
use countersign_dpop::replay::{ReplayEntry, ReplayKey};
use countersign_dpop::time::{NumericDate, Window};
use futures_util::StreamExt;
use indicatif::ProgressBar;
use secrecy::SecretString;

use self::keys::{Keys, NOW};
use self::refresh::Filled;
use self::traffic::{TOGETHER, grant};
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
    /// How many grants the large database holds, half a kilobyte each and as much for its token; the small one holds a
    /// thousand
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

/// Tokens a round.
const CALLS: usize = 100;

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
        let Measured { groups, notes: more } = alone(async || self.measure_all().await)?;
        notes.extend(more);
        Ok(Section { name: "authserver", title: "Tokens of the authorization server", notes, groups })
    }

    async fn measure_all(&self) -> Result<Measured, CommandError> {
        let keys = Keys::new()?;
        let database = database();
        let databases = if database.is_some() { 2 } else { 1 };
        let bar = progress(databases * refresh::entries(self.grants as usize, self.rounds as usize) as u64);
        let cryptography = self.cryptography(&keys)?;
        let unit = cpu(&cryptography);
        let groups = vec![group("The cryptography of one token", &RATIO_TO_CRYPTOGRAPHY, vec![cryptography])];
        let mut measured = Measured { groups, notes: Vec::new() };
        for database in [None].into_iter().chain(database.map(Some)) {
            self.measure_on(database.map(SecretString::from), &keys, &bar, unit, &mut measured).await?;
        }
        bar.finish_and_clear();
        for row in measured.groups.iter_mut().flat_map(|group| &mut group.rows) {
            let ratio = cpu(row) / unit;
            row.set(&RATIO_TO_CRYPTOGRAPHY, ratio);
        }
        Ok(measured)
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
        measured: &mut Measured,
    ) -> Result<(), CommandError> {
        let name = if database.is_some() { "Postgres" } else { "SQLite" };
        let key = name.to_lowercase();
        let directory = tempfile::tempdir().map_err(CommandError::internal)?;
        let server = keys.server(directory.path(), database.clone()).await?;
        bar.set_message(format!("tokens on {name}"));
        let write = self.durable_writes(&key, directory.path(), database.clone()).await?;
        let mut token = self.tokens(&key, &server, keys).await?;
        token.set(&RATIO_WITHOUT_WRITE, (cpu(&token) - cpu(&write)) / unit);
        bar.set_message(format!("bringing grants into {name}"));
        let rounds = self.rounds as usize;
        let few = Filled::few(directory.path(), database.as_ref(), keys, rounds).await?;
        let many = Filled::fill(server, self.grants as usize, keys, rounds, bar).await?;
        let took = many.took.as_secs_f64();
        measured.notes.push(format!("{} grants were brought into {name} in {took:.1} s", many.grants));
        bar.set_message(format!("refreshes on {name}"));
        let filled = [few, many];
        let samples = refresh::refreshes(&filled, keys).await?;
        let rows = filled
            .iter()
            .zip(&samples)
            .map(|(filled, samples)| row(format!("refresh-{key}-{}-grants", filled.grants), samples));
        measured.groups.extend([
            group(&format!("The durable write alone on {name}"), &RATIO_TO_CRYPTOGRAPHY, vec![write]),
            group(
                &format!("A token on {name}, its durable write left out"),
                &RATIO_WITHOUT_WRITE,
                vec![token.with_goal(Some(GOAL))],
            ),
            group(
                &format!("A refresh on {name}, among few grants and among many"),
                &RATIO_TO_FEW_GRANTS,
                compared_with_the_first(rows.collect()),
            ),
        ]);
        Ok(())
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
            let verdicts: Vec<Result<Verdict, StorageError>> = recorded.buffer_unordered(TOGETHER).collect().await;
            samples.end(CALLS);
            let verdicts: Vec<Verdict> =
                verdicts.into_iter().collect::<Result<_, _>>().map_err(CommandError::internal)?;
            all_right(verdicts.iter().filter(|verdict| **verdict == Verdict::First).count(), CALLS)?;
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
}

/// What was measured so far.
struct Measured {
    groups: Vec<Group>,
    notes: Vec<String>,
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

/// With their ratio to the first.
fn compared_with_the_first(mut rows: Vec<Row>) -> Vec<Row> {
    let first = rows.first().map(cpu).unwrap_or_default();
    for row in &mut rows {
        let ratio = cpu(row) / first;
        row.set(&RATIO_TO_FEW_GRANTS, ratio);
    }
    rows
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
    let mut bytes = [0; ReplayKey::LENGTH];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| CommandError::internal("no random bytes"))?;
    let proof = ReplayEntry {
        key: ReplayKey::from_bytes(bytes),
        iat: NumericDate::from_seconds(NOW.seconds()),
        not_after: NOW.plus(60),
        nonce_epoch: None,
        quota: None,
    };
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| CommandError::internal("no random bytes"))?;
    let assertion = AssertionEntry { key: AssertionKey::from_bytes(bytes), not_after: NOW.plus(60) };
    Ok(SingleUse { proof: Some(proof), assertion: Some(assertion) })
}
