//! Refreshes among few grants and among many, in turn, each on a database of its own.

use std::path::Path;
use std::time::{Duration, Instant};

use countersign_authserver::AuthServer;
use countersign_authserver::storage::PostgresAddress;
use indicatif::ProgressBar;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::keys::Keys;
use super::traffic::grant;
use crate::commands::bench::measure::Samples;
use crate::error::CommandError;

/// How many grants are few.
pub(super) const FEW: usize = 1_000;
/// Refreshes a round: so many that the database writes its log back to its pages several times in each.
const CALLS: usize = 1_000;
/// In Postgres, where the few are; the many are where the database's own search path leads.
const FEW_SCHEMA: &str = "countersign_few_grants";

/// A server with so many grants.
pub(super) struct Filled {
    server: AuthServer,
    tokens: Vec<Zeroizing<String>>,
    pub(super) grants: usize,
    pub(super) took: Duration,
}

impl Filled {
    /// A server of its own among few grants.
    pub(super) async fn few(
        directory: &Path,
        database: Option<&SecretString>,
        keys: &Keys,
        rounds: usize,
    ) -> Result<Self, CommandError> {
        let database = match database {
            Some(url) => Some(in_schema(url, FEW_SCHEMA).await?),
            None => None,
        };
        let server = keys.server(&directory.join("few"), database).await?;
        Self::fill(server, FEW, keys, rounds, &ProgressBar::hidden()).await
    }

    /// Fills a server that has no grants.
    pub(super) async fn fill(
        server: AuthServer,
        grants: usize,
        keys: &Keys,
        rounds: usize,
        bar: &ProgressBar,
    ) -> Result<Self, CommandError> {
        let bulk = keys.bulk(grants, (rounds + 1) * CALLS);
        let (began, before) = (Instant::now(), bar.position());
        let progress = |written: usize| bar.set_position(before + written as u64);
        let tokens = server.approve_in_bulk(&bulk, progress).await.map_err(CommandError::internal)?;
        Ok(Self { server, tokens, grants, took: began.elapsed() })
    }
}

/// How many entries so many grants are, with what is to be refreshed.
pub(super) fn entries(grants: usize, rounds: usize) -> usize {
    grants + grants.max((rounds + 1) * CALLS)
}

/// A public client's refresh tokens, which rotate; each is used once. In each round all of `filled` take their turn.
pub(super) async fn refreshes(filled: &[Filled], keys: &Keys) -> Result<Vec<Samples>, CommandError> {
    let mut samples: Vec<_> = filled.iter().map(|_| Samples::of_this_process()).collect();
    let rounds = filled.iter().map(|filled| filled.tokens.len() / CALLS).min().unwrap_or_default();
    for round in 0..rounds {
        for (filled, samples) in filled.iter().zip(&mut samples) {
            let tokens = &filled.tokens[round * CALLS..][..CALLS];
            let requests: Vec<_> = tokens.iter().map(|token| keys.refresh(token)).collect::<Result<_, _>>()?;
            grant(samples, &filled.server, requests).await?;
        }
    }
    Ok(samples)
}

/// The same database, but tables of its own.
async fn in_schema(url: &SecretString, schema: &'static str) -> Result<SecretString, CommandError> {
    let address = PostgresAddress::parse(url).map_err(CommandError::configuration)?;
    address.make_schema(schema).await.map_err(CommandError::configuration)?;
    let url = url.expose_secret();
    let joint = if url.contains('?') { '&' } else { '?' };
    Ok(format!("{url}{joint}options[search_path]={schema}").into())
}
