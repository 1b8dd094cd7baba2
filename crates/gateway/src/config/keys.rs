//! What clients' keys may take, and who verifies by their tables.

use countersign_resource::DEFAULT_KEY_CACHE;
use countersign_resource::es256::{Engine, Sampling};

use super::GatewayConfig;
use super::resolve::Faults;

/// What clients' keys may take, and who verifies by their tables.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeySettings {
    /// Bytes for what is remembered of clients' keys and for their tables; 0 for none of either.
    pub cache: u64,
    /// Who verifies ES256 signatures of keys with tables.
    pub engine: Engine,
    /// The share of its verdicts that the library checks.
    pub sampling: Sampling,
}

impl Default for KeySettings {
    fn default() -> Self {
        Self { cache: DEFAULT_KEY_CACHE, engine: Engine::best(), sampling: Sampling::default() }
    }
}

impl GatewayConfig {
    pub(super) fn keys(&self, faults: &mut Faults) -> KeySettings {
        let usable = |name: &str| Engine::usable(name).map_err(Into::into);
        let engine = faults.chosen("es256_engine", self.es256_engine.as_deref(), usable);
        let checked = Sampling::default();
        KeySettings {
            cache: self.key_cache.map_or(DEFAULT_KEY_CACHE, |size| size.as_u64()),
            engine: engine.unwrap_or_else(Engine::best),
            sampling: Sampling {
                accepted: self.es256_check_accepted.unwrap_or(checked.accepted),
                refused: self.es256_check_refused.unwrap_or(checked.refused),
            },
        }
    }
}
