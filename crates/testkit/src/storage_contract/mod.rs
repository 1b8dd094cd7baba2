//! The contract of [`Storage`], as a suite that every storage runs: one check is one function over an [`Opener`], and
//! [`CHECKS`] lists them all. A check begins with an empty storage and may open the same one several times.

#![expect(clippy::unwrap_used, reason = "a storage that fails breaks the contract, and the check with it")]

mod entries;
mod keys;
mod memory;
mod once;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use countersign_authserver::storage::Storage;
use countersign_dpop::time::Timestamp;

/// Opens one and the same storage, as another process or the next run would. A storage that ends with its last user
/// gives out the one it has.
pub trait Opener: Send + Sync {
    /// Opens it at this time, in seconds. The window is [`countersign_dpop::time::Window::RFC`].
    fn open(&self, now: i64) -> Pin<Box<dyn Future<Output = Arc<dyn Storage>> + Send + '_>>;

    /// Whether what is open twice is seen by both, and what is closed is still there when it is opened again.
    fn is_durable(&self) -> bool {
        true
    }

    /// By how many seconds the clocks of those who share the storage may differ.
    fn clock_difference(&self) -> i64;
}

/// A check: panics where the contract is broken. To be run on a runtime with several threads.
pub type Check = for<'a> fn(&'a dyn Opener) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

macro_rules! checks {
    ($($group:ident::$name:ident),* $(,)?) => {
        /// Every check and its name.
        pub const CHECKS: &[(&str, Check)] =
            &[$((stringify!($name), |opener| Box::pin($group::$name(opener)))),*];
    };
}

checks![
    once::records_each_entry_once,
    once::of_many_at_once_exactly_one_is_first,
    once::a_refused_one_of_many_at_once_leaves_nothing,
    once::remembers_across_a_restart,
    memory::demands_a_nonce_of_its_epoch_at_and_before_the_floor,
    memory::sweeps_what_has_ended_and_nothing_that_lives,
    memory::sweeps_a_little_while_it_records,
    memory::a_clock_set_back_begins_an_epoch_and_refuses_what_could_be_forgotten,
    entries::changes_an_entry_only_while_it_is_as_it_was_read,
    entries::records_and_changes_all_or_nothing,
    entries::adds_many_entries_in_one_go_or_none_of_them,
    entries::of_many_changes_at_once_exactly_one_is_made,
    entries::lists_entries_by_kind_and_owner_page_by_page,
    entries::entries_outlive_a_restart_and_are_swept_after_their_end,
    keys::the_first_signing_key_wins,
    keys::one_key_waits_one_signs_and_the_rest_may_be_forgotten,
    keys::the_first_secret_of_a_name_wins,
];

/// The time at which checks happen, in seconds.
pub const NOW: i64 = 1_800_000_000;

/// A time of a check.
pub const fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}
