//! The contract of [`ReplayStore`], as a suite that every store runs.
//!
//! ```
//! # use std::sync::Arc;
//! # use countersign_dpop::replay::ReplayStore;
//! # use countersign_testkit::replay_contract::{self, Wanted};
//! # async fn keeps_the_contract(make_a_store: fn(Wanted) -> Arc<dyn ReplayStore>) {
//! // In a test with `#[tokio::test(flavor = "multi_thread")]`:
//! replay_contract::run(|wanted| async move { make_a_store(wanted) }).await;
//! # }
//! ```
//!
//! [`run`] is for a store in one process, which goes by the times it is told. A store that other processes share has a
//! clock and a size of its own; it runs [`every_store`].

mod bounded;
mod every;
mod one_process;
mod trial;

use std::future::Future;
use std::sync::Arc;

use countersign_dpop::replay::ReplayStore;
use countersign_dpop::time::{Timestamp, Window};

pub use self::bounded::bounded_store;
pub use self::every::every_store;
pub use self::one_process::store_in_one_process;

/// The store that a check wants: empty, and sharing nothing with any other.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The most entries it may hold.
    pub capacity: u32,
    /// The share of one party, in percent.
    pub quota_percent: u8,
    /// The verifier's window.
    pub window: Window,
    /// When it is made.
    pub now: Timestamp,
}

impl Wanted {
    /// Large enough for every check that is not about size.
    const ROOMY: Self = Self {
        capacity: 100_000,
        quota_percent: 100,
        window: Window::RFC,
        now: Timestamp::from_seconds(1_700_000_000),
    };
}

/// Runs every check against stores that `make` makes, one each.
///
/// To be run on a runtime with several threads, so that calls made at once do meet.
pub async fn run<Made>(make: impl Fn(Wanted) -> Made)
where
    Made: Future<Output = Arc<dyn ReplayStore>>,
{
    every_store(&make).await;
    bounded_store(&make).await;
    store_in_one_process(&make).await;
}
