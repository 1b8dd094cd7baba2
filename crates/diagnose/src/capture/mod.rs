//! Reading what people paste: which form it has, and the one request and answer in it.

mod curl;
mod exchange;
mod fields;
mod http;
mod note;
mod proof;
#[cfg(test)]
mod tests;
mod text;
mod url;
mod words;

use std::fmt;

use serde::Serialize;

pub(crate) use self::exchange::Exchange;
pub use self::note::Note;
pub(crate) use self::url::{form_parameter, public_url};

/// The longest capture that is read, in bytes: a mebibyte.
pub const MAX_LENGTH: usize = 1024 * 1024;

/// Which form a capture has.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// A curl command.
    Curl,
    /// Header lines alone.
    Fields,
    /// A request, an answer, or both, as raw text or as `curl -v` prints them.
    Http,
    /// A proof alone.
    Proof,
}

/// Why a capture cannot be read. Nothing of it is repeated.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unreadable {
    /// Nothing but white space.
    #[error("there is nothing to read")]
    Empty,
    /// Longer than [`MAX_LENGTH`].
    #[error("it is longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// None of the forms that are known.
    #[error(
        "it is none of the forms that are read: a bare proof, a raw HTTP request or answer (also as curl -v prints \
         them), a curl command, or header lines such as DPoP: and Authorization:"
    )]
    Unrecognised,
}

/// What was captured of one request. `Debug` says the form, never the content.
pub struct Capture {
    pub(crate) form: Form,
    pub(crate) exchange: Exchange,
    pub(crate) bare_proof: Option<String>,
    pub(crate) notes: Vec<Note>,
}

impl Capture {
    /// Reads a capture. Text in UTF-16 with its mark, as Windows shells write files, is read too.
    ///
    /// # Errors
    /// See [`Unreadable`].
    pub fn read(input: &[u8]) -> Result<Self, Unreadable> {
        if input.len() > MAX_LENGTH {
            return Err(Unreadable::TooLong);
        }
        let text = text::dedent(&text::decode(input));
        let text = text.trim_end();
        if text.trim().is_empty() {
            return Err(Unreadable::Empty);
        }
        proof::read(text)
            .or_else(|| curl::read(text))
            .or_else(|| http::read(text))
            .or_else(|| fields::read(text))
            .ok_or(Unreadable::Unrecognised)
    }

    /// Which form it has.
    pub const fn form(&self) -> Form {
        self.form
    }

    pub(crate) fn new(form: Form, exchange: Exchange, notes: Vec<Note>) -> Self {
        Self { form, exchange, bare_proof: None, notes }
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture").field("form", &self.form).field("notes", &self.notes).finish_non_exhaustive()
    }
}
