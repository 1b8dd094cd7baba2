//! Round trips to a Redis or Valkey server.

use std::sync::Arc;

use countersign_dpop::replay::{Recorded, ReplayEntry, ReplayKey, ReplayStore};
use countersign_dpop::time::{Clock, NumericDate, SystemClock};
use countersign_replay::{RedisReplayConfig, RedisReplayStore, RedisServer};
use futures_util::StreamExt;

use super::super::measure::{Samples, all_right, alone};
use super::super::row::Row;
use super::{REACHED_WITHIN, WINDOW, wall_row};
use crate::error::CommandError;

const ROUNDS: usize = 20;
const CALLS: usize = 200;
const TOGETHER: usize = 32;

pub(super) fn measure(server: RedisServer) -> Result<Vec<Row>, CommandError> {
    alone(async || {
        let config = RedisReplayConfig { server, window: WINDOW, quota: None, nonce_keys: None };
        let store = RedisReplayStore::open(config, Arc::new(SystemClock)).map_err(CommandError::internal)?;
        let reached = store.reached(REACHED_WITHIN).await;
        reached.map_err(|fault| CommandError::configuration(format!("--redis: {fault}")))?;
        let one = trips(&store, 1).await?;
        let many = trips(&store, TOGETHER).await?;
        Ok(vec![
            wall_row("redis-1-at-a-time", "a fresh proof, one round trip after the other", one.wall()),
            wall_row("redis-32-at-a-time", "a fresh proof, 32 on the way at a time", many.wall()),
        ])
    })
}

async fn trips(store: &RedisReplayStore, together: usize) -> Result<Samples, CommandError> {
    let mut samples = Samples::of_this_thread();
    for _ in 0..=ROUNDS {
        let entries: Vec<_> = (0..CALLS).map(|_| entry()).collect::<Result<_, _>>()?;
        samples.begin();
        let answers = futures_util::stream::iter(&entries).map(|entry| store.record(entry, SystemClock.now()));
        let first = answers.buffer_unordered(together).filter(|answer| {
            // After a start the store may want a nonce of its epoch first; the round trip is the same.
            let is_right = matches!(answer, Ok(Recorded::First | Recorded::NonceDemanded));
            async move { is_right }
        });
        let first = first.count().await;
        samples.end(CALLS);
        all_right(first, CALLS)?;
    }
    Ok(samples)
}

/// A proof made just now.
fn entry() -> Result<ReplayEntry, CommandError> {
    let mut bytes = [0; ReplayKey::LENGTH];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| CommandError::internal("no random bytes"))?;
    let iat = NumericDate::from_seconds(SystemClock.now().seconds());
    Ok(ReplayEntry {
        key: ReplayKey::from_bytes(bytes),
        iat,
        not_after: WINDOW.not_after(iat),
        nonce_epoch: None,
        quota: None,
    })
}
