//! What a command that fails says, and with which exit code.

use std::fmt;
use std::process::ExitCode;

use crate::render;

/// Why a command ends without success. One sentence that says what is wrong, and a hint that says what to do.
#[derive(Debug)]
pub(crate) struct CommandError {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
}

/// Decides the exit code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ErrorKind {
    /// The server said no, or something was found: exit code 1.
    Refused,
    /// A wrong flag, file or value: exit code 2.
    Configuration,
    /// Something that is not the user's doing: exit code 2.
    Internal,
}

impl CommandError {
    /// The server said no.
    pub(crate) fn refused(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Refused, message)
    }

    /// A wrong flag, file or value.
    pub(crate) fn configuration(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Configuration, message)
    }

    /// Something that is not the user's doing.
    pub(crate) fn internal(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Adds what to do about it.
    #[must_use]
    pub(crate) fn with_hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// Prints the error on stderr and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        render::error_line("error", &self.message);
        if let Some(hint) = &self.hint {
            render::error_line("hint", hint);
        }
        match self.kind {
            ErrorKind::Refused => ExitCode::from(1),
            ErrorKind::Configuration | ErrorKind::Internal => ExitCode::from(2),
        }
    }

    fn new(kind: ErrorKind, message: impl fmt::Display) -> Self {
        Self { kind, message: message.to_string(), hint: None }
    }
}
