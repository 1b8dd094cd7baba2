//! The corpus: inputs good and bad as data, with the verdict that each must get.
//!
//! A [`Case`] says what is changed in an otherwise right request, in a small closed vocabulary ([`Change`]); the
//! forge makes the request from that, so the data hold no signature and every case can be read. A [`Site`] is a
//! server to play cases against. `vectors/README.md` describes the file format.

mod case;
mod change;
mod expect;
mod file;
mod forge_step;
mod play;
mod request;
mod rules;
mod template;

pub use self::case::{Case, Level, NoncePolicySetting, RequestChange, Server, SiteSettings, Step, StoreSetting};
pub use self::change::{Change, Part, Place};
pub use self::expect::{Answer, Expect};
pub use self::file::{CorpusError, Line, NotHere, parse_lines};
pub use self::forge_step::{CLIENT, ISSUER, ISSUER_KEY, ISSUER_KID, SCOPE};
pub use self::play::{Mismatch, NOW, Site, play};
pub use self::request::ForgedRequest;
