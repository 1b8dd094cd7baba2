//! Another configuration while requests are under way.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use countersign_forward::Forwarder;
use tokio::time::timeout;

use crate::admin::{Missing, missing};
use crate::config::Settings;
use crate::door::Door;
use crate::gateway::GatewayError;
use crate::site::{Lasting, Site};

/// How long the first requests by a new configuration are kept waiting for keys of issuers that are new in it.
const FETCH: Duration = Duration::from_secs(3);

/// Replaces the configuration of a serving gateway. Cheap to clone; clones are the same.
#[derive(Clone, Debug)]
pub struct Reloader {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    door: Arc<Door>,
    lasting: Lasting,
    /// One at a time.
    settings: tokio::sync::Mutex<Settings>,
    /// Of earlier configurations; WebSockets may still run through them.
    retired: Mutex<Vec<Forwarder>>,
}

impl Reloader {
    pub(crate) fn new(door: Arc<Door>, lasting: Lasting, settings: Settings) -> Self {
        let inner = Inner { door, lasting, settings: tokio::sync::Mutex::new(settings), retired: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// Goes on by `settings`. Requests under way end by what they began with; no connection is closed, no used proof
    /// forgotten. Gives the keys that only a new start brings into force: addresses, the replay store, the memory
    /// for clients' keys and its engine, limits of connections.
    ///
    /// # Errors
    /// As [`crate::Gateway::bind`]; the old configuration stays in force then, and the failure is counted.
    pub async fn reload(&self, settings: Settings) -> Result<Vec<&'static str>, GatewayError> {
        let inner = &*self.inner;
        let mut current = inner.settings.lock().await;
        let before = inner.door.site.now();
        let site = Site::new(&settings, &inner.lasting, Some(&before)).inspect_err(|_| self.count_failure())?;
        // Before any verifier takes older proofs than before.
        inner.door.replay.widen(settings.widest_window(), inner.lasting.clock.now());
        // An issuer that is away stops nothing.
        let _ = timeout(FETCH, site.renew(inner.lasting.clock.now())).await;
        let before = inner.door.site.replace(site);
        self.retire(&before);
        inner.door.metrics.reload(true);
        let waiting = waiting(&current, &settings);
        *current = settings;
        Ok(waiting)
    }

    /// What requests need and is not there, asked now: what `/readyz` says, but for the draining.
    pub async fn missing(&self) -> Vec<Missing> {
        missing(&self.inner.door).await
    }

    /// Counts a new configuration that is not right, as when its file cannot be read.
    pub fn count_failure(&self) {
        self.inner.door.metrics.reload(false);
    }

    /// Ends all WebSockets, those through upstreams of earlier configurations too.
    pub(crate) async fn close_tunnels(&self) {
        let retired = std::mem::take(&mut *self.inner.retired.lock().unwrap_or_else(PoisonError::into_inner));
        for forwarder in &retired {
            forwarder.close().await;
        }
        for forwarder in self.inner.door.site.now().forwarders() {
            forwarder.close().await;
        }
    }

    /// Keeps the forwarders that the configuration now in force does not use.
    fn retire(&self, before: &Site) {
        let now = self.inner.door.site.now();
        let mut retired = self.inner.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.extend(before.forwarders_without(&now).cloned());
    }
}

/// What differs and only counts from the next start on.
fn waiting(before: &Settings, after: &Settings) -> Vec<&'static str> {
    let limits = |settings: &Settings| (settings.limits.connections, settings.limits.head_bytes, settings.limits.idle);
    let mut waiting = Vec::new();
    for (name, differs) in [
        ("listen", before.listen != after.listen),
        ("admin", before.admin != after.admin),
        ("replay", before.replay != after.replay),
        ("key_cache", before.keys.cache != after.keys.cache),
        ("es256_engine", before.keys.engine != after.keys.engine),
        ("es256_check_accepted", before.keys.sampling.accepted != after.keys.sampling.accepted),
        ("es256_check_refused", before.keys.sampling.refused != after.keys.sampling.refused),
        ("limits", limits(before) != limits(after)),
    ] {
        if differs {
            waiting.push(name);
        }
    }
    waiting
}
