//! People: who they are, how they sign in, what their pages look like.

mod cost;
mod guesses;
mod page;
mod password;
mod session;
mod sign_in;
mod user;
mod visitor;

pub(crate) use self::cost::Costs;
pub(crate) use self::page::{Page, PageError, Styled, see_other};
pub(crate) use self::password::is_password_hash;
pub use self::password::{PasswordError, hash_password};
pub(crate) use self::session::{People, Session};
pub(crate) use self::sign_in::{Asking, Entrance, sign_out};
pub(crate) use self::user::{MAX_USERNAME, is_username};
pub use self::user::{UserError, UserState, Users};
pub(crate) use self::visitor::Visitor;
