//! What a thief would try with a stolen token, tried against any resource server over HTTP.
//!
//! Every attack changes one thing and leaves the rest right, as far as the keys at hand allow: with an honest
//! session the proofs are signed by the honest key, so that a refusal proves the check named and not merely that
//! the thief has another key. Nonces are learned from answers, as a thief would, for the same reason.

mod answer;
mod attack;
mod carrier;
mod input;
mod plan;
mod play;
mod report;

pub use self::attack::Attack;
pub use self::carrier::{Carrier, CarryError, Carrying, HttpCarrier};
pub use self::input::{BatteryInput, CapturedRequest, InputError, Loot, Session};
pub use self::play::Battery;
pub use self::report::{AttackRow, Expected, Verdict};
