//! Who has to know every token, to keep it out of what others see.

use std::fmt;
use std::sync::{Arc, OnceLock};

use secrecy::ExposeSecret;

use crate::token::Tokens;

/// Told the tokens that a client and all its clones come to hold, before they are used.
#[derive(Clone, Default)]
pub(crate) struct TokenWatch(Arc<OnceLock<Box<Watch>>>);

type Watch = dyn Fn(&str) + Send + Sync;

impl TokenWatch {
    /// The first who watches is told; there is no second.
    pub(crate) fn set(&self, watch: impl Fn(&str) + Send + Sync + 'static) {
        let _ = self.0.set(Box::new(watch));
    }

    pub(crate) fn tell(&self, tokens: &Tokens) {
        let Some(watch) = self.0.get() else { return };
        watch(tokens.access.expose_secret());
        if let Some(refresh) = &tokens.refresh {
            watch(refresh.0.expose_secret());
        }
    }
}

impl fmt::Debug for TokenWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenWatch")
    }
}
